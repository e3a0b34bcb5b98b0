"""What the host is asked to start for a task: a file, a function, or a program."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workflows.context import CONTEXT
from workflows.dynamic import as_text, filled
from workflows.model import Task
from workflows.secrets import environment_with_secrets
from workflows.task_files import files_of


@dataclass(frozen=True)
class Place:
    """Where an attempt runs and what it may ask for.

    Attributes:
        name: of its log, page and values, e.g. `load.2`.
        folder: where those are written.
        store: the file of the run's state, to read other tasks' values.
        pipelines, spark: see RunRecord.
    """

    name: str
    folder: Path
    root: Path
    store: Path
    run_id: int
    unit: str
    pipelines: Mapping[str, list[str]]
    spark: Mapping[str, Any]

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def page(self) -> Path:
        return self.folder / f"{self.name}.html"

    @property
    def values(self) -> Path:
        return self.folder / f"{self.name}.values"


def request_for(task: Task, facts: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The request that runs one attempt of a task.

    Raises:
        UnknownValueError: a dynamic value that it needs is not there.
        SecretError: so is a secret.
    """
    spec = filled(dict(task.spec), facts)
    environment = environment_with_secrets(filled(dict(task.environment), facts))
    file = task.file or ""
    made = {
        "spark_python_task": _python,
        "notebook_task": _notebook,
        "python_wheel_task": _wheel,
        "sql_task": _sql,
        "spark_submit_task": _submit,
        "pipeline_task": _pipeline,
    }[task.kind](file, spec, facts, place)
    context = {
        "store": str(place.store),
        "run_id": place.run_id,
        "task": place.unit.partition("[")[0],
        "values": str(place.values),
        "root": str(place.root),
        "environment": dict(task.environment),
        "spark_conf": dict(task.spark_conf),
        "own_cluster": task.own_cluster,
        "spark": dict(place.spark),
    }
    return {
        "cwd": str(Path(file).parent if file else place.root),
        "log": str(place.log),
        "path": [str(file) for pattern in task.libraries for file in files_of(pattern)],
        "before": ["workflows.attach:hook"],
        "env": {**environment, CONTEXT: json.dumps(context)},
        **made,
    }


def _python(file: str, spec: Any, facts: Any, place: Place) -> dict[str, Any]:
    return {"how": "file", "argv": [file, *_texts(spec.get("parameters"))]}


def _notebook(file: str, spec: Any, facts: Any, place: Place) -> dict[str, Any]:
    # Where a job and a task have a parameter of the same name, the job's value is taken.
    parameters = {**(spec.get("base_parameters") or {}), **facts["job"]["parameters"]}
    widgets = json.dumps({key: as_text(value) for key, value in parameters.items()})
    argv = ["notebook", file, "--html", str(place.page), "--widgets", widgets]
    return {"how": "call", "call": "workflows.notebook:main", "argv": argv}


def _wheel(file: str, spec: Any, facts: Any, place: Place) -> dict[str, Any]:
    named = {**(spec.get("named_parameters") or {})}
    if named or not spec.get("parameters"):
        named.update(facts["job"]["parameters"])
    arguments = [f"--{key}={as_text(value)}" for key, value in named.items()]
    argv = [spec["package_name"], *_texts(spec.get("parameters")), *arguments]
    return {
        "how": "call",
        "call": "workflows.wheel:main",
        "argv": [*argv[:1], spec["entry_point"], *argv[1:]],
    }


def _sql(file: str, spec: Any, facts: Any, place: Place) -> dict[str, Any]:
    parameters = {**(spec.get("parameters") or {}), **facts["job"]["parameters"]}
    texts = json.dumps({key: as_text(value) for key, value in parameters.items()})
    return {
        "how": "call",
        "call": "workflows.sql_file:main",
        "argv": ["sql", file, "--parameters", texts],
    }


def _submit(file: str, spec: Any, facts: Any, place: Place) -> dict[str, Any]:
    home = find_spec("pyspark")
    folder = Path(home.origin).parent if home and home.origin else Path()
    argv = [str(folder / "bin" / "spark-submit"), *_texts(spec.get("parameters"))]
    return {"how": "exec", "argv": argv}


def _pipeline(file: str, spec: Any, facts: Any, place: Place) -> dict[str, Any]:
    command = [*place.pipelines[spec["pipeline_id"]]]
    if spec.get("full_refresh"):
        command.append("--full")
    return {"how": "call", "call": "workflows.module:main", "argv": command}


def _texts(values: Any) -> list[str]:
    return [as_text(value) for value in values or ()]
