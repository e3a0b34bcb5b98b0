"""Rows of gold views for the API: read without a JVM, kept as long as the view is unchanged."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any

from sqlglot import exp

from pipelines.errors import LakeError, QueryTimeoutError
from pipelines.io.quick import Snapshot, quick, snapshot
from pipelines.io.quick_types import INTEGERS, Refused
from pipelines.settings import Settings
from pipelines.view import View

_MOST_PAGES = 256  # of at most 1,000 rows each
_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Page:
    """Some rows of a view.

    Attributes:
        version: of the view's table, which every refresh that changes it raises.
        tag: tells the version apart from the same one of another table of that name.
        rows: column -> value; instants and days as ISO 8601 text, instants in UTC.
    """

    version: int
    tag: str
    rows: list[dict[str, Any]]


@dataclass
class Pages:
    """The gold views of a lake, a page at a time."""

    settings: Settings
    views: Iterable[View]
    _kept: OrderedDict[tuple[object, ...], Page] = field(default_factory=OrderedDict)

    @cached_property
    def _by_name(self) -> dict[str, View]:
        return {view.name.split(".")[1]: view for view in self.views}

    def comments(self) -> dict[str, str]:
        """View, without its layer -> its grain in a sentence."""
        return {name: view.comment for name, view in self._by_name.items()}

    def page(self, name: str, where: Mapping[str, str], limit: int) -> Page:
        """The first rows of a view, by its key, that have the given values.

        Args:
            name: without its layer.
            where: column -> its value as text.

        Raises:
            KeyError: there is no such view.
            ValueError: a column is not the view's, or has no such value; says which.
            LakeError: the view was never refreshed, only Spark can read it, or it takes too long.
        """
        view = self._by_name[name]
        try:
            return self._page(view, where, limit)
        except QueryTimeoutError:
            raise LakeError(f"{view.name}: no answer within {_TIMEOUT_S:g} s") from None
        except Refused as refused:
            raise LakeError(
                f"{view.name} cannot be read without Spark: {refused}; refresh it, or ask"
                " `lakehouse query`"
            ) from None

    def _page(self, view: View, where: Mapping[str, str], limit: int) -> Page:
        now = snapshot(self.settings, view.name)
        asked = (view.name, now.table_id, now.version, tuple(sorted(where.items())), limit)
        found = self._kept.pop(asked, None) or _read(view, now, where, limit)
        self._kept[asked] = found
        while len(self._kept) > _MOST_PAGES:
            self._kept.popitem(last=False)
        return found


def _read(view: View, now: Snapshot, where: Mapping[str, str], limit: int) -> Page:
    # A view that was edited since is shown as it stands, until its next refresh.
    shown = [column for column, _ in view.column_comments if column in now.columns]
    select = exp.select(*(exp.column(column, "v", quoted=True) for column in shown))
    for column, value in where.items():
        if column not in shown:
            raise ValueError(f"{column} is not one of {', '.join(shown)}")
        literal = _literal(now.columns[column], column, value)
        select = select.where(exp.EQ(this=exp.column(column, "v", quoted=True), expression=literal))
    select = select.from_(exp.alias_(exp.to_table(view.name), "v", table=True))
    keys = [key for key in view.key if key in shown]
    select = select.order_by(*(exp.column(key, "v", quoted=True) for key in keys))
    rows = quick(select, {view.name: now}, limit, _TIMEOUT_S).to_pylist()
    tag = f"{now.table_id}.{now.version}"
    return Page(now.version, tag, [{k: _plain(v) for k, v in row.items()} for row in rows])


def _literal(kind: str, column: str, value: str) -> exp.Expr:
    """A value of a column's type.

    Raises:
        ValueError: it is none, or values of the type are not asked for.
    """
    try:
        if kind == "string":
            return exp.Literal.string(value)
        if kind in INTEGERS:
            return exp.Literal.number(int(value))
        if kind == "date":
            day = date.fromisoformat(value).isoformat()
            return exp.cast(exp.Literal.string(day), "date")
    except ValueError:
        raise ValueError(f"{column} is a {kind}, and {value[:50]!r} is none") from None
    raise ValueError(f"{column} is a {kind}; ask by a column of text, whole numbers or days")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    return value.isoformat() if isinstance(value, date) else value
