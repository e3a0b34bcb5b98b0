"""The one module that touches MLflow: runs, the registry and its aliases."""

import contextlib
import io
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.items import FEATURE_NAMES
from ml.train import Trained
from pipelines.errors import ModelError
from pipelines.settings import Settings
from serving.recommender.model import Model, load_model

MODEL_NAME = "retail-recommender"
EXPERIMENT = "/Shared/retail-recommendations"  # a workspace wants a path, others take any name
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
SERVED, BACKTEST = "served", "backtest"  # the two models of arrays that a version has


@dataclass(frozen=True)
class Version:
    """A registered model: its number in the registry, its run, and what was measured of it."""

    version: str
    run_id: str
    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


def register(settings: Settings, trained: Trained, parameters: Mapping[str, Any]) -> Version:
    """Log what was trained as a run and register it under the alias `challenger`.

    The ranker is registered as Spark ML has it, with its signature; the models of plain arrays,
    which alone are used from here on, are artifacts of the same run.

    Args:
        parameters: what it was fitted with, the versions of the tables that it saw among it.
    """
    mlflow = _mlflow(settings)
    # MLflow announces a registration on standard error; the command says it in its own words.
    with contextlib.redirect_stderr(io.StringIO()), mlflow.start_run(run_name="recommender"):
        mlflow.log_params(dict(parameters))
        for name, one in ((SERVED, trained.served), (BACKTEST, trained.backtest)):
            with tempfile.TemporaryDirectory() as folder:
                mlflow.set_tag(f"digest of {name}", one.model.save(Path(folder)))
                mlflow.log_artifacts(folder, artifact_path=name)
        info = mlflow.spark.log_model(
            trained.served.ranker,
            artifact_path="ranker",
            registered_model_name=MODEL_NAME,
            pip_requirements=["pyspark", "mlflow"],  # inference would load the model once more
            signature=_signature(),
            dfs_tmpdir=str(settings.state / "mlflow" / "tmp"),
        )
        version = str(info.registered_model_version)
    mlflow.MlflowClient().set_registered_model_alias(MODEL_NAME, CHALLENGER, version)
    return by_alias(settings, CHALLENGER)


def by_alias(settings: Settings, alias: str) -> Version:
    """The version that an alias points at.

    Raises:
        ModelError: no version has that alias.
    """
    found = find_alias(settings, alias)
    if found is None:
        raise ModelError(f"no model has the alias {alias} yet; run `lakehouse train` first")
    return found


def find_alias(settings: Settings, alias: str) -> Version | None:
    """The version that an alias points at, or None."""
    mlflow = _mlflow(settings)
    client = mlflow.MlflowClient()
    try:
        found = client.get_model_version_by_alias(MODEL_NAME, alias)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    return _version(client, found)


def by_number(settings: Settings, number: str) -> Version:
    """The version of a number.

    Raises:
        ModelError: there is none.
    """
    mlflow = _mlflow(settings)
    client = mlflow.MlflowClient()
    try:
        return _version(client, client.get_model_version(MODEL_NAME, number))
    except mlflow.exceptions.MlflowException:
        raise ModelError(
            f"version {number} is not in the registry any more; stop the experiment that serves it"
            " with `lakehouse experiment --stop`"
        ) from None


def experiment(settings: Settings, name: str) -> dict[str, Any]:
    """What `note_experiment` noted of an experiment; empty if nothing."""
    mlflow = _mlflow(settings)
    try:
        tags = mlflow.MlflowClient().get_registered_model(MODEL_NAME).tags
    except mlflow.exceptions.MlflowException:
        return {}
    noted: dict[str, Any] = json.loads(tags.get(f"experiment {name}", "{}"))
    return noted


def note_experiment(settings: Settings, name: str, noted: Mapping[str, Any]) -> None:
    """Note of the registered model what an experiment serves, or that it was stopped."""
    client = _mlflow(settings).MlflowClient()
    client.set_registered_model_tag(MODEL_NAME, f"experiment {name}", json.dumps(dict(noted)))


def _version(client: Any, found: Any) -> Version:
    data = client.get_run(found.run_id).data
    return Version(
        str(found.version),
        found.run_id,
        dict(data.params),
        dict(data.metrics),
        dict(data.tags),
    )


def log_metrics(settings: Settings, version: Version, metrics: Mapping[str, float]) -> None:
    """Add measured figures to a version's run."""
    client = _mlflow(settings).MlflowClient()
    for name, value in metrics.items():
        client.log_metric(version.run_id, name, value)


def tag(settings: Settings, version: Version, name: str, value: str) -> None:
    """Note something of a version's run."""
    _mlflow(settings).MlflowClient().set_tag(version.run_id, name, value)


def point_alias(settings: Settings, alias: str, version: Version) -> None:
    """Let an alias point at a version."""
    client = _mlflow(settings).MlflowClient()
    client.set_registered_model_alias(MODEL_NAME, alias, version.version)


def model_of(settings: Settings, version: Version, name: str) -> Model:
    """The arrays of a version, `SERVED` or `BACKTEST`, their digests compared.

    Raises:
        ModelError: the version has none, or they differ from what was logged.
    """
    mlflow = _mlflow(settings)
    try:
        folder = mlflow.artifacts.download_artifacts(run_id=version.run_id, artifact_path=name)
    except (OSError, mlflow.exceptions.MlflowException):
        raise ModelError(
            f"version {version.version} has no model '{name}'; run `lakehouse train`"
        ) from None
    return load_model(Path(folder))


def log_fit(
    settings: Settings,
    name: str,
    *,
    parameters: Mapping[str, Any],
    data_versions: Mapping[str, int],
    metrics: Mapping[str, float],
    learned: Mapping[str, Any],
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
) -> str:
    """Log a fit that is served as plain numbers, in an experiment of its own; returns the run's id.

    Args:
        name: of the experiment and the run.
        data_versions: Delta versions of the tables that it saw.
        learned: what came out, JSON.
        inputs: columns and MLflow types of what the fit takes; `outputs` of what it gives.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    mlflow = _mlflow(settings, f"/Shared/retail-{name}")
    schemas = (Schema([ColSpec(kind, n) for n, kind in c.items()]) for c in (inputs, outputs))
    with contextlib.redirect_stderr(io.StringIO()), mlflow.start_run(run_name=name) as run:
        mlflow.log_params(dict(parameters))
        mlflow.log_params({f"version of {table}": v for table, v in data_versions.items()})
        mlflow.log_metrics(dict(metrics))
        mlflow.log_dict(dict(learned), "learned.json")
        mlflow.log_dict(ModelSignature(*schemas).to_dict(), "signature.json")
    return str(run.info.run_id)


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    columns = Schema([ColSpec("float", name) for name in FEATURE_NAMES])
    return ModelSignature(inputs=columns, outputs=Schema([ColSpec("double", "probability")]))


def _mlflow(settings: Settings, experiment: str = EXPERIMENT) -> Any:
    """MLflow, pointed at the store of this lake and an experiment in it."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    import mlflow.spark

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    folder = settings.state / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    uri = settings.model.tracking_uri or f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    if mlflow.get_experiment_by_name(experiment) is None:
        location = None if settings.model.tracking_uri else (folder / "artifacts").as_uri()
        mlflow.create_experiment(experiment, artifact_location=location)
    mlflow.set_experiment(experiment)
    return mlflow
