"""What listens, listens on this machine alone: Spark with its pages, the broker, MLflow's pages."""

import ipaddress
import os
import subprocess
import sys

import click
import psutil
import pytest
from mlflow.cli import cli as mlflow
from pyspark.sql import SparkSession

from pipelines.sources.connection import Kafka


def listening(process: psutil.Process) -> dict[int, str]:
    """Port -> address, of a process and all that it started."""
    found = {}
    for one in (process, *process.children(recursive=True)):
        for socket in one.net_connections("inet"):
            if socket.status == psutil.CONN_LISTEN:
                found[socket.laddr.port] = socket.laddr.ip
    return found


def test_spark_and_the_broker_listen_on_this_machine_alone(
    spark: SparkSession, broker: Kafka
) -> None:
    found = listening(psutil.Process())
    assert int(broker.settings.source.kafka.bootstrap_servers.split(":")[1]) in found
    for port, address in found.items():
        # Java listens on IPv6's form of 127.0.0.1.
        assert ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback, (port, address)


WITH_PAGES = """
import sys
from pipelines.io.session import spark_session
from pipelines.settings import load_settings
conf = {"spark.ui.enabled": "true", "spark.ui.port": "0"}
spark = spark_session(load_settings(overrides={"root": sys.argv[1], "spark.conf": conf}))
print(spark.sparkContext.uiWebUrl, flush=True)
sys.stdin.read()
"""


def test_spark_s_pages_listen_on_this_machine_alone(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("pages")
    with subprocess.Popen(
        [sys.executable, "-c", WITH_PAGES, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"JAVA_TOOL_OPTIONS": ""},
    ) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        found = listening(psutil.Process(process.pid))
        process.communicate("")
    assert int(url.rsplit(":", 1)[1]) in found
    assert all(ipaddress.ip_address(a.removeprefix("::ffff:")).is_loopback for a in found.values())


def test_mlflow_s_pages_bind_to_this_machine_unless_told_otherwise() -> None:
    pages = mlflow.get_command(click.Context(mlflow), "ui")
    assert pages
    assert {one.default for one in pages.params if one.name == "host"} == {"127.0.0.1"}
