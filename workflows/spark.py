"""The Spark session of a task that asks for one and does not make its own."""

from importlib import import_module
from typing import Any

from workflows.context import task_context
from workflows.secrets import environment_with_secrets


def session_conf() -> dict[str, str]:
    """The session's settings: those of this machine, with the cluster's on top."""
    context = task_context()
    conf: dict[str, str] = {}
    if context.spark:
        module, _, function = context.spark["call"].partition(":")
        conf |= getattr(import_module(module), function)(**context.spark.get("arguments", {}))
    return conf | {k: v for k, v in environment_with_secrets(context.spark_conf).items()}


def session() -> Any:
    """The session of this process, made if there is none."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder
    for key, value in session_conf().items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def home() -> str:
    """Where Spark is installed."""
    from pyspark.find_spark_home import _find_spark_home

    return str(_find_spark_home())
