"""silver.impressions: which list a customer of an experiment got, and of which model."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from expect import assert_rows
from given import event
from pyspark.sql import DataFrame, SparkSession

from pipelines.io.read import read
from pipelines.settings import Settings
from pipelines.silver.event import typed_events
from pipelines.silver.impressions import ARMS, IMPRESSIONS, impressions
from pipelines.views.refresh import refresh

BRONZE = (
    "source STRING, source_partition INT, source_offset BIGINT, payload BINARY,"
    " produced_at TIMESTAMP"
)


@pytest.fixture
def taken(spark: SparkSession) -> Callable[..., DataFrame]:
    """Events as the split has typed them."""

    def run(*given: Mapping[str, Any]) -> DataFrame:
        payloads = [json.dumps(one).encode() for one in given]
        rows = [("s", 0, place, payload, None) for place, payload in enumerate(payloads)]
        return typed_events(spark.createDataFrame(rows, BRONZE), [IMPRESSIONS])

    return run


def shown(number: int, **attributes: object) -> dict[str, Any]:
    given = event("impression", number)
    return given | {"attributes": given["attributes"] | attributes}


def test_an_impression_keeps_who_saw_what_of_which_model(taken) -> None:
    made = impressions(taken(*(shown(n, arm=arm) for n, arm in enumerate(ARMS))))
    assert tuple(made.columns) == IMPRESSIONS.columns
    same = {"customer_id": "c1", "experiment": "blend", "model_version": "3",
            "challenger_permille": 500, "item_ids": ["i1", "i2"]}  # fmt: skip
    assert_rows(made, [same | {"arm": arm} for arm in ARMS])


def test_what_lies_beside_the_attributes_counts_as_one_of_them(taken) -> None:
    made = impressions(taken(event("impression", 1, arm="challenger", items=["i9"])))
    assert_rows(made, [{"arm": "challenger", "item_ids": ["i9"], "experiment": "blend"}])


def test_an_impression_that_lacks_a_part_or_says_the_impossible_is_refused(taken) -> None:
    parts = event("impression", 0)["attributes"]
    wrong = {
        **{name: (None, f"{'item_ids' if name == 'items' else name}_missing") for name in parts},
        "arm ": ("control", "arm_unknown"),
        "challenger_permille ": (0, "challenger_permille_out_of_range"),
        "challenger_permille  ": (1000, "challenger_permille_out_of_range"),
    }
    given = [shown(n, **{name.strip(): value[0]}) for n, (name, value) in enumerate(wrong.items())]
    found = {row["source_offset"]: row["reasons"] for row in taken(*given).collect()}
    assert found == {n: [reason] for n, (_, reason) in enumerate(wrong.values())}
    (guest,) = taken(event("impression", 1, customer_id=None)).collect()
    assert guest["reasons"] == ["customer_id_missing"]


def test_impressions_sent_twice_count_once_and_come_out_by_arm(
    spark: SparkSession, lake: Settings, take_in
) -> None:
    lists = [shown(n, arm=arm) | {"customer_id": f"c{n}"} for n, arm in enumerate(ARMS * 2)]
    bought = event("purchase", 9, customer_id="c0", occurred_at="2017-03-03T10:00:00Z")
    take_in(lake, [*lists, lists[0], shown(8, arm="control")])
    take_in(lake, [*lists[1:3], bought])
    refresh(spark, lake, ["experiment_results"])
    assert_rows(
        read(spark, lake, "gold.experiment_results"),
        [
            {"arm": "champion", "customer_count": 2, "impression_count": 2, "buyer_count": 1},
            {"arm": "challenger", "customer_count": 2, "impression_count": 2, "buyer_count": 0},
        ],
    )
    (refused,) = read(spark, lake, "silver.impressions_quarantine").collect()
    assert refused["reasons"] == ["arm_unknown"]
