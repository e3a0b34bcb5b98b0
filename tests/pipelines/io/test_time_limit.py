"""A question that takes too long is stopped, and says so."""

import time

import duckdb
import pytest

from pipelines.errors import QueryTimeoutError
from pipelines.io.time_limit import stopped_after

ENDLESS = "SELECT COUNT(*) FROM range(1000000) a, range(1000000) b, range(1000000) c"


def test_a_question_to_duckdb_is_stopped() -> None:
    begun = time.monotonic()
    with (
        duckdb.connect() as connection,
        pytest.raises(QueryTimeoutError, match=r"stopped after 0\.2 s; ask for less, or raise"),
        stopped_after(0.2, connection.interrupt),
    ):
        connection.sql(ENDLESS).fetchall()
    assert time.monotonic() - begun < 10


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), stopped_after(60, lambda: None):
        _ = 1 / 0


def test_what_ends_in_time_is_not_disturbed() -> None:
    stopped: list[bool] = []
    with stopped_after(60, lambda: stopped.append(True)):
        pass
    assert not stopped
