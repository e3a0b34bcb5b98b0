"""A user's SQL reads granted tables with known functions, and does nothing else."""

import re
from pathlib import Path

import pytest
from sqlglot import exp

from pipelines.errors import QueryError
from pipelines.io.query import bound
from pipelines.io.select import parse_query
from pipelines.registry import VIEWS
from pipelines.settings import load_settings
from pipelines.settings_sections import QuerySettings

ALL = load_settings().query
HERE = Path(__file__).parent


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT reflect('java.lang.System', 'exit', 1)",
        "SELECT REFLECT('java.lang.System', 'getenv', 'HOME')",
        "SELECT `reflect`('java.lang.System', 'exit')",
        "SELECT system.builtin.reflect('java.lang.System', 'exit')",
        "SELECT try_reflect('java.lang.System', 'exit')",
        "SELECT java_method('java.lang.Runtime', 'getRuntime')",
        "SELECT {fn java_method('java.lang.Runtime', 'getRuntime')}",
        "SELECT IDENTIFIER('reflect')('java.lang.System', 'exit')",
        "SELECT 1 FROM silver.clicks ORDER BY reflect('a', 'b')",
        "SELECT item_id FROM silver.clicks LATERAL VIEW reflect('a', 'b') t AS x",
        "WITH reflect AS (SELECT 1) SELECT reflect('a', 'b') FROM reflect",
        "SELECT transform(array(1), x -> reflect('a', x))",
        "SELECT input_file_name() FROM silver.clicks",
        "SELECT input_file_block_start() FROM silver.clicks",
        "SELECT secret('scope', 'key')",
        "SELECT current_user()",
        "SELECT session_user",
        "SELECT version()",
        "SELECT my_function(item_id) FROM silver.clicks",
        "SELECT ai_query('model', 'prompt')",
        "SELECT * FROM read_files('/etc/passwd')",
        "SELECT * FROM table_changes('silver.clicks', 1)",
        "SELECT * FROM IDENTIFIER('silver.clicks')",
        "SELECT * FROM TABLE(silver.clicks)",
        "SELECT xpath_string('<a/>', '//a')",
    ],
)
def test_a_function_that_is_not_known_to_be_harmless_is_refused(sql: str) -> None:
    with pytest.raises(QueryError, match=r"^query.*(not a function|not valid SQL|not allowed)"):
        parse_query(sql, ALL)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM parquet.`/etc/passwd`",
        "SELECT * FROM delta.`/lake/silver/clicks`",
        "SELECT * FROM text.`/etc/passwd`",
        "SELECT * FROM silver.clicks JOIN csv.`/etc/passwd` AS p",
        "SELECT (SELECT max(value) FROM text.`/etc/passwd`)",
        "SELECT * FROM silver.clicks WHERE item_id IN (SELECT value FROM text.`/etc/passwd`)",
        "WITH `parquet./etc/passwd` AS (SELECT 1) SELECT * FROM parquet.`/etc/passwd`",
        "SELECT * FROM (WITH c AS (SELECT 1) SELECT * FROM c), c",
        "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a",
        "WITH a AS (SELECT * FROM a) SELECT * FROM a",
        "SELECT * FROM silver__clicks",
        "SELECT * FROM spark_catalog.silver.clicks",
        "SELECT * FROM global_temp.clicks",
    ],
)
def test_a_table_that_is_none_of_the_lake_is_refused(sql: str) -> None:
    with pytest.raises(QueryError, match=r"^query: no table .*; there are .*silver\.clicks"):
        parse_query(sql, ALL)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_parquet('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT read_parquet('/etc/passwd')",
        "SELECT * FROM (SELECT * FROM read_parquet('/etc/passwd') AS p) AS q",
    ],
)
def test_a_function_that_reads_files_is_refused(sql: str) -> None:
    with pytest.raises(QueryError, match=r"no table parquet|read_csv is not a function"):
        parse_query(sql, ALL)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT TRANSFORM(item_id) USING 'sh -c id' AS (x) FROM silver.clicks",
        "SELECT * INTO silver.items FROM silver.clicks",
        "WITH b AS (SELECT 1) SELECT * INTO b FROM b",
        "SELECT /*+ REPARTITION(100000) */ * FROM silver.clicks",
        "SELECT * FROM silver.clicks VERSION AS OF 3",
        "SELECT * FROM silver.clicks TIMESTAMP AS OF '2020-01-01'",
        "SELECT * FROM silver.clicks@v1",
        "SELECT * FROM silver.clicks FOR UPDATE",
        "SELECT :named",
        "SELECT ?",
        "SELECT ${spark.hadoop.fs.s3a.secret.key}",
        "SELECT CAST(1 AS my_type)",
        "EXPLAIN SELECT 1",
        "DESCRIBE silver.clicks",
        "SHOW TABLES",
        "SET x = 1",
        "ADD JAR '/tmp/x.jar'",
        "CACHE TABLE silver.clicks",
        "EXECUTE IMMEDIATE 'SELECT 1'",
        "CALL x()",
        "INSERT OVERWRITE DIRECTORY '/tmp/x' USING csv SELECT 1",
        "FROM silver.clicks INSERT INTO silver.items SELECT *",
        "REFRESH `/tmp`",
        "ANALYZE TABLE silver.clicks COMPUTE STATISTICS",
        "BEGIN SELECT 1; END",
    ],
)
def test_anything_but_reading_is_refused(sql: str) -> None:
    with pytest.raises(QueryError, match=r"^query"):
        parse_query(sql, ALL)


@pytest.mark.parametrize(
    "sql",
    [
        *(view.sql for view in VIEWS),
        *(
            re.sub(r"(FROM|JOIN) [pc]\b", r"\1 silver.clicks", line)
            for name in ("granted", "quick_alike", "quick_apart")
            for line in (HERE / f"{name}.sql").read_text(encoding="utf-8").splitlines()[1:]
        ),
    ],
)
def test_a_plain_question_passes(sql: str) -> None:
    assert isinstance(parse_query(sql, ALL), exp.Query)


def test_only_granted_tables_are_read() -> None:
    only_gold = QuerySettings(tables=["gold.*", "silver.items"], max_rows=1, timeout_s=1.0)
    parse_query("SELECT * FROM gold.sales_hourly JOIN silver.items USING (category)", only_gold)
    with pytest.raises(QueryError, match=r"bronze\.events is not granted; query\.tables in conf/"):
        parse_query("SELECT * FROM gold.sales_hourly, bronze.events", only_gold)


def test_what_stands_beside_a_table_stays_there() -> None:
    sql = "SELECT * FROM silver.clicks TABLESAMPLE (10 ROWS) JOIN silver.items AS i ON TRUE"
    said = bound(parse_query(sql, ALL))
    assert "silver__clicks TABLESAMPLE (10 ROWS) AS clicks" in said
    assert "JOIN silver__items AS i ON TRUE" in said


def test_a_comment_cannot_become_a_hint() -> None:
    said = bound(parse_query("SELECT --+ BROADCAST(x)\n 1 /* */ FROM silver.clicks -- */ x", ALL))
    assert said == "SELECT 1 FROM silver__clicks AS clicks"
