"""Secrets that stand in plain text in a bundle: refused, because bundles are committed."""

from collections.abc import Iterator

from pipelines.errors import BundleError
from pipelines.plaintext import is_secret
from workflows.tree import Node

# What holds the value of a name that stands elsewhere.
VALUES = ("default", "value")


def check_no_secret(tree: Node) -> None:
    """Raise a BundleError for the first value that looks like a secret.

    That is a text under a key such as `password` or `api_key` that refers to nothing, or a text in
    the shape of a well-known token. `{{secrets/scope/key}}` and `${var.name}` are the way to write
    a secret.
    """
    for name, node in _texts(tree, ""):
        if is_secret(name, node.text()):
            raise BundleError(
                f"{node.where}: '{name}' holds a secret in plain text; write "
                "{{secrets/SCOPE/KEY}} and set it in the environment"
            )


def _texts(node: Node, name: str) -> Iterator[tuple[str, Node]]:
    if isinstance(node.value, dict):
        own = node.value.get("name")
        called = str(own.value) if own and isinstance(own.value, str) else name
        for key, child in node.value.items():
            yield from _texts(child, called if key in VALUES else key)
    elif isinstance(node.value, list):
        for entry in node.value:
            yield from _texts(entry, "")
    elif isinstance(node.value, str):
        yield name, node
