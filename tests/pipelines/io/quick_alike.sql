-- Every one is answered by DuckDB, as Spark answers it; one a line. `p` are purchases with odd values, `c` price changes.
SELECT * FROM (SELECT item_id, category, quantity, occurred_at, customer_id FROM p) AS x
SELECT COUNT(*) FROM p
SELECT SUM(quantity) FROM p WHERE category = 'nothing'
SELECT MIN(category), MAX(category), COUNT(category), MIN(occurred_at), MAX(price_cents) FROM p
SELECT category, COUNT(*) AS n FROM p GROUP BY category
SELECT category, SUM(amount_cents) / 100 AS paid FROM p GROUP BY category ORDER BY paid DESC, category
SELECT category, AVG(quantity) AS mean, AVG(amount_cents) AS paid FROM p GROUP BY ALL ORDER BY category
SELECT category, amount_cents FROM p ORDER BY category, amount_cents
SELECT category, amount_cents FROM p ORDER BY category DESC, amount_cents DESC
SELECT category, amount_cents FROM p ORDER BY category ASC NULLS LAST, amount_cents
SELECT category, amount_cents FROM p ORDER BY category DESC NULLS FIRST, amount_cents LIMIT 3
SELECT DISTINCT category, region FROM p ORDER BY category, region
SELECT COUNT(DISTINCT category) AS n, COUNT(DISTINCT basket_id) AS b FROM p
SELECT quantity / 4 AS a, quantity / NULLIF(price_cents, 0) AS b, -quantity AS c FROM p
SELECT quantity + 1 AS a, quantity * price_cents AS b, quantity - price_cents AS c FROM p WHERE price_cents < 1000
SELECT CAST(occurred_at AS DATE) AS d, COUNT(*) AS n FROM p GROUP BY CAST(occurred_at AS DATE) ORDER BY d
SELECT date_trunc('HOUR', occurred_at) AS h, SUM(quantity) AS n FROM p GROUP BY ALL ORDER BY h
SELECT date_trunc('WEEK', occurred_at) AS w, SUM(quantity) AS n FROM p GROUP BY 1 ORDER BY w
SELECT date_trunc('QUARTER', CAST(occurred_at AS DATE)) AS w, COUNT(*) AS n FROM p GROUP BY 1 ORDER BY w
SELECT date_trunc('MONTH', occurred_at) AS m, date_trunc('YEAR', occurred_at) AS y, COUNT(*) AS n FROM p GROUP BY ALL ORDER BY m
SELECT item_id FROM p WHERE occurred_at >= '2017-03-01' AND occurred_at < '2017-12-31 23:30:00'
SELECT item_id FROM p WHERE CAST(occurred_at AS DATE) = '2017-12-31'
SELECT item_id FROM p WHERE occurred_at > TIMESTAMP '2017-12-31 00:00:00' OR CAST(occurred_at AS DATE) < DATE '2017-01-02'
SELECT item_id FROM p WHERE CAST(occurred_at AS DATE) < occurred_at
SELECT item_id FROM p WHERE category IN ('DAIRY', 'x') OR category IS NULL
SELECT item_id FROM p WHERE category NOT IN ('DAIRY', 'x')
SELECT item_id FROM p WHERE category NOT IN (SELECT category FROM p WHERE category IS NOT NULL)
SELECT item_id FROM p WHERE customer_id NOT IN (SELECT category FROM p)
SELECT item_id FROM p WHERE NOT (category = 'DAIRY' AND customer_id = 'c1')
SELECT item_id FROM p WHERE quantity BETWEEN 2 AND 3 AND category LIKE 'D%_Y'
SELECT item_id FROM p WHERE category LIKE '%ä%'
SELECT item_id FROM p WHERE quantity > 1.5
SELECT item_id, CASE WHEN quantity > 1 THEN 'many' WHEN quantity = 1 THEN 'one' END AS s FROM p
SELECT item_id, IF(category IS NULL, 'none', category) AS s, COALESCE(customer_id, category, '-') AS w FROM p
SELECT COALESCE(category, 'UNKNOWN') AS kind, SUM(amount_cents) AS paid FROM p GROUP BY COALESCE(category, 'UNKNOWN')
SELECT item_id, SUM(quantity) AS quantity FROM p GROUP BY item_id HAVING SUM(quantity) > 1 ORDER BY quantity DESC, item_id
SELECT item_id, SUM(quantity) AS units, SUM(quantity) / COUNT(*) AS mean FROM p GROUP BY item_id HAVING units > 1 ORDER BY units DESC, item_id
SELECT p.item_id, c.price_cents FROM p LEFT JOIN c ON c.item_id = p.item_id AND c.region = p.region
SELECT p.item_id, c.price_cents FROM p JOIN c ON c.item_id = p.item_id AND p.category = c.category
SELECT p.item_id AS a, c.item_id AS b FROM p FULL OUTER JOIN c ON c.category = p.category ORDER BY a, b
SELECT p.item_id, n.newest_at FROM p CROSS JOIN (SELECT MAX(occurred_at) AS newest_at FROM p) AS n WHERE p.occurred_at = n.newest_at
SELECT item_id, amount_cents FROM p WHERE amount_cents = (SELECT MAX(amount_cents) FROM p)
WITH t AS (SELECT category, region, SUM(quantity) AS units FROM p GROUP BY ALL), r AS (SELECT *, ROW_NUMBER() OVER (PARTITION BY region ORDER BY units DESC, category) AS place FROM t) SELECT * FROM r WHERE place <= 2
SELECT item_id, RANK() OVER (ORDER BY category) AS r, DENSE_RANK() OVER (ORDER BY category DESC) AS d FROM p
SELECT item_id, SUM(quantity) OVER (PARTITION BY region) AS a, COUNT(*) OVER (ORDER BY occurred_at) AS b FROM p
SELECT item_id, category FROM p UNION ALL SELECT item_id, region FROM c
SELECT category FROM p UNION SELECT category FROM c ORDER BY category
SELECT category, MAX(quantity) > 1 AS is_many, MIN(category) = MAX(category) AS is_one FROM p GROUP BY category
SELECT 1 AS one, 'a' AS a, TRUE AS b
SELECT CAST(quantity AS DOUBLE) / 3 AS third, CAST(source_partition AS BIGINT) AS n FROM p
SELECT amount_cents / price_cents AS x FROM p WHERE price_cents > 0
SELECT item_id FROM p WHERE amount_cents = 9007199254740993
SELECT item_id FROM p WHERE basket_id = 'it\'s' OR basket_id = '\\ % _'
SELECT item_id, region FROM p JOIN c USING (item_id, region)
SELECT category, item_id FROM p FULL OUTER JOIN c USING (item_id, category)
SELECT HOUR(occurred_at) AS h, DAY(occurred_at) AS d, MONTH(CAST(occurred_at AS DATE)) AS m, YEAR(occurred_at) AS y FROM p
SELECT item_id FROM p WHERE occurred_at > (SELECT MAX(occurred_at) - INTERVAL 28 DAYS FROM p)
SELECT occurred_at + INTERVAL 90 MINUTES AS later, occurred_at - INTERVAL 1 WEEK AS before FROM p
SELECT DATE_ADD(CAST(occurred_at AS DATE), 7) AS a, DATE_SUB(CAST(occurred_at AS DATE), 7) AS b FROM p
SELECT item_id FROM p WHERE CAST(occurred_at AS DATE) > DATE_SUB((SELECT MAX(CAST(occurred_at AS DATE)) FROM p), 7)
SELECT region, COUNT_IF(category = 'DAIRY') AS n, COUNT_IF(category IS NULL) AS missing FROM p GROUP BY region
SELECT item_id, COUNT_IF(quantity > 1) OVER () AS n FROM p
