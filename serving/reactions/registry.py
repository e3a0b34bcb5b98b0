"""Every reaction there is: built in, of other modules, of conf/reactions/shop.yml."""

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipelines.errors import ConfigError
from serving.reactions.effects import Effect
from serving.reactions.event import Event
from serving.reactions.live import Live
from serving.reactions.pattern import Pattern

BUILT_IN_PACKAGE = "serving.reactions.built_in"
BUILT_IN = ("clicked", "price_changed", "purchased", "stock_moved")
Function = Callable[[Event, Live], Iterable[Effect]]


@dataclass(frozen=True)
class Reaction:
    """A function and the events it is subscribed to."""

    name: str
    pattern: Pattern
    function: Function

    @property
    def is_built_in(self) -> bool:
        return self.function.__module__.startswith(f"{BUILT_IN_PACKAGE}.")


_declared: dict[str, Reaction] = {}


def reaction(
    *types: str,
    categories: Iterable[str] = (),
    regions: Iterable[str] = (),
    price_drop: float | None = None,
    stock_under: int | None = None,
) -> Callable[[Function], Function]:
    """Subscribe a function to events; it is named after the function.

    The function gets the event and what is known, and gives effects. It may be called again with
    the same event: what it gives then must be the same.

    Args:
        types, categories, regions: of the events; none: any.
        price_drop, stock_under: see `Pattern`.

    Raises:
        ConfigError: no event can fit, or another reaction has the name.
    """
    found = Pattern(
        frozenset(types), frozenset(categories), frozenset(regions), price_drop, stock_under
    )

    def subscribe(function: Function) -> Function:
        name = function.__name__.replace("_", "-")
        known = _declared.get(name)
        if known is not None and known.function.__module__ != function.__module__:
            raise ConfigError(
                f"two reactions are named {name}, in {known.function.__module__} and"
                f" {function.__module__}; rename one"
            )
        _declared[name] = Reaction(name, found, function)
        return function

    return subscribe


def declared(modules: Iterable[str]) -> list[Reaction]:
    """The reactions of some modules, those built in first.

    Raises:
        ConfigError: a module cannot be imported, or holds none.
    """
    wanted = [f"{BUILT_IN_PACKAGE}.{name}" for name in BUILT_IN]
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ConfigError(
                f"reactions.modules: {module} cannot be imported: {error}; correct the name, or"
                " install it"
            ) from None
        if not any(one.function.__module__ == module for one in _declared.values()):
            raise ConfigError(
                f"reactions.modules: {module} subscribes no function; put @reaction above one"
            )
        wanted.append(module)
    for module in wanted:
        importlib.import_module(module)
    of = {module: place for place, module in enumerate(wanted)}
    found = [one for one in _declared.values() if one.function.__module__ in of]
    return sorted(found, key=lambda one: of[one.function.__module__])
