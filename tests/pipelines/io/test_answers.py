"""Where an answer comes from: the cache while nothing changed, DuckDB, else Spark."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from given import event
from pyspark.sql import SparkSession

import pipelines.io.answers as answers
from pipelines.errors import LakeError, QueryError
from pipelines.io.answers import Answer, answer
from pipelines.settings import Settings

COUNT = "SELECT item_id, COUNT(*) AS n, MAX(occurred_at) AS newest_at FROM silver.clicks GROUP BY 1"
ONLY_SPARK = "SELECT UPPER(item_id) AS item FROM silver.clicks"

TakeIn = Callable[[Settings, Iterable[object]], None]


def no_spark() -> SparkSession:
    raise AssertionError("a session was asked for")


@pytest.fixture
def clicked(lake: Settings, take_in: TakeIn) -> Settings:
    """A lake with two clicks."""
    take_in(lake, [event("click", 1), event("click", 2, item_id="i2")])
    return lake


def asked(settings: Settings, sql: str, limit: int = 100) -> Answer:
    return answer(settings, sql, limit=limit, spark=no_spark)


def kept(settings: Settings) -> list[Path]:
    return sorted((settings.state / "answers").glob("*"))


def test_the_first_answer_is_duckdb_s_and_the_next_ones_are_kept(clicked: Settings) -> None:
    first, again = asked(clicked, COUNT), asked(clicked, f"{COUNT} -- the same question")
    assert (first.engine, again.engine) == ("duckdb", "cache")
    assert sorted(first.rows, key=str) == sorted(again.rows, key=str)
    assert first.columns == again.columns == ("item_id", "n", "newest_at")
    assert asked(clicked, COUNT, limit=1).engine == "duckdb"  # another question


def test_a_new_commit_makes_every_kept_answer_another_question(
    clicked: Settings, take_in: TakeIn
) -> None:
    before = asked(clicked, COUNT)
    take_in(clicked, [event("click", 3)])
    after = asked(clicked, COUNT)
    assert after.engine == "duckdb"
    assert {row["item_id"]: row["n"] for row in before.rows} == {"i1": 1, "i2": 1}
    assert {row["item_id"]: row["n"] for row in after.rows} == {"i1": 2, "i2": 1}


def test_what_duckdb_may_answer_otherwise_is_spark_s_and_kept_too(
    spark: SparkSession, clicked: Settings
) -> None:
    first = answer(clicked, ONLY_SPARK, limit=9, spark=lambda: spark)
    assert (first.engine, sorted(row["item"] for row in first.rows)) == ("spark", ["I1", "I2"])
    assert first.reason.startswith("Upper")
    again = asked(clicked, ONLY_SPARK, limit=9)
    assert (again.engine, again.rows) == ("cache", first.rows)


def test_open_attributes_are_spark_s_and_not_kept(spark: SparkSession, clicked: Settings) -> None:
    sql = "SELECT item_id, attributes FROM silver.clicks WHERE item_id = 'i1'"
    found = answer(clicked, sql, limit=9, spark=lambda: spark)
    assert (found.engine, found.columns) == ("spark", ("item_id", "attributes"))
    assert [row["item_id"] for row in found.rows] == ["i1"]
    assert kept(clicked) == []


def test_the_time_of_day_is_never_kept(spark: SparkSession, clicked: Settings) -> None:
    for sql in ("SELECT now() AS at", "SELECT COUNT(*) AS n, rand() AS r FROM silver.clicks"):
        assert answer(clicked, sql, limit=1, spark=lambda: spark).engine == "spark"
    assert kept(clicked) == []


def test_a_damaged_answer_is_asked_for_again(clicked: Settings) -> None:
    first = asked(clicked, COUNT)
    (file,) = kept(clicked)
    file.write_bytes(file.read_bytes()[:50])
    again = asked(clicked, COUNT)
    assert again.engine == "duckdb"
    assert sorted(again.rows, key=str) == sorted(first.rows, key=str)
    assert asked(clicked, COUNT).engine == "cache"


def test_only_the_answers_asked_for_last_are_kept(
    clicked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_MAX_FILES", 2)
    for limit in (1, 2, 1, 3):
        asked(clicked, COUNT, limit)
    assert len(kept(clicked)) == 2
    assert [asked(clicked, COUNT, limit).engine for limit in (1, 3)] == ["cache", "cache"]
    assert asked(clicked, COUNT, 2).engine == "duckdb"


def test_large_answers_are_not_kept(clicked: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_MAX_BYTES", 10)
    assert asked(clicked, COUNT).engine == asked(clicked, COUNT).engine == "duckdb"


def test_a_lake_where_nothing_can_be_kept_still_answers(clicked: Settings) -> None:
    (clicked.state / "answers").write_text("in the way")
    assert asked(clicked, COUNT).engine == asked(clicked, COUNT).engine == "duckdb"


def test_bad_questions_are_refused_before_anything_is_started(clicked: Settings) -> None:
    for sql, says in (
        ("DROP TABLE silver.clicks", "must be one SELECT"),
        ("SELECT * FROM silver.nothing", r"no table silver\.nothing; there are"),
        ("SELECT * FROM read_parquet('/etc/passwd')", "no table"),
    ):
        with pytest.raises(QueryError, match=says):
            asked(clicked, sql)


def test_spark_names_what_is_wrong_with_a_question(spark: SparkSession, clicked: Settings) -> None:
    with pytest.raises(QueryError, match=r"query: .*nope"):
        answer(clicked, "SELECT nope FROM silver.clicks", limit=1, spark=lambda: spark)
    with pytest.raises(LakeError, match=r"gold\.sales_hourly does not exist yet; run"):
        answer(clicked, "SELECT * FROM gold.sales_hourly", limit=1, spark=lambda: spark)


def test_without_a_lake_nothing_is_started(tmp_path: Path, lake: Settings) -> None:
    nowhere = lake.model_copy(update={"root": str(tmp_path / "nowhere")})
    with pytest.raises(LakeError, match="no lake at"):
        asked(nowhere, COUNT)
