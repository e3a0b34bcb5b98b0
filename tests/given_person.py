"""A person who stands wherever one may, beside others, and where in a lake they stand."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from given import event
from pyspark.sql import SparkSession

from pipelines.audit import record
from pipelines.gold.dead_letters import DEAD_LETTERS
from pipelines.gold.recommendations import PARTS, RECOMMENDATIONS
from pipelines.io.answers import answer
from pipelines.io.read import schema_of
from pipelines.io.write import write
from pipelines.settings import Settings
from pipelines.silver.documents import DOCUMENTS
from pipelines.views.refresh import refresh
from serving.keys import add_key
from serving.lmdb_store import LmdbStore
from serving.reactions.outbox import Letter, Outbox

TakeIn = Callable[[Settings, Iterable[object]], None]
WHO = "shopper-7f3a9c1e-0042"
NEW = "2017-03-20T10:00:00Z"
TOTALS = ("gold.sales_hourly", "gold.item_funnel")
PLACES = {
    "_state/answers", "_state/api-keys.json", "_state/audit", "_state/online", "_state/reactions",
    "bronze/events", "bronze/events_quarantine", "documents/reviews", "gold/customer_profile",
    "gold/dead_letters", "gold/recommendation_parts", "gold/recommendations",
    "landing/00000.jsonl", "silver/clicks", "silver/documents", "silver/impressions",
    "silver/late_events", "silver/price_changes", "silver/purchases",
    "silver/purchases_quarantine",
}  # fmt: skip
ASKED = "SELECT customer_id FROM gold.customer_profile"
OF_PEOPLE = ("gold.customer_profile", "gold.experiment_results")


def of_person() -> list[dict[str, Any] | bytes]:
    """What one person did, well or ill formed; and what names them in passing."""
    return [
        event("purchase", 1, customer_id=WHO, card=WHO, occurred_at=NEW),
        event("purchase", 2, customer_id=WHO, item_id="i2", session_id=f"of {WHO}", currency="EUR"),
        event("click", 3, customer_id=WHO, session_id=f"s:{WHO}"),
        event("purchase", 4, customer_id=WHO, quantity=-1),
        event("purchase", 5, referred_by=WHO),
        event("price_change", 6, approved_by={"customer_id": WHO}),
        event("impression", 7, customer_id=WHO),
        b'{"event_type": "click", "customer_id": "' + WHO.encode() + b'", "broken',
    ]


def of_others() -> list[dict[str, Any]]:
    first = [event("purchase", n, occurred_at=NEW, item_id=f"i{n % 3}") for n in range(20, 26)]
    others = ("click", "inventory_change", "item_upsert", "impression")
    return [*first, *(event(kind, n) for n, kind in enumerate(others, 30))]


def late() -> dict[str, Any]:
    return event("purchase", 40, customer_id=WHO, occurred_at="2017-01-01T00:00:00Z")


def texts_in(file: Path) -> Iterator[bytes]:
    """The bytes of a file; of Parquet also each value, which compression hides."""
    yield str(file).encode()
    yield file.read_bytes()
    if file.suffix == ".parquet":
        for column in pq.ParquetFile(file).read().itercolumns():
            yield repr(column.to_pylist()).encode()


def where(settings: Settings, text: str, *, but: tuple[str, ...] = ()) -> list[str]:
    """Every file of the lake and its state that holds a text."""
    root = Path(settings.root)
    files = (file for file in sorted(root.rglob("*")) if file.is_file())
    names = ((str(file.relative_to(root)), file) for file in files)
    return [
        name
        for name, file in names
        if not name.startswith(but) and any(text.encode() in found for found in texts_in(file))
    ]


def documents(settings: Settings, now: datetime) -> list[list[Any]]:
    """Three files, one named after the person and one that speaks of them, and their rows."""
    rows = []
    for name, text in ((f"{WHO}.txt", "fine"), ("2.txt", f"as {WHO} says"), ("3.txt", "fine")):
        file = Path(settings.root) / "documents" / "reviews" / "i1" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        told = {"reference": file.as_uri(), "size_bytes": 4, "modified_at": now, "name": name}
        told |= {"kind": "reviews", "item_id": "i1", "text": text, "ingested_at": now}
        rows.append([told.get(column) for column in DOCUMENTS.columns])
    return rows


def fill(spark: SparkSession, settings: Settings, take_in: TakeIn) -> None:
    """A lake, with everything around it, in which the person stands wherever one may."""
    take_in(settings, [*of_others(), *of_person()])
    take_in(settings, [late()])
    refresh(spark, settings, [*TOTALS, *OF_PEOPLE])
    assert answer(settings, ASKED, limit=9, spark=lambda: spark).engine == "duckdb"  # is kept
    state, now = settings.state, datetime.now(UTC)
    said = json.dumps({"customer_id": WHO, "n": 1})
    picks = [(who, 1, "i1", 0.5, "again", None, "1") for who in (WHO, "c1")]
    for table, rows in {
        RECOMMENDATIONS: picks,
        PARTS: [(*pick, "begun") for pick in picks],
        DEAD_LETTERS: [("l0", "alert", "hook", said, 3, f"of {WHO}: 503", now)],
        DOCUMENTS: documents(settings, now),
    }.items():
        write(spark.createDataFrame(rows, schema_of(table)), settings, table)
    with closing(LmdbStore(state / "online")) as store:
        store.publish("histories", [(WHO, {"i": 1}), ("c1", {})], version="1", published_at=now)
        store.update("taste", {f"c:{WHO}": ["i1"], f"s:of {WHO}": ["i2"]}, at=now)
    with closing(Outbox(state / "reactions" / "outbox.db")) as outbox:
        outbox.add([Letter("l1", "alert", "hook", said)])
    add_key(state / "api-keys.json", "theirs", ["read"], rate=1, burst=1, customer=WHO)
    record(state, 1 << 20, 1, kind="command", said=f"looked for {WHO}")


def stands(settings: Settings) -> list[str]:
    """The places of the lake, by folder, in which the person stands."""
    return sorted({"/".join(name.split("/")[:2]) for name in where(settings, WHO)})
