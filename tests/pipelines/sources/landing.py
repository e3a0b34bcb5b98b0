"""A folder in which files land, and a stream on it."""

from collections.abc import Callable
from pathlib import Path

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, Row, SparkSession

from pipelines.bronze.events import events
from pipelines.settings import load_settings
from pipelines.sources.failures import source_failure
from pipelines.sources.stream import source_events

Found = dict[str, list[tuple[int, bytes]]]  # by file name, its rows by number
Landings = Callable[[str], "Landing"]  # makes one by the format of its files


class Landing:
    """A folder, and a stream on it with a checkpoint of its own."""

    def __init__(self, spark: SparkSession, root: Path, file_format: str = "json") -> None:
        self.spark, self.root, self.format = spark, root, file_format
        self.folder = root / "landing"
        self.folder.mkdir()

    def put(self, name: str, content: bytes) -> Path:
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        return file

    def take(self, checkpoint: str = "checkpoint") -> Found:
        """What has landed since the last time, by file."""
        rows: list[Row] = []
        given = {"source.files.path": str(self.folder), "source.files.format": self.format}
        settings = load_settings(overrides={"source.kind": "files", **given})

        def keep(batch: DataFrame, _: int) -> None:
            rows.extend(events(batch).collect())

        writer = source_events(self.spark, settings).writeStream.foreachBatch(keep)
        writer = writer.option("checkpointLocation", str(self.root / checkpoint))
        query = writer.trigger(availableNow=True).start()
        try:
            query.awaitTermination(60)
        except StreamingQueryException as error:
            raise source_failure("bronze", str(error)) or error from None
        found: Found = {}
        for row in rows:
            name = row["source"].rpartition("/")[2]
            found.setdefault(name, []).append((row["source_offset"], bytes(row["payload"])))
        return {name: sorted(of_file) for name, of_file in found.items()}
