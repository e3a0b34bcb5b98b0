-- How long each shelf price of an item held in a region.
-- key: item_id, region, valid_from_at
-- cluster by: item_id, region, valid_from_at
WITH changes AS (
  SELECT
    item_id,
    region,
    occurred_at,
    MAX_BY(price_cents, event_id) AS price_cents,
    MAX_BY(currency, event_id) AS currency
  FROM silver.price_changes
  GROUP BY item_id, region, occurred_at
)
SELECT
  item_id, -- the item
  region, -- where the price held
  occurred_at AS valid_from_at, -- first instant at which it held, UTC
  LEAD(occurred_at) OVER (PARTITION BY item_id, region ORDER BY occurred_at) AS valid_until_at, -- first instant at which it held no more, UTC; null while it holds
  price_cents, -- price of one unit, minor units
  currency -- ISO 4217 code
FROM changes
