"""A view computed anew at given versions of its sources: what every refresh must come to."""

import hashlib
from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession

from pipelines.errors import QueryError, ViewError
from pipelines.io.query import run_select
from pipelines.io.read import read
from pipelines.settings import Settings
from pipelines.view import View, parse_select
from pipelines.views.choose import shape
from pipelines.views.sources import Feeds, Sources
from pipelines.views.totals import with_totals
from pipelines.views.touched import NEW


def recompute(
    spark: SparkSession, settings: Settings, view: View, sources: Mapping[str, int]
) -> DataFrame:
    """The view's rows, computed from its sources at the given versions.

    Raises:
        ViewError: Spark cannot resolve the SQL; names the file.
    """
    try:
        return run_select(spark, settings, parse_select(view.sql, str(view.path)), dict(sources))
    except QueryError as error:
        raise ViewError(str(error).replace("query:", f"{view.path}:", 1)) from None


def recompute_stored(
    spark: SparkSession, settings: Settings, view: View, sources: Mapping[str, int]
) -> DataFrame:
    """The same rows with the hidden totals that the view's next refresh needs."""
    rows = recompute(spark, settings, view, sources)
    frames = {name: read(spark, settings, name, version=v) for name, v in sources.items()}
    of = shape(view, {name: frame.schema for name, frame in frames.items()})
    if of.query is None or of.spec is None or not of.spec.hidden:
        return rows
    unchanged = Sources(spark, settings, sources, sources, {}, Feeds(spark, settings, {}))
    return unchanged.run(with_totals(of.query, of.spec), of.query, lambda _: NEW)


def sql_digest(view: View) -> str:
    """Changes with the meaning of the SQL, not with its comments or line breaks."""
    canonical = parse_select(view.sql, str(view.path)).sql(dialect="spark", comments=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
