"""What tables showed before: gone for good, which only an erasure may do, while nobody reads.

`maintain` keeps what has been deleted for a week, since a transaction may still be writing and a
reader reading. Here all locks are held and nobody reads, so VACUUM needs to keep nothing.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial

from pyspark.sql import SparkSession

from pipelines.bronze.events import EVENTS
from pipelines.errors import LockedError
from pipelines.io.files import bytes_on_storage, forget_log, table_files
from pipelines.io.lake import table_path
from pipelines.io.layout import layout_session
from pipelines.io.leases import leases
from pipelines.io.read import exists
from pipelines.io.write import in_parallel
from pipelines.settings import Settings


def require_no_reader(settings: Settings) -> None:
    """Refuse while someone reads old versions.

    Raises:
        LockedError: someone does.
    """
    who = sorted({lease.who for lease in leases(settings)})
    if who:
        raise LockedError(f"{', '.join(who)} reads the lake; wait for it to end or stop it")


def purge(spark: SparkSession, settings: Settings, names: Iterable[str]) -> None:
    """Write out deletion vectors, and let each table's newest commit be one that holds no row.

    Bronze goes without that commit: of its events the log keeps no more than where they came from.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")

    def one(name: str) -> None:
        target = f"delta.`{table_path(settings, name)}`"
        session = layout_session(spark, settings)
        if table_files(spark, settings, name).deleted_rows:
            session.sql(f"REORG TABLE {target} APPLY (PURGE)").collect()
        if name != EVENTS.name:
            session.sql(f"ALTER TABLE {target} SET TBLPROPERTIES ('lakehouse.purged_at' = '{now}')")

    in_parallel(spark, (partial(one, name) for name in names if exists(spark, settings, name)))


def forget_history(spark: SparkSession, settings: Settings, names: Iterable[str]) -> int:
    """Delete every file that the tables do not show now, change feeds too, and their older log.

    Bronze keeps its log: the stream to silver goes on from there.

    Returns:
        The bytes that are gone.

    Raises:
        LockedError: someone reads an old version.
    """

    freed: list[int] = []

    def one(name: str) -> None:
        before = bytes_on_storage(spark, settings, name)
        session = layout_session(spark, settings)
        session.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
        require_no_reader(settings)
        session.sql(f"VACUUM delta.`{table_path(settings, name)}` RETAIN 0 HOURS").collect()
        if name != EVENTS.name:
            forget_log(spark, settings, name)
        freed.append(before - bytes_on_storage(spark, settings, name))

    in_parallel(spark, (partial(one, name) for name in names if exists(spark, settings, name)))
    return max(0, sum(freed))  # a checkpoint of the log may outweigh a little
