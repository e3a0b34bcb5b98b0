"""An experiment's results as a table for people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

from pipelines.console import table

if TYPE_CHECKING:
    from ml.experiments import Results

_WORDS = {
    "click_share": "customers who looked at a listed item",
    "buyer_share": "customers who bought a listed item",
    "purchases_per_customer": "purchases per customer",
}


def experiment_text(results: "Results") -> RenderableType:
    """Arms, intervals and differences; only that the ratio is off, where it is."""
    served = " and ".join(f"version {v} as {arm}" for arm, v in results.served.items())
    state = f"serves {served}" if served else "is not served"
    said = f"experiment {results.experiment} {state}"
    if not results.arms:
        return f"{said}; no list of it is in silver yet, or the view was not refreshed since"
    rows = [
        (row["arm"], row["customer_count"], row["impression_count"], *_intervals(row))
        for row in results.arms
    ]
    arms = table(said, ("arm", "customers", "lists", *_WORDS.values()), rows)
    p_value = results.arms[0]["p_value"]
    if results.is_ratio_off:
        return Group(
            arms,
            f"the arms' sizes are not those intended (p = {p_value:.2g}): lists of an arm are lost"
            " or counted twice, trust no figure",
        )
    told = [f"the arms' sizes are those intended (p = {p_value:.2g})"]
    if any(row["is_model_mixed"] for row in results.arms):
        told.append("an arm's model was changed meanwhile: its figures are of more than one")
    for one in results.differences:
        sure = "more than noise" if one.is_sure else "not more than noise"
        told.append(
            f"{_WORDS[one.figure]}: {one.mean:+.4f} with the challenger"
            f" ({one.low:+.4f} to {one.high:+.4f}), {sure}"
        )
    return Group(arms, *told)


def _intervals(row: Mapping[str, float]) -> list[str]:
    return [f"{row[f]:.4f} ({row[f'{f}_low']:.4f} to {row[f'{f}_high']:.4f})" for f in _WORDS]
