"""References in a bundle: `${var.x}`, `${bundle.target}`, `${workspace.file_path}` and the like.

A text that is one reference takes the value with its type; inside a longer text it becomes text.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from pipelines.errors import BundleError
from workflows.tree import Node

REFERENCE = re.compile(r"\$\{([A-Za-z_][\w-]*(?:\.[\w-]+|\[\d+\])*)\}")
SHOWN = 12  # names that a hint lists


def resolved(node: Node, root: Node, chain: tuple[str, ...] = ()) -> Node:
    """`node` with every reference replaced by the value that it names in `root`.

    Args:
        root: the whole bundle, its variables as plain values under `var`.
        chain: the references that led here, to find one that needs itself.

    Raises:
        BundleError: a reference names what does not exist, or needs itself.
    """
    if isinstance(node.value, dict):
        return node.with_value({k: resolved(v, root, chain) for k, v in node.value.items()})
    if isinstance(node.value, list):
        return node.with_value([resolved(child, root, chain) for child in node.value])
    if not isinstance(node.value, str):
        return node
    whole = REFERENCE.fullmatch(node.value)
    if whole:
        return node.with_value(_named(whole[1], node, root, chain).value)
    return node.with_value(
        REFERENCE.sub(lambda found: _as_text(found[1], node, root, chain), node.value)
    )


def _named(path: str, at: Node, root: Node, chain: tuple[str, ...]) -> Node:
    if path in chain:
        raise BundleError(
            f"{at.where}: ${{{path}}} needs itself: {' -> '.join((*chain, path))}; break the circle"
        )
    found = root
    parts = path.replace("[", ".[").split(".")
    for depth, part in enumerate(parts):
        # A reference may lead through another, as ${var.cluster.size} through cluster's value.
        step = _child(resolved(found, root, (*chain, path)) if _is_text(found) else found, part)
        if step is None:
            raise _unknown(path, parts, depth, at, found)
        found = step
        if found.value is None and parts[0] == "var":
            raise BundleError(
                f"{at.where}: variable '{parts[1]}' has no value; give it a default, a value in "
                f"the target, or --var {parts[1]}=VALUE"
            )
    return resolved(found, root, (*chain, path))


def _is_text(node: Node) -> bool:
    return isinstance(node.value, str)


def _child(node: Node, part: str) -> Node | None:
    if part.startswith("[") and isinstance(node.value, list):
        index = int(part[1:-1])
        return node.value[index] if index < len(node.value) else None
    return node.value.get(part) if isinstance(node.value, dict) else None


def _as_text(path: str, at: Node, root: Node, chain: tuple[str, ...]) -> str:
    value = _named(path, at, root, chain).value
    if isinstance(value, dict | list):
        raise BundleError(
            f"{at.where}: ${{{path}}} is not a single value, so it cannot stand inside a text; "
            "let it stand alone"
        )
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown(path: str, parts: list[str], depth: int, at: Node, parent: Node) -> BundleError:
    if parts[0] == "workspace":
        advice = "only a deployed workspace knows it; write the value in databricks.yml"
    elif depth and isinstance(parent.value, dict):
        advice = hint(parts[depth], parent.value)
    else:
        advice = hint(path, ("var", "bundle", "workspace", "resources"))
    return BundleError(f"{at.where}: unknown reference ${{{path}}}; {advice}")


def hint(name: str, known: Iterable[str]) -> str:
    """What a user who wrote `name` may have meant, and what there is."""
    names = sorted(known)
    near = get_close_matches(name, names, 1)
    meant = f"did you mean '{near[0]}'? " if near else ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{meant}known: {', '.join(names[:SHOWN]) or 'none'}{more}"
