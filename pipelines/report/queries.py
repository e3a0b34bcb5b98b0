"""The report's questions to the lake: SQL that aggregates in Spark and answers in few rows."""

from collections.abc import Iterable

from sqlglot import exp

HEATMAP_CATEGORIES = 12
LINE_CATEGORIES = 5
PRICE_REGIONS = 6
PRICE_POINTS = 300  # of a region; beyond, its oldest changes are left out
RECENT_DAYS = 28

SALES = """
    SELECT currency, SUM(purchase_count) AS purchases, SUM(revenue_cents) AS revenue_cents,
           MIN(hour_at) AS first_at, MAX(hour_at) AS last_at
    FROM gold.sales_hourly GROUP BY currency ORDER BY revenue_cents DESC, currency
"""
EVENTS = "SELECT COUNT(*) AS n FROM bronze.events"
CUSTOMERS = "SELECT COUNT(DISTINCT customer_id) AS n FROM silver.purchases"
ITEMS = "SELECT COUNT(*) AS n FROM silver.items"

# Fuel comes in units of a fifth of a cent: a "unit" for less than one minor unit of money says
# nothing about how popular it is.
TOP_SELLERS = """
    WITH sold AS (
        SELECT item_id, SUM(units) AS units, SUM(revenue_cents) AS revenue_cents
        FROM gold.top_sellers
        WHERE sale_date > DATE_SUB((SELECT MAX(sale_date) FROM gold.top_sellers), 7)
        GROUP BY item_id
        HAVING SUM(revenue_cents) >= SUM(units)
        ORDER BY units DESC, item_id LIMIT 15
    )
    SELECT s.*, i.title, i.category
    FROM sold s LEFT JOIN silver.items i ON i.item_id = s.item_id
    ORDER BY s.units DESC, s.item_id
"""

FUNNEL = """
    WITH viewed AS (
        SELECT item_id, SUM(click_count) AS views, SUM(purchase_count) AS purchases
        FROM gold.item_funnel GROUP BY item_id HAVING SUM(click_count) > 0
        ORDER BY views DESC, item_id LIMIT 12
    )
    SELECT v.*, i.title
    FROM viewed v LEFT JOIN silver.items i ON i.item_id = v.item_id
    ORDER BY v.views DESC, v.item_id
"""

# Among the 200 pairs of item and region with most sales in the last weeks.
STOCK = f"""
    WITH sold AS (
        SELECT item_id, region, COUNT(*) AS line_count, SUM(quantity) AS units
        FROM silver.purchases
        WHERE occurred_at > (
            SELECT MAX(hour_at) - INTERVAL {RECENT_DAYS} DAYS FROM gold.sales_hourly)
        GROUP BY item_id, region
    ),
    kept AS (
        SELECT s.*, l.quantity
        FROM sold s JOIN gold.inventory_levels l ON l.item_id = s.item_id AND l.region = s.region
        ORDER BY s.line_count DESC, s.item_id, s.region LIMIT 200
    ),
    best AS (SELECT *, COUNT_IF(quantity <= 0) OVER () AS out_of_stock FROM kept)
    SELECT k.item_id, k.region, k.quantity, k.units / {RECENT_DAYS} AS units_per_day, i.title,
           k.quantity * {RECENT_DAYS} / k.units AS days_left, k.out_of_stock
    FROM best k LEFT JOIN silver.items i ON i.item_id = k.item_id
    WHERE k.quantity > 0
    ORDER BY days_left, k.quantity, k.item_id, k.region LIMIT 12
"""  # noqa: S608


def literal(value: str) -> str:
    """A value as a SQL string, quotes and backslashes escaped."""
    return exp.Literal.string(value).sql(dialect="spark")


def by_hour(currency: str) -> str:
    """Revenue of the largest categories per hour of the day."""
    return f"""
        WITH largest AS ({_largest(currency, HEATMAP_CATEGORIES)})
        SELECT s.category, HOUR(s.hour_at) AS hour, SUM(s.revenue_cents) AS revenue_cents
        FROM gold.sales_hourly s JOIN largest l ON l.category = s.category
        WHERE s.currency = {literal(currency)} GROUP BY ALL
    """  # noqa: S608


def by_week(currency: str) -> str:
    """Revenue of the largest categories per week (from Monday); null is all the others."""
    return f"""
        WITH largest AS ({_largest(currency, LINE_CATEGORIES)})
        SELECT DATE_TRUNC('WEEK', s.hour_at) AS week_at, l.category,
               SUM(s.revenue_cents) AS revenue_cents
        FROM gold.sales_hourly s LEFT JOIN largest l ON l.category = s.category
        WHERE s.currency = {literal(currency)} GROUP BY ALL
    """  # noqa: S608


def _largest(currency: str, limit: int) -> str:
    return f"""
        SELECT category, SUM(revenue_cents) AS total FROM gold.sales_hourly
        WHERE currency = {literal(currency)}
        GROUP BY category ORDER BY total DESC, category LIMIT {limit}
    """  # noqa: S608


def telling_item(currency: str) -> str:
    """The item with the most telling price history: sold often, changed often, by much.

    Few levels that return are prices; as many levels as changes are a measuring error. How much
    is the variance of the logarithm over time: a month at half price counts, a day hardly does.
    """
    return f"""
        WITH sold AS (
            SELECT item_id, SUM(purchase_count) AS purchases FROM gold.item_funnel
            GROUP BY item_id ORDER BY purchases DESC, item_id LIMIT 300
        ),
        held AS (
            SELECT s.item_id, s.purchases, c.price_cents, LN(c.price_cents) AS height,
                   UNIX_SECONDS(LEAD(c.occurred_at) OVER (
                       PARTITION BY c.item_id, c.region ORDER BY c.occurred_at
                   )) - UNIX_SECONDS(c.occurred_at) AS seconds
            FROM silver.price_changes c JOIN sold s ON s.item_id = c.item_id
            WHERE c.currency = {literal(currency)}
        ),
        changed AS (
            SELECT item_id, purchases, COUNT(*) AS changes, COUNT(DISTINCT price_cents) AS levels,
                   TRY_DIVIDE(SUM(seconds * height * height), SUM(seconds))
                     - POWER(TRY_DIVIDE(SUM(seconds * height), SUM(seconds)), 2) AS variance
            FROM held GROUP BY ALL
        )
        SELECT c.item_id, c.changes, i.title
        FROM changed c LEFT JOIN silver.items i ON i.item_id = c.item_id
        ORDER BY c.levels BETWEEN 3 AND 15 AND c.changes >= 3 * c.levels DESC,
                 c.purchases * c.changes * c.variance DESC, c.item_id LIMIT 1
    """  # noqa: S608


def price_history(item_id: str, currency: str) -> str:
    """An item's prices in the regions where they changed most."""
    return f"""
        WITH changes AS (
            SELECT region, occurred_at, price_cents,
                   COUNT(*) OVER (PARTITION BY region) AS changes,
                   ROW_NUMBER() OVER (PARTITION BY region ORDER BY occurred_at DESC) AS newest
            FROM silver.price_changes
            WHERE item_id = {literal(item_id)} AND currency = {literal(currency)}
        ),
        ranked AS (
            SELECT *, DENSE_RANK() OVER (ORDER BY changes DESC, region) AS place FROM changes
        )
        SELECT region, occurred_at, price_cents FROM ranked
        WHERE place <= {PRICE_REGIONS} AND newest <= {PRICE_POINTS} ORDER BY region, occurred_at
    """  # noqa: S608


def quarantined(tables: Iterable[str]) -> str:
    """Refused events by table and reasons, with the start of the first payload."""
    each = " UNION ALL ".join(
        f"""
        SELECT '{table}' AS table_name, CONCAT_WS(', ', reasons) AS reasons, COUNT(*) AS n,
               MIN_BY(SUBSTRING(payload, 1, 400),
                      STRUCT(source, source_partition, source_offset)) AS example
        FROM {table} GROUP BY ALL
        """  # noqa: S608
        for table in tables
    )
    return f"SELECT * FROM ({each}) ORDER BY n DESC, table_name, reasons"  # noqa: S608


def bought(customer_id: str) -> str:
    """What a customer bought on most occasions."""
    return f"""
        WITH mine AS (
            SELECT item_id, COUNT(DISTINCT basket_id) AS times FROM silver.purchases
            WHERE customer_id = {literal(customer_id)}
            GROUP BY item_id ORDER BY times DESC, item_id LIMIT 10
        )
        SELECT m.*, i.title, i.category
        FROM mine m LEFT JOIN silver.items i ON i.item_id = m.item_id
        ORDER BY m.times DESC, m.item_id
    """  # noqa: S608


def recommended(customer_id: str) -> str:
    """What the champion model offers a customer next."""
    return f"""
        SELECT r.rank, r.item_id, r.score, r.model_version, i.title, i.category
        FROM gold.recommendations r LEFT JOIN silver.items i ON i.item_id = r.item_id
        WHERE r.customer_id = {literal(customer_id)} AND r.rank <= 10 ORDER BY r.rank
    """  # noqa: S608


def simulated(table: str) -> str:
    """Whether a table's events are marked as simulated, by the first thousand of them."""
    return f"""
        SELECT MAX(try_variant_get(attributes, '$.simulated', 'boolean')) AS simulated
        FROM (SELECT attributes FROM {table} LIMIT 1000)
    """  # noqa: S608
