"""A view follows its sources and its SQL, and readers see whole versions of it."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import pipelines.views.refresh as engine
from pipelines.errors import LakeError, RegistryError, ViewError
from pipelines.io.lake import table_path
from pipelines.io.layout import layout_session
from pipelines.io.read import NOT_YET, read, version_of
from pipelines.io.write import write
from pipelines.registry import VIEWS
from pipelines.settings import Settings
from pipelines.silver.price_changes import PRICE_CHANGES
from pipelines.view import View, load_view
from pipelines.views.choose import FULL, Strategy
from pipelines.views.prepare import plan
from pipelines.views.record import shown
from pipelines.views.refresh import refresh

CURRENT_PRICES = next(view for view in VIEWS if view.name == "gold.current_prices")


@pytest.fixture
def another_price(spark: SparkSession, golden_lake: Settings) -> int:
    """A price change that the golden lake's views do not show yet: 77 cents for the item `new`."""
    prices = read(spark, golden_lake, PRICE_CHANGES.name).limit(1)
    changed = prices.withColumns(
        {"event_id": F.lit(str(uuid.uuid4())), "item_id": F.lit("new"), "price_cents": F.lit(77)}
    )
    typed = changed.withColumn("price_cents", F.col("price_cents").cast("bigint"))
    write(typed.select(*PRICE_CHANGES.columns), golden_lake, PRICE_CHANGES)
    return 77


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., View]:
    """Let the engine know one view only: of this SQL."""

    def make(sql: str, name: str = "current_prices") -> View:
        file = tmp_path / f"{name}.sql"
        file.write_text(sql)
        view = load_view(file)
        monkeypatch.setattr(engine, "views_in_order", lambda names, views: [view])
        return view

    return make


def test_refresh_leaves_alone_what_has_not_changed(
    spark: SparkSession, golden_lake: Settings
) -> None:
    before = {view.name: version_of(spark, golden_lake, view.name) for view in VIEWS}
    results = refresh(spark, golden_lake)
    assert {r.view: (r.strategy, r.reason) for r in results} == {
        view.name: ("none", "up to date") for view in VIEWS
    }
    assert {view.name: version_of(spark, golden_lake, view.name) for view in VIEWS} == before
    assert [r.view for r in results if not r.rows] == ["gold.experiment_results"]


def test_changed_source_is_shown_and_only_where_it_is_read(
    spark: SparkSession, golden_lake: Settings, another_price: int
) -> None:
    old = shown(spark, golden_lake, CURRENT_PRICES)
    assert old is not None
    rows = read(spark, golden_lake, CURRENT_PRICES.name)
    old_version, old_rows = version_of(spark, golden_lake, CURRENT_PRICES.name), rows.count()
    reader = rows.toLocalIterator()
    begun = [next(reader)]

    done = {r.view: (r.strategy, r.reason) for r in refresh(spark, golden_lake)}
    assert done[CURRENT_PRICES.name][0] == "totals"
    assert {name for name, (strategy, _) in done.items() if strategy != "none"} == {
        view.name for view in VIEWS if PRICE_CHANGES.name in view.inputs
    }
    now = read(spark, golden_lake, CURRENT_PRICES.name)
    prices = now.where("item_id = 'new'").select("price_cents").collect()
    assert [row["price_cents"] for row in prices] == [another_price]

    new = shown(spark, golden_lake, CURRENT_PRICES)
    assert new is not None
    at = version_of(spark, golden_lake, PRICE_CHANGES.name)
    assert new.sources == {PRICE_CHANGES.name: at}
    assert old.sources == {PRICE_CHANGES.name: at - 1}
    # Who began to read before the refresh, and who asks for that version, sees all of it.
    seen = [*begun, *reader]
    assert len(seen) == old_rows
    assert "new" not in {row["item_id"] for row in seen}
    earlier = read(spark, golden_lake, CURRENT_PRICES.name, version=old_version)
    assert earlier.count() == old_rows
    assert now.count() == old_rows + 1


def test_refresh_in_full_recomputes_only_the_named_view(
    spark: SparkSession, golden_lake: Settings
) -> None:
    (result,) = refresh(spark, golden_lake, ["current_prices"], full=True)
    assert (result.view, result.strategy, result.reason) == (
        CURRENT_PRICES.name,
        "full",
        "asked for",
    )


def test_feed_whose_files_were_deleted_is_named_and_the_view_recomputed(
    spark: SparkSession, golden_lake: Settings, another_price: int
) -> None:
    assert another_price
    name = CURRENT_PRICES.name
    refresh(spark, golden_lake, [name])
    prices = f"delta.`{table_path(golden_lake, PRICE_CHANGES.name)}`"
    spark.sql(f"DELETE FROM {prices} WHERE item_id = 'new'").collect()
    own = layout_session(spark, golden_lake, 0)
    own.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    own.sql(f"VACUUM {prices} RETAIN 0 HOURS").collect()
    (result,) = refresh(spark, golden_lake, [name])
    assert (result.strategy, result.reason) == (FULL, engine.FEED_GONE)
    assert read(spark, golden_lake, name).where("item_id = 'new'").count() == 0


def test_edited_sql_rebuilds_the_view_and_its_columns(
    spark: SparkSession,
    golden_lake: Settings,
    only: Callable[..., View],
) -> None:
    only("-- A remark more.\n" + CURRENT_PRICES.sql.replace("GROUP BY", "\n  GROUP  BY"))
    assert [r.strategy for r in refresh(spark, golden_lake)] == ["none"]
    only(CURRENT_PRICES.sql.replace("AS changed_at", "AS latest_at"))
    (result,) = refresh(spark, golden_lake)
    assert (result.strategy, result.reason) == ("full", "the SQL has changed")
    schema = read(spark, golden_lake, CURRENT_PRICES.name).schema
    assert "latest_at" in schema.names
    assert "changed_at" not in schema.names
    assert schema["latest_at"].metadata["comment"] == "since when, UTC"


def test_unknown_column_is_named_with_the_file(
    spark: SparkSession,
    golden_lake: Settings,
    only: Callable[..., View],
) -> None:
    view = only(CURRENT_PRICES.sql.replace("  region,", "  regiom AS region,"))
    before = version_of(spark, golden_lake, view.name)
    with pytest.raises(ViewError, match="regiom") as caught:
        refresh(spark, golden_lake)
    assert str(caught.value).startswith(f"{view.path}:")
    assert "__" not in str(caught.value)
    assert version_of(spark, golden_lake, view.name) == before


def test_view_over_a_view_that_was_never_refreshed_says_so(
    spark: SparkSession,
    lake: Settings,
    only: Callable[..., View],
) -> None:
    only(
        "-- Prices again.\n-- key: item_id\n-- cluster by: item_id\n"
        "SELECT item_id -- the item\nFROM gold.current_prices\n",
        name="prices_again",
    )
    with pytest.raises(LakeError, match=r"gold\.current_prices does not exist yet; run"):
        refresh(spark, lake)


def test_view_over_a_table_that_nothing_was_written_to_is_empty_until_there_is(
    spark: SparkSession, lake: Settings
) -> None:
    assert plan(spark, lake, CURRENT_PRICES).strategy == Strategy("full", "never refreshed")
    (result,) = refresh(spark, lake, ["current_prices"])
    assert (result.strategy, result.rows) == ("full", 0)
    now = shown(spark, lake, CURRENT_PRICES)
    assert now is not None
    assert now.sources == {PRICE_CHANGES.name: NOT_YET}
    assert plan(spark, lake, CURRENT_PRICES).strategy == Strategy("none", "up to date")


def test_unknown_view_is_named_with_those_there_are(spark: SparkSession, lake: Settings) -> None:
    with pytest.raises(RegistryError, match=r"no view named nope; .*gold\.current_prices"):
        refresh(spark, lake, ["nope"])
