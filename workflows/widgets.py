"""`dbutils.widgets`: the parameters of a notebook, with their defaults."""

from collections.abc import Mapping, Sequence


class WidgetError(Exception):
    """There is no such widget, or the value is not one of its choices."""


class Widgets:
    """Widgets by name; a parameter of the task wins over the default."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = dict(given)
        self._defaults: dict[str, str] = {}

    def text(self, name: str, defaultValue: str = "", label: str | None = None) -> None:
        """A free text."""
        self._defaults[name] = str(defaultValue)

    def dropdown(
        self,
        name: str,
        defaultValue: str,
        choices: Sequence[str],
        label: str | None = None,
    ) -> None:
        """One of some choices."""
        if str(defaultValue) not in [str(choice) for choice in choices]:
            raise WidgetError(f"the default of widget '{name}' is not one of its choices")
        self._defaults[name] = str(defaultValue)

    def combobox(
        self,
        name: str,
        defaultValue: str,
        choices: Sequence[str],
        label: str | None = None,
    ) -> None:
        """One of some choices, or a free text."""
        self._defaults[name] = str(defaultValue)

    multiselect = dropdown

    def get(self, name: str) -> str:
        """The value of a widget."""
        values = self.getAll()
        if name not in values:
            raise WidgetError(f"no widget '{name}'; there are: {', '.join(values) or 'none'}")
        return values[name]

    def getArgument(self, name: str, defaultValue: str = "") -> str:
        """The value of a widget, or a default."""
        return self.getAll().get(name, defaultValue)

    def getAll(self) -> dict[str, str]:
        """Every value by its name."""
        return {**self._defaults, **self._given}

    def remove(self, name: str) -> None:
        """Forget a widget."""
        self._defaults.pop(name, None)
        self._given.pop(name, None)

    def removeAll(self) -> None:
        """Forget every widget."""
        self._defaults.clear()
        self._given.clear()
