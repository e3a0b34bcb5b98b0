"""The one module that touches MLflow: runs, the registry and its aliases."""

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from ml.evaluate import Quality
from ml.train import Recommender
from pipelines.errors import ModelError
from pipelines.settings import Settings

MODEL_NAME = "retail-recommender"
EXPERIMENT = "/Shared/retail-recommendations"  # a workspace wants a path, others take any name
CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class Version:
    """A registered model: its number in the registry, its run, and what was measured of it."""

    version: str
    run_id: str
    parameters: dict[str, str]
    metrics: dict[str, float]


def register(
    settings: Settings,
    recommender: Recommender,
    parameters: Mapping[str, Any],
    data_versions: Mapping[str, int],
) -> Version:
    """Log a fitted recommender as a run and register it under the alias `challenger`.

    Args:
        parameters: what the model was fitted with.
        data_versions: Delta versions of the tables that it saw.
    """
    mlflow = _mlflow(settings)
    # MLflow announces a registration on standard error; the command says it in its own words.
    with contextlib.redirect_stderr(io.StringIO()), mlflow.start_run(run_name="als"):
        mlflow.log_params(dict(parameters))
        mlflow.log_params({f"version of {name}": v for name, v in data_versions.items()})
        with tempfile.TemporaryDirectory() as folder:
            _write_ids(recommender, Path(folder))
            mlflow.log_artifacts(folder, artifact_path="ids")
        info = mlflow.spark.log_model(
            recommender.model,
            artifact_path="als",
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
    data = client.get_run(found.run_id).data
    return Version(str(found.version), found.run_id, dict(data.params), dict(data.metrics))


def log_quality(settings: Settings, version: Version, prefix: str, quality: Quality) -> None:
    """Add measured figures to a version's run."""
    client = _mlflow(settings).MlflowClient()
    for name, value in asdict(quality).items():
        client.log_metric(version.run_id, f"{prefix}_{name}", value)


def point_alias(settings: Settings, alias: str, version: Version) -> None:
    """Let an alias point at a version."""
    client = _mlflow(settings).MlflowClient()
    client.set_registered_model_alias(MODEL_NAME, alias, version.version)


def load(spark: SparkSession, settings: Settings, version: Version) -> Recommender:
    """The recommender of a version, without what its customers have (`known` is empty)."""
    mlflow = _mlflow(settings)
    pipeline = mlflow.spark.load_model(
        f"models:/{MODEL_NAME}/{version.version}",
        dfs_tmpdir=str(settings.state / "mlflow" / "tmp"),
    )
    ids = mlflow.artifacts.download_artifacts(run_id=version.run_id, artifact_path="ids")
    return Recommender(
        model=pipeline.stages[0],
        customers=spark.read.parquet(f"file://{ids}/customers.parquet"),
        items=spark.read.parquet(f"file://{ids}/items.parquet"),
        known=spark.createDataFrame([], "customer_id STRING, item_id STRING"),
    )


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


def _write_ids(recommender: Recommender, folder: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(recommender.customers.toArrow(), folder / "customers.parquet")
    pq.write_table(recommender.items.toArrow(), folder / "items.parquet")


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    columns = Schema([ColSpec("integer", "customer_index"), ColSpec("integer", "item_index")])
    return ModelSignature(inputs=columns, outputs=Schema([ColSpec("float", "prediction")]))


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
