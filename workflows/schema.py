"""The bundle language: which keys there are and what each takes, from schema.json."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.errors import BundleError
from workflows.references import REFERENCE, hint
from workflows.tree import Node, plain

# What the API calls its types, and what a reader of databricks.yml calls them.
CALLED = {
    "Root": "a bundle",
    "Target": "a target",
    "JobSettings": "a job",
    "PipelineSpec": "a pipeline",
    "Task": "a task",
    "Resources": "resources",
}


@cache
def types() -> dict[str, Any]:
    """Every type of the language: its fields with their notation, or its values."""
    file = Path(__file__).with_name("schema.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def check(node: Node, notation: str = "Root") -> None:
    """Raise a BundleError for the first key or value that the language does not know.

    Args:
        notation: `str`, `int`, `bool`, `num`, `any`, `Type`, `[list of]` or `{map to}`.
    """
    if node.value is None or notation == "any" or _is_reference(node):
        return
    if notation[0] == "[":
        for entry in node.elements:
            check(entry, notation[1:-1])
    elif notation[0] == "{":
        for child in node.items.values():
            check(child, notation[1:-1])
    elif notation in types():
        _check_type(node, notation)
    else:
        _check_scalar(node, notation)


def _is_reference(node: Node) -> bool:
    return isinstance(node.value, str) and REFERENCE.fullmatch(node.value) is not None


def _check_type(node: Node, name: str) -> None:
    known = types()[name]
    if isinstance(known, list):
        if node.text("") not in known and not REFERENCE.search(node.text("")):
            raise BundleError(
                f"{node.where}: unknown value '{node.value}'; {hint(node.text(), known)}"
            )
        return
    for key, child in node.items.items():
        if key not in known:
            called = CALLED.get(name, re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower())
            raise BundleError(f"{child.where}: unknown key '{key}' in {called}; {hint(key, known)}")
        check(child, known[key])


def _check_scalar(node: Node, notation: str) -> None:
    if isinstance(node.value, str) and REFERENCE.search(node.value):
        return
    if notation == "int":
        node.integer(0, minimum=-1)
    elif notation == "bool":
        node.flag()
    elif notation == "num":
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise BundleError(f"{node.where}: must be a number, got {plain(node)!r}")
    else:
        node.text()
