"""conf/reactions/shop.yml: reactions without a function, and the webhooks that any may call."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pipelines.errors import ConfigError
from pipelines.yaml_file import locate, plain, read_yaml
from serving.live_values import PUBLISHED
from serving.reactions.effects import Call, Effect, Emit, Put, message
from serving.reactions.event import Event
from serving.reactions.live import Live
from serving.reactions.pattern import Pattern
from serving.reactions.registry import Function, Reaction

NAME = r"^[a-z][a-z0-9-]{0,62}$"
TOPIC = r"^[A-Za-z0-9._-]{1,249}$"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Texts = Annotated[list[str], BeforeValidator(_listed)]


class When(_Section):
    """A pattern as it is written; a text stands for a list of one."""

    type: Texts = []
    category: Texts = []
    region: Texts = []
    price_drop: float | None = Field(None, gt=0, le=100)
    stock_under: int | None = Field(None, ge=1)


class Write(_Section):
    """Put what is known of the event under one of its texts."""

    kind: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    key: str = "item_id"
    ttl_s: float | None = Field(None, gt=0)


class Then(_Section):
    write: Write | None = None
    emit: str | None = Field(None, pattern=TOPIC)
    call: str | None = None


class Entry(_Section):
    when: When
    then: Then


class Webhook(_Section):
    """Where to post. Its secret is the environment's LAKEHOUSE_WEBHOOK_SECRET_<NAME>."""

    url: str = Field(pattern=r"^https?://[^@\s/?#]+(/[^\s#]*)?$")
    timeout_s: float = Field(5.0, gt=0, le=60)
    attempts: int = Field(8, ge=1, le=100)
    first_wait_s: float = Field(1.0, gt=0)
    longest_wait_s: float = Field(300.0, gt=0)


class ReactionsFile(_Section):
    reactions: dict[Annotated[str, Field(pattern=NAME)], Entry] = {}
    webhooks: dict[Annotated[str, Field(pattern=NAME)], Webhook] = {}


def load(path: Path, taken: Iterable[str] = ()) -> tuple[list[Reaction], dict[str, Webhook]]:
    """The reactions and webhooks of a file; none if there is no such file.

    Args:
        taken: names of other reactions.

    Raises:
        ConfigError: what it says cannot be; with its line.
    """
    if not path.is_file():
        return [], {}
    document = read_yaml(path, ConfigError)
    try:
        read = ReactionsFile.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = tuple(part for part in first["loc"] if part != "[key]")
        raise ConfigError(
            f"{locate(key, (path, document))}: '{'.'.join(map(str, key))}': {plain(first)};"
            " correct the file or see docs/reactions.md"
        ) from None
    taken, found = set(taken), []
    for name, entry in read.reactions.items():
        try:
            found.append(Reaction(name, _pattern(entry.when), _function(name, entry.then)))
            _require(name, entry.then, taken, set(read.webhooks))
        except ConfigError as error:
            where = locate(("reactions", name), (path, document))
            raise ConfigError(f"{where}: {name}: {error}") from None
    return found, read.webhooks


def _require(name: str, then: Then, taken: set[str], webhooks: set[str]) -> None:
    if name in taken:
        raise ConfigError("another reaction has this name; rename one")
    if then.write is None and then.emit is None and then.call is None:
        raise ConfigError("it does nothing; name what to write, emit or call")
    if then.call is not None and then.call not in webhooks:
        raise ConfigError(f"there is no webhook {then.call}; add it below `webhooks:`")
    if then.write is not None and then.write.kind in PUBLISHED:
        raise ConfigError(
            f"{then.write.kind} is what `lakehouse publish` writes; choose another kind"
        )


def _pattern(when: When) -> Pattern:
    return Pattern(
        frozenset(when.type),
        frozenset(when.category),
        frozenset(when.region),
        when.price_drop,
        when.stock_under,
    )


def _function(name: str, then: Then) -> Function:
    def effects(event: Event, live: Live) -> Iterator[Effect]:
        told = _told(event, live)
        if then.write is not None and (key := event.text(then.write.key)):
            ttl = None if then.write.ttl_s is None else timedelta(seconds=then.write.ttl_s)
            yield Put(then.write.kind, key, message(name, event, told), ttl)
        if then.emit is not None:
            yield Emit(then.emit, told)
        if then.call is not None:
            yield Call(then.call, told)

    return effects


def _told(event: Event, live: Live) -> dict[str, Any]:
    """What the event says beyond what every message has."""
    if event.type == "price_change":
        return {
            "price_cents": event.fields["price_cents"],
            "currency": event.text("currency"),
            "price_cents_before": live.price_before(event),
        }
    if event.type in ("purchase", "inventory_change"):
        stock = live.stock(event)
        return {"stock": stock[1] if stock else None}
    return {}
