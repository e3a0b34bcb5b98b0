"""Gold once more, in DuckDB's SQL and from what docs/gold.md says; floats to nine digits."""

from collections.abc import Iterator

from invariants import Lake

_DAY = "CAST(occurred_at AS DATE)"
_MOVES = """SELECT item_id, region, occurred_at, delta_quantity AS moved, true AS is_record
FROM silver__inventory_changes UNION ALL
SELECT item_id, region, occurred_at, -quantity, false FROM silver__purchases"""
_SEEN = """SELECT item_id, occurred_at FROM silver__clicks UNION ALL
SELECT item_id, occurred_at FROM silver__purchases"""
_STOCK = f"""SELECT item_id, region, sum(moved) AS quantity, max(occurred_at) AS changed_at
FROM ({_MOVES}) GROUP BY ALL HAVING bool_or(is_record)"""

OWN: dict[str, str] = {
    "sales_hourly": """SELECT coalesce(category, 'UNKNOWN') AS category, region,
        date_trunc('hour', occurred_at) AS hour_at, currency, sum(quantity) AS units,
        sum(amount_cents) AS revenue_cents, count(*) AS purchase_count
        FROM silver__purchases GROUP BY ALL""",
    "current_prices": """SELECT item_id, region, price_cents, currency, occurred_at AS changed_at
        FROM silver__price_changes QUALIFY row_number() OVER (
        PARTITION BY item_id, region ORDER BY occurred_at DESC, event_id DESC) = 1""",
    "inventory_levels": _STOCK,
    "item_funnel": f"""SELECT coalesce(c.item_id, p.item_id) AS item_id,
        coalesce(c.day, p.day) AS event_date, coalesce(c.n, 0) AS click_count,
        coalesce(p.n, 0) AS purchase_count, coalesce(p.units, 0) AS units,
        coalesce(p.n, 0) / c.n AS conversion
        FROM (SELECT item_id, {_DAY} AS day, count(*) AS n FROM silver__clicks GROUP BY ALL) c
        FULL JOIN (SELECT item_id, {_DAY} AS day, count(*) AS n, sum(quantity) AS units
        FROM silver__purchases GROUP BY ALL) p ON c.item_id = p.item_id AND c.day = p.day""",
    "price_history": """SELECT item_id, region, occurred_at AS valid_from_at,
        lead(occurred_at) OVER (PARTITION BY item_id, region ORDER BY occurred_at)
        AS valid_until_at, price_cents, currency FROM (SELECT * FROM silver__price_changes
        QUALIFY row_number() OVER (PARTITION BY item_id, region, occurred_at
        ORDER BY event_id DESC) = 1)""",
    "price_performance": f"""SELECT item_id, region, currency, price_cents, sum(quantity) AS units,
        sum(amount_cents) AS revenue_cents, count(*) AS purchase_count,
        count(DISTINCT {_DAY}) AS sale_day_count, min(occurred_at) AS first_sold_at,
        max(occurred_at) AS last_sold_at FROM silver__purchases GROUP BY ALL""",
    "top_sellers": f"""SELECT *, row_number() OVER (PARTITION BY category, region, sale_date
        ORDER BY units DESC, revenue_cents DESC, item_id) AS rank
        FROM (SELECT coalesce(category, 'UNKNOWN') AS category, region, {_DAY} AS sale_date,
        item_id, sum(quantity) AS units, sum(amount_cents) AS revenue_cents
        FROM silver__purchases GROUP BY ALL) QUALIFY rank <= 100""",
    "stockout_risk": f"""SELECT item_id, region, l.quantity, s.units AS units_sold,
        s.units / 28 AS units_per_day,
        CASE WHEN l.quantity > 0 THEN l.quantity * 28 / s.units ELSE 0 END AS days_of_cover,
        (SELECT max(occurred_at) FROM silver__purchases) AS as_of_at
        FROM (SELECT item_id, region, sum(quantity) AS units FROM silver__purchases
        WHERE occurred_at > (SELECT max(occurred_at) FROM silver__purchases) - INTERVAL 28 DAY
        GROUP BY ALL) AS s JOIN ({_STOCK}) AS l USING (item_id, region)""",
    "trending_items": f"""WITH seen AS ({_SEEN}),
        newest AS (SELECT max(occurred_at) AS newest_at FROM seen),
        aged AS (SELECT item_id, newest_at, (CAST(floor(epoch(newest_at)) AS BIGINT)
        - CAST(floor(epoch(occurred_at)) AS BIGINT)) // 86400 AS age FROM seen, newest
        WHERE occurred_at > newest_at - INTERVAL 29 DAY),
        counted AS (SELECT item_id, newest_at AS as_of_at, count(*) FILTER (age = 0) AS event_count,
        coalesce(sum(2 ** (3 - (age - 1) // 7)) FILTER (age > 0), 0) / 105 AS usual_count
        FROM aged GROUP BY ALL)
        SELECT item_id, event_count, usual_count,
        (event_count - usual_count) / sqrt(usual_count + 1) AS score, as_of_at
        FROM counted WHERE event_count > 0""",
    "customer_profile": f"""WITH bought AS (SELECT *, coalesce(category, 'UNKNOWN') AS kind
        FROM silver__purchases WHERE customer_id IS NOT NULL),
        liked AS (SELECT customer_id, currency,
        list(kind ORDER BY n DESC, cents DESC, kind) AS kinds
        FROM (SELECT customer_id, currency, kind, count(*) AS n, sum(amount_cents) AS cents
        FROM bought GROUP BY ALL) GROUP BY ALL)
        SELECT customer_id, currency, min({_DAY}) AS first_purchase_date,
        max({_DAY}) AS last_purchase_date, count(DISTINCT {_DAY}) AS purchase_day_count,
        count(DISTINCT basket_id) AS basket_count, count(*) AS purchase_count,
        sum(quantity) AS units, sum(amount_cents) AS spent_cents,
        sum(amount_cents) / count(DISTINCT basket_id) AS basket_cents,
        any_value(kinds[1]) AS first_category, any_value(kinds[2]) AS second_category,
        any_value(kinds[3]) AS third_category
        FROM bought JOIN liked USING (customer_id, currency) GROUP BY customer_id, currency""",
    "bought_together": """WITH line AS (SELECT DISTINCT basket_id, item_id FROM silver__purchases),
        basket AS (SELECT basket_id, count(*) AS n FROM line GROUP BY ALL HAVING n <= 50),
        total AS (SELECT count(*) AS n, greatest(3, count(*) / 10000) AS least FROM basket),
        kept AS (SELECT line.* FROM line JOIN basket USING (basket_id)),
        item AS (SELECT item_id, count(*) AS n FROM kept GROUP BY ALL),
        pair AS (SELECT a.item_id, b.item_id AS other_item_id, count(*) AS n FROM kept AS a
        JOIN kept AS b ON a.basket_id = b.basket_id AND a.item_id <> b.item_id GROUP BY ALL)
        SELECT pair.item_id, other_item_id, pair.n AS basket_count, pair.n / total.n AS support,
        pair.n / one.n AS confidence, pair.n * total.n / (one.n * other.n) AS lift
        FROM pair JOIN total ON pair.n >= total.least JOIN item AS one ON one.item_id = pair.item_id
        JOIN item AS other ON other.item_id = other_item_id""",
    "promotion_lift": f"""WITH shown AS (SELECT item_id, region, unnest(generate_series({_DAY},
        {_DAY} + CAST(duration_days - 1 AS INT), INTERVAL 1 DAY))::DATE AS day,
        placement <> 'mailer' AS displayed, placement <> 'display' AS mailed
        FROM silver__promotions),
        daily AS (SELECT item_id, region, day, sum(units) AS units, bool_or(displayed) AS d,
        bool_or(mailed) AS m FROM (SELECT *, 0 AS units FROM shown UNION ALL BY NAME
        SELECT item_id, region, {_DAY} AS day, false AS displayed, false AS mailed,
        quantity AS units FROM silver__purchases) GROUP BY ALL),
        placed AS (SELECT item_id, region, min(day) AS first_date, max(day) AS last_date,
        count(*) FILTER (d AND NOT m) AS display_day_count,
        count(*) FILTER (m AND NOT d) AS mailer_day_count,
        count(*) FILTER (d AND m) AS both_day_count,
        coalesce(sum(units) FILTER (d AND NOT m), 0) AS display_units,
        coalesce(sum(units) FILTER (m AND NOT d), 0) AS mailer_units,
        coalesce(sum(units) FILTER (d AND m), 0) AS both_units,
        coalesce(sum(units) FILTER (NOT d AND NOT m), 0) AS other_units
        FROM daily GROUP BY ALL HAVING bool_or(d OR m)),
        counted AS (SELECT *, last_date - first_date + 1 - display_day_count - mailer_day_count
        - both_day_count AS other_day_count FROM placed)
        SELECT *, display_units * other_day_count / nullif(display_day_count * other_units, 0)
        AS display_lift, mailer_units * other_day_count
        / nullif(mailer_day_count * other_units, 0) AS mailer_lift,
        both_units * other_day_count / nullif(both_day_count * other_units, 0) AS both_lift
        FROM counted""",
}


def i3_gold_is_recomputed(lake: Lake) -> Iterator[str]:
    """Each view holds the rows of its own SQL over silver, no more and no fewer."""
    for view, sql in OWN.items():
        if not lake.has(f"gold.{view}"):
            continue
        described = lake.ask(f"DESCRIBE ({sql})")
        columns = ", ".join(_rounded(str(name), str(kind)) for name, kind, *_ in described)
        own, held = f"SELECT {columns} FROM ({sql})", f"SELECT {columns} FROM gold__{view}"
        missing, extra = lake.differ(own, held)
        if missing or extra:
            yield f"I3: gold.{view} lacks {missing} rows of its recomputation and has {extra} more"


def _rounded(name: str, kind: str) -> str:
    return f"round({name}, 9) AS {name}" if kind == "DOUBLE" else name
