-- How often two items lie in one basket, and how much more often than by chance.
-- key: item_id, other_item_id
-- cluster by: item_id
WITH lines AS (
  SELECT DISTINCT
    basket_id,
    item_id
  FROM silver.purchases
),
baskets AS (
  -- A basket of n items makes n (n - 1) / 2 pairs: the largest 1.8 % of baskets made a third of them.
  SELECT basket_id
  FROM lines
  GROUP BY basket_id
  HAVING COUNT(*) <= 50
),
kept AS (
  SELECT
    l.basket_id,
    l.item_id
  FROM lines AS l
  JOIN baskets AS b ON b.basket_id = l.basket_id
),
total AS (
  -- Every lift depends on the number of baskets, so each new one asks for a full recomputation.
  SELECT
    COUNT(*) AS basket_count,
    CASE WHEN COUNT(*) < 30000 THEN 3 ELSE COUNT(*) / 10000 END AS least_count
  FROM baskets
),
items AS (
  SELECT
    k.item_id,
    t.basket_count,
    t.least_count,
    COUNT(*) AS item_basket_count
  FROM kept AS k
  CROSS JOIN total AS t
  GROUP BY k.item_id, t.basket_count, t.least_count
  HAVING COUNT(*) >= t.least_count
),
numbered AS (
  -- Pairs of numbers are counted twice as fast as pairs of texts.
  SELECT
    *,
    ROW_NUMBER() OVER (ORDER BY item_id) AS number
  FROM items
),
candidates AS (
  SELECT
    k.basket_id,
    n.number
  FROM kept AS k
  JOIN numbered AS n ON n.item_id = k.item_id
),
pairs AS (
  SELECT
    a.number,
    b.number AS other_number,
    COUNT(*) AS pair_basket_count
  FROM candidates AS a
  JOIN candidates AS b ON b.basket_id = a.basket_id AND a.number < b.number
  GROUP BY a.number, b.number
),
both_ways AS (
  SELECT
    CASE WHEN is_turned THEN other_number ELSE number END AS number,
    CASE WHEN is_turned THEN number ELSE other_number END AS other_number,
    pair_basket_count
  FROM pairs
  CROSS JOIN (SELECT FALSE AS is_turned UNION ALL SELECT TRUE AS is_turned) AS ways
)
SELECT
  a.item_id, -- an item
  b.item_id AS other_item_id, -- another one that lies in the same baskets; each pair stands both ways
  p.pair_basket_count AS basket_count, -- baskets with both; at least 3 and 1 in 10,000
  p.pair_basket_count / a.basket_count AS support, -- share of all baskets that hold both
  p.pair_basket_count / a.item_basket_count AS confidence, -- share of the baskets with item_id that hold both
  p.pair_basket_count * a.basket_count / (a.item_basket_count * b.item_basket_count) AS lift -- times as often as by chance; above 1 they attract each other
FROM both_ways AS p
JOIN numbered AS a ON a.number = p.number
JOIN numbered AS b ON b.number = p.other_number
WHERE p.pair_basket_count >= a.least_count
