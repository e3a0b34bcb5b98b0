"""`check` finds every difference between what was produced and what stands, and names it."""

from delta.tables import DeltaTable
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from pipelines.check import check_lake
from pipelines.io.lake import table_path
from pipelines.io.read import last_commit, read
from pipelines.registry import VIEWS
from pipelines.settings import Settings

PRODUCED = "bronze = produced"
ACCOUNTED = "bronze = silver + quarantine + late + dropped"
UNIQUE = "event ids are unique"


def test_golden_lake_is_all_ok(spark: SparkSession, golden_lake: Settings) -> None:
    seen = []
    findings = check_lake(spark, golden_lake, seen.append)
    assert [f.name for f in findings] == [
        PRODUCED,
        ACCOUNTED,
        UNIQUE,
        *(f"{view.name} = recomputation" for view in VIEWS),
    ]
    assert [f for f in findings if not f.ok] == []
    # No list was shown in the year of purchases; every other check has something to compare.
    assert [f.name for f in findings if f.detail[0] == "0"] == [
        "gold.experiment_results = recomputation"
    ]
    assert seen == findings


def test_every_kind_of_damage_is_found_at_once(spark: SparkSession, golden_lake: Settings) -> None:
    """Lost and strange rows of bronze, lost and doubled ones of silver, two changed views."""
    (click, *_), (sale, *_) = (origins(spark, golden_lake, n) for n in ("clicks", "purchases"))
    delete(spark, golden_lake, "bronze.events", click)
    delete(spark, golden_lake, "silver.purchases", sale)
    one = read(spark, golden_lake, "silver.clicks").limit(1)
    one.write.format("delta").mode("append").save(table_path(golden_lake, "silver.clicks"))
    strange = read(spark, golden_lake, "bronze.events").limit(1)
    strange = strange.withColumn("source_offset", F.col("source_offset") + 1_000_000)
    strange.write.format("delta").mode("append").save(table_path(golden_lake, "bronze.events"))
    change(spark, golden_lake, "gold.item_funnel", keeps_its_word=True)
    change(spark, golden_lake, "gold.sales_hourly", keeps_its_word=False)

    found = {f.name: f.detail for f in check_lake(spark, golden_lake) if not f.ok}
    funnel, sales = (f"gold.{name} = recomputation" for name in ("item_funnel", "sales_hourly"))
    assert found.keys() == {PRODUCED, ACCOUNTED, UNIQUE, funnel, sales}
    assert "1 rows only in produced, 1 only in bronze" in found[PRODUCED]
    assert "2 rows only in bronze, 2 only in silver" in found[ACCOUNTED]
    assert "source_offset" in found[ACCOUNTED], "no example is shown"
    assert found[UNIQUE] == "1 event ids stand more than once"
    assert "1 rows only in recomputed, 1 only in stored" in found[funnel]
    assert "refresh --full" in found[sales]


def test_views_that_were_never_refreshed_are_named(spark: SparkSession, lake: Settings) -> None:
    found = {f.name: f.detail for f in check_lake(spark, lake) if not f.ok}
    views = {f"{view.name} = recomputation" for view in VIEWS}
    assert found == dict.fromkeys(views, "never refreshed; run `lakehouse refresh`")


def origins(spark: SparkSession, settings: Settings, table: str) -> list[tuple[int, int]]:
    rows = read(spark, settings, f"silver.{table}")
    return sorted(map(tuple, rows.select("source_partition", "source_offset").collect()))


def delete(spark: SparkSession, settings: Settings, name: str, origin: tuple[int, int]) -> None:
    partition, offset = origin
    DeltaTable.forPath(spark, table_path(settings, name)).delete(
        f"source_partition = {partition} AND source_offset = {offset}"
    )


def change(spark: SparkSession, settings: Settings, name: str, *, keeps_its_word: bool) -> None:
    """One row of a view gets a unit more, with or without what a refresh notes."""
    rows = read(spark, settings, name).localCheckpoint()
    number = F.row_number().over(Window.orderBy(*rows.columns))
    changed = rows.withColumn("units", F.col("units") + (number == 1).cast("int"))
    writer = changed.write.format("delta").mode("overwrite")
    if keeps_its_word:
        metadata = last_commit(spark, settings, name)["userMetadata"]
        writer = writer.option("userMetadata", metadata)
    writer.save(table_path(settings, name))
