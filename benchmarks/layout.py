"""`make bench-layout`: how much ten typical questions read, beside what holds their answers.

20 million rows, 8 million purchases and 12 million clicks of 30 days, in three layouts:

- unclustered: the files as they arrived, in the order of time;
- Z-ordered: `OPTIMIZE ... ZORDER BY` the same columns, everything else as Delta has it by default;
- as laid out here: declared as in the lake, and brought into shape by `maintain`.

Bytes read are those that Hadoop's file system handed to the questions: footers, indexes,
dictionaries and pages, each byte as often as it was read. So that it counts them all, and no
more, Parquet's vectored reads, whose bytes it does not count, are off, and so are its read-ahead
(64 KiB) and the local disk's checksum files. The log of a table is read before, and not counted.

The bytes that hold an answer are the pages in which a row of it stands, at the mean size of a
page, of the columns that the question names: a page of a column is the least that a Parquet
reader can fetch. The last column is stricter: the same rows and columns, had they no page to
share. It says how much is due to rows standing apart, and to footers and indexes.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.facts import clicks, purchases
from benchmarks.measure import geometric_mean, lake, seconds, size
from pipelines.io.lake import table_path
from pipelines.io.layout import PAGE_ROWS
from pipelines.io.maintenance import maintain
from pipelines.io.write import create
from pipelines.settings import Settings
from pipelines.silver.clicks import CLICKS
from pipelines.silver.purchases import PURCHASES
from pipelines.table import Table

ROWS = {PURCHASES: 8_000_000, CLICKS: 12_000_000}
FILES = 40  # of an unclustered table: as compact as the others, in the order of arrival
LAYOUTS = ("unclustered", "Z-ordered", "here")
SELECTIVE = 0.01  # of a table's rows: a question that is answered by fewer

CONF = {
    "spark.buffer.size": "4096",
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.hadoop.parquet.hadoop.vectored.io.enabled": "false",
}

_CATEGORY, _REGION = "category = 'category-07'", "region = 'west'"
_DAY = "occurred_at >= '2026-11-20' AND occurred_at < '2026-11-21'"
_WEEK = "occurred_at >= '2026-11-20' AND occurred_at < '2026-11-27'"
_RECENT = "occurred_at >= '2026-12-03 18:00:00'"
_CUSTOMER, _ITEM = "customer_id = 'customer-000123'", "item_id = 'item-00047'"
_BASKET = "basket_id = 'basket-00600000'"
_SALES = ("sum(quantity)", "sum(amount_cents)")


@dataclass(frozen=True)
class Question:
    """A question as an analyst asks it.

    Attributes:
        counts: false if the table is laid out for others; it is asked to show the price of that.
    """

    name: str
    table: Table
    where: tuple[str, ...]
    select: tuple[str, ...]
    group_by: tuple[str, ...] = ()
    counts: bool = True

    @property
    def condition(self) -> str:
        return " AND ".join(self.where)

    @property
    def columns(self) -> list[str]:
        named = set(re.findall(r"\w+", " ".join((*self.where, *self.select, *self.group_by))))
        return [name for name in self.table.columns if name in named]

    def on(self, rows: DataFrame) -> DataFrame:
        found = rows.where(self.condition)
        if "(" not in self.select[0]:
            return found.select(*self.select)
        return found.groupBy(*self.group_by).agg(*map(F.expr, self.select))


QUESTIONS = (
    Question("category", PURCHASES, (_CATEGORY,), _SALES),
    Question("region", PURCHASES, (_REGION,), _SALES),
    Question("category, region", PURCHASES, (_CATEGORY, _REGION), _SALES),
    Question("category, day", PURCHASES, (_CATEGORY, _DAY), _SALES),
    Question("region, week", PURCHASES, (_REGION, _WEEK), _SALES),
    Question(
        "units by price point", PURCHASES, (_CATEGORY, _WEEK), ("sum(quantity)",), ("price_cents",)
    ),
    Question("recent hours", PURCHASES, (_RECENT,), ("sum(quantity)",), ("item_id",)),
    Question("customer", CLICKS, (_CUSTOMER,), ("item_id", "occurred_at")),
    Question("item", CLICKS, (_ITEM,), ("customer_id", "occurred_at")),
    Question("item, week", CLICKS, (_ITEM, _WEEK), ("customer_id",)),
    Question("(sales of an item)", PURCHASES, (_ITEM,), _SALES, counts=False),
    Question("(a basket)", PURCHASES, (_BASKET,), ("item_id", "quantity"), counts=False),
)


@dataclass(frozen=True)
class Read:
    """What a question read in one layout."""

    files: int
    bytes: int


def main() -> None:
    with lake(**{"spark.conf": CONF, "maintain.max_small_files": 1}) as (spark, settings):
        paths = {table: _lay_out(spark, settings, table) for table in ROWS}
        names = "".join(f"{name:>13}{'files':>6}" for name in LAYOUTS)
        print(f"\n{'KiB read':22}{names}{'answer':>10}{'rows alone':>11}")
        to_answer, to_unclustered = [], []
        for question in QUESTIONS:
            places = paths[question.table]
            reads = {name: _ask(spark, question, places[name]) for name in LAYOUTS}
            rows, answer, alone = _answer(spark, question, places["here"])
            cells = "".join(f"{r.bytes / 1024:>13,.0f}{r.files:>6}" for r in reads.values())
            print(f"{question.name:22}{cells}{answer / 1024:>10,.0f}{alone / 1024:>11,.0f}")
            if question.counts:
                to_answer.append(reads["here"].bytes / answer)
            if question.counts and rows < SELECTIVE * ROWS[question.table]:
                to_unclustered.append(reads["here"].bytes / reads["unclustered"].bytes)
    print(
        f"layout bytes_vs_answer={geometric_mean(to_answer):.2f} "
        f"bytes_vs_unclustered={geometric_mean(to_unclustered):.3f}"
    )


def _lay_out(spark: SparkSession, settings: Settings, table: Table) -> dict[str, str]:
    """The same rows in the three layouts: layout -> path."""
    here = table_path(settings, table.name)
    paths = dict(zip(LAYOUTS, (f"{here}-arrived", f"{here}-zordered", here), strict=True))
    made = {PURCHASES: purchases, CLICKS: clicks}[table](spark, ROWS[table], FILES)
    missing = [name for name in table.columns if name not in made.columns]
    made = made.withColumns({name: F.lit(None) for name in missing}).select(*table.columns)
    steps: dict[str, Callable[[], object]] = {
        "unclustered": lambda: made.write.format("delta").save(paths["unclustered"]),
        "Z-ordered": lambda: _z_order(spark, table, paths),
        "here": lambda: _maintained(spark, settings, table, paths["unclustered"]),
    }
    for name, step in steps.items():
        took = seconds(step)
        print(
            f"{table.name}, {name}: {size(Path(paths[name])) >> 20} MB on disk, {took:.0f} s",
            flush=True,
        )
    return paths


def _z_order(spark: SparkSession, table: Table, paths: Mapping[str, str]) -> None:
    shutil.copytree(paths["unclustered"], paths["Z-ordered"])
    columns = ", ".join(table.cluster_by)
    spark.sql(f"OPTIMIZE delta.`{paths['Z-ordered']}` ZORDER BY ({columns})").collect()


def _maintained(spark: SparkSession, settings: Settings, table: Table, arrived: str) -> None:
    create(spark, settings, table)
    rows = spark.read.format("delta").load(arrived)
    rows.write.format("delta").mode("append").save(table_path(settings, table.name))
    (done,) = maintain(spark, settings, [table.name], clean=False)
    assert done.done == ("clustered",), done


def _ask(spark: SparkSession, question: Question, path: str) -> Read:
    """Ask twice, so that the log and the classes have been read when it counts."""
    question.on(spark.read.format("delta").load(path)).collect()
    before = _bytes_read(spark)
    asked = question.on(spark.read.format("delta").load(path))
    asked.collect()
    return Read(_files_read(asked), _bytes_read(spark) - before)


def _answer(spark: SparkSession, question: Question, path: str) -> tuple[int, float, float]:
    """Rows of the answer, bytes of the pages that hold them, and bytes of the rows alone."""
    files = spark.read.format("delta").load(path).inputFiles()
    page = F.floor(F.col("_metadata.row_index") / PAGE_ROWS)
    found = (
        spark.read.parquet(*files)
        .where(question.condition)
        .groupBy(F.col("_metadata.file_path"), page)
        .count()
        .agg(F.count("*").alias("pages"), F.sum("count").alias("rows"))
        .collect()[0]
    )
    row = _bytes_a_row(files, question.columns)
    return found["rows"], found["pages"] * PAGE_ROWS * row, found["rows"] * row


def _bytes_a_row(files: list[str], columns: list[str]) -> float:
    """Mean stored bytes of these columns in a row."""
    stored = rows = 0
    for file in files:
        metadata = pq.read_metadata(file.removeprefix("file://"))
        rows += metadata.num_rows
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            chunks = map(group.column, range(group.num_columns))
            stored += sum(c.total_compressed_size for c in chunks if c.path_in_schema in columns)
    return stored / rows


def _bytes_read(spark: SparkSession) -> int:
    found = spark._jvm.org.apache.hadoop.fs.FileSystem.getAllStatistics()  # type: ignore[union-attr]
    return sum(statistics.getBytesRead() for statistics in found)


def _files_read(asked: DataFrame) -> int:
    """The scan's own metric; adaptive execution hides the scan in the stage that ran it."""
    node = asked._jdf.queryExecution().executedPlan()
    while not node.metrics().contains("numFiles"):
        name = node.nodeName()
        if name.startswith("AdaptiveSparkPlan"):
            node = node.executedPlan()
        elif "QueryStage" in name:
            node = node.plan()
        else:
            node = node.children().apply(0)
    return int(node.metrics().apply("numFiles").value())


if __name__ == "__main__":
    main()
