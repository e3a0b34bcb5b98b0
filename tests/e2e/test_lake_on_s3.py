"""The same lake on S3: a real S3 server, and the program in processes of its own, as users run it.

Two workers stand for two machines: each has a session and a state folder of its own, and nothing
between them but the bucket.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from gates import before_opening, shut
from given import event
from quick_java import QUICK_JAVA
from s3_server import S3Server, s3_server
from workers import Worker, worker

from pipelines.settings import Settings, load_settings
from pipelines.sources.connection import Kafka, kafka
from pipelines.sources.dataset import Dataset, send

PROJECT = Path(__file__).resolve().parents[2]
BUCKET = "retail"
TYPES = ("click", "purchase", "price_change", "inventory_change", "item_upsert")
COMMITS = 12  # per writer
GIVE_UP_S = 60  # longer than a store that has gone may keep a command


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3") / "data", BUCKET) as running:
        yield running


@pytest.fixture(scope="module")
def project(
    server: S3Server, broker: Kafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A copy of the program whose environment `s3` is the server."""
    copy = tmp_path_factory.mktemp("s3-project")
    for folder in ("ml", "serving", "workflows", "java"):
        (copy / folder).symlink_to(PROJECT / folder)
    for folder in ("pipelines", "conf"):
        shutil.copytree(PROJECT / folder, copy / folder)
    servers = broker.settings.source.kafka.bootstrap_servers
    overlay = {
        "root": f"s3a://{BUCKET}/lake",
        "s3": {"endpoint": server.endpoint, "path_style": True},
        "source": {"kafka": {"bootstrap_servers": servers, "topic": "s3", "partitions": 2}},
        "spark": {
            "master": "local[2]",
            "driver_memory": "1g",
            "shuffle_partitions": 2,
            "conf": {
                "spark.sql.adaptive.enabled": "false",
                "spark.driver.extraJavaOptions": QUICK_JAVA,
            },
        },
    }
    for name, kind in (("s3", "kafka"), ("s3-files", "files")):
        source = {**overlay["source"], "kind": kind}
        state = str(copy / "state")
        content = {**overlay, "source": source, "state_dir": state}
        (copy / "conf" / f"{name}.yml").write_text(json.dumps(content))  # JSON is YAML
    with pytest.MonkeyPatch.context() as patch:
        for key, value in server.environment.items():
            patch.setenv(key, value)
        yield copy


@pytest.fixture(scope="module")
def workers(project: Path) -> Iterator[tuple[Worker, Worker]]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(worker(project, name)) for name in ("one", "two"))
        yield first, second


def settings_of(project: Path, **overrides: Any) -> Settings:
    return load_settings("s3", conf_dir=project / "conf", overrides=overrides)


def test_events_and_documents_reach_their_tables_on_s3(
    project: Path, server: S3Server, workers: tuple[Worker, Worker]
) -> None:
    settings = settings_of(project)
    produced = [event(TYPES[n % 5], n) for n in range(20)]
    pairs = [(e["event_id"].encode(), json.dumps(e).encode()) for e in produced]
    with kafka(settings) as running:
        send(Dataset("s3", "s3", lambda: pairs), running, rate=None, progress=lambda _: None)
    landed = [event(TYPES[n % 5], n) for n in range(15, 40)]  # five of them came by Kafka
    lines = b"\n".join(json.dumps(e).encode() for e in landed)
    server.client.put_object(Bucket=BUCKET, Key="lake/landing/one.jsonl", Body=lines + b"\n")

    def put(name: str, text: bytes) -> None:
        server.client.put_object(Bucket=BUCKET, Key=f"lake/documents/{name}", Body=text)

    for name in ("changed", "removed", "a b%20c"):
        put(f"reviews/i1/{name}.txt", name.encode())

    one, _ = workers
    assert one.run("ingest") == {"bronze": 20, "silver": 20, "documents": 3}
    put("reviews/i1/changed.txt", b"otherwise")
    server.client.delete_object(Bucket=BUCKET, Key="lake/documents/reviews/i1/removed.txt")
    one.ask("ingest", "--env", "s3-files", "--json")
    assert json.loads(one.answer()["out"]) == {"bronze": 25, "silver": 25, "documents": 1}
    assert one.run("ingest") == {"bronze": 0, "silver": 0, "documents": 0}
    said = "SELECT name, text, removed_at IS NULL AS there FROM silver.documents ORDER BY name"
    assert [tuple(row.values()) for row in one.run("query", said)["rows"]] == [
        ("a b%20c.txt", "a b%20c", True),
        ("changed.txt", "otherwise", True),
        ("removed.txt", "removed", False),
    ]
    refreshed = one.run("refresh", "sales_hourly", "item_funnel")["views"]
    assert {view["strategy"] for view in refreshed} == {"full"}
    one.ask("check", "--env", "s3", "--json")
    checks = json.loads(one.answer()["out"])["checks"]
    assert {c["detail"][:16] for c in checks if not c["ok"]} == {"never refreshed;"}
    assert len([c for c in checks if c["ok"]]) == 3 + len(refreshed)
    bronze, sold = "SELECT count(*) AS n FROM bronze.events", "SELECT * FROM silver.purchases"
    assert one.run("query", bronze)["rows"] == [{"n": 45}]
    assert len(one.run("query", sold)["rows"]) == 8
    assert not [key for key in server.keys(BUCKET) if ".tmp" in key]  # nothing was renamed


def test_no_commit_is_lost_or_repeated_when_two_machines_write_one_table(
    server: S3Server, workers: tuple[Worker, Worker]
) -> None:
    root = f"s3a://{BUCKET}/two"
    for each in workers:
        each.ask("append", "bronze.numbers", root, 0, 0)  # a session, no commit yet
    assert [each.answer()["code"] for each in workers] == [0, 0]
    for number, each in enumerate(workers):
        each.ask("append", "bronze.numbers", root, 1000 * number, COMMITS)
    assert [each.answer()["code"] for each in workers] == [COMMITS, COMMITS]

    commits = [
        Path(key).stem
        for key in server.keys(BUCKET, "two/bronze/numbers/_delta_log/")
        if key.endswith(".json")
    ]
    assert sorted(map(int, commits)) == list(range(2 * COMMITS))
    workers[1].ask("numbers", "bronze.numbers", root)
    wanted = [*range(COMMITS), *range(1000, 1000 + COMMITS)]
    assert json.loads(workers[1].answer()["out"]) == wanted


def test_commit_that_another_machine_overtakes_is_refused(
    server: S3Server, workers: tuple[Worker, Worker], tmp_path: Path
) -> None:
    """It began when its version was free, and ends when that is taken."""
    root = f"s3a://{BUCKET}/overtaken"
    slow, fast = tmp_path / "slow", tmp_path / "fast"
    for place in (slow, fast):
        os.mkfifo(place)
    workers[0].ask("commit", "bronze.numbers", root, str(slow))
    with said(slow, "1"):  # by then it has looked whether its version is free
        workers[1].ask("commit", "bronze.numbers", root, str(fast))
        with said(fast, "2"):
            pass
        assert workers[1].answer()["code"] == "first"
    assert workers[0].answer()["code"] == "taken"
    (key,) = server.keys(BUCKET, "overtaken/")
    assert server.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"2\n"


@contextmanager
def said(fifo: Path, text: str) -> Iterator[None]:
    """The block runs when a text through a FIFO has been read; then the FIFO ends.

    Opened for both ends: Java opens and closes it once before it reads.
    """
    with os.fdopen(os.open(fifo, os.O_RDWR), "w") as pipe:
        pipe.write(text)
        pipe.flush()
        while unread(pipe):
            time.sleep(0.01)
        yield


def unread(pipe: IO[str]) -> int:
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_upsert_that_another_machines_rewrite_spoils_is_done_again(
    workers: tuple[Worker, Worker], tmp_path: Path
) -> None:
    """It began before the rewrite did, and ends after it."""
    root = f"s3a://{BUCKET}/maintained"
    one, two = workers
    for number in range(2):
        one.ask("item", root, number, "Old", "")
        one.answer()
    gate = shut(tmp_path / "gate")
    one.ask("item", root, 0, "New", str(gate))
    with before_opening(gate):
        two.ask("rewrite", root)
        assert two.answer()["code"] == ["clustered", "vacuumed", "log cleaned"]
    assert one.answer()["code"] == {"i0": "New", "i1": "Old"}


def test_second_stream_on_a_checkpoint_is_refused(workers: tuple[Worker, Worker]) -> None:
    for each in workers:
        each.ask("open", f"s3a://{BUCKET}/checkpoint/offsets/0")
        assert each.answer()["code"] == "open"
    for each, code in ((workers[1], "first"), (workers[0], "taken")):
        each.ask("close")
        assert each.answer()["code"] == code


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"AWS_SECRET_ACCESS_KEY": "wrong"}, "refuses these credentials", id="secret"),
        pytest.param({"AWS_ACCESS_KEY_ID": "nobody"}, "refuses these credentials", id="key"),
        pytest.param(
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no credentials", id="none"
        ),
        pytest.param({"--root": "s3a://nowhere/lake"}, "no bucket s3a://nowhere", id="bucket"),
        pytest.param({"--root": f"s3a://{BUCKET}/other"}, "no lake at s3a://", id="lake"),
        pytest.param({"endpoint": "http://127.0.0.1:9"}, "does not answer", id="endpoint"),
    ],
)
def test_fault_of_the_store_is_one_line_and_quick(
    project: Path, change: dict[str, str], says: str
) -> None:
    where = ["--root", change["--root"]] if "--root" in change else []
    overlay = project / "conf" / "s3.yml"
    kept = overlay.read_text()
    if "endpoint" in change:
        settings = json.loads(kept)
        overlay.write_text(json.dumps({**settings, "s3": {"endpoint": change["endpoint"]}}))
    variables = {key: value for key, value in change.items() if key.startswith("AWS_")}
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pipelines", "refresh", "--env", "s3", *where],
            capture_output=True,
            text=True,
            cwd=project,
            env={**os.environ, **variables},
            timeout=GIVE_UP_S,
        )
    finally:
        overlay.write_text(kept)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("lakehouse: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert time.monotonic() - started < 10


def test_store_that_dies_under_a_session_ends_its_command(
    server: S3Server, workers: tuple[Worker, Worker]
) -> None:
    """The last test of this server."""
    one, two = workers
    server.process.kill()
    server.process.wait()
    one.ask("append", "bronze.numbers", f"s3a://{BUCKET}/two", 5000, 1)
    two.ask("refresh", "--env", "s3", "--json")
    refused, failed = two.answer(), one.answer()
    assert refused["code"] == 1
    assert refused["err"].startswith("lakehouse: ")
    assert "does not answer" in refused["err"]
    assert refused["seconds"] < 10
    assert "Connect" in failed["code"]
    assert failed["seconds"] < GIVE_UP_S
