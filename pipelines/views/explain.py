"""What a refresh would do and what the last one did, side by side."""

from dataclasses import dataclass, fields

from pyspark.sql import SparkSession

from pipelines.settings import Settings
from pipelines.view import View
from pipelines.views.choose import expected_seconds
from pipelines.views.prepare import plan


@dataclass(frozen=True)
class Explained:
    """The plan of a view's next refresh, and what its last one took.

    Attributes:
        changed_rows: of the sources since then, by their logs; so with `changed_bytes`.
        expected_seconds: None where nothing like it has been measured.
    """

    view: str
    strategy: str
    reason: str
    changed_rows: int
    changed_bytes: int
    expected_seconds: float | None
    last_strategy: str
    last_changed_rows: int
    last_changed_bytes: int
    last_seconds: float


COLUMNS = [field.name.replace("_", " ") for field in fields(Explained)]


def explained(
    spark: SparkSession, settings: Settings, view: View, *, full: bool = False
) -> Explained:
    """What the next refresh of a view would do; nothing is written."""
    todo = plan(spark, settings, view, full=full)
    last = todo.before
    size = todo.work.size if todo.work else None
    return Explained(
        view=view.name,
        strategy=todo.strategy.name,
        reason=todo.strategy.reason,
        changed_rows=sum(changed.rows for changed in todo.changes.values()),
        changed_bytes=sum(changed.bytes for changed in todo.changes.values()),
        expected_seconds=expected_seconds(todo.strategy.name, size) if size else None,
        last_strategy=last.strategy if last else "",
        last_changed_rows=last.changed_rows if last else 0,
        last_changed_bytes=last.changed_bytes if last else 0,
        last_seconds=last.seconds if last else 0.0,
    )
