"""Great Expectations over what was committed: the same checks that split the rows, as a gate.

Each table's checks become a suite; its results are published as Data Docs, a static web site, and
appended to `silver.quality`, which also tells up to which version a table has been looked at.
"""

import logging
import os
import shutil
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.errors import CheckError
from pipelines.io.files import committed_at
from pipelines.io.lake import table_path
from pipelines.io.read import NOT_YET, read, schema_of, version_of
from pipelines.io.write import write
from pipelines.settings import Settings
from pipelines.silver.quality import QUALITY
from pipelines.table import Check, Table

# Counts are all that the gate needs; lists of values would cost one more query per check.
_RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}


@dataclass(frozen=True)
class Validated:
    """How many rows of a range of versions of a table broke each check, by its reason code."""

    table: str
    rows: int
    failures: dict[str, int]
    from_version: int = NOT_YET
    to_version: int = NOT_YET

    @property
    def ok(self) -> bool:
        return not any(self.failures.values())


def validate(rows: DataFrame, name: str, checks: Iterable[Check], context: Any) -> Validated:
    """Run the checks as a Great Expectations suite over `rows`.

    Raises:
        CheckError: Great Expectations could not evaluate a check; an unevaluated rule is a failure.
    """
    import great_expectations as gx

    checks = tuple(checks)
    suite = context.suites.add_or_update(gx.ExpectationSuite(name=name))
    for check in checks:
        kind = getattr(gx.expectations, check.expectation)
        suite.add_expectation(kind(**check.arguments, meta={"reason": check.reason}))
    asset = _source(context).add_dataframe_asset(name=name)
    batches = asset.add_batch_definition_whole_dataframe("committed")
    definition = context.validation_definitions.add_or_update(
        gx.ValidationDefinition(name=name, data=batches, suite=suite)
    )
    checkpoint = gx.Checkpoint(
        name=name, validation_definitions=[definition], result_format=_RESULT_FORMAT
    )
    result = context.checkpoints.add_or_update(checkpoint).run({"dataframe": rows})
    (run,) = result.run_results.values()
    count, failures = 0, {}
    for outcome in run.results:
        reason = outcome.expectation_config.meta["reason"]
        if "unexpected_count" not in outcome.result:
            raise CheckError(f"{name}: check {reason} could not be evaluated; correct the check")
        failures[reason] = int(outcome.result["unexpected_count"] or 0)  # null if no rows
        count = int(outcome.result["element_count"])
    if len(failures) != len(checks):
        raise CheckError(f"{name}: {len(checks)} checks gave {len(failures)} results")
    return Validated(name, count, failures)


def validate_tables(
    spark: SparkSession, settings: Settings, tables: Iterable[Table], *, full: bool = False
) -> tuple[list[Validated], Path]:
    """Validate the rows that were committed since the last time, and publish Data Docs.

    Args:
        full: validate all rows that stand.

    Returns:
        The result per table with something new, and the first page of the Data Docs; these show
        the last run that found something new.
    """
    docs = settings.state / "data_docs"
    page = docs / "index.html"
    done = {} if full else _validated_so_far(spark, settings)
    spans = {table: span for table in tables if (span := _span(spark, settings, table.name, done))}
    if not spans and page.exists():
        return [], page
    shutil.rmtree(docs, ignore_errors=True)  # the pages of one run, not of all that ever were
    context = docs_context(docs)
    results = []
    for table, (first, last) in spans.items():
        columns = {check.arguments["column"] for check in table.checks}
        rows = _committed(spark, settings, table.name, first, last).select(*sorted(columns))
        validated = validate(rows, table.name, table.checks, context)
        results.append(replace(validated, from_version=first, to_version=last))
    context.build_data_docs()
    if results:
        write(_trend(spark, results), settings, QUALITY)
    return results, page


def _validated_so_far(spark: SparkSession, settings: Settings) -> dict[str, int]:
    """By table, the last version that was validated."""
    trend = read(spark, settings, QUALITY.name)
    newest = trend.groupBy("table_name").agg(F.max_by("to_version", "validated_at"))
    return dict(map(tuple, newest.collect()))


def _span(
    spark: SparkSession, settings: Settings, name: str, done: Mapping[str, int]
) -> tuple[int, int] | None:
    """First and last version to validate; None if there is nothing new.

    The changes of a commit are kept for the retention time; a table that was not validated for
    longer, or was made anew, is validated whole.
    """
    newest, last = version_of(spark, settings, name), done.get(name, NOT_YET)
    if newest in (NOT_YET, last):
        return None
    if last == NOT_YET or last > newest:
        return 0, newest
    at = committed_at(spark, settings, name, last + 1)
    oldest_kept = time.time() - settings.maintain.retention_hours * 3600
    return (last + 1 if at and at > oldest_kept else 0), newest


def _committed(
    spark: SparkSession, settings: Settings, name: str, first: int, last: int
) -> DataFrame:
    """Rows as the versions from `first` to `last` left them: all from 0, else what is new."""
    if first == 0:
        return read(spark, settings, name, version=last)
    changes = (
        spark.read.format("delta")
        .option("readChangeFeed", "true")
        .option("startingVersion", first)
        .option("endingVersion", last)
        .load(table_path(settings, name))
    )
    return changes.where(F.col("_change_type").isin("insert", "update_postimage"))


def _trend(spark: SparkSession, results: Iterable[Validated]) -> DataFrame:
    now = datetime.now(UTC)
    rows = [
        (r.table, r.from_version, r.to_version, reason, r.rows, failures, failures == 0, now)
        for r in results
        for reason, failures in r.failures.items()
    ]
    return spark.createDataFrame(rows, schema_of(QUALITY)).coalesce(1)


def docs_context(folder: Path) -> Any:
    """A Great Expectations context in memory, whose Data Docs go to `folder`."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"great_expectations\..*")
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    for site in list(context.get_site_names()):
        context.delete_data_docs_site(site)
    context.add_data_docs_site(
        site_name="lakehouse",
        site_config={
            "class_name": "SiteBuilder",
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(folder),
            },
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    return context


def _source(context: Any) -> Any:
    """The Spark source of a context; the running session is its session."""
    if "lake" in context.data_sources.all():
        return context.data_sources.get("lake")
    return context.data_sources.add_spark(name="lake", persist=False)
