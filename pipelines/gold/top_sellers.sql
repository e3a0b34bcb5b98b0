-- The 100 items that sold most units in a category and region on a day.
-- key: category, region, sale_date, rank
-- cluster by: category, region, sale_date
WITH daily AS (
  SELECT
    COALESCE(category, 'UNKNOWN') AS category,
    region,
    CAST(occurred_at AS DATE) AS sale_date,
    item_id,
    SUM(quantity) AS units,
    SUM(amount_cents) AS revenue_cents
  FROM silver.purchases
  GROUP BY ALL
),
ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY category, region, sale_date
      ORDER BY units DESC, revenue_cents DESC, item_id
    ) AS rank
  FROM daily
)
SELECT
  category, -- product category; UNKNOWN where the sale names none
  region, -- where it was sold
  sale_date, -- day of the sale, UTC
  rank, -- 1 sold most; ties go to the higher revenue, then the lower item_id
  item_id, -- the item
  units, -- units sold
  revenue_cents -- money taken, in minor units
FROM ranked
WHERE rank <= 100
