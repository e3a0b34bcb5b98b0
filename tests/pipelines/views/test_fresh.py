"""Views that follow a continuous ingest, as a reader without Spark sees them."""

import json
import threading
from pathlib import Path

import pytest
from given import event
from pyspark.sql import SparkSession

from pipelines.errors import LakeError, RegistryError
from pipelines.io.ingest import ingest
from pipelines.io.pages import Pages
from pipelines.registry import VIEWS
from pipelines.settings import Settings
from pipelines.views.fresh import ingest_and_refresh, keeping_fresh, kept_fresh
from pipelines.views.refresh import refresh

SALES = "sales_hourly"


class Stopped(Exception):
    """As a signal does, it ends a command from within."""


def land(lake: Settings, number: int, *kinds: str) -> None:
    events = [json.dumps(event(kind, 10 * number + n)) for n, kind in enumerate(kinds)]
    draft = Path(lake.root) / "landing" / f".{number}.jsonl"
    draft.write_text("\n".join(events) + "\n")
    draft.rename(draft.with_name(f"{number}.jsonl"))


def units(pages: Pages) -> int:
    try:
        return sum(row["units"] for row in pages.page(SALES, {}, 10).rows)
    except LakeError:  # not refreshed yet
        return 0


def test_a_view_follows_each_batch(spark: SparkSession, lake: Settings) -> None:
    at = lake.ingest.model_copy(update={"refresh": [SALES]})
    lake = lake.model_copy(update={"ingest": at})
    pages, seen, notes = Pages(lake, VIEWS), list[int](), list[str]()
    land(lake, 1, "purchase")

    def progress(_stage: str, _rows: int) -> None:
        if (now := units(pages)) not in (0, *seen):
            seen.append(now)
            if len(seen) == 2:
                raise Stopped
            land(lake, 2, "purchase")

    with pytest.raises(Stopped):
        ingest_and_refresh(spark, lake, progress, resume=False, note=notes.append)
    assert seen == [2, 4]
    assert not [note for note in notes if "failed" in note]


def test_a_refresh_that_fails_is_told_and_tried_again(spark: SparkSession, lake: Settings) -> None:
    land(lake, 1, "inventory_change", "purchase")
    ingest(spark, lake, lambda stage, rows: None)
    errors, told, done = list[Exception](), threading.Event(), threading.Event()

    def failed(error: Exception) -> None:
        errors.append(error)
        told.set()

    names = ["gold.stockout_risk"]
    with keeping_fresh(spark, lake, names, failed=failed, progress=lambda _: done.set()) as changed:
        assert told.wait(60)
        assert not done.is_set()
        refresh(spark, lake, ["gold.inventory_levels"])  # what it reads was lacking
        changed()
        assert done.wait(60)
    assert "inventory_levels" in str(errors[0])


def test_an_unknown_view_is_refused_before_anything_starts() -> None:
    assert kept_fresh([]) == []
    assert kept_fresh([SALES]) == ["gold.sales_hourly", "gold.refreshes"]
    assert len(kept_fresh(["all"])) == len(VIEWS) + 1
    with pytest.raises(RegistryError):
        kept_fresh(["sales_by_the_minute"])
