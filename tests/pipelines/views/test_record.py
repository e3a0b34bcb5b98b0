"""The ledger of refreshes has each of them, also where one died before it was noted."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from given import event
from pyspark.sql import SparkSession

import pipelines.views.refresh
from pipelines.gold.refreshes import REFRESHES
from pipelines.io.read import read
from pipelines.settings import Settings
from pipelines.views.refresh import refresh

VIEW = "gold.current_prices"


def test_refreshes_that_died_before_they_were_noted_are_noted_by_the_next(
    spark: SparkSession,
    lake: Settings,
    take_in: Callable[[Settings, Sequence[Any]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def die(*_: object) -> None:
        raise KeyError("killed before the ledger")

    for number in range(4):
        take_in(lake, [event("price_change", number)])
        with monkeypatch.context() as patch:
            if number in (1, 2):
                patch.setattr(pipelines.views.refresh, "log_refreshes", die)
                with pytest.raises(KeyError, match="killed"):
                    refresh(spark, lake, [VIEW])
            else:
                refresh(spark, lake, [VIEW])
    noted = read(spark, lake, REFRESHES.name).orderBy("view_version").collect()
    assert len(noted) == 4
    assert [row["from_versions"] for row in noted[1:]] == [row["to_versions"] for row in noted[:-1]]
