"""The Spark session: one builder for a laptop, spark-submit, a cluster and Databricks."""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyspark import SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from pipelines.errors import DiskFullError, DownloadError, JavaError, LakehouseError
from pipelines.io import s3
from pipelines.jars import check_jars, digests
from pipelines.settings import CONF_DIR, Settings, load_settings
from pipelines.sources.java import require_java

DELTA = "io.delta:delta-spark_4.2_2.13:4.4.0"
KAFKA = "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0"

# What the code relies on, wherever it runs.
REQUIRED = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
}

# What makes a small machine quick; a cluster's own settings win under spark-submit.
LOCAL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # What the user interface would show of the last 1,000 queries is kept without it as well.
    "spark.sql.ui.retainedExecutions": "20",
    "spark.ui.retainedJobs": "50",
    "spark.ui.retainedStages": "50",
    # Delta replays its log with 50 tasks by default; each costs 10 ms here.
    "spark.databricks.delta.snapshotPartitions": "2",
    # Java compiles no method of more bytecodes; of the larger ones that Spark makes by default,
    # typing a million events took 9.6 s instead of 4.1.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # A silver batch needs 230 classes; with room for 100 all were compiled anew in each batch.
    "spark.sql.codegen.cache.maxEntries": "2000",
    "spark.sql.parquet.compression.codec": "zstd",
    # Level 3, the default, made bronze no smaller (90 against 84 bytes an event) and slower.
    "spark.hadoop.parquet.compression.codec.zstd.level": "1",
    # Of INT96, the default, Parquet keeps no least and greatest value.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC -XX:MaxDirectMemorySize=768m "
    "-Duser.timezone=UTC",
}


# PySpark logs every analysis error as JSON with the JVM's stack; the error itself is enough.
for _name in ("DataFrameQueryContextLogger", "SQLQueryContextLogger"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


def packages(settings: Settings) -> list[str]:
    """Maven coordinates that the settings call for."""
    return [DELTA, KAFKA, *(s3.PACKAGES if s3.in_use(settings) else ())]


def session_conf(settings: Settings) -> dict[str, str]:
    """All Spark settings of a session that we start ourselves."""
    return {
        **LOCAL,
        **REQUIRED,
        **s3.spark_conf(settings),
        **s3.jars_conf(settings),
        "spark.jars.packages": ",".join(packages(settings)),
        "spark.jars.ivySettings": str(CONF_DIR / "ivysettings.xml"),
        "spark.driver.memory": settings.spark.driver_memory,
        "spark.sql.shuffle.partitions": str(settings.spark.shuffle_partitions),
        **settings.spark.conf,
    }


def conf_of(env: str, root: str) -> dict[str, str]:
    """The Spark settings of an environment and a lake: what tasks of any bundle find here."""
    return session_conf(load_settings(env, overrides={"root": root}))


def spark_session(settings: Settings) -> SparkSession:
    """The session of this process, started if there is none.

    Under `spark-submit` and on Databricks the session is the caller's, and only `REQUIRED` and how
    S3 is written to are added. What the JVM writes goes to `state/logs/spark.log`, not to the
    user's terminal.

    Raises:
        JavaError: no Java, or one older than 17.
        DownloadError: the packages are not cached and cannot be downloaded.
        JarError: one of their jars is not the listed one.
    """
    if SparkContext._active_spark_context or "PYSPARK_GATEWAY_PORT" in os.environ:
        builder = SparkSession.builder
        # A context that runs already has its own way to S3, as on Databricks.
        storage = {} if SparkContext._active_spark_context else s3.spark_conf(settings)
        for key, value in {**REQUIRED, **storage}.items():
            builder = builder.config(key, value)
        return builder.getOrCreate()
    require_java()
    # Without this the workers run the system's Python, which lacks our packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # glibc gives each thread an arena of its own, which a JVM of 100 threads never gives back.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    conf = session_conf(settings)
    # The user interface, if it is on, binds to this and to nothing else; without it to 0.0.0.0.
    os.environ.setdefault("SPARK_LOCAL_IP", conf["spark.driver.bindAddress"])
    builder = SparkSession.builder.master(settings.spark.master).appName("retail-lakehouse")
    for key, value in conf.items():
        builder = builder.config(key, value)
    log = settings.state / "logs" / "spark.log"
    known = digests()
    folder = Path(conf.get("spark.jars.ivy", "~/.ivy2.5.2")).expanduser() / "jars"
    check_jars((jar for jar in sorted(folder.glob("*.jar")) if jar.name in known), known)
    try:
        with _output_to(log), _our_sigint():
            spark = builder.getOrCreate()
        check_jars(_jars_of(spark), known)  # what was fetched just now too
        return spark
    except PySparkRuntimeError:
        raise _start_error(log) from None


def _jars_of(spark: SparkSession) -> list[Path]:
    """The local jars that a session was given, its packages among them."""
    given = spark.sparkContext.getConf().get("spark.jars", "") or ""
    paths = (unquote(urlsplit(jar).path) for jar in given.split(",") if jar)
    return [Path(path) for path in paths]


@contextlib.contextmanager
def _our_sigint() -> Iterator[None]:
    """Keep a handler of our own: PySpark's calls the JVM in the middle of another call to it."""
    ours = signal.getsignal(signal.SIGINT)
    yield
    if ours is not signal.default_int_handler:
        with contextlib.suppress(ValueError):  # only the main thread has handlers
            signal.signal(signal.SIGINT, ours)


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Let a child process that starts now write its output into `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    streams = (sys.stdout, sys.stderr)
    saved = [os.dup(number) for number in (1, 2)]
    try:
        with log.open("ab") as sink:
            for number, stream in enumerate(streams, start=1):
                stream.flush()
                os.dup2(sink.fileno(), number)
        yield
    finally:
        for number, original in enumerate(saved, start=1):
            os.dup2(original, number)
            os.close(original)


def _start_error(log: Path) -> LakehouseError:
    tail = log.read_bytes()[-20_000:].decode(errors="replace") if log.exists() else ""
    if "UNRESOLVED DEPENDENCIES" in tail or "unresolved dependency" in tail:
        return DownloadError(
            "Spark's packages are not cached and could not be downloaded; "
            f"connect to the network once and run again (details in {log})"
        )
    if "No space left" in tail:
        return DiskFullError("no space left on the disk; free some and run again")
    return JavaError(f"the Java process of Spark did not start; see {log}")
