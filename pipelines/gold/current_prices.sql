-- The shelf price of an item in a region, as last changed.
-- key: item_id, region
-- cluster by: item_id, region
SELECT
  item_id, -- the item
  region, -- where the price holds
  MAX_BY(price_cents, STRUCT(occurred_at, event_id)) AS price_cents, -- price of one unit, minor units
  MAX_BY(currency, STRUCT(occurred_at, event_id)) AS currency, -- ISO 4217 code
  MAX(occurred_at) AS changed_at -- since when, UTC
FROM silver.price_changes
GROUP BY item_id, region
