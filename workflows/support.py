"""What a job may use to be run here; the rest is refused by name, before anything starts."""

import re
from collections.abc import Mapping

from pipelines.errors import BundleError
from workflows.jobs import Job, Task
from workflows.tree import Node, plain

# What only a workspace needs: where a job runs there, who may see it, and what starts it.
JOB_ABOUT_WORKSPACES = frozenset(
    {
        *("budget_policy_id", "continuous", "description", "environments", "job_clusters"),
        *("lifecycle", "max_concurrent_runs", "name", "performance_target", "permissions"),
        *("queue", "run_as", "schedule", "tags", "trigger"),
    }
)
TASK_ABOUT_WORKSPACES = frozenset(
    {
        *("compute", "description", "disable_auto_optimization", "environment_key"),
        *("existing_cluster_id", "job_cluster_key", "libraries", "new_cluster"),
    }
)
JOB_KEYS = JOB_ABOUT_WORKSPACES | {"tasks", "timeout_seconds"}
TASK_KEYS = TASK_ABOUT_WORKSPACES | {
    *("task_key", "depends_on", "spark_python_task", "notebook_task"),
    *("max_retries", "min_retry_interval_millis", "retry_on_timeout", "timeout_seconds"),
}
# Where a key is known with one meaning only.
ONLY = {"run_if": "ALL_SUCCESS", "disabled": False, "source": "WORKSPACE"}
KIND_KEYS: Mapping[str, frozenset[str]] = {
    "spark_python_task": frozenset({"python_file", "parameters"}),
    "notebook_task": frozenset({"notebook_path"}),
}
# Databricks leaves any other `{{...}}` as it is.
DYNAMIC = re.compile(r"\{\{\s*(?:job|task|tasks|input|backfill|workspace)\b[^}]*\}\}")


def check_supported(job: Job) -> None:
    """Raise a BundleError that names the first thing of `job` that cannot be run here."""
    _check_keys(job.node, JOB_KEYS, f"job '{job.key}'")
    for task in job.tasks:
        what = f"task '{task.key}'"
        if task.kind not in KIND_KEYS:
            raise _refused(task.node.get(task.kind), task.kind, what)
        _check_keys(task.node, TASK_KEYS, what)
        _check_keys(task.node.get(task.kind), KIND_KEYS[task.kind], f"{task.kind} of {what}")
        for entry in task.node.get("depends_on").elements:
            _check_keys(entry, frozenset({"task_key"}), f"depends_on of {what}")
        _check_values(task, what)


def _check_keys(node: Node, known: frozenset[str], what: str) -> None:
    for key, child in node.items.items():
        # An empty value, such as `parameters: []`, asks for nothing.
        if key in known or plain(child) in (None, [], {}, ONLY.get(key)):
            continue
        raise _refused(child, f"{key}: {child.value}" if key in ONLY else key, what)


def _refused(node: Node, feature: str, what: str) -> BundleError:
    return BundleError(
        f"{node.where}: {feature} in {what} is not supported when running here; "
        "remove it or run the job in a workspace"
    )


def _check_values(task: Task, what: str) -> None:
    where = task.node.get(task.kind).where
    if task.file is None:
        raise BundleError(f"{where}: {what} runs a file of a workspace; name a file of the bundle")
    if task.kind == "notebook_task" and task.file.suffix != ".py":
        raise BundleError(
            f"{where}: {what} runs {task.file.name}; only notebooks in .py source format run here"
        )
    for text in (*task.parameters, *task.environment.values()):
        if DYNAMIC.search(text):
            raise BundleError(
                f"{where}: {text} in {what} is a dynamic value, which is not supported when "
                "running here; write the value"
            )
