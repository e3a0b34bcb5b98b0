"""The program with one rule broken, `!mutant NAME`; of each the invariants must say that it is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from breaks import patch
from deltalake import DeltaTable

Whole = Callable[..., Any]


def _around(module: Any, name: str, changed: Callable[[Whole], Whole]) -> None:
    patch(module, name, changed(getattr(module, name)))


def bronze_without_transaction() -> None:
    from pipelines.io import ingest

    _around(ingest, "write", lambda whole: lambda *a, transaction, **k: whole(*a, **k))


def payload_with_a_space_more() -> None:
    from pyspark.sql import functions as F

    from pipelines.io import ingest

    longer = F.expr("concat(payload, X'20')")
    _around(ingest, "events", lambda whole: lambda rows: whole(rows).withColumn("payload", longer))


def tombstones_left_out() -> None:
    from pipelines.io import ingest

    _around(ingest, "events", lambda whole: lambda rows: whole(rows).where("payload IS NOT NULL"))


def cleanup_after_lost_response() -> None:
    from pipelines.io import ingest
    from pipelines.io.lake import table_path

    def changed(whole: Whole) -> Whole:
        def write(df: Any, settings: Any, table: Any, **named: Any) -> bool:
            folder = table_path(settings, table.name)
            before = set(DeltaTable(folder).file_uris())
            whole(df, settings, table, **named)
            for file in set(DeltaTable(folder).file_uris()) - before:
                Path(file.removeprefix("file://")).unlink()
            raise OSError("the response of the commit was lost")

        return write

    _around(ingest, "write", changed)


def gone_offsets_passed_over() -> None:
    from pyspark.sql.streaming.readwriter import DataStreamReader

    def changed(whole: Whole) -> Whole:
        def option(self: Any, key: str, value: Any) -> Any:
            return whole(self, key, "false" if key == "failOnDataLoss" else value)

        return option

    _around(DataStreamReader, "option", changed)


def repetitions_kept() -> None:
    from pipelines.io import silver

    patch(silver, "with_resends", lambda *_: None)


def watermark_zero() -> None:
    from pipelines.io import silver

    _around(silver, "_history", lambda whole: lambda *a: replace(whole(*a), watermark=None))


def late_left_out() -> None:
    from pipelines.io import silver

    patch(silver, "_late", lambda *_: ())


def refused_left_out() -> None:
    from pipelines.io import silver

    patch(silver, "_refused", lambda *_: ())


def superseded_left_out() -> None:
    from pipelines.io import silver

    patch(silver, "_dropped", lambda *_: ())


def oldest_wins() -> None:
    from pyspark.sql import functions as F
    from pyspark.sql.window import Window

    from pipelines.io import silver

    def ranked(rows: Any, keys: Any, sequence_by: Any) -> Any:
        first = Window.partitionBy(*keys).orderBy(*(F.col(c).asc() for c in sequence_by))
        return rows.withColumn("is_latest", F.row_number().over(first) == 1)

    patch(silver, "with_is_latest", ranked)


def money_as_float() -> None:
    from pipelines.io import silver

    def changed(whole: Whole) -> Whole:
        def write(df: Any, settings: Any, table: Any, **named: Any) -> bool:
            if table.name == "silver.purchases":
                cents = df["amount_cents"].cast("float").cast("bigint")
                df = df.withColumn("amount_cents", cents).select(*table.columns)
            return bool(whole(df, settings, table, **named))

        return write

    _around(silver, "write", changed)


def old_rows_not_taken_out() -> None:
    from pipelines.views import refresh

    _around(refresh, "patch", lambda whole: lambda *a, removed, **k: whole(*a, removed=None, **k))


def new_rows_not_put_in() -> None:
    from pipelines.views import refresh

    _around(refresh, "patch", lambda whole: lambda *a, added, **k: whole(*a, added=None, **k))


def refresh_not_noted() -> None:
    from pipelines.views import refresh

    patch(refresh, "log_refreshes", lambda *_: None)


MUTANTS: dict[str, Callable[[], None]] = {
    "no transaction in bronze": bronze_without_transaction,
    "a payload with a space more": payload_with_a_space_more,
    "tombstones left out": tombstones_left_out,
    "cleanup after a lost response": cleanup_after_lost_response,
    "repetitions kept": repetitions_kept,
    "watermark 0": watermark_zero,
    "late rows left out": late_left_out,
    "refused rows left out": refused_left_out,
    "superseded rows left out": superseded_left_out,
    "oldest wins": oldest_wins,
    "money as float": money_as_float,
    "old rows not taken out": old_rows_not_taken_out,
    "new rows not put in": new_rows_not_put_in,
    "refresh not noted": refresh_not_noted,
    "failOnDataLoss=false": gone_offsets_passed_over,
}
BREAKS: dict[str, Callable[..., None]] = {"!mutant": lambda name: MUTANTS[name]()}
