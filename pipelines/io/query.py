"""SQL over the lake's tables by their names, read-only."""

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from sqlglot import exp

from pipelines.errors import QueryError
from pipelines.io.read import read
from pipelines.io.select import parse_query
from pipelines.settings import Settings
from pipelines.view import table_name, table_names


def query(spark: SparkSession, settings: Settings, sql: str) -> DataFrame:
    """The rows of one SELECT over tables such as `gold.sales_hourly`.

    Raises:
        QueryError: it is not one SELECT, or names an unknown table or column.
    """
    select = parse_query(sql)
    return run_select(spark, settings, select, versions={})


def run_select(
    spark: SparkSession, settings: Settings, select: exp.Query, versions: dict[str, int]
) -> DataFrame:
    """Run a parsed SELECT with each table read at its version, the newest if none is given.

    The tables stand by path, not in a catalog, so each is bound to a temporary view under a name
    without a dot, and the query's names are replaced by these.

    Raises:
        QueryError: Spark cannot resolve the query.
    """
    for name in table_names(select):
        rows = read(spark, settings, name, version=versions.get(name))
        rows.createOrReplaceTempView(_bound(name))
    bound = select.transform(_rename)
    try:
        return spark.sql(bound.sql(dialect="spark"))
    except AnalysisException as error:
        message = str(error).splitlines()[0]
        for name in table_names(select):
            message = message.replace(_bound(name), name)
        raise QueryError(f"query: {message}") from None


def _bound(name: str) -> str:
    return name.replace(".", "__")


def _rename(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Table) and node.db:
        alias = node.alias or node.name
        return exp.to_table(_bound(table_name(node))).as_(alias)
    return node
