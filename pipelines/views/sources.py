"""The tables below a view as a refresh sees them: before, after, and what came and went between."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, SparkSession
from sqlglot import exp

from pipelines.io.changes import Change, feed, no_change
from pipelines.io.read import NOT_YET, read
from pipelines.settings import Settings
from pipelines.views.algebra import Query, text
from pipelines.views.touched import CHANGE, NEW, OLD, bind


@dataclass
class Feeds:
    """Change feeds that several views of one run read; each is kept once it is shared.

    Args:
        shared: how many views may read a table's feed.
    """

    spark: SparkSession
    settings: Settings
    shared: Mapping[str, int]
    _open: dict[tuple[str, int, int], DataFrame] = field(default_factory=dict)

    def rows(self, name: str, change: Change) -> DataFrame:
        key = (name, change.first, change.last)
        if key not in self._open:
            rows = feed(self.spark, self.settings, name, change.first, change.last)
            self._open[key] = rows.persist() if self.shared.get(name, 0) > 1 else rows
        return self._open[key]

    def close(self) -> None:
        """Give back the memory of what was kept."""
        for rows in self._open.values():
            rows.unpersist()
        self._open.clear()


@dataclass
class Sources:
    """The sources of one view between two states.

    Args:
        before: table -> the version that the view shows.
        now: table -> the version that it is to show.
        changes: the tables that have changed rows.
    """

    spark: SparkSession
    settings: Settings
    before: Mapping[str, int]
    now: Mapping[str, int]
    changes: Mapping[str, Change]
    feeds: Feeds
    _frames: dict[tuple[str, str], DataFrame] = field(default_factory=dict)

    def frame(self, name: str, state: str) -> DataFrame:
        """A table's rows in one state; those that did not change are the same in all."""
        if state == OLD and name not in self.changes:
            state = NEW
        if (name, state) not in self._frames:
            self._frames[name, state] = self._read(name, state)
        return self._frames[name, state]

    def changed(self, query: Query) -> list[int]:
        """The mentions of tables that have changed rows."""
        return [n for n, name in enumerate(query.mentions) if name in self.changes]

    def run(
        self,
        select: exp.Query,
        query: Query,
        state_of: Callable[[int], str],
        conditions: Mapping[int, list[str]] | None = None,
    ) -> DataFrame:
        """A part of a query over the states of its mentions.

        Args:
            conditions: what the rows of a mention must meet to be read at all.
        """
        for number, name in enumerate(query.mentions):
            rows = self.frame(name, state_of(number))
            for condition in (conditions or {}).get(number, ()):
                rows = rows.where(condition)
            rows.createOrReplaceTempView(_bound(number))
        return self.spark.sql(text(bind(select, _bound)))

    def _read(self, name: str, state: str) -> DataFrame:
        if state == CHANGE:
            found = self.changes.get(name)
            if found is None:
                return no_change(self.frame(name, NEW))
            return self.feeds.rows(name, found)
        version = self.before[name] if state == OLD else self.now[name]
        if version == NOT_YET and self.now[name] > NOT_YET:
            return self.frame(name, NEW).limit(0)
        return read(self.spark, self.settings, name, version=version)


def _bound(mention: int) -> str:
    return f"refresh_mention_{mention}"
