"""conf/reactions/shop.yml: what it says is done; what it cannot say is refused with its line."""

import json
from pathlib import Path

import pytest
from reacted import Shop, bought, price

from pipelines.errors import ConfigError
from pipelines.settings import CONF_DIR
from serving.reactions.file import load
from serving.reactions.registry import declared

GOOD = """
reactions:
  big-drop:
    when: {type: price_change, category: [DAIRY, BREAD], price_drop: 25}
    then: {emit: news, call: buyers, write: {kind: flash, ttl_s: 60}}
  low:
    when: {type: [purchase, inventory_change], region: north, stock_under: 5}
    then: {write: {kind: low, key: region}}
webhooks:
  buyers: {url: "https://shop.example/hooks"}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "reactions.yml"
    path.write_text(text)
    return path


def test_entries_are_reactions(shop: Shop, tmp_path: Path) -> None:
    found, webhooks = load(written(tmp_path, GOOD))
    assert set(webhooks) == {"buyers"} and webhooks["buyers"].attempts == 8
    shop.reactions = [*declared(()), *found]
    shop.react(price(1, 199), price(2, 149), price(3, 10, category="MEAT"), bought(4, 8))
    topic, key, payload = shop.sent[0]
    told = json.loads(payload)
    assert (topic, key, told["event_type"]) == ("news", "i1", "big-drop")
    assert (told["price_cents"], told["price_cents_before"]) == (149, 199)
    assert shop.value("low", "north")["stock"] == 4
    letter = shop.outbox.due("buyers")
    assert letter is not None and json.loads(letter.body)["category"] == "DAIRY"


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert load(tmp_path / "none.yml") == ([], {})


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("price_drop: 25", "price_drop: 0", r":4: 'reactions\.big-drop\.when\.price_drop'"),
        ("price_drop: 25", "price_dropp: 25", r":4: .*unknown key"),
        ("type: price_change", "type: sale", r":3: big-drop: no event type sale"),
        ("type: price_change", "type: click", r":3: big-drop: price_drop needs type price_change"),
        ("call: buyers", "call: sellers", r":3: big-drop: there is no webhook sellers"),
        ("kind: flash", "kind: prices", r":3: big-drop: prices is what `lakehouse publish`"),
        ("{write: {kind: low, key: region}}", "{}", r":6: low: it does nothing"),
        ("https://shop", "ftp://shop", r":10: 'webhooks\.buyers\.url'"),
        ("https://shop", "https://me:" + "secret@shop", r":10: 'webhooks\.buyers\.url'"),
        ("  low:", "  price-changed:", r":6: price-changed: another reaction has this name"),
        ("  low:", "  Not A Name:", r"Not A Name"),
        ("reactions:", "reactions: [", r"not valid YAML"),
    ],
)
def test_a_mistake_is_refused_with_its_line(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    path = written(tmp_path, GOOD.replace(before, after))
    with pytest.raises(ConfigError, match=told) as caught:
        load(path, [one.name for one in declared(())])
    assert "\n" not in str(caught.value)


def test_the_file_of_the_project_can_be_loaded() -> None:
    found, _ = load(CONF_DIR / "reactions" / "shop.yml", [one.name for one in declared(())])
    assert found


def test_functions_of_a_module_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_reactions.py").write_text(
        "from serving.reactions import Emit, reaction\n\n"
        "@reaction('price_change', price_drop=10)\n"
        "def cheap_now(event, live):\n    yield Emit('news')\n"
    )
    (tmp_path / "no_reactions.py").write_text("")
    (tmp_path / "more_reactions.py").write_text(
        (tmp_path / "own_reactions.py").read_text().replace("'news'", "'other'")
    )
    built_in = [one.name for one in declared(())]
    assert built_in == ["clicked", "price-changed", "purchased", "stock-moved"]
    assert [one.name for one in declared(["own_reactions"])] == [*built_in, "cheap-now"]
    assert [one.name for one in declared(())] == built_in
    for module, told in (
        ("nowhere.at_all", "nowhere.at_all cannot be imported"),
        ("no_reactions", "no_reactions subscribes no function"),
        ("more_reactions", "two reactions are named cheap-now, in own_reactions and more_"),
    ):
        with pytest.raises(ConfigError, match=told):
            declared([module])
