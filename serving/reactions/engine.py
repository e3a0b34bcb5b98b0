"""From a batch of events to their effects, each kept before the batch counts as done.

Calls of webhooks go to the outbox and messages to the broker before the online store changes, so
that after a crash anywhere the batch, read again, finds the store as it was or its calls kept. What
is done twice is the same: calls and messages by their id, values of the store by their time.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.errors import LakehouseError, StoreError
from serving import encoding
from serving.online import Change, OnlineStore
from serving.reactions.counts import Counts
from serving.reactions.effects import Effect, Emit, Put, effect_id, message
from serving.reactions.event import Event, parse
from serving.reactions.live import Live
from serving.reactions.outbox import Letter, Outbox, body_of
from serving.reactions.registry import Reaction
from serving.times import instant

logger = logging.getLogger(__name__)
Message = tuple[str, str, bytes]  # topic, key, payload
Send = Callable[[Sequence[Message]], None]  # returns when the broker has all of them


@dataclass
class _Effects:
    """What a batch is to have done beside the store."""

    calls: list[Letter] = field(default_factory=list)
    failed: list[Letter] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)


class Engine:
    """Reacts on batches of events; used by one thread, and the only one for its store.

    Args:
        send: takes messages to the broker.
        webhooks: the names of those that there are.
        alerts: the topic of what is emitted to none in particular.
        stock_under: an item with fewer units is short.
        clock: microseconds since 1970.
    """

    def __init__(
        self,
        store: OnlineStore,
        reactions: Sequence[Reaction],
        outbox: Outbox,
        send: Send,
        counts: Counts,
        *,
        webhooks: Collection[str],
        alerts: str,
        stock_under: int,
        clock: Callable[[], int],
    ) -> None:
        self._store, self._reactions, self._outbox, self._send = store, reactions, outbox, send
        self._counts, self._webhooks, self._alerts = counts, webhooks, alerts
        self._stock_under, self._clock = stock_under, clock

    def react(self, payloads: Sequence[bytes | None]) -> None:
        """React on events in their order; when it returns, all effects are kept.

        Raises:
            StoreError, DiskFullError, BrokerError: some are not; the batch is to come again.
        """
        now = self._clock()
        live, effects = Live(self._store, now, self._stock_under), _Effects()
        for payload in payloads:
            event = parse(payload, now)
            self._counts.events["refused" if event is None else "reacted"] += 1
            if event is not None:
                self._react_on(event, live, effects)
        self._outbox.add(effects.calls)
        for letter in effects.failed:
            self._outbox.give_up(letter)
        if effects.messages:
            self._send(effects.messages)
        live.flush()

    def _react_on(self, event: Event, live: Live, effects: _Effects) -> None:
        for reaction in self._reactions:
            if not reaction.pattern.takes(event):
                continue
            try:
                if not reaction.pattern.matches(event, live):
                    continue
                made = [self._made(one, reaction, event) for one in reaction.function(event, live)]
            except LakehouseError:  # the store or the disk, not the function
                raise
            except Exception as error:
                self._fail(error, reaction.name, event, effects)
                continue
            self._counts.reactions[reaction.name] += 1
            for one in made:
                if isinstance(one, Put):
                    live.put(one, event)
                elif isinstance(one, Letter):
                    effects.calls.append(one)
                else:
                    effects.messages.append(one)

    def _made(self, effect: Effect, reaction: Reaction, event: Event) -> Put | Letter | Message:
        """An effect in the form in which it is kept.

        Raises:
            ValueError, TypeError: it cannot be.
        """
        if isinstance(effect, Put):
            if not reaction.is_built_in:
                _check(effect, event)
            return effect
        told = body_of(message(reaction.name, event, effect.fields))
        if isinstance(effect, Emit):
            return effect.topic or self._alerts, event.item_id, told.encode()
        if effect.webhook not in self._webhooks:
            raise ValueError(f"there is no webhook {effect.webhook}")
        call_id = effect_id(f"{reaction.name}\n{effect.webhook}", event)
        return Letter(call_id, reaction.name, effect.webhook, told)

    def _fail(self, error: Exception, name: str, event: Event, effects: _Effects) -> None:
        """A reaction that fails with an event fails alone; the event is kept with the reason."""
        why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        self._counts.failures[name] += 1
        logger.error("reaction %s failed with event %s: %s", name, event.id, why)
        told: dict[str, Any] = message(name, event, {})
        letter_id = effect_id(f"{name}\nfailed", event)
        effects.failed.append(Letter(letter_id, name, "", body_of(told), 1, why))


def _check(put: Put, event: Event) -> None:
    """Refuse what the store would refuse: then the whole batch could never be written."""
    try:
        encoding.changed([Change(put.kind, put.key, put.value, instant(event.at), put.ttl)])
    except StoreError as error:
        raise ValueError(str(error)) from None
