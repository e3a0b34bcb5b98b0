-- When, how often, for how much and of what a known customer buys, in each currency.
-- key: customer_id, currency
-- cluster by: customer_id
WITH by_category AS (
  SELECT
    customer_id,
    currency,
    COALESCE(category, 'UNKNOWN') AS category,
    COUNT(*) AS purchase_count,
    SUM(amount_cents) AS spent_cents
  FROM silver.purchases
  WHERE customer_id IS NOT NULL
  GROUP BY ALL
),
ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY customer_id, currency
      ORDER BY purchase_count DESC, spent_cents DESC, category
    ) AS rank
  FROM by_category
),
favourites AS (
  SELECT
    customer_id,
    currency,
    MAX(CASE WHEN rank = 1 THEN category END) AS first_category,
    MAX(CASE WHEN rank = 2 THEN category END) AS second_category,
    MAX(CASE WHEN rank = 3 THEN category END) AS third_category
  FROM ranked
  WHERE rank <= 3
  GROUP BY customer_id, currency
),
totals AS (
  SELECT
    customer_id,
    currency,
    MIN(CAST(occurred_at AS DATE)) AS first_purchase_date,
    MAX(CAST(occurred_at AS DATE)) AS last_purchase_date,
    COUNT(DISTINCT CAST(occurred_at AS DATE)) AS purchase_day_count,
    COUNT(DISTINCT basket_id) AS basket_count,
    COUNT(*) AS purchase_count,
    SUM(quantity) AS units,
    SUM(amount_cents) AS spent_cents
  FROM silver.purchases
  WHERE customer_id IS NOT NULL
  GROUP BY customer_id, currency
)
SELECT
  t.customer_id, -- the customer
  t.currency, -- ISO 4217 code of the money columns
  t.first_purchase_date, -- day of the first purchase, UTC
  t.last_purchase_date, -- day of the latest purchase, UTC: recency
  t.purchase_day_count, -- days with a purchase: frequency
  t.basket_count, -- baskets bought
  t.purchase_count, -- product lines bought
  t.units, -- units bought
  t.spent_cents, -- money spent, minor units
  t.spent_cents / t.basket_count AS basket_cents, -- money spent on a basket on average, minor units
  f.first_category, -- category with most product lines; ties go to the money spent, then the name
  f.second_category, -- the next one; null if there is none
  f.third_category -- the one after; null if there is none
FROM totals AS t
JOIN favourites AS f ON f.customer_id = t.customer_id AND f.currency = t.currency
