-- What an item sold at each of its shelf prices in a region.
-- key: item_id, region, currency, price_cents
-- cluster by: item_id, region
SELECT
  item_id, -- the item
  region, -- where it was sold
  currency, -- ISO 4217 code of the money columns
  price_cents, -- shelf price of one unit, minor units
  SUM(quantity) AS units, -- units sold at that price
  SUM(amount_cents) AS revenue_cents, -- money taken after discounts, minor units
  COUNT(*) AS purchase_count, -- product lines sold
  COUNT(DISTINCT CAST(occurred_at AS DATE)) AS sale_day_count, -- days on which it was sold at that price, UTC
  MIN(occurred_at) AS first_sold_at, -- first sale at that price, UTC
  MAX(occurred_at) AS last_sold_at -- last sale at that price, UTC
FROM silver.purchases
GROUP BY item_id, region, currency, price_cents
