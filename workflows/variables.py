"""The variables of a bundle: what the command line, the environment and the files say of them.

The first that says something wins: `--var`, `BUNDLE_VAR_name`, the target's file
`.databricks/bundle/TARGET/variable-overrides.json`, the target, the default.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import BundleError
from workflows.references import hint
from workflows.tree import Node, planted

OVERRIDES = Path(".databricks") / "bundle"


def variables_of(tree: Node, target: str, overlay: Node, given: Mapping[str, str]) -> Node:
    """Every variable's value by its name, references in it still unresolved; None where unset.

    Raises:
        BundleError: a value is given to a variable that is not declared, or not of its type.
    """
    declared = tree.get("variables")
    values = {name: _value(node) for name, node in declared.items.items()}
    for name, node in overlay.get("variables").items.items():
        _check_declared(name, declared, node.where)
        is_complex = declared.items[name].get("type").value == "complex"
        short = not isinstance(node.value, dict) or (is_complex and not _is_long(node))
        values[name] = node if short else _value(node)
    for name, value in _overrides(tree.file.parent / OVERRIDES / target).items():
        _check_declared(name, declared, "variable-overrides.json")
        values[name] = planted(value, declared.items[name])
    texts = {f"BUNDLE_VAR_{name}": name for name in declared.items}
    said = {texts[key]: value for key, value in os.environ.items() if key in texts}
    for where, chosen in (("BUNDLE_VAR_", said), ("--var ", given)):
        for name, text in chosen.items():
            _check_declared(name, declared, f"{where}{name}")
            if declared.items[name].get("type").value == "complex":
                raise BundleError(f"{where}{name}: a complex variable; set it in target '{target}'")
            values[name] = planted(text, declared.items[name])
    return declared.with_value(dict(values))


def _is_long(node: Node) -> bool:
    return bool(node.items) and set(node.items) <= {"default", "description", "lookup", "type"}


def _value(node: Node) -> Node:
    """The default, or nothing; what only a workspace could look up is unset."""
    if "lookup" in node.items and "default" in node.items:
        raise BundleError(
            f"{node.get('lookup').where}: a variable has a default or a lookup, not both; "
            "remove one"
        )
    return node.get("default")


def _overrides(folder: Path) -> dict[str, Any]:
    file = folder / "variable-overrides.json"
    if not file.is_file():
        return {}
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"{file}: not valid JSON: {error}; correct it") from None
    if not isinstance(values, dict):
        raise BundleError(f"{file}: must be an object of names and values; correct it")
    return values


def _check_declared(name: str, declared: Node, where: str) -> None:
    if name not in declared.items:
        known = hint(name, declared.items)
        raise BundleError(f"{where}: no variable '{name}' in {declared.file}; {known}")
