"""What a job is: plain data, so that a run's definition can be kept and taken up again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SUCCEEDED_ALL = "ALL_SUCCESS"


@dataclass(frozen=True)
class Dependency:
    """A task that another waits for; `outcome` is the one that a condition must have."""

    task_key: str
    outcome: str | None = None


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        kind: which task it is, e.g. `spark_python_task`.
        spec: the settings of its kind, dynamic references unresolved.
        file: the absolute path of the file that it runs; None if it lies in a workspace or the
            kind runs none.
        environment: variables of the environment, from its cluster's `spark_env_vars`.
        spark_conf: Spark settings of its cluster.
        own_cluster: it asks for a cluster of its own, so it shares no Spark session.
        libraries: absolute paths of the wheels that it needs.
        max_retries: -1 is without end.
        loop: of a `for_each_task`, the task that is run for each input.
    """

    key: str
    kind: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    file: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    spark_conf: Mapping[str, str] = field(default_factory=dict)
    own_cluster: bool = False
    libraries: tuple[str, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    run_if: str = SUCCEEDED_ALL
    disabled: bool = False
    max_retries: int = 0
    min_retry_interval_millis: int = 0
    retry_on_timeout: bool = False
    timeout_seconds: int = 0
    loop: "Task | None" = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trigger:
    """What starts a job by itself.

    Attributes:
        kind: `schedule`, `periodic`, `file_arrival`, `table_update` or `continuous`.
    """

    kind: str
    settings: Mapping[str, Any]
    paused: bool = False


@dataclass(frozen=True)
class Job:
    """One job, its tasks in an order that respects their dependencies.

    Attributes:
        parameters: the job's parameters with their defaults.
        queued: a run that finds no room waits; otherwise it is skipped.
        settings: the resolved job as the jobs API takes it.
    """

    key: str
    tasks: tuple[Task, ...]
    id: int = 0
    name: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: int = 0
    max_concurrent_runs: int = 1
    queued: bool = False
    triggers: tuple[Trigger, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def task(self, key: str) -> Task:
        """The task with this key."""
        return next(task for task in self.tasks if task.key == key)
