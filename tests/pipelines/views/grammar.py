"""A grammar of views and of changes to the tables below them, for Hypothesis."""

from hypothesis import strategies as st

STORES = ("'n'", "'s'", "NULL")
TIMES = tuple(
    f"TIMESTAMP'2024-0{month}-0{day} {hour:02}:{minute:02}:00'"
    for month, day, hour, minute in (
        (1, 1, 0, 0), (1, 1, 0, 59), (1, 1, 1, 0), (1, 2, 23, 30), (3, 1, 5, 0),
    )
)  # fmt: skip
ITEMS = ("1", "2", "3", "NULL")

_AGGREGATES = (
    "SUM(s.quantity) AS units", "SUM(s.price) AS revenue", "COUNT(*) AS n",
    "COUNT(s.price) AS priced", "AVG(s.price) AS mean", "SUM(s.quantity) * 2 - COUNT(*) AS mixed",
    "SUM(CASE WHEN s.price > 3 THEN s.quantity END) AS dear", "MIN(s.price) AS least",
    "MAX(s.at) AS newest", "COUNT(DISTINCT s.item) AS kinds", "SUM(s.amount) AS amount",
    "COUNT_IF(s.price > 2) AS many", "MAX(s.price) AS most",
    "MAX_BY(s.quantity, COALESCE(s.price, 0) * 100 + s.quantity) AS best",
)  # fmt: skip
_KEYS = (
    "s.store AS store", "s.item AS item", "DATE_TRUNC('HOUR', s.at) AS hour_at",
    "CAST(s.at AS DATE) AS day", "COALESCE(s.store, 'none') AS place", "s.quantity % 2 AS odd",
)  # fmt: skip
_CONDITIONS = ("", "WHERE s.quantity > 1", "WHERE s.price IS NULL OR s.price < 4")
_HAVING = ("", "", "HAVING COUNT(*) > 1", "HAVING SUM(s.quantity) > 3")
_UNION = (
    "(SELECT item, store, at, quantity, price, amount FROM t.sales UNION ALL "
    "SELECT item, store, at, -quantity, NULL, NULL FROM t.returns) s"
)
_FROM = (
    "t.sales s", "t.sales s", _UNION,
    "t.sales s JOIN t.items i ON s.item = i.item",
    "t.sales s LEFT JOIN t.items i ON s.item = i.item AND i.weight > 1",
    "t.sales s LEFT SEMI JOIN t.items i ON s.item = i.item",
    "t.sales s LEFT ANTI JOIN t.items i ON s.item = i.item",
    "t.sales s JOIN t.returns r ON s.item = r.item AND s.store = r.store",
    "t.sales s JOIN t.sales o ON s.item = o.item AND s.quantity < o.quantity",
    "t.sales s JOIN (SELECT item, MAX(weight) AS weight FROM t.items GROUP BY item) i "
    "ON s.item = i.item",
)  # fmt: skip
_SHOWS_ITEMS = ("t.sales s JOIN t.items i", "LEFT JOIN t.items i")


@st.composite
def grouped(draw: st.DrawFn) -> str:
    """SELECT keys, aggregates FROM … GROUP BY keys."""
    source = draw(st.sampled_from(_FROM))
    keys = draw(st.lists(st.sampled_from(_KEYS), min_size=1, max_size=2, unique=True))
    if any(join in source for join in _SHOWS_ITEMS) and draw(st.booleans()):
        keys.append("i.category AS category")
    aggregates = draw(st.lists(st.sampled_from(_AGGREGATES), min_size=1, max_size=3, unique=True))
    condition, having = draw(st.sampled_from(_CONDITIONS)), draw(st.sampled_from(_HAVING))
    by = ", ".join(key.rsplit(" AS ", 1)[0] for key in keys)
    return f"SELECT {', '.join(keys + aggregates)} FROM {source} {condition} GROUP BY {by} {having}"


@st.composite
def ranked(draw: st.DrawFn) -> str:
    """The best items of each store or day."""
    key = draw(st.sampled_from(("s.store", "CAST(s.at AS DATE)")))
    return (
        f"WITH d AS (SELECT {key} AS part, s.item AS item, SUM(s.quantity) AS units FROM t.sales s "
        f"GROUP BY {key}, s.item), r AS (SELECT *, ROW_NUMBER() OVER (PARTITION BY part ORDER BY "
        "units DESC, COALESCE(item, 0)) AS place FROM d) "
        f"SELECT part, place, item, units FROM r WHERE place <= {draw(st.sampled_from((1, 2)))}"
    )


@st.composite
def projected(draw: st.DrawFn) -> str:
    """A filter and projection, or a join of single rows."""
    source = draw(st.sampled_from([f for f in _FROM if "MAX" not in f]))
    columns = ["s.item AS item", "s.quantity * 2 AS twice", "s.store AS store"]
    if any(join in source for join in _SHOWS_ITEMS):
        columns.append("i.category AS category")
    distinct = draw(st.sampled_from(("", "", "DISTINCT ")))
    condition = draw(st.sampled_from(_CONDITIONS))
    return f"SELECT {distinct}{', '.join(columns)} FROM {source} {condition}"


WINDOWED = st.sampled_from(
    (
        "SELECT WINDOW(at, '2 hours').start AS start_at, SUM(quantity) AS units FROM t.sales "
        "WHERE NOT at IS NULL GROUP BY start_at",
        "SELECT WINDOW(at, '2 hours', '1 hour').start AS start_at, COUNT(*) AS n FROM t.sales "
        "GROUP BY start_at",
        "SELECT unit, COUNT(*) AS n, MAX(price) AS most FROM (SELECT price, "
        "EXPLODE(SEQUENCE(0, quantity)) AS unit FROM t.sales) u GROUP BY unit",
        "SELECT item, at, LEAD(at) OVER (PARTITION BY item ORDER BY at) AS until_at FROM "
        "(SELECT DISTINCT item, at FROM t.sales) d",
        "SELECT a.item AS item, a.total AS total, b.other AS other FROM (SELECT item, "
        "SUM(quantity) AS total FROM t.sales GROUP BY item) a LEFT JOIN (SELECT item, "
        "SUM(weight) AS other FROM t.items GROUP BY item) b ON a.item = b.item",
    )
)
ON_A_VIEW = st.sampled_from(
    (
        "SELECT store, SUM(units) AS units, COUNT(*) AS n FROM gold.base GROUP BY store",
        "SELECT store, MAX(units) AS most FROM gold.base GROUP BY store",
        "SELECT b.store AS store, b.units AS units, s.quantity AS quantity FROM gold.base b "
        "JOIN t.sales s ON b.store = s.store",
    )
)
BASE = (
    "SELECT store, item, SUM(quantity) AS units, SUM(price) AS revenue FROM t.sales "
    "GROUP BY store, item"
)
VIEWS = st.one_of(grouped(), grouped(), grouped(), ranked(), projected(), WINDOWED, ON_A_VIEW)


def insert(table: str, values: list[str]) -> str:
    """An INSERT of rows given as texts of their values."""
    return f"INSERT INTO {table} ({_COLUMNS[table]}) VALUES {', '.join(f'({r})' for r in values)}"


@st.composite
def rows(draw: st.DrawFn, table: str) -> str:
    item, store, at = (draw(st.sampled_from(of)) for of in (ITEMS, STORES, TIMES))
    small = draw(st.integers(0, 5))
    number = draw(st.integers(0, 3))
    if table == "t.items":
        category = draw(st.sampled_from(("'a'", "'b'", "NULL")))
        return f"{item}, {category}, {number}"
    if table == "t.returns":
        return f"{item}, {store}, {at}, {draw(st.sampled_from((str(small), 'NULL')))}"
    price = draw(st.sampled_from((str(small), "NULL")))
    amount = draw(st.sampled_from((f"{small}.25", "NULL")))
    return f"{draw(st.integers(0, 9))}, {item}, {store}, {at}, {number}, {price}, {amount}"


@st.composite
def changes(draw: st.DrawFn) -> str:
    """One statement that changes a table, or its files, or its columns."""
    table = draw(st.sampled_from(("t.sales", "t.sales", "t.sales", "t.items", "t.returns")))
    kind = draw(
        st.sampled_from(
            ("insert", "insert", "insert", "double", "delete", "update", "update", "move",
             "merge", "optimize", "vacuum", "restore", "alter", "widen")
        )
    )  # fmt: skip
    item = draw(st.sampled_from(("1", "2", "3")))
    if kind == "insert":
        return insert(table, draw(st.lists(rows(table), min_size=1, max_size=5)))
    if kind == "double":
        return f"INSERT INTO {table} SELECT * FROM {table} WHERE item = {item} LIMIT 3"
    if kind == "delete":
        return f"DELETE FROM {table} WHERE item = {item}"
    if kind == "update":
        return f"UPDATE {table} SET {_UPDATES[table]} WHERE item = {item}"
    if kind == "move":
        return f"UPDATE {table} SET item = {item} WHERE item IS NULL"
    if kind == "merge":
        return (
            f"MERGE INTO {table} t USING (SELECT {item} AS item) n ON t.item = n.item "
            "WHEN MATCHED THEN DELETE"
        )
    if kind == "optimize":
        return f"OPTIMIZE {table}"
    if kind == "vacuum":
        return f"VACUUM {table} RETAIN 0 HOURS"
    if kind == "restore":
        return f"RESTORE TABLE {table} TO VERSION AS OF 0"
    if kind == "widen":
        return f"ALTER TABLE {table} ADD COLUMNS (more_{draw(st.integers(0, 10**9))} INT)"
    return f"ALTER TABLE {table} SET TBLPROPERTIES ('proof' = 'yes')"


_COLUMNS = {
    "t.sales": "id, item, store, at, quantity, price, amount",
    "t.items": "item, category, weight",
    "t.returns": "item, store, at, quantity",
}
_UPDATES = {
    "t.sales": "quantity = quantity + 1, price = price + 1, at = at + INTERVAL 1 HOUR",
    "t.items": "category = 'c', weight = weight + 1",
    "t.returns": "quantity = quantity + 1",
}
