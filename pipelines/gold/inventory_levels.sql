-- Stock of an item in a region: all that moved, less all that was sold, where stock is kept.
-- key: item_id, region
-- cluster by: item_id, region
WITH movements AS (
  SELECT
    item_id,
    region,
    occurred_at,
    delta_quantity,
    1 AS is_stock_record
  FROM silver.inventory_changes
  UNION ALL
  SELECT
    item_id,
    region,
    occurred_at,
    -quantity AS delta_quantity,
    0 AS is_stock_record
  FROM silver.purchases
)
SELECT
  item_id, -- the item
  region, -- where it lies
  SUM(delta_quantity) AS quantity, -- units on hand; below zero if sales overtook the stock records
  MAX(occurred_at) AS changed_at -- last movement, UTC
FROM movements
GROUP BY item_id, region
HAVING SUM(is_stock_record) > 0
