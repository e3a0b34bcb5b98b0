"""A Databricks bundle as one target sees it: databricks.yml, includes, overlays and variables.

What a workspace would run is decided by these files alone, so it can be run without one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import BundleError
from workflows.jobs import Job, job_of
from workflows.references import hint, resolved
from workflows.tree import Node, merge, plain, planted, read_tree

# An overlay changes the entries of these lists that have the same key; it lengthens other lists.
MERGED_BY = {
    "tasks": "task_key",
    "job_clusters": "job_cluster_key",
    "environments": "environment_key",
    "parameters": "name",
}
# Of these, artifacts, permissions, run_as and sync are about deploying to a workspace only.
TOP_LEVEL = (
    *("artifacts", "bundle", "include", "permissions", "presets", "resources", "run_as", "sync"),
    *("targets", "variables", "workspace"),
)


@dataclass(frozen=True)
class Bundle:
    """The jobs of one target, every reference resolved.

    Attributes:
        root: the folder of databricks.yml, where tasks run.
        variables: every variable's value; None where it has none.
    """

    name: str
    target: str
    root: Path
    variables: Mapping[str, Any]
    jobs: Mapping[str, Job]

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
        BundleError: a file is malformed, or a reference, variable, target, task or file is unknown.
    """
    file = (path / "databricks.yml" if path.is_dir() else path).absolute()
    tree = _with_includes(read_tree(file))
    chosen, overlay = _target(tree, target)
    tree = merge(tree, _without_variables(overlay), MERGED_BY)
    values = _variables(tree, chosen, overlay, variables or {})
    tree = _surroundings(tree, chosen, values)
    name = resolved(tree.get("bundle").get("name"), tree).text("")
    if not name:
        raise BundleError(f"{tree.get('bundle').where}: the bundle has no name; set bundle.name")
    presets = _presets(resolved(tree.get("presets"), tree), tree.get("bundle").get("mode"))
    jobs = {
        key: job_of(key, _preset(resolved(job, tree), presets))
        for key, job in tree.get("resources").get("jobs").items.items()
    }
    known = {key: plain(resolved(value, tree)) for key, value in values.items.items()}
    return Bundle(name, chosen, file.parent, known, jobs)


def _with_includes(tree: Node) -> Node:
    """The tree with every included file merged in, in the order of their names."""
    _check_top_level(tree)
    merged, seen = tree, {tree.file}
    for entry in tree.get("include").elements:
        pattern = entry.text()
        if Path(pattern).is_absolute():
            raise BundleError(f"{entry.where}: include '{pattern}' must be relative to this file")
        files = sorted(file.resolve() for file in tree.file.parent.glob(pattern))
        if not files:
            raise BundleError(f"{entry.where}: no file matches '{pattern}'; correct the pattern")
        for file in files:
            if file in seen:
                continue
            seen.add(file)
            part = read_tree(file)
            _check_top_level(part)
            _check_declared_once(merged, part)
            merged = merge(merged, part, MERGED_BY)
    return merged


def _check_top_level(tree: Node) -> None:
    for key, node in tree.items.items():
        if key not in TOP_LEVEL:
            raise BundleError(f"{node.where}: '{key}' is not supported; {hint(key, TOP_LEVEL)}")


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
    """The chosen target and its overlay."""
    targets = tree.get("targets")
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


def _without_variables(overlay: Node) -> Node:
    """What a target lays over the bundle: `default` is about the target itself, `mode` about the
    bundle, and a variable's value may have a short form."""
    rest = {k: v for k, v in overlay.items.items() if k not in ("default", "variables", "mode")}
    mode = {"mode": overlay.items["mode"]} if "mode" in overlay.items else {}
    bundle = Node({**overlay.get("bundle").items, **mode}, overlay.file, overlay.line)
    return Node(rest | {"bundle": bundle}, overlay.file, overlay.line)


def _variables(tree: Node, target: str, overlay: Node, given: Mapping[str, str]) -> Node:
    """Every variable's value: the override, else the target's, else the default, else nothing."""
    declared = tree.get("variables")
    values = {name: _value(node) for name, node in declared.items.items()}
    for name, node in overlay.get("variables").items.items():
        _check_variable(name, declared, node.where)
        is_complex = declared.items[name].get("type").value == "complex"
        short = not isinstance(node.value, dict) or (is_complex and "default" not in node.value)
        values[name] = node if short else _value(node)
    for name, text in given.items():
        _check_variable(name, declared, f"--var {name}")
        if declared.items[name].get("type").value == "complex":
            raise BundleError(f"--var {name}: a complex variable; set it in target '{target}'")
        values[name] = planted(text, declared.items[name])
    return Node(dict(values), declared.file, declared.line)


def _value(node: Node) -> Node:
    if "lookup" in node.items:
        raise BundleError(
            f"{node.get('lookup').where}: 'lookup' asks a workspace and is not supported here; "
            "give the variable a default"
        )
    return node.get("default")


def _check_variable(name: str, declared: Node, where: str) -> None:
    if name not in declared.items:
        known = hint(name, declared.items)
        raise BundleError(f"{where}: no variable '{name}' in {declared.file}; {known}")


def _surroundings(tree: Node, target: str, values: Node) -> Node:
    """The tree with what references may name besides: `var`, the target, where the files stand."""
    facts = {
        "var": values,
        "bundle": planted({"target": target}, tree.get("bundle")),
    }
    files = planted({"workspace": {"file_path": str(tree.file.parent)}}, tree)
    below = merge(files, tree, MERGED_BY)
    return merge(below, Node(dict(facts), tree.file, tree.line), MERGED_BY)


def _presets(presets: Node, mode: Node) -> Node:
    """The target's presets; mode `development` pauses what would start by itself."""
    if mode.text("production") not in ("development", "production"):
        raise BundleError(
            f"{mode.where}: unknown mode '{mode.value}'; use development or production"
        )
    if mode.value != "development":
        return presets
    pause = planted({"trigger_pause_status": "PAUSED"}, mode)
    return merge(pause, presets, MERGED_BY) if presets.value else pause


def _preset(job: Node, presets: Node) -> Node:
    """The job under the target's presets; an explicit UNPAUSED stays."""
    changed = dict(job.items)
    pause, prefix = presets.get("trigger_pause_status"), presets.get("name_prefix")
    for start in ("schedule", "continuous", "trigger"):
        if start not in changed or pause.value is None:
            continue
        if changed[start].get("pause_status").value != "UNPAUSED":
            children = {**changed[start].items, "pause_status": pause}
            changed[start] = Node(children, changed[start].file, changed[start].line)
    if prefix.value is not None and "name" in changed:
        changed["name"] = planted(prefix.text() + changed["name"].text(), changed["name"])
    if presets.get("tags").items:
        changed["tags"] = merge(presets.get("tags"), job.get("tags"), {})
    if presets.get("jobs_max_concurrent_runs").value and "max_concurrent_runs" not in changed:
        changed["max_concurrent_runs"] = presets.get("jobs_max_concurrent_runs")
    return Node(changed, job.file, job.line)
