"""Who becomes champion: better by more than noise, with every guard kept."""

import numpy as np
import pytest

from ml.promote import Lift, decide, paired_lift
from pipelines.settings import load_settings

GUARDS = load_settings().model.guards
SURE = Lift(0.02, 0.01, 0.03, 1.1)
NOISE = Lift(0.02, -0.001, 0.041, 1.1)
WORSE = Lift(-0.02, -0.03, -0.01, 0.9)


def metrics(**changed: float) -> dict[str, float]:
    return {
        "model_ndcg": 0.2,
        "popularity_ndcg": 0.1,
        "model_coverage": 0.1,
        "popular_share": 0.2,
        "nulls": 0.0,
        "latency_p99_ms": 3.0,
        **changed,
    }


@pytest.mark.parametrize(
    ("challenger", "champion", "lift", "promoted", "reason"),
    [
        (metrics(), None, None, True, "first model: nDCG@10 0.2000, popularity 0.1000"),
        (metrics(), metrics(), SURE, True, "0.2000 against the champion's 0.1800"),
        (metrics(), metrics(), NOISE, False, "not better by more than noise"),
        (metrics(), metrics(), WORSE, False, "not better by more than noise"),
        ({}, None, None, False, "was not evaluated"),
        (metrics(nulls=0.5), None, None, False, "guard .* 50.0% of customers"),
        (metrics(latency_p99_ms=99), metrics(), SURE, False, "p99 latency 99.0 ms"),
        (metrics(popular_share=0.9), metrics(), SURE, False, "90% of all places"),
        (metrics(popular_share=0.9), None, None, True, "first model"),
        (metrics(model_coverage=0.01), metrics(), SURE, False, "coverage 0.0100 falls below 0.08"),
        (metrics(model_coverage=0.01), None, None, True, "first model"),
    ],
)
def test_the_decision_and_its_reason(challenger, champion, lift, promoted, reason) -> None:
    decision = decide(challenger, champion, lift, GUARDS)
    assert decision.promoted is promoted
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(decision.reason)


def test_a_difference_that_every_customer_has_is_sure() -> None:
    chance = np.random.default_rng(1)
    theirs = chance.random(400)
    lift = paired_lift(theirs + 0.01, theirs)
    assert lift.is_sure and lift.mean == pytest.approx(0.01)
    assert lift.low == pytest.approx(0.01) and lift.high == pytest.approx(0.01)


def test_the_interval_is_that_of_the_mean_difference() -> None:
    """Against the normal interval, which 2,000 customers justify."""
    chance = np.random.default_rng(2)
    ours, theirs = chance.random(2000), chance.random(2000)
    lift = paired_lift(ours, theirs)
    spread = 1.96 * (ours - theirs).std() / np.sqrt(2000)
    assert lift.low == pytest.approx(lift.mean - spread, abs=0.002)
    assert lift.high == pytest.approx(lift.mean + spread, abs=0.002)


def test_chance_alone_is_rarely_sure() -> None:
    chance = np.random.default_rng(3)
    sure = [paired_lift(chance.random(200), chance.random(200)).is_sure for _ in range(100)]
    assert sum(sure) <= 8  # 2.5 of a hundred are to be expected
