"""The kinds of task, and what each must say."""

from collections.abc import Mapping

from pipelines.errors import BundleError
from workflows.tree import Node

# Kinds that run here; the rest is refused by name, or skipped when asked.
RUNNABLE = frozenset(
    {
        *("spark_python_task", "python_wheel_task", "notebook_task", "sql_task"),
        *("spark_submit_task", "run_job_task", "condition_task", "for_each_task", "pipeline_task"),
    }
)
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "condition_task": ("left", "op", "right"),
    "for_each_task": ("inputs", "task"),
    "notebook_task": ("notebook_path",),
    "pipeline_task": ("pipeline_id",),
    "python_wheel_task": ("package_name", "entry_point"),
    "run_job_task": ("job_id",),
    "spark_python_task": ("python_file",),
}
MAX_CONCURRENCY = 100


def kind_of(key: str, node: Node) -> str:
    """Which task it is; it must be exactly one."""
    kinds = [name for name in node.items if name.endswith("_task")]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none"
        raise BundleError(
            f"{node.where}: task '{key}' must have one kind, such as spark_python_task, has {found}"
        )
    return kinds[0]


def check_kind(key: str, kind: str, spec: Node) -> None:
    """Refuse a task that lacks what its kind needs."""
    for name in REQUIRED.get(kind, ()):
        if spec.get(name).value is None:
            raise BundleError(f"{spec.where}: {kind} of task '{key}' has no {name}; give it one")
    concurrency = spec.get("concurrency") if kind == "for_each_task" else None
    if concurrency and not 1 <= concurrency.integer(1) <= MAX_CONCURRENCY:
        raise BundleError(f"{concurrency.where}: concurrency must be from 1 to {MAX_CONCURRENCY}")
    if (
        kind == "python_wheel_task"
        and spec.get("parameters").value
        and (spec.get("named_parameters").value)
    ):
        raise BundleError(
            f"{spec.where}: task '{key}' has parameters and named_parameters; keep one"
        )
