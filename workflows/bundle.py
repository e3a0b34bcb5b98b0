"""A Databricks bundle as one target sees it: databricks.yml, includes, overlays and variables.

What a workspace would run is decided by these files alone, so it can be run without one.
"""

import getpass
import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import BundleError
from workflows.git import git_facts
from workflows.jobs import job_of
from workflows.model import Job
from workflows.plaintext import check_no_secret
from workflows.presets import presets_of, with_presets
from workflows.python_resources import with_python_resources
from workflows.references import hint, resolved
from workflows.schema import check, types
from workflows.tree import Node, merge, plain, planted, read_tree
from workflows.variables import variables_of

# An overlay changes the entries of these lists that have the same key; it lengthens other lists.
MERGED_BY = {
    "tasks": "task_key",
    "job_clusters": "job_cluster_key",
    "environments": "environment_key",
    "parameters": "name",
}
# What an overlay says about itself and not about the bundle.
OF_TARGET = ("default", "variables", "mode", "git", "cluster_id", "compute_id")


@dataclass(frozen=True)
class Bundle:
    """The jobs of one target, every reference resolved.

    Attributes:
        root: the folder of databricks.yml.
        variables: every variable's value; None where it has none.
        pipelines: the pipelines as plain data, by key.
        artifacts: what is built before a run, as plain data, by key.
    """

    name: str
    target: str
    root: Path
    variables: Mapping[str, Any]
    jobs: Mapping[str, Job]
    pipelines: Mapping[str, Any]
    artifacts: Mapping[str, Any]

    def job(self, key: str) -> Job:
        """The job called `key`, or a BundleError with the nearest name."""
        if key in self.jobs:
            return self.jobs[key]
        raise BundleError(f"{self.root / 'databricks.yml'}: no job '{key}'; {hint(key, self.jobs)}")


def load_bundle(
    path: Path, *, target: str | None = None, variables: Mapping[str, str] | None = None
) -> Bundle:
    """The bundle in `path` as `target` sees it.

    Args:
        path: databricks.yml, or the folder that holds it.
        target: the target's name; None for the default one.
        variables: values that override those of the files, as `--var` does.

    Raises:
        BundleError: a file is malformed, a key or value is unknown, or a reference, variable,
            target, task or file does not exist; with file, line and column.
    """
    file = (path / "databricks.yml" if path.is_dir() else path).absolute()
    tree = _with_includes(_read(file))
    chosen, overlay = _target(tree, target)
    values = variables_of(tree, chosen, overlay, variables or {})
    tree = merge(tree, _over(overlay), MERGED_BY)
    tree = with_python_resources(tree, chosen, values)
    name = resolved(tree.get("bundle").get("name"), tree).text("")
    if not name:
        raise BundleError(f"{tree.get('bundle').where}: the bundle has no name; set bundle.name")
    user = re.sub(r"\W+", "_", getpass.getuser())
    tree = _surroundings(tree, f"{name}/{chosen}", chosen, values, user)
    presets = presets_of(resolved(tree.get("presets"), tree), tree.get("bundle").get("mode"), user)
    roots = _roots(tree)
    resources = tree.get("resources")
    jobs = {}
    for key, node in resources.get("jobs").items.items():
        job = resolved(_with_defaults(_without_id(node), tree), tree)
        check(job, "JobSettings")
        jobs[key] = job_of(key, node.get("id").integer(0), with_presets(job, presets), roots)
    pipelines = resolved(resources.get("pipelines"), tree)
    known = {key: plain(resolved(value, tree)) for key, value in values.items.items()}
    artifacts = plain(resolved(tree.get("artifacts"), tree)) or {}
    return Bundle(name, chosen, file.parent, known, jobs, plain(pipelines) or {}, artifacts)


def _read(file: Path) -> Node:
    tree = read_tree(file, kept=types()["Root"])
    check(tree)
    check_no_secret(tree)
    return tree


def _with_includes(tree: Node) -> Node:
    """The tree with every included file merged in, in the order of their names."""
    merged, seen, roots = tree, {tree.file}, _roots(tree)
    for entry in tree.get("include").elements:
        pattern = entry.text()
        if Path(pattern).is_absolute():
            raise BundleError(f"{entry.where}: include '{pattern}' must be relative to this file")
        files = sorted(file.resolve() for file in tree.file.parent.glob(pattern))
        if not files and not set(pattern) & set("*?["):
            raise BundleError(f"{entry.where}: no file matches '{pattern}'; correct the pattern")
        for file in files:
            if not any(file.is_relative_to(root) for root in roots):
                raise BundleError(
                    f"{entry.where}: {file} is outside the bundle; move it inside, or add its "
                    "folder to sync.paths"
                )
            if file in seen:
                continue
            seen.add(file)
            part = _read(file)
            _check_declared_once(merged, part)
            merged = merge(merged, part, MERGED_BY)
    return merged


def _check_declared_once(tree: Node, part: Node) -> None:
    for kind, resources in part.get("resources").items.items():
        declared = tree.get("resources").get(kind).items
        for key, node in resources.items.items():
            if key in declared:
                raise BundleError(
                    f"{node.where}: {kind} '{key}' is already declared at {declared[key].where}; "
                    "rename one"
                )


def _target(tree: Node, name: str | None) -> tuple[str, Node]:
    """The chosen target and its overlay; a bundle without targets has one called `default`."""
    targets = tree.get("targets") if "targets" in tree.items else tree.get("environments")
    if not targets.items:
        targets = planted({"default": {"default": True}}, tree)
    if name is not None:
        if name not in targets.items:
            raise BundleError(f"{targets.where}: no target '{name}'; {hint(name, targets.items)}")
        return name, targets.items[name]
    defaults = [key for key, node in targets.items.items() if node.get("default").flag()]
    if len(defaults) > 1:
        second = targets.items[defaults[1]].get("default")
        raise BundleError(
            f"{second.where}: {' and '.join(defaults)} are both the default target; keep one"
        )
    candidates = defaults or list(targets.items)
    if len(candidates) != 1:
        known = ", ".join(candidates) or "none"
        raise BundleError(f"{targets.where}: no default target; name one of: {known}")
    return candidates[0], targets.items[candidates[0]]


def _over(overlay: Node) -> Node:
    """What a target lays over the bundle; its mode and git are facts of `bundle`."""
    rest = {key: node for key, node in overlay.items.items() if key not in OF_TARGET}
    facts: dict[str, Node] = {
        key: overlay.items[key] for key in ("mode", "git") if key in overlay.items
    }
    bundle = overlay.get("bundle")
    return overlay.with_value(rest | {"bundle": bundle.with_value({**bundle.items, **facts})})


def _surroundings(tree: Node, scope: str, target: str, values: Node, user: str) -> Node:
    """The tree with what references may name besides: `var`, the target, the user, ids."""
    root = tree.get("workspace").get("root_path").text(f"/Workspace/Users/{user}/.bundle/{scope}")
    below = planted(
        {
            "workspace": {
                "file_path": str(tree.file.parent),
                "root_path": root,
                "artifact_path": f"{root}/artifacts",
                "resource_path": f"{root}/resources",
                "state_path": f"{root}/state",
                "current_user": {
                    "userName": user,
                    "short_name": user,
                    "domain_friendly_name": user,
                },
            }
        },
        tree,
    )
    above = tree.with_value(
        {
            "var": values,
            "bundle": planted(
                {"target": target, "environment": target, "git": git_facts(tree.file.parent)},
                tree.get("bundle"),
            ),
            "resources": _ids(tree.get("resources"), scope),
        }
    )
    return merge(merge(below, tree, MERGED_BY), above, MERGED_BY)


def _ids(resources: Node, scope: str) -> Node:
    """An id for every resource, the same each time: a number for a job, else a UUID."""
    ids: dict[str, dict[str, dict[str, int | str]]] = {}
    for kind, entries in resources.items.items():
        for key in entries.items:
            text = f"{scope}/{kind}/{key}"
            number = int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)
            made = number if kind == "jobs" else str(uuid.uuid5(uuid.NAMESPACE_URL, text))
            ids.setdefault(kind, {})[key] = {"id": made}
    return planted(ids, resources)


def _without_id(job: Node) -> Node:
    return job.with_value({key: node for key, node in job.items.items() if key != "id"})


def _with_defaults(job: Node, tree: Node) -> Node:
    """The job with the bundle's `run_as` and `permissions` where it has none of its own."""
    inherited: dict[str, Node] = {
        key: tree.get(key) for key in ("run_as", "permissions") if key in tree.items
    }
    return job.with_value({**inherited, **job.items})


def _roots(tree: Node) -> tuple[Path, ...]:
    """The folders whose files belong to the bundle."""
    here = tree.file.parent
    paths = [here / entry.text() for entry in tree.get("sync").get("paths").elements]
    return tuple(path.resolve() for path in (here, *paths))
