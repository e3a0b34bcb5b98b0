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
        QueryError: it is not one SELECT, does more than read granted tables, or names an unknown
            column.
    """
    select = parse_query(sql, settings.query)
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
    try:
        return spark.sql(bound(select))
    except AnalysisException as error:
        message = str(error).splitlines()[0]
        for name in table_names(select):
            message = message.replace(_bound(name), name)
        raise QueryError(f"query: {message}") from None


def bound(select: exp.Query) -> str:
    """The text of a query over the temporary views, without comments, which may hold hints."""
    return select.transform(_rename).sql(dialect="spark", comments=False)


def _bound(name: str) -> str:
    return name.replace(".", "__")


def _rename(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Table) and node.db:
        alias = node.args.get("alias") or exp.TableAlias(this=node.this.copy())
        node.set("this", exp.to_identifier(_bound(table_name(node))))
        node.set("db", None)
        node.set("alias", alias)
    return node
