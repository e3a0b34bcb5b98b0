"""Jobs and tasks of a bundle: what `resources.jobs` declares, checked and in order."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from pipelines.errors import BundleError
from workflows.tree import Node, by_key, plain

TASK_KEY = re.compile(r"[\w-]{1,100}")  # it names the log file too
FILES = {"spark_python_task": "python_file", "notebook_task": "notebook_path"}


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        kind: which task it is, e.g. `spark_python_task`.
        file: the file that it runs; None if it lies in a workspace or the kind runs none.
        environment: variables of the environment, from its cluster's `spark_env_vars`.
        max_retries: -1 is without end.
        node: the task as declared, with the places.
    """

    key: str
    kind: str
    file: Path | None
    parameters: tuple[str, ...]
    environment: Mapping[str, str]
    depends_on: tuple[str, ...]
    max_retries: int
    min_retry_interval_millis: int
    retry_on_timeout: bool
    timeout_seconds: int
    node: Node = field(repr=False)


@dataclass(frozen=True)
class Job:
    """One job, its tasks in an order that respects their dependencies."""

    key: str
    tasks: tuple[Task, ...]
    timeout_seconds: int
    node: Node = field(repr=False)

    @property
    def settings(self) -> dict[str, Any]:
        """The resolved job as plain data, as the jobs API takes it."""
        settings: dict[str, Any] = plain(self.node)
        return settings


def job_of(key: str, node: Node) -> Job:
    """The job that a resolved `resources.jobs.<key>` declares.

    Raises:
        BundleError: a task depends on one that is missing or on itself, is declared twice, has not
            exactly one kind, or names a file or a cluster that does not exist.
    """
    declared = by_key(node.get("tasks"), "task_key")
    clusters = by_key(node.get("job_clusters"), "job_cluster_key")
    environments = by_key(node.get("environments"), "environment_key")
    tasks: dict[str, Task] = {}
    for name, task in declared.items():
        _known(task.get("environment_key"), environments, "environment")
        cluster = _known(task.get("job_cluster_key"), clusters, "job cluster")
        tasks[name] = _task(name, task, cluster or task)
    order = TopologicalSorter({name: _upstream(task, declared) for name, task in tasks.items()})
    try:
        ordered = tuple(tasks[name] for name in order.static_order())
    except CycleError as error:
        circle = error.args[1]
        where = declared[circle[0]].get("depends_on").where
        raise BundleError(
            f"{where}: tasks wait for each other: {' -> '.join(circle)}; remove one dependency"
        ) from None
    return Job(key, ordered, node.get("timeout_seconds").integer(0), node)


def _known(name: Node, declared: Mapping[str, Node], what: str) -> Node | None:
    if name.value is None:
        return None
    if name.text() not in declared:
        known = ", ".join(declared) or "none"
        raise BundleError(f"{name.where}: no {what} '{name.value}' in this job; declared: {known}")
    return declared[name.text()]


def _upstream(task: Task, declared: Mapping[str, Node]) -> tuple[str, ...]:
    for entry in task.node.get("depends_on").elements:
        key = entry.get("task_key")
        if key.text("") not in declared:
            raise BundleError(
                f"{key.where}: task '{task.key}' depends on '{key.value}', which is no task of "
                f"this job; its tasks: {', '.join(declared)}"
            )
    return task.depends_on


def _task(key: str, node: Node, cluster: Node) -> Task:
    if not TASK_KEY.fullmatch(key):
        where = node.get("task_key").where
        raise BundleError(f"{where}: task_key '{key}' may hold letters, digits, '-' and '_' only")
    kinds = [name for name in node.items if name.endswith("_task")]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none"
        raise BundleError(
            f"{node.where}: task '{key}' must have one kind, such as spark_python_task, has {found}"
        )
    spec = node.get(kinds[0])
    variables = cluster.get("new_cluster").get("spark_env_vars").items
    return Task(
        key=key,
        kind=kinds[0],
        file=_file(spec.get(FILES[kinds[0]])) if kinds[0] in FILES else None,
        parameters=_parameters(spec) if kinds[0] == "spark_python_task" else (),
        environment={name: value.text() for name, value in variables.items()},
        depends_on=tuple(
            entry.get("task_key").text("") for entry in node.get("depends_on").elements
        ),
        max_retries=node.get("max_retries").integer(0, minimum=-1),
        min_retry_interval_millis=node.get("min_retry_interval_millis").integer(0),
        retry_on_timeout=node.get("retry_on_timeout").flag(),
        timeout_seconds=node.get("timeout_seconds").integer(0),
        node=node,
    )


def _parameters(spec: Node) -> tuple[str, ...]:
    return tuple(entry.text() for entry in spec.get("parameters").elements)


def _file(node: Node) -> Path | None:
    """The file that a path names, relative to the file that declares it, as Databricks does."""
    if node.value is None:
        raise BundleError(f"{node.where}: names no file to run; give it one")
    if node.text().startswith("/") or ":/" in node.text():
        return None
    file = (node.file.parent / node.text()).resolve()
    if not file.is_file():
        raise BundleError(
            f"{node.where}: no file {file}; paths are relative to the file that declares them"
        )
    return file
