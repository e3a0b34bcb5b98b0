"""Fit the recommender: item models at several moments, and a ranker over what followed each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from pyspark.ml.classification import GBTClassificationModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml.blend import choose
from ml.features import before, bought_between, moments
from ml.items import Known, know
from ml.ranker import askers, examples, fit_ranker, ranker_arrays
from pipelines.settings_sections import ModelSettings
from serving.recommender.model import Model

_APART = 4  # of so many customers one is kept from the ranker, to choose the blend on


@dataclass(frozen=True)
class Recommender:
    """A fitted recommender: the complete model and the customers' histories at the same moment.

    Attributes:
        ranker: the trees as Spark ML has them.
    """

    known: Known
    ranker: GBTClassificationModel

    @property
    def model(self) -> Model:
        return self.known.model


@dataclass(frozen=True)
class Trained:
    """What is served, and the same recipe stopped before the held-out weeks.

    Attributes:
        backtest: saw nothing at or after `start`, nor did its ranker.
        start: first instant of the held-out weeks, which end with the last purchase.
    """

    served: Recommender
    backtest: Recommender
    start: datetime


@dataclass(frozen=True)
class Lesson:
    """What a ranker is taught and judged by: what was known at a moment, and bought after it.

    Attributes:
        model: of items, fitted before the moment.
        examples: of most customers.
        apart: `ml.ranker.askers` of the others.
    """

    model: Model
    examples: DataFrame
    apart: DataFrame

    def forget(self) -> None:
        """Let go of what is kept in memory."""
        self.examples.unpersist()
        self.apart.unpersist()


def train(rows: DataFrame, end: datetime, settings: ModelSettings) -> Trained:
    """Fit on `ml.features.lines` of before `end`.

    The last weeks are what the served ranker learns on, and what the backtest is asked: its own
    ranker learned on the weeks before them. The features of each period come from item models that
    were fitted on nothing of it.

    Raises:
        ModelError: too little data to learn from.
    """
    starts = moments(end, settings.test_weeks, settings.periods + 1)
    known = [know(before(rows, start), start, settings) for start in starts]
    lessons = [
        lesson(one, bought_between(rows, start, until), settings)
        for one, start, until in zip(known, starts, [end, *starts[:-1]], strict=True)
    ]
    served = fit(know(before(rows, end), end, settings), lessons[:-1], settings)
    backtest = fit(known[0], lessons[1:], settings)
    for one in lessons:
        one.forget()
    for earlier in known[1:]:
        earlier.histories.unpersist()
    return Trained(served, backtest, starts[0])


def lesson(known: Known, wanted: DataFrame, settings: ModelSettings) -> Lesson:
    """What was known of items, and what customers bought that it has not seen."""
    asking = askers(known, wanted)
    is_apart = F.pmod(F.xxhash64("customer_id", F.lit(settings.seed)), F.lit(_APART)) == 0
    taught = examples(asking.where(~is_apart), known.model, settings)
    return Lesson(known.model, taught.persist(), asking.where(is_apart).persist())


def fit(known: Known, lessons: Sequence[Lesson], settings: ModelSettings) -> Recommender:
    """What is known of items, with a ranker and a blend from lessons."""
    ranker = fit_ranker(reduce(DataFrame.unionAll, (one.examples for one in lessons)), settings)
    trees = ranker_arrays(ranker, settings.negatives)
    blend = choose([(one.apart, replace(one.model, **trees)) for one in lessons])
    return Recommender(replace(known, model=replace(known.model, **trees, blend=blend)), ranker)
