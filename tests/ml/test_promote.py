"""Who becomes champion: better than popularity, and not worse than who is champion."""

import pytest

from ml.promote import decide


def metrics(model: float, popularity: float = 0.10) -> dict[str, float]:
    return {"model_ndcg": model, "popularity_ndcg": popularity}


@pytest.mark.parametrize(
    ("challenger", "champion", "promoted", "reason"),
    [
        (metrics(0.20), None, True, "first model: nDCG@10 0.2000, popularity 0.1000"),
        (metrics(0.01), None, True, "first model"),
        (metrics(0.20), metrics(0.15), True, "0.2000 beats popularity's 0.1000"),
        (metrics(0.15), metrics(0.15), True, "beats popularity"),
        (metrics(0.14), metrics(0.15), False, "0.1400 is below the champion's 0.1500"),
        (metrics(0.10), metrics(0.05), False, "does not beat popularity's 0.1000"),
        (metrics(0.09), metrics(0.05), False, "does not beat popularity's 0.1000"),
        (metrics(0.20), {}, True, "beats popularity"),
        ({}, None, False, "was not evaluated; run `lakehouse evaluate`"),
        ({}, metrics(0.15), False, "was not evaluated"),
    ],
)
def test_the_better_model_is_promoted_and_the_reason_said(
    challenger: dict[str, float], champion: dict[str, float] | None, promoted: bool, reason: str
) -> None:
    decision = decide(challenger, champion)
    assert decision.promoted is promoted
    assert reason in decision.reason
