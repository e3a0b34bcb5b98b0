-- How lively an item was on the latest day of the data, beside its own four weeks before.
-- key: item_id
-- cluster by: item_id
WITH seen AS (
  SELECT
    item_id,
    occurred_at
  FROM silver.clicks
  UNION ALL
  SELECT
    item_id,
    occurred_at
  FROM silver.purchases
),
newest AS (
  -- The latest day ends with the newest event, so each new event asks for a full recomputation.
  SELECT MAX(occurred_at) AS newest_at
  FROM seen
),
aged AS (
  SELECT
    s.item_id,
    n.newest_at,
    (UNIX_SECONDS(n.newest_at) - UNIX_SECONDS(s.occurred_at)) DIV 86400 AS age_days
  FROM seen AS s
  CROSS JOIN newest AS n
  WHERE s.occurred_at > n.newest_at - INTERVAL 29 DAYS
),
counted AS (
  SELECT
    item_id,
    newest_at,
    SUM(CASE WHEN age_days = 0 THEN 1 ELSE 0 END) AS event_count,
    SUM(
      -- A week counts twice the one before it; all 28 days together have a weight of 105.
      CASE
        WHEN age_days = 0 THEN 0
        WHEN age_days <= 7 THEN 8
        WHEN age_days <= 14 THEN 4
        WHEN age_days <= 21 THEN 2
        ELSE 1
      END
    ) / 105 AS usual_count
  FROM aged
  GROUP BY item_id, newest_at
)
SELECT
  item_id, -- the item
  event_count, -- views and product lines bought in the 24 hours up to as_of_at
  usual_count, -- the same per day of the 28 days before, the later the more they count
  (event_count - usual_count) / SQRT(usual_count + 1) AS score, -- standard deviations above the usual count, were it left to chance; new items count as from zero
  newest_at AS as_of_at -- the newest view or purchase of any item, UTC
FROM counted
WHERE event_count > 0
