-- None of these is left to DuckDB: the engines differ in them, or nobody has looked.
SELECT quantity / price_cents AS x FROM p
SELECT ROUND(quantity / 3, 2) AS x FROM p
SELECT quantity * 0.5 AS x FROM p
SELECT 1.10 AS x
SELECT SUM(quantity / 3) AS x FROM p
SELECT CAST(quantity AS STRING) AS x FROM p
SELECT CAST(basket_id AS INT) AS x FROM p WHERE basket_id = '7'
SELECT CAST(quantity AS INT) AS x FROM p
SELECT CAST(quantity / 4 AS INT) AS x FROM p
SELECT CAST(occurred_at AS STRING) AS x FROM p
SELECT quantity DIV 2 AS x, quantity % 2 AS y FROM p
SELECT item_id FROM p WHERE basket_id = 7 AND item_id = 'none'
SELECT item_id FROM p WHERE occurred_at > '2017'
SELECT item_id FROM p WHERE occurred_at > current_timestamp()
SELECT UPPER(category) AS x FROM p
SELECT CONCAT(category, customer_id) AS x FROM p
SELECT category || customer_id AS x FROM p
SELECT COUNT(DISTINCT category, customer_id) AS x FROM p
SELECT FIRST(region) AS x FROM p WHERE region = 'north'
SELECT MAX_BY(category, occurred_at) AS x FROM p
SELECT COLLECT_SET(region) AS x FROM p WHERE region = 'north'
SELECT item_id FROM p LEFT SEMI JOIN c USING (item_id)
SELECT category FROM p GROUP BY ROLLUP (category)
SELECT category AS region, COUNT(*) AS n FROM p GROUP BY region, category
SELECT quantity AS price_cents FROM p ORDER BY price_cents + 1
SELECT Item_ID FROM p
SELECT quantity + 1 FROM p
SELECT payload_hash AS a, attributes FROM p
SELECT item_id FROM p WHERE category LIKE 'D\\%'
SELECT occurred_at + INTERVAL 1 MONTH AS x FROM p
SELECT CAST(occurred_at AS DATE) + INTERVAL 1 DAY AS x FROM p
SELECT DATE_ADD(occurred_at, 1) AS x FROM p
SELECT HOUR(CAST(occurred_at AS DATE)) AS x FROM p
SELECT quantity, SUM(quantity) OVER (ORDER BY occurred_at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM p
SELECT AVG(quantity) OVER (PARTITION BY region) AS s FROM p
SELECT item_id FROM p TABLESAMPLE (100 PERCENT)
SELECT category FROM p EXCEPT SELECT category FROM c
SELECT explode(array(1, 2)) AS x
SELECT item_id FROM p AS a WHERE EXISTS (SELECT 1 FROM c AS b WHERE b.item_id = a.item_id)
SELECT 1 AS one, NULL AS n
