"""A process with one warm Spark session that does what it is told, a JSON list a line.

One of `TASKS` with its arguments, or the arguments of `lakehouse`. One JSON object answers each:
its code or result, output, errors, seconds.
"""

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from gates import behind
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from pipelines import cli
from pipelines.io.lake import table_path
from pipelines.io.maintenance import maintain
from pipelines.io.read import read, schema_of
from pipelines.io.session import spark_session
from pipelines.io.write import write
from pipelines.settings import load_settings
from pipelines.silver.items import ITEMS


def session(root: str | None = None) -> tuple[SparkSession, Any]:
    settings = load_settings("s3", overrides={"root": root} if root else {})
    settings = settings.model_copy(update={"state_dir": f"{settings.state_dir}-{sys.argv[1]}"})
    return spark_session(settings), settings


def append(name: str, root: str, first: int, count: int) -> int:
    """Append `count` numbers, each in a commit of its own; how many were acknowledged."""
    spark, settings = session(root)
    for number in range(first, first + count):
        rows = spark.range(number, number + 1)
        rows.write.format("delta").mode("append").save(table_path(settings, name))
    return count


def numbers(name: str, root: str) -> int:
    """Print what all appends left, in order."""
    spark, settings = session(root)
    rows = spark.read.format("delta").load(table_path(settings, name)).orderBy("id").collect()
    print(json.dumps([row["id"] for row in rows]))  # noqa: T201
    return 0


def item(root: str, number: int, title: str, gate: str) -> dict[str, str]:
    """Write an item, once the gate is open if there is one; all titles after that."""
    spark, settings = session(root)
    schema = schema_of(ITEMS)
    given = {"event_id": "e", "item_id": f"i{number}", "title": title, "source": "s"}
    given |= {"payload_hash": 1, "source_partition": 0, "source_offset": number}
    given |= {"occurred_at": datetime(2017, 3, 1)}
    rows = spark.createDataFrame([[given.get(name) for name in schema.names]], schema)
    write(behind(Path(gate), rows) if gate else rows, settings, ITEMS)
    found = read(spark, settings, ITEMS.name).select("item_id", "title").collect()
    return {row["item_id"]: row["title"] for row in found}


def rewrite(root: str) -> tuple[str, ...]:
    """Maintain the items, of which more than one file is too many; what was done."""
    spark, settings = session(root)
    few = settings.maintain.model_copy(update={"max_small_files": 1})
    settings = settings.model_copy(update={"maintain": few})
    return maintain(spark, settings, [ITEMS.name])[0].done


def commit(name: str, root: str, fifo: str) -> str:
    """Commit version 1 of a table, whose actions come through `fifo`, as Delta does."""
    spark, settings = session(root)
    jvm: Any = spark._jvm
    hadoop = spark._jsparkSession.sessionState().newHadoopConf()
    store = jvm.org.apache.spark.sql.delta.storage.DelegatingLogStore(hadoop)
    path = jvm.org.apache.hadoop.fs.Path(table_path(settings, name), f"_delta_log/{1:020}.json")
    lines = jvm.java.nio.file.Files.lines(jvm.java.io.File(fifo).toPath()).iterator()
    actions = jvm.scala.jdk.javaapi.CollectionConverters.asScala(lines)
    return _first_or_taken(lambda: store.write(path, actions, False, hadoop))


def open_checkpoint(place: str) -> str:
    """Begin a file of a stream's checkpoint as Spark does."""
    spark, _ = session()
    jvm: Any = spark._jvm
    path = jvm.org.apache.hadoop.fs.Path(place)
    managers = jvm.org.apache.spark.sql.execution.streaming.checkpointing.CheckpointFileManager
    hadoop = spark._jsparkSession.sessionState().newHadoopConf()
    stream = managers.create(path.getParent(), hadoop).createAtomic(path, False)
    stream.write(b"offsets")
    OPEN.append(stream)
    return "open"


def close_checkpoint() -> str:
    return _first_or_taken(OPEN.pop().close)


def _first_or_taken(end: Callable[[], object]) -> str:
    try:
        end()
    except Py4JJavaError as error:
        if error.java_exception.getClass().getSimpleName() == "FileAlreadyExistsException":
            return "taken"
        raise
    return "first"


def command(*arguments: str) -> int:
    sys.argv[1:], worker = list(arguments), sys.argv[1]
    try:
        return cli.main()
    finally:
        sys.argv[1:] = [worker]


OPEN: list[Any] = []
TASKS = {
    "append": append,
    "numbers": numbers,
    "item": item,
    "rewrite": rewrite,
    "commit": commit,
    "open": open_checkpoint,
    "close": close_checkpoint,
}


def answer(arguments: list[Any]) -> dict[str, Any]:
    started = time.monotonic()
    out, err = io.StringIO(), io.StringIO()
    code: Any
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            task = TASKS.get(arguments[0])
            code = task(*arguments[1:]) if task else command(*arguments)
    except Exception as error:
        code = f"{type(error).__name__}: {str(error)[:2000]}"
    seconds = time.monotonic() - started
    return {"code": code, "out": out.getvalue(), "err": err.getvalue(), "seconds": seconds}


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what else is printed goes to the log
    cli.end_on_signals = lambda: None
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()
