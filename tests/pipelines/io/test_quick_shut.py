"""DuckDB answers from the files of the tables that a question names, and opens no others."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from sqlglot import exp

from pipelines.errors import QueryError, QueryTimeoutError
from pipelines.io import quick as engine
from pipelines.io.answers import answer, quickly
from pipelines.io.lake import open_lake, table_path
from pipelines.settings import Settings, load_settings

CLICKS = "silver.clicks"


@pytest.fixture
def clicked(tmp_path: Path) -> Settings:
    settings = load_settings(overrides={"root": str(tmp_path / "a lake, it's")})
    open_lake(settings, create=True)
    rows = pa.table({"item_id": ["i1", "i2"], "n": pa.array([1, 2], pa.int64())})
    write_deltalake(table_path(settings, CLICKS), rows)
    return settings


def test_the_table_s_own_files_are_read(clicked: Settings) -> None:
    found = quickly(clicked, "SELECT item_id, n FROM silver.clicks WHERE n > 1")
    assert found.to_pylist() == [{"item_id": "i2", "n": 2}]


@pytest.mark.parametrize("path", ["/etc/passwd", "other.csv"])
def test_no_other_file_is_opened(
    clicked: Settings, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Whatever text reaches DuckDB: here as if the rules had let it through."""
    (Path(clicked.root) / "other.csv").write_text("a\n1\n")
    place = path if path.startswith("/") else str(Path(clicked.root) / path)
    literal = exp.Literal.string(place).sql("duckdb")
    monkeypatch.setattr(engine, "duckdb_sql", lambda *_: f"SELECT * FROM read_text({literal})")
    with pytest.raises(engine.Refused, match="Permission Error"):
        quickly(clicked, "SELECT n FROM silver.clicks")


def test_a_question_that_takes_too_long_is_not_handed_to_spark(clicked: Settings) -> None:
    may = clicked.query.model_copy(update={"timeout_s": 0.2})
    short = clicked.model_copy(update={"query": may})
    crossed = " CROSS JOIN ".join(f"silver.clicks AS t{n}" for n in range(60))
    with pytest.raises(QueryTimeoutError, match="query: stopped after 0"):
        quickly(short, f"SELECT COUNT(*) AS n FROM {crossed}")


def test_more_rows_than_allowed_are_refused_before_anything_is_read(clicked: Settings) -> None:
    with pytest.raises(QueryError, match=r"at most 100,000 rows; or raise query\.max_rows"):
        answer(clicked, "SELECT 1 AS n", limit=100_001, spark=_no_spark)


def _no_spark() -> None:  # type: ignore[return]
    raise AssertionError("a session was asked for")
