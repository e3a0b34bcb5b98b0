"""Great Expectations over committed tables: the same checks that split the rows, as a gate.

Each table's checks become a suite; its results are published as Data Docs, a static web site.
"""

import logging
import os
import shutil
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from pipelines.errors import CheckError
from pipelines.io.read import read
from pipelines.settings import Settings
from pipelines.table import Check, Table

# Counts are all that the gate needs; lists of values would cost one more query per check.
_RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}


@dataclass(frozen=True)
class Validated:
    """Rows that broke each check of a table, by the check's reason code."""

    table: str
    failures: dict[str, int]

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
    failures = {}
    for outcome in run.results:
        reason = outcome.expectation_config.meta["reason"]
        if "unexpected_count" not in outcome.result:
            raise CheckError(f"{name}: check {reason} could not be evaluated; correct the check")
        failures[reason] = int(outcome.result["unexpected_count"] or 0)  # null if no rows
    if len(failures) != len(checks):
        raise CheckError(f"{name}: {len(checks)} checks gave {len(failures)} results")
    return Validated(name, failures)


def validate_tables(
    spark: SparkSession, settings: Settings, tables: Iterable[Table]
) -> tuple[list[Validated], Path]:
    """Validate committed tables and publish Data Docs.

    Returns:
        The result per table, and the first page of the Data Docs.
    """
    docs = settings.state / "data_docs"
    shutil.rmtree(docs, ignore_errors=True)  # the pages of one run, not of all that ever were
    context = docs_context(docs)
    results = []
    for table in tables:
        columns = {check.arguments["column"] for check in table.checks}
        rows = read(spark, settings, table.name).select(*sorted(columns))
        results.append(validate(rows, table.name, table.checks, context))
    context.build_data_docs()
    return results, docs / "index.html"


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
