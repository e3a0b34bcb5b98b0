"""Every panel of the dashboard by its name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from pipelines.dashboard.customers import customer, customers
from pipelines.dashboard.items import prices, sellers, stock
from pipelines.dashboard.live import live
from pipelines.dashboard.quality import quality, quarantine
from pipelines.dashboard.sales import sales
from pipelines.dashboard.tables import MissingError, Row, Tables
from pipelines.settings import Settings

Panel = Callable[[Tables, Mapping[str, Any]], Row]
PANELS: dict[str, Panel] = {
    "sales": sales,
    "items": sellers,
    "stock": stock,
    "prices": prices,
    "quality": quality,
    "quarantine": quarantine,
    "customers": customers,
    "customer": customer,
}


@dataclass
class Panels:
    """What the dashboard shows of a lake.

    Attributes:
        settings: of the lake.
        runs: the latest runs of jobs, as rows.
    """

    settings: Settings
    runs: Callable[[], list[Row]] = list
    _tables: Tables = field(init=False)

    def __post_init__(self) -> None:
        self._tables = Tables(self.settings)

    def panel(self, name: str, asked: Mapping[str, Any]) -> Row:
        """One panel as JSON takes it; instants and days are ISO 8601 text, instants in UTC.

        Where a table is not there yet, `missing` says which and why, and nothing else is told.

        Raises:
            KeyError: there is no such panel, or what is asked of it is not there.
            LakeError: the lake cannot be read just now.
        """
        try:
            shown = self._panel(name, asked)
        except MissingError as missing:
            return {"missing": str(missing)}
        return {key: _plain(value) for key, value in shown.items()}

    def _panel(self, name: str, asked: Mapping[str, Any]) -> Row:
        if name == "live":
            return live(self.settings, self._tables)
        if name == "runs":
            return {"runs": self.runs()}
        return PANELS[name](self._tables, asked)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    return value.isoformat() if isinstance(value, date) else value
