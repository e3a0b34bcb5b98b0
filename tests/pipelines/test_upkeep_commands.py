"""`maintain` as its users meet it: one object of JSON, one line for people, named errors."""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from typer.testing import CliRunner

from pipelines import cli
from pipelines.errors import LockedError, RegistryError
from pipelines.io.lake import locks
from pipelines.io.write import write
from pipelines.settings import Settings
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.streams import StreamState, save_stream
from pipelines.table import Table
from pipelines.upkeep_commands import maintain

Rows = Callable[[Table, Iterable[dict[str, Any]]], DataFrame]
NAME = DROPPED_EVENTS.name


def test_it_says_what_it_did_to_each_table(spark: SparkSession, lake: Settings, rows: Rows) -> None:
    row = {"event_id": "e", "table_name": "t", "reason": "duplicate", "source": "s",
           "source_partition": 0, "source_offset": 1}  # fmt: skip
    write(rows(DROPPED_EVENTS, [row]).coalesce(1), lake, DROPPED_EVENTS)
    said = CliRunner().invoke(cli.app, ["maintain", "--root", lake.root, "--json"])
    assert said.exit_code == 0, said.output
    (found,) = json.loads(said.stdout)["tables"]
    assert found["table"] == NAME
    assert found["done"] == ["vacuumed", "log cleaned"]
    assert (found["files_before"], found["files_after"], found["conflicts"]) == (1, 1, 0)
    shown = CliRunner().invoke(cli.app, ["maintain", NAME, "--root", lake.root])
    assert NAME in shown.stdout


def test_unknown_table_is_named_before_anything_is_done(lake: Settings) -> None:
    with pytest.raises(RegistryError, match=r"no table named silver\.nope; there are"):
        maintain(["silver.nope"], root=lake.root)


def test_status_tells_how_the_streams_are_doing(spark: SparkSession, lake: Settings) -> None:
    outcomes = {"valid": 900, "rejected": 60, "duplicate": 41, "late": 0, "seen": 0}
    save_stream(
        lake.state, StreamState("bronze", at=time.time(), rows=1200, lag=7, lag_unit="offsets")
    )
    save_stream(lake.state, StreamState("silver", status="ended", rows=1001, outcomes=outcomes))
    said = CliRunner().invoke(cli.app, ["status", "--root", lake.root, "--json"])
    bronze, silver = json.loads(said.stdout)["streams"]
    assert (bronze["condition"], bronze["lag"], silver["outcomes"]) == ("running", 7, outcomes)
    assert 0 <= bronze["age_seconds"] < 60
    shown = CliRunner().invoke(cli.app, ["status", "--root", lake.root]).stdout
    for cell in ("running", "7 offsets", "1,200", "ended", "rejected", "60", "41"):
        assert cell in shown


def test_table_that_another_process_writes_to_is_left_alone(lake: Settings) -> None:
    with locks(lake.state, [NAME]), pytest.raises(LockedError, match=f"is writing to {NAME}"):
        maintain([NAME], root=lake.root)


def test_erase_gives_a_receipt_and_names_nobody(spark: SparkSession, lake: Settings) -> None:
    asked = ["erase", "--customer", "someone-unknown", "--root", lake.root]
    said = CliRunner().invoke(cli.app, [*asked, "--json"])
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    assert told["people"] == 1
    assert not any(told["found"].values())
    assert "someone-unknown" not in said.output
    with locks(lake.state, ["silver.clicks"]):
        refused = CliRunner().invoke(cli.app, asked)
    assert isinstance(refused.exception, LockedError)
    assert CliRunner().invoke(cli.app, ["erase", "--root", lake.root]).exit_code == 2
