"""Jobs and tasks of a bundle: what `resources.jobs` declares, checked and in order."""

import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from pipelines.errors import BundleError
from workflows import dynamic
from workflows.model import Dependency, Job, Task
from workflows.task_files import file_of, wheels_of
from workflows.task_kinds import check_kind, kind_of
from workflows.tree import Node, by_key, plain
from workflows.triggers import triggers_of

TASK_KEY = re.compile(r"[\w-]{1,100}")  # it names the log file too
MAX_TASKS = 1000
MAX_CONCURRENT_RUNS = 1000


def job_of(key: str, number: int, node: Node, roots: tuple[Path, ...]) -> Job:
    """The job that a resolved `resources.jobs.<key>` declares.

    Args:
        number: its id.
        roots: the folders that its files may be in.

    Raises:
        BundleError: a task depends on one that is missing or on itself, is declared twice, has not
            exactly one kind, or names a file, cluster, parameter or value that does not exist.
    """
    declared = by_key(node.get("tasks"), "task_key")
    if len(declared) > MAX_TASKS:
        raise BundleError(f"{node.get('tasks').where}: over {MAX_TASKS:,} tasks; part the job")
    parameters = by_key(node.get("parameters"), "name")
    tasks = {
        name: _task(name, task, node, _cluster(task, node), roots)
        for name, task in declared.items()
    }
    order = _in_order(declared, tasks)
    for name in order:
        _check_values(tasks[name], declared[name], _before(name, tasks), list(parameters))
    runs = node.get("max_concurrent_runs")
    if runs.integer(1) > MAX_CONCURRENT_RUNS:
        raise BundleError(f"{runs.where}: at most {MAX_CONCURRENT_RUNS:,} runs side by side")
    return Job(
        key=key,
        tasks=tuple(tasks[name] for name in order),
        id=number,
        name=node.get("name").text(key),
        parameters={name: entry.get("default").text("") for name, entry in parameters.items()},
        timeout_seconds=node.get("timeout_seconds").integer(0),
        max_concurrent_runs=runs.integer(1),
        queued=node.get("queue").get("enabled").flag(),
        triggers=triggers_of(node),
        settings=plain(node),
    )


def _in_order(declared: Mapping[str, Node], tasks: Mapping[str, Task]) -> list[str]:
    graph = {name: _upstream(task, declared) for name, task in tasks.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = error.args[1]
        where = declared[circle[0]].get("depends_on").where
        raise BundleError(
            f"{where}: tasks wait for each other: {' -> '.join(circle)}; remove one dependency"
        ) from None


def _upstream(task: Task, declared: Mapping[str, Node]) -> tuple[str, ...]:
    for entry in declared[task.key].get("depends_on").elements:
        key, outcome = entry.get("task_key"), entry.get("outcome")
        if key.text("") not in declared:
            raise BundleError(
                f"{key.where}: task '{task.key}' depends on '{key.value}', which is no task of "
                f"this job; its tasks: {', '.join(declared)}"
            )
        if outcome.value is None:
            continue
        if "condition_task" not in declared[key.text()].items:
            raise BundleError(f"{outcome.where}: '{key.value}' is no condition_task; drop outcome")
        if outcome.text().lower() not in ("true", "false"):
            raise BundleError(f'{outcome.where}: outcome must be "true" or "false"')
    return tuple(entry.task_key for entry in task.depends_on)


def _before(name: str, tasks: Mapping[str, Task]) -> set[str]:
    """Every task that has ended when this one starts."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for entry in tasks[waiting.pop()].depends_on:
            if entry.task_key not in found:
                found.add(entry.task_key)
                waiting.append(entry.task_key)
    return found


def _cluster(task: Node, job: Node) -> Node:
    """The cluster of a task: its own, or the job's that it names."""
    for key, where, entry_key in (
        ("environment_key", "environments", "environment"),
        ("job_cluster_key", "job_clusters", "job cluster"),
    ):
        name = task.get(key)
        declared = by_key(job.get(where), key)
        if name.value is not None and name.text() not in declared:
            known = ", ".join(declared) or "none"
            raise BundleError(
                f"{name.where}: no {entry_key} '{name.value}' in this job; declared: {known}"
            )
        if name.value is not None and key == "job_cluster_key":
            return declared[name.text()].get("new_cluster")
    return task.get("new_cluster")


def _task(key: str, node: Node, job: Node, cluster: Node, roots: tuple[Path, ...]) -> Task:
    if not TASK_KEY.fullmatch(key):
        where = node.get("task_key").where
        raise BundleError(f"{where}: task_key '{key}' may hold letters, digits, '-' and '_' only")
    kind = kind_of(key, node)
    check_kind(key, kind, node.get(kind))
    loop = node.get(kind).get("task") if kind == "for_each_task" else None
    return Task(
        key=key,
        kind=kind,
        spec=_spec(node.get(kind)),
        file=file_of(kind, node.get(kind), roots),
        environment=_texts(cluster.get("spark_env_vars")),
        spark_conf=_texts(cluster.get("spark_conf")),
        own_cluster="new_cluster" in node.items,
        libraries=wheels_of(node.get("libraries")),
        depends_on=tuple(_dependencies(node)),
        run_if=node.get("run_if").text("ALL_SUCCESS"),
        disabled=node.get("disabled").flag(),
        max_retries=node.get("max_retries").integer(0, minimum=-1),
        min_retry_interval_millis=node.get("min_retry_interval_millis").integer(0),
        retry_on_timeout=node.get("retry_on_timeout").flag(),
        timeout_seconds=node.get("timeout_seconds").integer(0),
        loop=_looped(key, loop, job, cluster, roots) if loop else None,
        settings=plain(node),
    )


def _looped(key: str, node: Node, job: Node, cluster: Node, roots: tuple[Path, ...]) -> Task:
    """The task of a loop; it belongs to the loop, so it has no dependencies and no loop."""
    if "for_each_task" in node.items:
        where = node.get("for_each_task").where
        raise BundleError(f"{where}: a for_each_task in '{key}', which is one; unnest them")
    if node.get("depends_on").elements:
        raise BundleError(f"{node.get('depends_on').where}: the task of a loop depends on nothing")
    own = _cluster(node, job)
    name = node.get("task_key").text(f"{key}_iteration")
    return _task(name, node, job, own if own.items else cluster, roots)


def _dependencies(node: Node) -> Iterator[Dependency]:
    for entry in node.get("depends_on").elements:
        outcome = entry.get("outcome")
        said = None if outcome.value is None else outcome.text().lower()
        yield Dependency(entry.get("task_key").text(""), said)


def _spec(node: Node) -> dict[str, object]:
    spec: dict[str, object] = {k: v for k, v in plain(node).items() if k != "task"}
    return spec


def _texts(node: Node) -> dict[str, str]:
    return {name: value.text() for name, value in node.items.items()}


def _check_values(task: Task, node: Node, before: set[str], parameters: list[str]) -> None:
    """Refuse dynamic values that name nothing."""
    looped = (task.loop.spec, task.loop.environment) if task.loop else ()
    for value, in_loop in ((task.spec, False), (task.environment, False), (looped, True)):
        for parts in dynamic.references(value):
            said = dynamic.problem(parts, tasks=before, parameters=parameters, in_loop=in_loop)
            if said:
                raise BundleError(f"{node.get(task.kind).where}: in task '{task.key}' {said}")
