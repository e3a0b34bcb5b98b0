"""What S3 needs: settings for Spark, the code in its jar, and a store that keeps its word."""

import hashlib
import importlib.util
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.errors import ConfigError, LakeError
from pipelines.io import s3
from pipelines.io.lake import open_lake
from pipelines.io.session import packages, session_conf
from pipelines.settings import Settings, load_settings


def settings_of(**given: object) -> Settings:
    return load_settings(overrides={key.replace("__", "."): value for key, value in given.items()})


def on_s3(tmp_path: Path, endpoint: str = "") -> Settings:
    return settings_of(
        root="s3a://bucket/lake",
        state_dir=str(tmp_path / "state"),
        s3__endpoint=endpoint,
        s3__path_style=True,
    )


def test_local_lake_brings_nothing_of_s3(tmp_path: Path) -> None:
    settings = settings_of(root=str(tmp_path))
    assert not [name for name in packages(settings) if "aws" in name]
    assert not [key for key in session_conf(settings) if "s3a" in key]
    assert s3.spark_conf(settings) == {}


@pytest.mark.parametrize("key", ["root", "source__files__path", "documents__path"])
def test_any_bucket_brings_the_client_and_the_safe_log(tmp_path: Path, key: str) -> None:
    given = {"root": str(tmp_path), "state_dir": str(tmp_path), key: "s3a://bucket/folder"}
    conf = session_conf(settings_of(**given))
    assert "org.apache.hadoop:hadoop-aws:" in conf["spark.jars.packages"]
    assert "software.amazon.awssdk:bundle" in conf["spark.jars.excludes"]
    assert conf["spark.delta.logStore.s3a.impl"] == "lakehouse.S3LogStore"
    assert Path(conf["spark.jars"]).is_file()


def test_service_is_named_in_the_settings_and_credentials_are_not(tmp_path: Path) -> None:
    conf = s3.spark_conf(on_s3(tmp_path, endpoint="http://127.0.0.1:9000"))
    assert conf["spark.hadoop.fs.s3a.endpoint"] == "http://127.0.0.1:9000"
    assert conf["spark.hadoop.fs.s3a.path.style.access"] == "true"
    assert "spark.hadoop.fs.s3a.endpoint.region" not in conf  # empty: the AWS chain's
    assert not [key for key in conf if "key" in key or "secret" in key]


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "s3://host", "http://a b"])
def test_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"s3\.endpoint"):
        settings_of(s3__endpoint=endpoint)


def test_jar_was_built_from_the_sources_beside_it() -> None:
    path = s3.JAR.with_name("build.py")
    spec = importlib.util.spec_from_file_location("build", path)
    assert spec and spec.loader
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    with zipfile.ZipFile(s3.JAR) as jar:
        manifest = jar.read("META-INF/MANIFEST.MF").decode()
        names = {Path(name).stem for name in jar.namelist()}
    assert f"Sources: {build.sources_digest()}\n" in manifest, "run `python java/build.py`"
    assert {"S3LogStore", "S3CheckpointFileManager", "NewObject"} <= names


class _Forgetful(BaseHTTPRequestHandler):
    """A store that takes every write, whatever its conditions."""

    kept = b""

    def do_GET(self) -> None:
        body = self.kept or b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"
        self.send_response(200 if self.kept else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        type(self).kept = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.md5(b"").hexdigest()}"')  # noqa: S324
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def forgetful() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Forgetful) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_store_without_conditional_writes_is_refused(
    tmp_path: Path, forgetful: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    for _ in range(2):
        with pytest.raises(LakeError, match="ignores If-None-Match, so two writers could undo"):
            open_lake(on_s3(tmp_path, forgetful), create=True)
    assert not (tmp_path / "state").exists()
