"""Fit the recommender: item models at several moments, and a ranker over what followed each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from pyspark.ml.classification import GBTClassificationModel
from pyspark.sql import DataFrame

from ml.features import before, bought_between, moments
from ml.items import Known, know
from ml.ranker import examples, fit_ranker, ranker_arrays
from pipelines.settings import ModelSettings
from serving.recommender.model import Model


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
    taught = [
        examples(one, bought_between(rows, start, until), settings).persist()
        for one, start, until in zip(known, starts, [end, *starts[:-1]], strict=True)
    ]
    served = fit(know(before(rows, end), end, settings), taught[:-1], settings)
    backtest = fit(known[0], taught[1:], settings)
    for frame in (*taught, *(one.histories for one in known[1:])):
        frame.unpersist()
    return Trained(served, backtest, starts[0])


def fit(known: Known, taught: Sequence[DataFrame], settings: ModelSettings) -> Recommender:
    """What is known of items, with a ranker taught on `ml.ranker.examples`."""
    ranker = fit_ranker(reduce(DataFrame.unionAll, taught), settings)
    model = replace(known.model, **ranker_arrays(ranker, settings.negatives))
    return Recommender(replace(known, model=model), ranker)
