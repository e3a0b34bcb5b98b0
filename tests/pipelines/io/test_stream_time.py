"""The time that a stream has reached, by which events are late."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd

from pipelines.io.batch_keys import OUTCOMES, REFUSED, VALID, Parts, parts_of
from pipelines.io.silver import _History, _reached

TABLES = ("silver.purchases", "silver.promotions")
MARCH = datetime(2017, 3, 1, 10)
NEVER = _History(None, is_read_again=False, is_replay=False)


def batch(purchases: Sequence[datetime], promotions: Sequence[datetime]) -> Parts:
    """Valid events of two tables, and a refused one that is of no account."""
    rows = [(0, VALID, at) for at in purchases] + [(1, VALID, at) for at in promotions]
    rows.append((0, REFUSED, datetime(2098, 1, 1)))
    keys = {
        "table": [table for table, _, _ in rows],
        "outcome": [OUTCOMES.index(outcome) for _, outcome, _ in rows],
        "occurred_at": [int(at.timestamp() * 1_000_000) for _, _, at in rows],
    }
    return parts_of(pd.DataFrame(keys), TABLES)


def test_one_event_with_a_wrong_clock_makes_no_other_late() -> None:
    history = [MARCH + timedelta(hours=hours) for hours in range(3)]
    assert _reached(batch(history, [datetime(2099, 1, 1)]), NEVER) == history[1]


def test_it_never_goes_back_and_never_past_now() -> None:
    assert _reached(batch([MARCH], []), _History(MARCH + timedelta(1), False, False)) == (
        MARCH + timedelta(1)
    )
    ahead = _reached(batch([datetime(2099, 1, 1)] * 3, []), NEVER)
    now = datetime.now(UTC).astimezone().replace(tzinfo=None)
    assert ahead and now - timedelta(minutes=5) < ahead <= now
