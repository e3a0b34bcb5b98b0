-- How many days the stock of an item in a region lasts at the rate of its sales in the last four weeks.
-- key: item_id, region
-- cluster by: item_id, region
WITH newest AS (
  -- The four weeks end with the newest purchase, so each asks for a full recomputation.
  SELECT MAX(occurred_at) AS newest_at
  FROM silver.purchases
),
sold AS (
  SELECT
    p.item_id,
    p.region,
    n.newest_at,
    SUM(p.quantity) AS units
  FROM silver.purchases AS p
  CROSS JOIN newest AS n
  WHERE p.occurred_at > n.newest_at - INTERVAL 28 DAYS
  GROUP BY p.item_id, p.region, n.newest_at
)
SELECT
  s.item_id, -- the item
  s.region, -- where it lies
  l.quantity, -- units on hand; below zero if sales overtook the stock records
  s.units AS units_sold, -- units sold in the 28 days up to as_of_at
  s.units / 28 AS units_per_day, -- the same per day
  CASE WHEN l.quantity > 0 THEN l.quantity * 28 / s.units ELSE 0 END AS days_of_cover, -- days until nothing is left; 0 if nothing is
  s.newest_at AS as_of_at -- the newest purchase of any item, UTC
FROM sold AS s
JOIN gold.inventory_levels AS l ON l.item_id = s.item_id AND l.region = s.region
