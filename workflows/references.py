"""References in a bundle: `${var.x}`, `${bundle.target}`, `${workspace.file_path}` and the like.

A text that is one reference takes the value with its type; inside a longer text it becomes text.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from pipelines.errors import BundleError
from workflows.tree import Node

REFERENCE = re.compile(r"\$\{([A-Za-z_][\w-]*(?:\.[\w-]+)*)\}")


def resolved(node: Node, root: Node, chain: tuple[str, ...] = ()) -> Node:
    """`node` with every reference replaced by the value that it names in `root`.

    Args:
        root: the whole bundle, its variables as plain values under `var`.
        chain: the references that led here, to find one that needs itself.

    Raises:
        BundleError: a reference names what does not exist, or needs itself.
    """
    if isinstance(node.value, dict):
        children = {key: resolved(child, root, chain) for key, child in node.value.items()}
        return Node(children, node.file, node.line)
    if isinstance(node.value, list):
        entries = [resolved(child, root, chain) for child in node.value]
        return Node(entries, node.file, node.line)
    if not isinstance(node.value, str):
        return node
    whole = REFERENCE.fullmatch(node.value)
    if whole:
        return Node(_named(whole[1], node, root, chain).value, node.file, node.line)
    text = REFERENCE.sub(lambda found: _as_text(found[1], node, root, chain), node.value)
    return Node(text, node.file, node.line)


def _named(path: str, at: Node, root: Node, chain: tuple[str, ...]) -> Node:
    if path in chain:
        raise BundleError(
            f"{at.where}: ${{{path}}} needs itself: {' -> '.join((*chain, path))}; break the circle"
        )
    found = root
    for depth, part in enumerate(path.split(".")):
        if not (isinstance(found.value, dict) and part in found.value):
            raise _unknown(path, depth, at, found)
        found = found.value[part]
        if found.value is None and path.startswith("var."):
            raise BundleError(
                f"{at.where}: variable '{part}' has no value; give it a default, a value in the "
                f"target, or --var {part}=VALUE"
            )
    return resolved(found, root, (*chain, path))


def _as_text(path: str, at: Node, root: Node, chain: tuple[str, ...]) -> str:
    value = _named(path, at, root, chain).value
    if isinstance(value, dict | list):
        raise BundleError(
            f"{at.where}: ${{{path}}} is not a single value, so it cannot stand inside a text; "
            "let it stand alone"
        )
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown(path: str, depth: int, at: Node, parent: Node) -> BundleError:
    if path.startswith(("workspace.", "resources.")):
        advice = "only a deployed workspace knows it; write the value in databricks.yml"
    elif depth and isinstance(parent.value, dict):
        advice = hint(path.split(".")[depth], parent.value)
    else:
        advice = hint(path, ("var", "bundle", "workspace"))
    return BundleError(f"{at.where}: unknown reference ${{{path}}}; {advice}")


def hint(name: str, known: Iterable[str]) -> str:
    """What a user who wrote `name` may have meant, and what there is."""
    names = sorted(known)
    near = get_close_matches(name, names, 1)
    meant = f"did you mean '{near[0]}'? " if near else ""
    return f"{meant}known: {', '.join(names) or 'none'}"
