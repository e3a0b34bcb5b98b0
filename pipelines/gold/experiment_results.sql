-- What the customers of each arm of an experiment clicked and bought within 7 days of a list, and whether the arms have their sizes.
-- key: experiment, arm
-- cluster by: experiment
WITH met AS (
  SELECT
    experiment,
    customer_id,
    MIN(arm) AS arm,
    COUNT(DISTINCT arm) AS arm_count,
    MIN(occurred_at) AS first_at,
    MIN(model_version) AS least_version,
    MAX(model_version) AS greatest_version,
    COUNT(*) AS impression_count,
    MAX(challenger_permille) AS permille
  FROM silver.impressions
  GROUP BY experiment, customer_id
),
-- Who saw both arms, because the share was changed, can speak for neither.
shown AS (
  SELECT experiment, customer_id, arm, first_at, least_version, greatest_version, impression_count, permille
  FROM met
  WHERE arm_count = 1
),
clicked AS (
  SELECT DISTINCT i.experiment, i.customer_id
  FROM silver.impressions AS i
  JOIN silver.clicks AS c ON c.customer_id = i.customer_id
  WHERE
    c.occurred_at >= i.occurred_at
    AND c.occurred_at < i.occurred_at + INTERVAL 7 DAYS
    AND ARRAY_CONTAINS(i.item_ids, c.item_id)
),
taken AS (
  SELECT DISTINCT i.experiment, i.customer_id
  FROM silver.impressions AS i
  JOIN silver.purchases AS p ON p.customer_id = i.customer_id
  WHERE
    p.occurred_at >= i.occurred_at
    AND p.occurred_at < i.occurred_at + INTERVAL 7 DAYS
    AND ARRAY_CONTAINS(i.item_ids, p.item_id)
),
bought AS (
  SELECT
    s.experiment,
    s.customer_id,
    COUNT(*) AS purchase_count,
    SUM(p.quantity) AS units
  FROM shown AS s
  JOIN silver.purchases AS p ON p.customer_id = s.customer_id
  WHERE p.occurred_at >= s.first_at AND p.occurred_at < s.first_at + INTERVAL 7 DAYS
  GROUP BY s.experiment, s.customer_id
),
arms AS (
  SELECT
    s.experiment,
    s.arm,
    COUNT(*) AS n,
    SUM(s.impression_count) AS impression_count,
    MIN(s.least_version) AS least_version,
    MAX(s.greatest_version) AS greatest_version,
    COUNT(c.customer_id) AS clicker_count,
    COUNT(t.customer_id) AS buyer_count,
    COALESCE(SUM(b.purchase_count), 0) AS purchase_count,
    COALESCE(SUM(b.purchase_count * b.purchase_count), 0) AS squares,
    COALESCE(SUM(b.units), 0) AS units
  FROM shown AS s
  LEFT JOIN clicked AS c ON c.experiment = s.experiment AND c.customer_id = s.customer_id
  LEFT JOIN taken AS t ON t.experiment = s.experiment AND t.customer_id = s.customer_id
  LEFT JOIN bought AS b ON b.experiment = s.experiment AND b.customer_id = s.customer_id
  GROUP BY s.experiment, s.arm
),
-- Pearson's chi-square of the arms' sizes, (n - expected)^2 / variance; its square exceeds BIGINT.
sizes AS (
  SELECT
    experiment,
    CAST(SUM(CASE WHEN arm = 'challenger' THEN 1000 - permille ELSE -permille END) AS DOUBLE) AS surplus,
    SUM(permille * (1000 - permille)) AS variance
  FROM shown
  GROUP BY experiment
),
checked AS (
  SELECT
    experiment,
    surplus * surplus / variance AS chi_square,
    SQRT(surplus * surplus / variance / 2) AS z,
    1 / (1 + 0.3275911D * SQRT(surplus * surplus / variance / 2)) AS t
  FROM sizes
),
-- erfc(z) by Abramowitz and Stegun 7.1.26, right to 1.5e-7.
judged AS (
  SELECT
    experiment,
    chi_square,
    EXP(-z * z) * t * (0.254829592D + t * (-0.284496736D + t * (1.421413741D + t * (-1.453152027D + t * 1.061405429D)))) AS p_value
  FROM checked
)
-- Intervals are Wilson's for shares and the normal one for means; 1.96^2 = 3.8416.
SELECT
  a.experiment, -- its name
  a.arm, -- champion or challenger
  a.n AS customer_count, -- customers who got lists of this arm and of no other
  a.impression_count, -- lists that they got
  a.clicker_count, -- of them who looked at an item within 7 days of a list with it
  a.clicker_count / a.n AS click_share, -- share of customers who did
  (a.clicker_count + 1.9208D - 1.96D * SQRT(a.clicker_count * (a.n - a.clicker_count) / a.n + 0.9604D)) / (a.n + 3.8416D) AS click_share_low, -- lower end of its 95 % interval
  (a.clicker_count + 1.9208D + 1.96D * SQRT(a.clicker_count * (a.n - a.clicker_count) / a.n + 0.9604D)) / (a.n + 3.8416D) AS click_share_high, -- upper end
  a.buyer_count, -- of them who bought an item within 7 days of a list with it
  a.buyer_count / a.n AS buyer_share, -- share of customers who did
  (a.buyer_count + 1.9208D - 1.96D * SQRT(a.buyer_count * (a.n - a.buyer_count) / a.n + 0.9604D)) / (a.n + 3.8416D) AS buyer_share_low, -- lower end of its 95 % interval
  (a.buyer_count + 1.9208D + 1.96D * SQRT(a.buyer_count * (a.n - a.buyer_count) / a.n + 0.9604D)) / (a.n + 3.8416D) AS buyer_share_high, -- upper end
  a.purchase_count, -- lines of receipts within 7 days of the first list, of whatever item
  a.units, -- units of these
  a.purchase_count / a.n AS purchases_per_customer, -- lines per customer
  a.purchase_count / a.n - 1.96D * SQRT((a.n * a.squares - a.purchase_count * a.purchase_count) / a.n) / a.n AS purchases_per_customer_low, -- lower end of its 95 % interval
  a.purchase_count / a.n + 1.96D * SQRT((a.n * a.squares - a.purchase_count * a.purchase_count) / a.n) / a.n AS purchases_per_customer_high, -- upper end
  a.least_version <> a.greatest_version AS is_model_mixed, -- the arm's model was changed meanwhile
  j.chi_square, -- of the arms' sizes against the intended ones, one degree of freedom
  j.p_value, -- how often chance alone gives such sizes
  j.p_value < 0.001 AS is_ratio_off -- impressions of an arm are lost or doubled: trust no figure
FROM arms AS a
JOIN judged AS j ON j.experiment = a.experiment
