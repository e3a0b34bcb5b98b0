"""Whether a challenger takes the champion's place."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.settings_sections import PromotionSettings

RESAMPLES = 2000


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and why."""

    promoted: bool
    reason: str


@dataclass(frozen=True)
class Lift:
    """A mean difference over the same customers, its 95 % interval, and the ratio of means."""

    mean: float
    low: float
    high: float
    ratio: float

    @property
    def is_sure(self) -> bool:
        """More than noise: the whole interval is above zero."""
        return self.low > 0


def paired_lift(ours: NDArray[np.float64], theirs: NDArray[np.float64], seed: int = 17) -> Lift:
    """The percentile bootstrap of a paired difference (Efron 1979), resampling customers.

    Args:
        ours, theirs: a figure of the same customers in the same order.
    """
    difference = ours - theirs
    chance = np.random.default_rng(seed)
    # How often each customer is drawn, of as many draws as there are customers.
    even = np.full(len(difference), 1 / len(difference))
    drawn = chance.multinomial(len(difference), even, size=RESAMPLES)
    low, high = np.percentile(drawn @ difference / len(difference), [2.5, 97.5])
    ratio = float(ours.mean() / theirs.mean()) if theirs.mean() else float("inf")
    return Lift(float(difference.mean()), float(low), float(high), ratio)


def broken_guards(
    challenger: Mapping[str, float],
    champion: Mapping[str, float] | None,
    guards: PromotionSettings,
) -> list[str]:
    """What forbids a promotion however good the ranking is, each in words.

    Args:
        challenger, champion: metrics; those missing of a champion from before guards are not
            compared.
    """
    before = champion or {}
    broken = []
    if challenger["nulls"] > guards.max_null_share:
        broken.append(f"{challenger['nulls']:.1%} of customers get a list that is too short")
    if challenger["latency_p99_ms"] > guards.max_latency_ms:
        took = f"{challenger['latency_p99_ms']:.1f} ms"
        broken.append(f"p99 latency {took} > {guards.max_latency_ms} ms")
    ceiling = guards.max_popular_growth * before.get("popular_share", 1.0)
    if challenger["popular_share"] > ceiling:
        share = f"{challenger['popular_share']:.0%}"
        broken.append(f"{share} of all places go to the most recommended 100 items")
    floor = guards.min_coverage_kept * before.get("model_coverage", 0.0)
    if challenger["model_coverage"] < floor:
        broken.append(f"coverage {challenger['model_coverage']:.4f} falls below {floor:.4f}")
    return broken


def decide(
    challenger: Mapping[str, float],
    champion: Mapping[str, float] | None,
    lift: Lift | None,
    guards: PromotionSettings,
) -> Decision:
    """Better than the champion on the held-out weeks by more than noise, and no guard broken.

    The first model takes the place if it keeps the guards: there is nothing better to serve.

    Args:
        challenger, champion: metrics of each on the same held-out weeks; champion None if there
            is none.
        lift: nDCG@10 of the challenger over the champion's, by customer; None without champion.
    """
    if "model_ndcg" not in challenger:
        return Decision(False, "the challenger was not evaluated; run `lakehouse evaluate`")
    broken = broken_guards(challenger, champion, guards)
    if broken:
        return Decision(False, "a guard is broken: " + "; ".join(broken))
    own, popularity = challenger["model_ndcg"], challenger["popularity_ndcg"]
    if lift is None:
        return Decision(True, f"first model: nDCG@10 {own:.4f}, popularity {popularity:.4f}")
    told = (
        f"nDCG@10 {own:.4f} against the champion's {own - lift.mean:.4f}"
        f" (difference {lift.low:+.4f} to {lift.high:+.4f})"
    )
    if not lift.is_sure:
        return Decision(False, f"not better by more than noise: {told}")
    return Decision(True, told)
