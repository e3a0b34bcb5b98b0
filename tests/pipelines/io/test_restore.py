"""An older version is shown again, and what came after it comes back from below, once."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from given import event
from pyspark.sql import SparkSession

from pipelines.errors import LakeError
from pipelines.io.doctor import examine
from pipelines.io.lake import table_path
from pipelines.io.read import read, version_of
from pipelines.io.restore import restore
from pipelines.registry import VIEWS
from pipelines.settings import Settings
from pipelines.views.recompute import recompute
from pipelines.views.refresh import refresh

TakeIn = Callable[[Settings, Iterable[object]], None]
VIEW = "gold.current_prices"


def ids(spark: SparkSession, settings: Settings, name: str) -> list[str]:
    return sorted(row[0] for row in read(spark, settings, name).select("event_id").collect())


def equals_recomputation(spark: SparkSession, settings: Settings) -> bool:
    view = next(one for one in VIEWS if one.name == VIEW)
    sources = {name: version_of(spark, settings, name) for name in view.inputs}
    wanted = recompute(spark, settings, view, sources)
    found = read(spark, settings, VIEW).select(*wanted.columns)
    return found.exceptAll(wanted).isEmpty() and wanted.exceptAll(found).isEmpty()


def test_silver_that_was_spoiled_is_restored_and_takes_in_again_what_came_since(
    spark: SparkSession, lake: Settings, take_in: TakeIn
) -> None:
    name = "silver.price_changes"
    take_in(lake, [event("price_change", 1), event("price_change", 2, item_id="i2")])
    refresh(spark, lake, [VIEW])
    good = version_of(spark, lake, name)
    take_in(lake, [event("price_change", 3, item_id="i3", price_cents=7)])
    spark.sql(f"DELETE FROM delta.`{table_path(lake, name)}` WHERE item_id = 'i2'")
    refresh(spark, lake, [VIEW])
    sent = [event("price_change", n)["event_id"] for n in (1, 2, 3)]
    assert ids(spark, lake, name) == [sent[0], sent[2]]

    done = restore(spark, lake, name, good)
    assert ids(spark, lake, name) == sent[:2]
    assert done.then == "lakehouse ingest"
    assert [Path(aside).is_dir() for aside in done.checkpoints] == [True]

    take_in(lake, [event("price_change", 4, item_id="i4")])
    assert ids(spark, lake, name) == [*sent, event("price_change", 4)["event_id"]]
    refresh(spark, lake, [VIEW])
    assert equals_recomputation(spark, lake)
    assert examine(lake).is_sound


def test_a_view_that_was_spoiled_is_restored_and_computed_anew(
    spark: SparkSession, lake: Settings, take_in: TakeIn
) -> None:
    take_in(lake, [event("price_change", 1)])
    refresh(spark, lake, [VIEW])
    good = version_of(spark, lake, VIEW)
    spark.sql(f"UPDATE delta.`{table_path(lake, VIEW)}` SET price_cents = 1")
    done = restore(spark, lake, VIEW, good)
    assert (done.shows, done.checkpoints, done.then) == (good, (), f"lakehouse refresh {VIEW}")
    take_in(lake, [event("price_change", 2, item_id="i2")])
    refresh(spark, lake, [VIEW])
    assert equals_recomputation(spark, lake)


@pytest.mark.parametrize(
    ("name", "version", "says"),
    [
        ("silver.batches", 0, r"cannot be restored alone; these can: .*silver\.clicks"),
        ("../etc", 0, "cannot be restored alone"),
        ("silver.clicks", 0, r"silver\.clicks does not exist yet"),
    ],
)
def test_what_cannot_be_restored_is_said(
    spark: SparkSession, lake: Settings, name: str, version: int, says: str
) -> None:
    with pytest.raises(LakeError, match=says):
        restore(spark, lake, name, version)
