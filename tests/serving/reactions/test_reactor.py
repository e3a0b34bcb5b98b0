"""Batches, failures and what is left after a crash."""

import json
from collections.abc import Iterable

import pytest
from given import event
from reacted import Shop, bought, moved, price

from pipelines.errors import BrokerError
from serving import live_values as values
from serving.reactions import Call, Effect, Emit, Event, Live, Pattern, Put, Reaction
from serving.reactions.engine import Message
from serving.reactions.registry import Function, declared

DROP = Pattern(frozenset({"price_change"}), price_drop=20)


def reacting(shop: Shop, function: Function, pattern: Pattern = DROP) -> None:
    shop.reactions = [*declared(()), Reaction("mine", pattern, function)]


def test_a_function_may_write_emit_and_call(shop: Shop) -> None:
    def everything(event: Event, live: Live) -> Iterable[Effect]:
        yield Put("flash", event.item_id, {"was": live.price_before(event)})
        yield Emit("news", {"price_cents": event.fields["price_cents"]})
        yield Call("buyers", {"more": 1})

    reacting(shop, everything)
    shop.react(price(1, 100), price(2, 99))
    assert shop.value("flash", "i1") == {"was": 199}
    (sent,) = shop.sent
    told = json.loads(sent[2])
    assert (*sent[:2], told["event_type"], told["price_cents"]) == ("news", "i1", "mine", 100)
    letter = shop.outbox.due("buyers")
    assert letter is not None
    body = json.loads(letter.body)
    assert (body["item_id"], body["more"], body["caused_by"]) == ("i1", 1, price(1, 1)["event_id"])
    assert letter.id not in (told["event_id"], told["caused_by"])
    assert shop.counts.reactions["mine"] == 1


def test_what_an_older_event_puts_changes_nothing(shop: Shop) -> None:
    def last(event: Event, live: Live) -> Iterable[Effect]:
        yield Put("last", event.item_id, None if event.region == "south" else event.region)

    reacting(shop, last, Pattern())
    shop.react(moved(20, 1, region="east"), moved(10, 1))
    shop.react(moved(15, 1))
    assert shop.value("last", "i1") == "east"
    shop.react(moved(30, 1, region="south"))
    assert shop.value("last", "i1") is None


def test_a_batch_sees_what_it_has_put_before(shop: Shop) -> None:
    def count(event: Event, live: Live) -> Iterable[Effect]:
        seen = live.get("seen", event.item_id) or []
        yield Put("seen", event.item_id, sorted({*seen, event.id[-1]}), is_merged=True)

    reacting(shop, count, Pattern())
    shop.react(moved(2, 1), moved(1, 1), moved(3, 1), moved(2, 1))
    assert shop.value("seen", "i1") == ["1", "2", "3"]


@pytest.mark.parametrize(
    "effect",
    [
        Put("flash", "i1", {1, 2}),  # type: ignore[arg-type]
        Put("", "i1", 1),
        Put("flash", "\ud800", 1),
        Emit("news", {"at": object()}),
        Call("nobody"),
    ],
    ids=["value", "kind", "key", "fields", "webhook"],
)
def test_a_reaction_that_fails_fails_alone_and_its_event_is_kept(
    shop: Shop, effect: Effect
) -> None:
    def wrong(event: Event, live: Live) -> Iterable[Effect]:
        yield Put("flash", event.item_id, 1)
        yield effect

    reacting(shop, wrong)
    shop.react(price(1, 100))
    shop.react(price(1, 100))
    assert shop.value("flash", "i1") is None and shop.sent == []
    assert shop.value(values.PRICES, "i1")["regions"]["north"][0][2] == 100
    assert (shop.counts.failures["mine"], shop.counts.reactions["mine"]) == (2, 0)
    _, _, (dead,) = shop.outbox.burial()
    assert (dead.reaction, dead.webhook, dead.attempts) == ("mine", "", 1)
    assert json.loads(dead.body)["caused_by"] == price(1, 1)["event_id"] and dead.error


def test_a_crash_between_two_effects_loses_none(shop: Shop) -> None:
    """The broker is away after the calls are kept; the batch comes again, whole."""

    def tell(event: Event, live: Live) -> Iterable[Effect]:
        yield Call("buyers")
        yield Emit("news")

    class Away(list[Message]):
        def extend(self, _: object) -> None:
            raise BrokerError("away")

    reacting(shop, tell)
    working, shop.sent = shop.sent, Away()
    batch = price(1, 100), bought(2, 9), price(3, 70), event("click", 4)
    with pytest.raises(BrokerError):
        shop.react(*batch)
    assert shop.value(values.PRICES, "i1") is None
    shop.sent = working
    shop.react(*batch)
    shop.react(*batch)
    once = {one["event_id"] for one in shop.messages()}
    assert len(once) == 3 and len(shop.sent) == 6  # two drops and an alert, each again
    assert shop.outbox.counts() == {"waiting": 2}
    assert shop.value(values.STOCK, "i1")["moves"][0][3] == -9
