-- How often an item was looked at and bought on a day.
-- key: item_id, event_date
-- cluster by: item_id, event_date
WITH steps AS (
  SELECT
    item_id,
    CAST(occurred_at AS DATE) AS event_date,
    1 AS is_click,
    0 AS is_purchase,
    0 AS quantity
  FROM silver.clicks
  UNION ALL
  SELECT
    item_id,
    CAST(occurred_at AS DATE) AS event_date,
    0 AS is_click,
    1 AS is_purchase,
    quantity
  FROM silver.purchases
)
SELECT
  item_id, -- the item
  event_date, -- the day, UTC
  SUM(is_click) AS click_count, -- views
  SUM(is_purchase) AS purchase_count, -- product lines bought
  SUM(quantity) AS units, -- units bought
  SUM(is_purchase) / NULLIF(SUM(is_click), 0) AS conversion -- purchases per view; null without views
FROM steps
GROUP BY item_id, event_date
