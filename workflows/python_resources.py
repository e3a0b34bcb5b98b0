"""Resources that a bundle's own Python code makes: the `python` section of databricks.yml.

The code runs in a process of its own with `databricks-bundles`, as Databricks' command line runs
it; that package is the bundle's to install.
"""

import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipelines.errors import BundleError
from workflows.schema import check
from workflows.tree import Node, merge, plain, planted

PHASES = {"resources": "load_resources", "mutators": "apply_mutators"}


def with_python_resources(tree: Node, target: str, values: Node) -> Node:
    """The tree with what the bundle's functions make or change, placed where they are named.

    Raises:
        BundleError: the package is missing, or a function failed.
    """
    section = tree.get("python")
    if section.value is None:
        section = tree.get("experimental").get("python")
    wanted = [phase for key, phase in PHASES.items() if section.get(key).elements]
    if wanted and not _installed():
        raise BundleError(
            f"{section.where}: its resources are made by Python code, which needs the package "
            "databricks-bundles; install it beside the lakehouse"
        )
    for phase in wanted:
        known = {name: {"value": plain(node)} for name, node in values.items.items()}
        document = plain(tree) | {"variables": known, "python": plain(section)}
        document["bundle"] = {**document["bundle"], "target": target}
        made = planted(_ran(phase, document, section).get("resources") or {}, section)
        check(made, "Resources")
        if phase == PHASES["mutators"]:
            tree = tree.with_value({**tree.items, "resources": made})
        else:
            tree = merge(tree, _only(tree, made), {})
    return tree


def _only(tree: Node, resources: Node) -> Node:
    """A tree of the resources that are not declared in YAML."""
    new = {}
    for kind, entries in resources.items.items():
        declared = tree.get("resources").get(kind).items
        new[kind] = entries.with_value(
            {key: node for key, node in entries.items.items() if key not in declared}
        )
    return tree.with_value({"resources": resources.with_value(new)})


def _installed() -> bool:
    try:
        return find_spec("databricks.bundles.build") is not None
    except ModuleNotFoundError:
        return False


def _ran(phase: str, document: dict[str, Any], section: Node) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / name for name in ("input", "output", "diagnostics")}
        files["input"].write_text(json.dumps(document), encoding="utf-8")
        arguments = [part for name, file in files.items() for part in (f"--{name}", str(file))]
        done = subprocess.run(
            [sys.executable, "-m", "databricks.bundles.build", "--phase", phase, *arguments],
            cwd=section.file.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        said = files["diagnostics"].read_text() if files["diagnostics"].exists() else ""
        errors = [d for d in map(json.loads, said.splitlines()) if d.get("severity") == "error"]
        if done.returncode or errors:
            what = errors[0] if errors else {"summary": done.stderr.strip().split("\n")[-1]}
            detail = " ".join(str(what.get("detail") or "").split())[-200:]
            raise BundleError(
                f"{section.where}: {phase} failed: {what['summary']} {detail}; correct that code"
            )
        made: dict[str, Any] = json.loads(files["output"].read_text())
        return made
