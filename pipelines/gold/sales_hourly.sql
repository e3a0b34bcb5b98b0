-- What each category sold in each region, hour by hour.
-- key: category, region, hour_at, currency
-- cluster by: category, region, hour_at
SELECT
  COALESCE(category, 'UNKNOWN') AS category, -- product category; UNKNOWN where the sale names none
  region, -- where it was sold
  DATE_TRUNC('HOUR', occurred_at) AS hour_at, -- start of the hour, UTC
  currency, -- ISO 4217 code of the money columns
  SUM(quantity) AS units, -- units sold
  SUM(amount_cents) AS revenue_cents, -- money taken, in minor units
  COUNT(*) AS purchase_count -- product lines sold
FROM silver.purchases
GROUP BY ALL
