"""Whether a challenger takes the champion's place."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and why."""

    promoted: bool
    reason: str


def decide(challenger: Mapping[str, float], champion: Mapping[str, float] | None) -> Decision:
    """Compare held-out nDCG@10: better than popularity, and not worse than the champion.

    The first model takes the place in any case: there is nothing better to serve.

    Args:
        challenger: its metrics, `model_ndcg` and `popularity_ndcg` among them.
        champion: the same of the champion; None if there is none.
    """
    if "model_ndcg" not in challenger:
        return Decision(False, "the challenger was not evaluated; run `lakehouse evaluate`")
    own, popularity = challenger["model_ndcg"], challenger["popularity_ndcg"]
    if champion is None:
        return Decision(True, f"first model: nDCG@10 {own:.4f}, popularity {popularity:.4f}")
    if own <= popularity:
        return Decision(False, f"nDCG@10 {own:.4f} does not beat popularity's {popularity:.4f}")
    if own < champion.get("model_ndcg", 0.0):
        return Decision(
            False, f"nDCG@10 {own:.4f} is below the champion's {champion['model_ndcg']:.4f}"
        )
    return Decision(True, f"nDCG@10 {own:.4f} beats popularity's {popularity:.4f}")
