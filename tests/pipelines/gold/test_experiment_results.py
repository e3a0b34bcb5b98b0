"""gold.experiment_results: what each arm brought about within a week, and the arms' sizes."""

from datetime import datetime, timedelta
from math import erfc, sqrt

import pytest
from expect import assert_rows

VIEW = "gold.experiment_results"
SHOWN, CLICKS, SALES = "silver.impressions", "silver.clicks", "silver.purchases"
START = datetime(2017, 3, 1)
WEEK = 7 * 24


def shown(customer: str, arm: str, hours: int = 0, **more: object) -> dict[str, object]:
    return {
        "customer_id": customer,
        "arm": arm,
        "experiment": "blend",
        "model_version": "3",
        "item_ids": ["milk", "tea"],
        "occurred_at": START + timedelta(hours=hours),
        "challenger_permille": 500,
        **more,
    }


def done(customer: str | None, hours: int, item: str = "milk", **more: object) -> dict[str, object]:
    at = START + timedelta(hours=hours)
    return {"customer_id": customer, "occurred_at": at, "item_id": item, "quantity": 1, **more}


def test_listed_items_count_for_a_week_and_purchases_of_any_from_the_first_list_on(
    view_rows,
) -> None:
    given = {
        SHOWN: [
            shown("c1", "champion"), shown("c1", "champion", 5, model_version="4"),
            shown("c2", "champion"), shown("c3", "challenger", 2),
        ],
        CLICKS: [
            done("c1", 1, "tea"), done("c1", 2), done("c2", 0, "ham"), done("c2", -1),
            done("c3", 2 + WEEK), done(None, 1),
        ],
        SALES: [
            done("c1", -1, quantity=9), done("c1", 0, "ham", quantity=2), done("c1", 9, quantity=3),
            done("c1", WEEK + 4, "tea"), done("c3", 1), done("c3", 3, "tea"), done("c9", 3),
            done(None, 3), done("c3", 2 + WEEK, "ham"),
        ],
    }  # fmt: skip
    assert_rows(
        view_rows(VIEW, given),
        [
            {"arm": "champion", "customer_count": 2, "impression_count": 3, "clicker_count": 1,
             "click_share": 0.5, "buyer_count": 1, "purchase_count": 2, "units": 5,
             "purchases_per_customer": 1.0, "is_model_mixed": True, "is_ratio_off": False},
            {"arm": "challenger", "customer_count": 1, "impression_count": 1, "clicker_count": 0,
             "click_share": 0.0, "buyer_count": 1, "purchase_count": 1, "units": 1,
             "purchases_per_customer": 1.0, "is_model_mixed": False, "is_ratio_off": False},
        ],
    )  # fmt: skip


def test_who_saw_both_arms_counts_in_neither_and_experiments_stay_apart(view_rows) -> None:
    given = {
        SHOWN: [
            shown("both", "champion"), shown("both", "challenger", 1), shown("c1", "champion"),
            shown("c1", "challenger", experiment="other"),
        ],
        SALES: [done("both", 2)],
    }  # fmt: skip
    assert_rows(
        view_rows(VIEW, given),
        [
            {"experiment": "blend", "arm": "champion", "customer_count": 1, "units": 0},
            {"experiment": "other", "arm": "challenger", "customer_count": 1, "units": 0},
        ],
    )


def test_intervals_are_wilsons_and_the_normal_one(view_rows) -> None:
    people = [shown(f"c{n}", "champion") for n in range(10)]
    given = {SHOWN: people, CLICKS: [done("c0", 1), done("c1", 1)],
             SALES: [done(f"c{n}", 1 + i) for n in range(4) for i in range(n)]}  # fmt: skip
    (row,) = view_rows(VIEW, given).collect()
    # Of 2 in 10: statsmodels' proportion_confint(2, 10, method="wilson").
    assert (row["click_share_low"], row["click_share_high"]) == pytest.approx(
        (0.05668, 0.50984), abs=1e-4
    )
    counts = [0, 1, 2, 3] + 6 * [0]
    mean = sum(counts) / 10
    half = 1.96 * sqrt(sum((n - mean) ** 2 for n in counts) / 10 / 10)
    found = (row["purchases_per_customer_low"], row["purchases_per_customer_high"])
    assert found == pytest.approx((mean - half, mean + half))
    assert row["buyer_count"] == 3


@pytest.mark.parametrize(
    ("champions", "challengers", "permille", "is_off"),
    [(50, 50, 500, False), (60, 45, 500, False), (80, 40, 500, True), (80, 40, 333, False)],
)
def test_sizes_that_chance_would_not_make_are_told(
    view_rows, champions: int, challengers: int, permille: int, is_off: bool
) -> None:
    people = [("champion", n) for n in range(champions)]
    people += [("challenger", n) for n in range(challengers)]
    lists = [shown(f"{arm}{n}", arm, challenger_permille=permille) for arm, n in people]
    found = view_rows(VIEW, {SHOWN: lists}).collect()
    assert len(found) == 2
    total, share = champions + challengers, permille / 1000
    chi_square = (challengers - total * share) ** 2 / (total * share * (1 - share))
    for row in found:
        assert row["chi_square"] == pytest.approx(chi_square)
        assert row["p_value"] == pytest.approx(erfc(sqrt(chi_square / 2)), abs=2e-7)
        assert row["is_ratio_off"] is is_off
