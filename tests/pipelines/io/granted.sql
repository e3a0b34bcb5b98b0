-- What a user may ask beside the views and the questions of quick_*.sql.
WITH X AS (SELECT 1 AS a) SELECT a FROM x
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n
WITH a AS (SELECT 1 AS i), b AS (SELECT i FROM a) SELECT * FROM b WHERE i IN (SELECT i FROM a)
SELECT * FROM range(10)
SELECT * FROM VALUES (1, 'a'), (2, 'b') AS t(n, s)
SELECT item_id, EXPLODE(SPLIT(category, ' ')) AS word FROM silver.clicks
SELECT c.item_id, w FROM silver.clicks AS c LATERAL VIEW explode(array(1, 2)) x AS w
SELECT * FROM silver.clicks TABLESAMPLE (10 PERCENT)
SELECT * FROM (SELECT region, item_id FROM silver.clicks) PIVOT (count(*) FOR region IN ('a'))
SELECT CAST(attributes AS STRING), attributes::string, variant_get(attributes, '$.x') FROM silver.clicks
SELECT sum(quantity) FILTER (WHERE quantity > 1) OVER (PARTITION BY item_id) FROM silver.purchases
SELECT transform(array(1, 2), x -> x + 1), aggregate(array(1), 0, (a, x) -> a + x)
SELECT * EXCEPT (item_id) FROM silver.clicks QUALIFY row_number() OVER (ORDER BY item_id) = 1
SELECT region, count(*) FROM silver.clicks GROUP BY ROLLUP (region) HAVING count(*) > 1 LIMIT 5 OFFSET 2
SELECT timestamp'2020-01-01' + INTERVAL 1 DAY, current_timestamp(), date_add(current_date, 1)
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY quantity) FROM silver.purchases
SELECT extract(hour FROM occurred_at), occurred_at BETWEEN '2020-01-01' AND now() FROM silver.clicks
