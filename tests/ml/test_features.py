"""What the recommender may learn from, and what it must not see."""

from datetime import datetime, timedelta

from expect import assert_rows

from ml.features import frequent, holdout_start, indexed, interactions, new_to_customer
from pipelines.silver.purchases import PURCHASES

START = datetime(2017, 3, 1)
JUST_BEFORE = START - timedelta(microseconds=1)


def bought(customer: str | None, item: str, basket: str, at: datetime) -> dict[str, object]:
    return {"customer_id": customer, "item_id": item, "basket_id": basket, "occurred_at": at}


def test_strength_is_the_number_of_baskets(rows) -> None:
    given = [
        bought("c1", "milk", "b1", START),
        bought("c1", "milk", "b1", START),  # two lines of one basket
        bought("c1", "milk", "b2", START),
        bought("c1", "bread", "b2", START),
        bought("c2", "milk", "b3", START),
        bought(None, "milk", "b4", START),  # a guest
    ]
    assert_rows(
        interactions(rows(PURCHASES, given)),
        [
            {"customer_id": "c1", "item_id": "milk", "strength": 2.0},
            {"customer_id": "c1", "item_id": "bread", "strength": 1.0},
            {"customer_id": "c2", "item_id": "milk", "strength": 1.0},
        ],
    )


def test_nothing_at_or_after_the_end_is_seen(rows) -> None:
    given = [
        bought("c1", "milk", "b1", JUST_BEFORE),
        bought("c1", "milk", "b2", START),
        bought("c1", "bread", "b3", START),
        bought("c2", "milk", "b4", START + timedelta(days=9)),
    ]
    assert_rows(
        interactions(rows(PURCHASES, given), until=START),
        [{"customer_id": "c1", "item_id": "milk", "strength": 1.0}],
    )


def test_truth_is_what_the_customer_had_never_bought_before(rows) -> None:
    given = [
        bought("c1", "milk", "b1", JUST_BEFORE),
        bought("c1", "milk", "b2", START),  # again
        bought("c1", "bread", "b3", START),
        bought("c1", "bread", "b4", START + timedelta(days=1)),
        bought("c2", "milk", "b5", START + timedelta(days=1)),
        bought(None, "salt", "b6", START),
    ]
    assert_rows(
        new_to_customer(rows(PURCHASES, given), START),
        [
            {"customer_id": "c1", "item_id": "bread"},
            {"customer_id": "c2", "item_id": "milk"},
        ],
    )


def test_what_is_learned_and_what_is_asked_have_no_row_in_common(rows) -> None:
    given = rows(
        PURCHASES,
        [
            bought(f"c{n % 3}", f"i{n % 4}", f"b{n}", START + timedelta(hours=n - 12))
            for n in range(24)
        ],
    )
    pairs = ["customer_id", "item_id"]
    seen, truth = interactions(given, until=START), new_to_customer(given, START)
    assert not seen.isEmpty()
    assert seen.join(truth, pairs, "inner").isEmpty()


def test_rare_items_are_left_out_by_their_purchases_not_their_customers(spark) -> None:
    given = spark.createDataFrame(
        [("c1", "often", 3.0), ("c1", "rare", 2.0), ("c2", "both", 1.0), ("c1", "both", 2.0)],
        "customer_id STRING, item_id STRING, strength DOUBLE",
    )
    kept = frequent(given, 3)
    assert kept.columns == given.columns
    assert_rows(
        kept,
        [
            {"customer_id": "c1", "item_id": "often"},
            {"customer_id": "c1", "item_id": "both"},
            {"customer_id": "c2", "item_id": "both"},
        ],
    )


def test_ids_are_numbered_densely_and_alike_in_any_order(spark) -> None:
    ids = [("c",), ("a",), ("b",), ("a",)]
    for given in (ids, ids[::-1]):
        made = indexed(spark.createDataFrame(given, "id STRING"), "id", "number")
        assert_rows(
            made, [{"id": "a", "number": 0}, {"id": "b", "number": 1}, {"id": "c", "number": 2}]
        )


def test_the_held_out_weeks_end_with_the_last_purchase() -> None:
    assert holdout_start(datetime(2017, 12, 31), 4) == datetime(2017, 12, 3)
