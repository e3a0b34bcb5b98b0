-- What an item sold a day in a region while on display or in the mailer, beside its other days.
-- key: item_id, region
-- cluster by: item_id, region
WITH promoted AS (
  SELECT
    item_id,
    region,
    placement,
    EXPLODE(
      SEQUENCE(
        CAST(occurred_at AS DATE),
        DATE_ADD(CAST(occurred_at AS DATE), CAST(duration_days AS INT) - 1)
      )
    ) AS event_date
  FROM silver.promotions
),
events AS (
  SELECT
    item_id,
    region,
    event_date,
    0 AS quantity,
    CASE WHEN placement IN ('display', 'both') THEN 1 ELSE 0 END AS is_displayed,
    CASE WHEN placement IN ('mailer', 'both') THEN 1 ELSE 0 END AS is_mailed
  FROM promoted
  UNION ALL
  SELECT
    item_id,
    region,
    CAST(occurred_at AS DATE) AS event_date,
    quantity,
    0 AS is_displayed,
    0 AS is_mailed
  FROM silver.purchases
),
days AS (
  SELECT
    item_id,
    region,
    event_date,
    SUM(quantity) AS units,
    MAX(is_displayed) AS is_displayed,
    MAX(is_mailed) AS is_mailed
  FROM events
  GROUP BY item_id, region, event_date
),
places AS (
  SELECT
    item_id,
    region,
    MIN(event_date) AS first_date,
    MAX(event_date) AS last_date,
    SUM(is_displayed * (1 - is_mailed)) AS display_day_count,
    SUM(is_mailed * (1 - is_displayed)) AS mailer_day_count,
    SUM(is_displayed * is_mailed) AS both_day_count,
    SUM(units * is_displayed * (1 - is_mailed)) AS display_units,
    SUM(units * is_mailed * (1 - is_displayed)) AS mailer_units,
    SUM(units * is_displayed * is_mailed) AS both_units,
    SUM(units * (1 - is_displayed) * (1 - is_mailed)) AS other_units
  FROM days
  GROUP BY item_id, region
),
counted AS (
  -- A day on which nothing happened has no row, but is a day without a promotion.
  SELECT
    *,
    DATEDIFF(last_date, first_date) + 1
      - display_day_count - mailer_day_count - both_day_count AS other_day_count
  FROM places
  WHERE display_day_count + mailer_day_count + both_day_count > 0
)
SELECT
  item_id, -- the item
  region, -- where it was promoted
  first_date, -- day of its first sale or promotion there, UTC
  last_date, -- day of its last sale or promotion there, UTC
  display_day_count, -- days on display only
  display_units, -- units sold on them
  mailer_day_count, -- days in the mailer only
  mailer_units, -- units sold on them
  both_day_count, -- days on display and in the mailer
  both_units, -- units sold on them
  other_day_count, -- all other days from first_date to last_date
  other_units, -- units sold on them
  display_units * other_day_count / NULLIF(display_day_count * other_units, 0) AS display_lift, -- units a day on display, as a multiple of those of other days; null if there is nothing to compare
  mailer_units * other_day_count / NULLIF(mailer_day_count * other_units, 0) AS mailer_lift, -- the same in the mailer
  both_units * other_day_count / NULLIF(both_day_count * other_units, 0) AS both_lift -- the same with both
FROM counted
