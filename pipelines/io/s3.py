"""S3 and what speaks its protocol: the settings of Spark's S3A client, and the lake's own marker.

Credentials come from the AWS chain alone: the environment, a profile, or the machine's role.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipelines.errors import LakeError, StorageError
from pipelines.settings import Settings

# The newest release that goes with Spark's Hadoop. Of the AWS SDK, whose bundle has 670 MB, only
# the modules that S3A calls: 15 MB. Netty and slf4j are Spark's own.
_AWS_SDK = "2.35.4"
PACKAGES = (
    "org.apache.hadoop:hadoop-aws:3.5.0",
    f"software.amazon.awssdk:s3:{_AWS_SDK}",
    f"software.amazon.awssdk:s3-transfer-manager:{_AWS_SDK}",
    f"software.amazon.awssdk:sts:{_AWS_SDK}",
)
_EXCLUDES = ("software.amazon.awssdk:bundle", "io.netty:*", "org.slf4j:*")
_CREDENTIALS = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"
# What makes commits and checkpoints safe for several writers; its sources stand beside it.
JAR = Path(__file__).resolve().parents[2] / "java" / "lakehouse-s3.jar"

_SCHEME = "s3a://"
_ATTEMPTS, _CONNECT_S, _READ_S = 2, 3, 10  # of the marker, before anything is started


def is_on(path: str) -> bool:
    """Whether a path names a bucket."""
    return path.startswith(_SCHEME)


def in_use(settings: Settings) -> bool:
    """Whether the lake or what it takes in stands on S3."""
    return any(map(is_on, (settings.root, settings.source.files.path, settings.documents.path)))


def spark_conf(settings: Settings) -> dict[str, str]:
    """Settings of Delta, streams and S3A for a lake on S3; none for another."""
    if not in_use(settings):
        return {}
    s3 = settings.s3
    client = {
        "endpoint": s3.endpoint,
        "endpoint.region": s3.region,
        "path.style.access": str(s3.path_style).lower(),
        "aws.credentials.provider": _CREDENTIALS,
        # By default a store that does not answer is asked for minutes; so it is for 10 s.
        "attempts.maximum": "2",
        "retry.limit": "3",
        "connection.establish.timeout": "5s",
        "connection.timeout": "60s",
    }
    return {
        "spark.delta.logStore.s3a.impl": "lakehouse.S3LogStore",
        "spark.sql.streaming.checkpointFileManagerClass": "lakehouse.S3CheckpointFileManager",
        **{f"spark.hadoop.fs.s3a.{key}": value for key, value in client.items() if value},
    }


def jars_conf(settings: Settings) -> dict[str, str]:
    """Settings by which a session that we start finds the code for S3."""
    if not in_use(settings):
        return {}
    return {"spark.jars": str(JAR), "spark.jars.excludes": ",".join(_EXCLUDES)}


class Marker:
    """A small file of the lake, in its bucket.

    Raises:
        StorageError: no credentials or the wrong ones, no bucket, no answer.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        import boto3
        from botocore.config import Config

        place = urlsplit(settings.root)
        self._where = f"{_SCHEME}{place.netloc}"
        self._asked = settings.s3.endpoint or "AWS"
        key = f"{place.path.strip('/')}/{name}".lstrip("/")
        self._object = {"Bucket": place.netloc, "Key": key}
        with self._named():
            self._client: Any = boto3.client(
                "s3",
                endpoint_url=settings.s3.endpoint or None,
                region_name=settings.s3.region or None,
                config=Config(
                    connect_timeout=_CONNECT_S,
                    read_timeout=_READ_S,
                    retries={"total_max_attempts": _ATTEMPTS},
                    request_checksum_calculation="when_required",  # not every service knows them
                    s3={"addressing_style": "path" if settings.s3.path_style else "auto"},
                ),
            )

    def read(self) -> bytes | None:
        """What it holds; None if it was never written."""
        with self._named():
            try:
                return bytes(self._client.get_object(**self._object)["Body"].read())
            except self._client.exceptions.NoSuchKey:
                return None

    def write_once(self, content: bytes) -> None:
        """Write it if nobody has, which also shows whether the store can do that.

        Raises:
            LakeError: the store overwrites what it was told not to, so that of two commits of the
                same version one would be lost.
        """
        with self._named():
            if self._put_if_absent(content) and self._put_if_absent(content):
                raise LakeError(
                    f"{self._asked} ignores If-None-Match, so two writers could undo each other's "
                    "commits; use a store that has conditional writes"
                )

    def _put_if_absent(self, content: bytes) -> bool:
        from botocore.exceptions import ClientError

        try:
            self._client.put_object(**self._object, Body=content, IfNoneMatch="*")
        except ClientError as error:
            if _code(error) in {"PreconditionFailed", "412"}:
                return False
            raise
        return True

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            yield
        except NoCredentialsError:
            raise StorageError(
                f"no credentials for {self._where}; set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            ) from None
        except ClientError as error:
            raise StorageError(self._refusal(_code(error))) from None
        except (BotoCoreError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise StorageError(
                f"{self._asked} does not answer for {self._where} ({reason[:150]}); start it or "
                "correct s3.endpoint"
            ) from None

    def _refusal(self, code: str) -> str:
        if code == "NoSuchBucket":
            return f"there is no bucket {self._where} at {self._asked}; create it or correct --root"
        if code in {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403"}:
            return (
                f"{self._asked} refuses these credentials for {self._where} ({code}); correct "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what they may do"
            )
        return f"{self._asked} answered {code} for {self._where}; mend that and run again"


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
