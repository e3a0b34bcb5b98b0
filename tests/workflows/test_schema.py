"""The bundle language beside `databricks-bundles`, which Databricks makes from its own schema."""

import dataclasses
import enum
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.bundles.jobs import Job
from databricks.bundles.pipelines import Pipeline
from schema_source import SCHEMA, text

from workflows.schema import types


def test_schema_is_what_the_public_api_says() -> None:
    assert SCHEMA.read_text() == text()


def models(hint: Any) -> Iterator[type]:
    """The models that a field's type names."""
    is_model = isinstance(hint, type) and (
        dataclasses.is_dataclass(hint) or issubclass(hint, enum.Enum)
    )
    if is_model and hint.__name__ != "Variable":
        yield hint
    for argument in typing.get_args(hint):
        yield from models(argument)


def missing(model: type, name: str, seen: set[tuple[type, str]]) -> Iterator[str]:
    """Fields and values that Databricks' model has and the schema's type lacks."""
    if (model, name) in seen or name in ("str", "any"):
        return
    seen.add((model, name))
    known = types()[name]
    if issubclass(model, enum.Enum):
        yield from (f"{name}: {m.value}" for m in model if m.value not in known)
        return
    for field in dataclasses.fields(model):  # type: ignore[arg-type]
        if field.name not in known:
            yield f"{name}.{field.name}"
            continue
        for child in models(field.type):
            yield from missing(child, known[field.name].strip("[]{}"), seen)


@pytest.mark.parametrize(("model", "name"), [(Job, "JobSettings"), (Pipeline, "PipelineSpec")])
def test_every_field_and_value_that_databricks_takes_is_known(model: type, name: str) -> None:
    seen: set[tuple[type, str]] = set()
    assert list(missing(model, name, seen)) == []
    assert len(seen) > 40
