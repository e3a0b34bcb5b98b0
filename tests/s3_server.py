"""A real S3 server (SeaweedFS) on a free port of this machine, gone when its block ends."""

import ctypes
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

KEY, SECRET, REGION = "lake", "lake-secret", "eu-central-1"
_IDENTITY = {
    "name": KEY,
    "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
    "actions": ["Admin", "Read", "Write", "List", "Tagging"],
}
_PARTS = ("s3", "master", "volume", "filer", "admin")
_START_S = 30
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class S3Server:
    endpoint: str
    client: Any
    process: subprocess.Popen[bytes]

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which a program finds its credentials."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]


@contextmanager
def s3_server(folder: Path, *buckets: str) -> Iterator[S3Server]:
    """A server with these buckets, all that it needs in `folder`."""
    folder.mkdir(parents=True)
    (folder / "s3.json").write_text(json.dumps({"identities": [_IDENTITY]}))
    listening = [f"{part}.port{kind}" for part in _PARTS for kind in ("", ".grpc")]
    ports = dict(zip(listening, free_ports(len(listening)), strict=True))
    command = [
        *(str(Path(sys.executable).parent / "weed"), "mini", f"-dir={folder}", "-ip=127.0.0.1"),
        *("-ip.bind=127.0.0.1", f"-s3.config={folder / 's3.json'}", "-s3.iam=false"),
        *("-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-webdav=false", "-admin.ui=false"),
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10),
    )
    with (folder / "server.log").open("wb") as log, ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                command, stdout=log, stderr=log, cwd=folder, preexec_fn=end_with_parent
            )
        )
        stack.callback(process.kill)
        for bucket in buckets:
            _until_it_answers(process, folder, lambda b=bucket: client.create_bucket(Bucket=b))
            put = {"Bucket": bucket, "Key": "ready", "Body": b""}
            _until_it_answers(process, folder, lambda p=put: client.put_object(**p))
        yield S3Server(endpoint, client, process)


def end_with_parent() -> None:
    """A test run that is killed leaves no server behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]


def _until_it_answers(process: subprocess.Popen[bytes], folder: Path, ask: Any) -> None:
    until = time.monotonic() + _START_S
    while True:
        try:
            ask()
            return
        except (BotoCoreError, ClientError) as error:
            log = (folder / "server.log").read_text(errors="replace")[-2000:]
            assert process.poll() is None and time.monotonic() < until, f"{error}\n{log}"
            time.sleep(0.05)
