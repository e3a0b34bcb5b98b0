"""What the producer's ledger says must be in a lake, row by row."""

from collections.abc import Iterator
from pathlib import Path

from invariants import EVENTS, PLACES, Lake

_COLUMNS = {
    "sending": "BIGINT",
    "acked": "BIGINT",
    "partition": "INT",
    "offset": "BIGINT",
    "kind": "VARCHAR",
    "event_id": "VARCHAR",
    "table": "VARCHAR",
    "reason": "VARCHAR",
    "occurred_at": "VARCHAR",
    "item_id": "VARCHAR",
    "region": "VARCHAR",
    "currency": "VARCHAR",
    "cents": "BIGINT",
    "units": "BIGINT",
    "digest": "VARCHAR",
}

# Rows of bronze with what the ledger says of their bytes, and where that makes them stand: of an
# id the first in its partition, of an item the newest. Messages of the same bytes are the same.
_EXPECTED = """
CREATE OR REPLACE TABLE expected AS
WITH told AS (
  SELECT * FROM lines WHERE sending IS NOT NULL
  QUALIFY row_number() OVER (PARTITION BY digest ORDER BY sending) = 1
),
rows AS (
  SELECT b.source_partition AS p, b.source_offset AS o, t.*,
    try_cast(nullif(t.occurred_at, '') AS TIMESTAMPTZ) AS happened_at
  FROM bronze__events AS b JOIN told AS t ON t.digest = coalesce(sha256(b.payload), '')
),
firsts AS (
  SELECT *, row_number() OVER (
    PARTITION BY reason, CASE WHEN reason = '' AND kind <> 'late' THEN event_id END ORDER BY p, o
  ) = 1 AS is_first
  FROM rows
),
newest AS (
  SELECT *, row_number() OVER (
    PARTITION BY "table", is_first, CASE WHEN "table" = 'silver.items' THEN item_id END
    ORDER BY happened_at DESC, event_id DESC
  ) = 1 AS is_newest
  FROM firsts
)
SELECT *, CASE
    WHEN reason <> '' THEN "table"
    WHEN kind = 'late' THEN 'silver.late_events'
    WHEN NOT is_first THEN 'silver.dropped_events'
    WHEN "table" = 'silver.items' AND NOT is_newest THEN 'silver.dropped_events'
    ELSE "table"
  END AS place
FROM newest
"""


def open_ledger(lake: Lake, ledger: Path) -> None:
    """Make the ledger known as `lines`, and what it makes of bronze as `expected`."""
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in _COLUMNS.items())
    lake.connection.execute(
        f"CREATE OR REPLACE TABLE lines AS SELECT * FROM read_json('{ledger}', "
        f"format = 'newline_delimited', ignore_errors = true, columns = {{{columns}}})"
    )
    lake.connection.execute(_EXPECTED)
    places = [place for place in PLACES if lake.has(place)]
    held = " UNION ALL ".join(
        f"SELECT source_partition AS p, source_offset AS o, '{place}' AS place "
        f"FROM {place.replace('.', '__')}"
        for place in places
    )
    lake.connection.execute(f"CREATE OR REPLACE TABLE held AS {held}")


def i1_bronze_is_the_ledger(lake: Lake) -> Iterator[str]:
    """Acknowledged is in bronze, once; what else is there was sent, no oftener than tried."""
    place = "SELECT source_partition AS p, source_offset AS o, coalesce(sha256(payload), '') AS d"
    acked = (
        'SELECT a."partition" AS p, a."offset" AS o, s.digest AS d FROM lines AS a '
        "JOIN (SELECT DISTINCT sending, digest FROM lines) AS s ON s.sending = a.acked"
    )
    ((lost,),) = lake.ask(f"SELECT count(*) FROM ({acked} EXCEPT ALL {place} FROM bronze__events)")
    ((twice,),) = lake.ask(
        f"SELECT count(*) - count(DISTINCT (p, o)) FROM ({place} FROM bronze__events)"
    )
    ((invented,),) = lake.ask(
        f"SELECT count(*) FROM (SELECT d, count(*) AS n FROM ({place} FROM bronze__events) "
        "GROUP BY d) AS b LEFT JOIN (SELECT digest, count(*) AS n FROM lines "
        "WHERE sending IS NOT NULL GROUP BY ALL) AS s ON s.digest = b.d "
        "WHERE b.n > coalesce(s.n, 0)"
    )
    ((gaps,),) = lake.ask(
        "SELECT coalesce(sum(gap), 0) FROM (SELECT max(source_offset) + 1 - "
        "count(DISTINCT source_offset) AS gap FROM bronze__events GROUP BY source_partition)"
    )
    for count, what in (
        (lost, "acknowledged events lost"),
        (twice, "events held twice"),
        (invented, "payloads that nobody sent, or not so often"),
        (gaps, "offsets missing"),
    ):
        if count:
            yield f"I1: {count} {what}"


def i2_each_row_stands_where_it_must(lake: Lake, *, late_may_stand: bool) -> Iterator[str]:
    """Every row of bronze in the one table that the ledger says, refused for the right reason."""
    elsewhere = "AND NOT (e.kind = 'late' AND h.place IN (e.\"table\", 'silver.dropped_events'))"
    late = elsewhere if late_may_stand else ""
    wrong = lake.ask(
        "SELECT coalesce(e.place, 'nowhere'), coalesce(h.place, 'nowhere'), any_value(e.kind), "
        "count(*) FROM expected AS e FULL JOIN held AS h USING (p, o) "
        f"WHERE e.place IS DISTINCT FROM h.place {late} GROUP BY 1, 2 ORDER BY 4 DESC"
    )
    for wanted, found, kind, count in wrong:
        yield f"I2: {count} rows ({kind}) must stand in {wanted}, and stand in {found}"
    ((twice,),) = lake.ask("SELECT count(*) - count(DISTINCT (p, o)) FROM held")
    if twice:
        yield f"I2: {twice} rows stand in two places, or twice in one"
    for name in ("bronze.events", *(f"silver.{one}" for one in EVENTS)):
        table = f"{name}_quarantine"
        if lake.has(table):
            ((count,),) = lake.ask(
                f"SELECT count(*) FROM {table.replace('.', '__')} AS q JOIN expected AS e "
                "ON (q.source_partition, q.source_offset) = (e.p, e.o) "
                "WHERE NOT list_contains(q.reasons, e.reason)"
            )
            if count:
                yield f"I2: {count} rows of {table} are refused for another reason"


def drift_of_money(lake: Lake) -> int:
    """Minor units by which silver and gold differ from the ledger, over currencies and days."""
    if not lake.has("silver.purchases"):
        return 0
    ledger = (
        "SELECT e.currency AS c, CAST(e.happened_at AS DATE) AS d, sum(e.cents) AS n "
        "FROM expected AS e JOIN held AS h USING (p, o) WHERE e.\"table\" = 'silver.purchases' "
        "AND h.place = e.\"table\" AND e.place IN (h.place, 'silver.late_events') GROUP BY ALL"
    )
    silver = (
        "SELECT currency AS c, CAST(occurred_at AS DATE) AS d, sum(amount_cents) AS n "
        "FROM silver__purchases GROUP BY ALL"
    )
    gold = (
        "SELECT currency AS c, CAST(hour_at AS DATE) AS d, sum(revenue_cents) AS n "
        "FROM gold__sales_hourly GROUP BY ALL"
    )
    drift = 0
    for other in (silver, gold) if lake.has("gold.sales_hourly") else (silver,):
        ((apart,),) = lake.ask(
            f"SELECT coalesce(sum(abs(coalesce(a.n, 0) - coalesce(b.n, 0))), 0) "
            f"FROM ({ledger}) AS a FULL JOIN ({other}) AS b USING (c, d)"
        )
        drift += int(str(apart))
    return drift


def i5_stock_is_what_moved(lake: Lake) -> Iterator[str]:
    """Received less sold, by the ledger, is on hand, wherever stock is kept."""
    if not lake.has("gold.inventory_levels"):
        return
    ledger = (
        "SELECT e.item_id, e.region, CAST(sum(e.units) AS HUGEINT) FROM expected AS e "
        "JOIN held AS h USING (p, o) WHERE h.place IN "
        "('silver.purchases', 'silver.inventory_changes') GROUP BY ALL "
        "HAVING bool_or(h.place = 'silver.inventory_changes')"
    )
    held = "SELECT item_id, region, CAST(quantity AS HUGEINT) FROM gold__inventory_levels"
    missing, extra = lake.differ(ledger, held)
    if missing or extra:
        yield f"I5: stock of {max(missing, extra)} items is not what was received less sold"
