"""Experiments: which challenger is served beside the champion, what came of it, and its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import hypot
from typing import Any

from ml import tracking
from pipelines.errors import ModelError
from pipelines.settings import Settings
from serving.experiment import CHALLENGER, CHAMPION
from serving.online import OnlineStore
from serving.recommender.champion import CURRENT

FIGURES = ("click_share", "buyer_share", "purchases_per_customer")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """Challenger less champion, with its 95 % interval."""

    figure: str
    mean: float
    low: float
    high: float

    @property
    def is_sure(self) -> bool:
        """More than noise: zero is outside the interval."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Results:
    """What an experiment has shown so far.

    Attributes:
        served: versions by arm that are served just now; empty: none, it does not run.
        arms: rows of gold.experiment_results.
        differences: empty until both arms have customers, and where the ratio is off.
        is_ratio_off: impressions of an arm are lost or doubled, and no figure is to be trusted.
    """

    experiment: str
    served: dict[str, str]
    arms: Sequence[Row]
    differences: Sequence[Difference]
    is_ratio_off: bool


def challenger_of(settings: Settings, champion: tracking.Version) -> tracking.Version | None:
    """The challenger of the experiment that runs: that of its first publication, to its end.

    What is trained meanwhile waits for the next experiment, or for `promote`.

    Returns:
        None if none runs: it has no name, was stopped, or its challenger is the champion.
    """
    name = settings.experiment.name
    if not name:
        return None
    noted = tracking.experiment(settings, name)
    if noted.get("stopped"):
        return None
    if "challenger" in noted:
        found = tracking.by_number(settings, noted["challenger"])
        return found if found.version != champion.version else None
    first = tracking.find_alias(settings, tracking.CHALLENGER)
    if first is None or first.version == champion.version:
        return None
    tracking.note_experiment(settings, name, {"challenger": first.version})
    return first


def stop(settings: Settings, store: OnlineStore) -> str:
    """End the experiment of the settings for good: from now on the champion answers everybody.

    Returns:
        Its name.

    Raises:
        ModelError: the settings name none, or there is no model.
    """
    name = settings.experiment.name
    if not name:
        raise ModelError("experiment.name is empty in conf/: there is nothing to stop")
    tracking.by_alias(settings, tracking.CHALLENGER)
    noted = tracking.experiment(settings, name)
    tracking.note_experiment(settings, name, noted | {"stopped": True})
    current = store.get("model", CURRENT)
    if current is not None:
        ttl = settings.online.ttl_s.get("model")
        store.publish(
            "model",
            [(CURRENT, current.value)],
            version=current.version,
            published_at=datetime.now(UTC),
            ttl=None if ttl is None else timedelta(seconds=ttl),
        )
    return name


def results(name: str, arms: Sequence[Row], store: OnlineStore) -> Results:
    """What came of an experiment.

    Args:
        arms: its rows of gold.experiment_results.
        store: says whether it is served.
    """
    named = store.get_many("model", (CURRENT, CHALLENGER))
    served = {}
    if CHALLENGER in named and named[CHALLENGER].value["experiment"] == name:
        versions = {one: answer.value["model_version"] for one, answer in named.items()}
        served = {CHAMPION: versions[CURRENT], CHALLENGER: versions[CHALLENGER]}
    by_arm = {row["arm"]: row for row in arms}
    is_off = any(row["is_ratio_off"] for row in arms)
    differences = []
    if len(by_arm) == 2 and not is_off:
        champion, challenger = by_arm[CHAMPION], by_arm[CHALLENGER]
        differences = [difference(figure, champion, challenger) for figure in FIGURES]
    return Results(name, served, arms, differences, is_off)


def difference(figure: str, champion: Row, challenger: Row) -> Difference:
    """The difference of two figures from their own intervals (Newcombe 1998, method 10)."""
    (a, a_low, a_high), (b, b_low, b_high) = (
        (row[figure], row[f"{figure}_low"], row[f"{figure}_high"]) for row in (champion, challenger)
    )
    mean = b - a
    return Difference(
        figure, mean, mean - hypot(b - b_low, a_high - a), mean + hypot(b_high - b, a - a_low)
    )
