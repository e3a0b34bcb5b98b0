"""Whatever happens to the tables, a refreshed view equals Spark's and DuckDB's recomputation."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grammar
import pytest
from histories import TABLES, History, Killed, copy_lake, make_tables, multiset, view_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutants import MUTANTS, Mutant
from pyspark.sql import SparkSession
from small import SMALL

import pipelines.views.refresh as engine
from pipelines.io.lake import open_lake
from pipelines.io.read import read
from pipelines.settings import Settings, load_settings
from pipelines.view import View
from pipelines.views.recompute import recompute

# Views lived through: `make prove-views` asks for more, in parts that run side by side.
HISTORIES = int(os.environ.get("HISTORIES", "16"))
VIEWS_AT_ONCE = 8
LIVES_IN_A_PART = 5
PARTS = max(1, -(-HISTORIES // (VIEWS_AT_ONCE * LIVES_IN_A_PART)))


@pytest.fixture(scope="module")
def tables(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("proof") / "lake"
    empty = load_settings(overrides={**SMALL, "root": str(root)})
    open_lake(empty, create=True)
    make_tables(spark, empty)
    return empty


def death(point: str) -> pytest.MonkeyPatch:
    """Let the next refresh die before or after the commit of its first view."""
    patched, original = pytest.MonkeyPatch(), engine.patch

    def dying(*args: object, **kwargs: object) -> None:
        if point == "after":
            original(*args, **kwargs)  # type: ignore[arg-type]
        raise Killed

    patched.setattr(engine, "patch", dying)
    return patched


def live(history: History, data: st.DataObject) -> None:
    """Changes, deaths and refreshes of some of the views, each compared; at last of all."""
    names = [view.name for view in history.views]
    for _ in range(data.draw(st.integers(1, 3))):
        for statement in data.draw(st.lists(grammar.changes(), min_size=1, max_size=3)):
            history.change(statement)
        point = data.draw(st.sampled_from(("", "", "before", "after")))
        if point:
            patched = death(point)
            try:
                history.refresh()
            except Killed:
                history.log.append(f"killed {point} a commit")
            finally:
                patched.undo()
        some = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
        history.refresh(sorted({names[0], *some}))
        history.compare(sorted({names[0], *some}))
    history.refresh()
    history.compare()


@pytest.mark.parametrize("part", range(PARTS))
def test_views_equal_their_recomputation_whatever_happens(
    spark: SparkSession, tables: Settings, part: int
) -> None:
    @settings(
        max_examples=min(LIVES_IN_A_PART, -(-HISTORIES // VIEWS_AT_ONCE)),
        deadline=None,
        database=None,
        derandomize="HISTORIES" not in os.environ,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def prove(data: st.DataObject) -> None:
        with tempfile.TemporaryDirectory() as folder:
            own = copy_lake(tables, Path(folder) / "lake")
            texts = data.draw(st.lists(grammar.VIEWS, min_size=7, max_size=7))
            views = [view_of(Path(folder), "base", grammar.BASE)]
            views += [view_of(Path(folder), f"v{n}", text) for n, text in enumerate(texts)]
            history = History(spark, own, views)
            for table in TABLES:
                rows = data.draw(st.lists(grammar.rows(table), min_size=1, max_size=6))
                history.change(grammar.insert(table, rows))
            history.refresh()
            live(history, data)

    prove()


# Two rounds of changes that touch every piece: nulls, repeats, moved and emptied groups.
ROUNDS = (
    (
        "INSERT INTO t.sales VALUES (1, 1, 'n', TIMESTAMP'2024-01-01 00:10:00', 2, 5, 1.5), "
        "(2, 1, 'n', TIMESTAMP'2024-01-01 00:50:00', 1, NULL, 1.5), "
        "(3, 2, NULL, TIMESTAMP'2024-01-01 01:50:00', 3, 4, NULL), "
        "(4, 3, 's', TIMESTAMP'2024-01-02 01:05:00', 1, 7, NULL)",
        "INSERT INTO t.items VALUES (1, 'a', 1), (2, 'b', 2), (2, 'b', 2), (3, NULL, 1)",
    ),
    (
        "INSERT INTO t.sales VALUES (5, 1, 'n', TIMESTAMP'2024-01-01 00:20:00', 2, 9, 1.5), "
        "(5, 1, 'n', TIMESTAMP'2024-01-01 00:20:00', 2, 9, 1.5)",
        "INSERT INTO t.items VALUES (1, 'a', 3), (4, 'c', 1)",
        "UPDATE t.sales SET price = price + 1, quantity = quantity + 1 WHERE id IN (1, 3)",
        "UPDATE t.sales SET price = NULL WHERE id = 4",
        "DELETE FROM t.items WHERE item = 3",
        "DELETE FROM t.sales WHERE id = 2",
        "INSERT INTO t.sales VALUES (6, 4, NULL, TIMESTAMP'2024-01-01 00:20:00', 2, 9, 1.5)",
    ),
    (
        "DELETE FROM t.sales WHERE item IN (2, 3)",
        "DELETE FROM t.items WHERE item = 2",
        "UPDATE t.sales SET price = 1, store = 's' WHERE id = 5",
    ),
)


@dataclass(frozen=True)
class Rounds:
    """The tables after each round, all views after the first, and what these are to hold."""

    lakes: list[Settings]
    views: dict[str, View]
    expected: list[dict[str, Counter[tuple[Any, ...]]]]

    def at_first(self, spark: SparkSession, root: Path, texts: Iterable[str]) -> History:
        """A lake of its own in which these views show the first round."""
        views = [self.views[text] for text in texts]
        return History(spark, copy_lake(self.lakes[0], root), views)

    def go_on(self, history: History, number: int) -> None:
        """What has come since the last round, in place of the changes themselves."""
        tables = Path(history.settings.root) / "t"
        shutil.rmtree(tables)
        shutil.copytree(Path(self.lakes[number].root) / "t", tables)


@pytest.fixture(scope="module")
def rounds(
    spark: SparkSession, tables: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Rounds:
    folder = tmp_path_factory.mktemp("rounds")
    texts = list(dict.fromkeys(mutant.view for mutant in MUTANTS))
    views = {text: view_of(folder, f"v{n}", text) for n, text in enumerate(texts)}
    lakes: list[Settings] = []
    for number, statements in enumerate(ROUNDS):
        before = lakes[-1] if lakes else tables
        history = History(spark, copy_lake(before, folder / f"lake{number}"), [*views.values()])
        for statement in statements:
            history.change(statement)
        lakes.append(history.settings)
    expected = [
        {text: multiset(recompute(spark, lake, view, {})) for text, view in views.items()}
        for lake in lakes
    ]
    History(spark, lakes[0], [*views.values()]).refresh()
    return Rounds(lakes, views, expected)


def test_engine_survives_what_its_mutants_must_not(
    spark: SparkSession, rounds: Rounds, tmp_path: Path
) -> None:
    history = rounds.at_first(spark, tmp_path / "lake", rounds.views)
    history.compare()
    used = set()
    for number in (1, 2):
        rounds.go_on(history, number)
        used |= {strategy for strategy, _ in history.refresh().values()}
        history.compare()
    assert used == {"totals", "groups", "rows"}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_caught(
    spark: SparkSession,
    rounds: Rounds,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mutant: Mutant,
) -> None:
    history = rounds.at_first(spark, tmp_path / "lake", [mutant.view])
    mutant.breaks(monkeypatch)
    (view,) = history.views
    for number in (1, 2):
        rounds.go_on(history, number)
        history.refresh()
        if (
            multiset(read(spark, history.settings, view.name))
            != rounds.expected[number][mutant.view]
        ):
            return
    pytest.fail(f"{mutant.name}: every refresh gave the right rows")
