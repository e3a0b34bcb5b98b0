"""Recommendations as shown: without what is short or bought, leaning to the last clicks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Item = Mapping[str, Any]

CLICKED = 3  # the items clicked last bring what is like them
ALIKE = 5  # of each
# What is like the item clicked last weighs as the first of the model's own; of each click before
# half as much. A category with all of the last clicks doubles an item.
_HALF = 0.5
BECAUSE = "like what you looked at"


def shown(
    items: Sequence[Item],
    *,
    out: Iterable[str] = (),
    clicks: Sequence[Sequence[Any]] = (),
    similar: Mapping[str, Sequence[Item]] | None = None,
) -> list[Item]:
    """The items to offer, the best first, those among `out` left out.

    Without clicks the order is as given. With clicks the places in the given list and in those of
    what is like the clicked items are joined (reciprocal ranks), weighted by how many of the clicks
    were of an item's category.

    Args:
        items: the customer's own, or what is popular; the best first.
        out: item ids.
        clicks: time, id, item id and category of each, the newest first.
        similar: the items most like an item, for those clicked last.
    """
    out = set(out)
    if not clicks:
        return [item for item in items if item["item_id"] not in out]
    weight: dict[str, float] = {}
    found: dict[str, Item] = {}
    for place, item in enumerate(items):
        weight[item["item_id"]] = 1 / (1 + place)
        found[item["item_id"]] = item
    looked_at = list(dict.fromkeys(click[2] for click in clicks))[:CLICKED]
    for age, clicked in enumerate(looked_at):
        for place, item in enumerate((similar or {}).get(clicked, ())[:ALIKE]):
            item_id = item["item_id"]
            weight[item_id] = weight.get(item_id, 0.0) + _HALF**age / (1 + place)
            found.setdefault(item_id, {**item, "reason": BECAUSE})
    of_category: dict[str, int] = {}
    for click in clicks:
        of_category[click[3]] = of_category.get(click[3], 0) + 1
    for item_id, item in found.items():
        weight[item_id] *= 1 + of_category.get(item["category"] or "", 0) / len(clicks)
    ranked = sorted(found, key=lambda item_id: (-weight[item_id], item_id))
    return [found[item_id] for item_id in ranked if item_id not in out]
