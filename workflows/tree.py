"""A YAML file as a tree whose every node knows the file, line and column that it came from.

Bundles are merged from many files and overlays; the origin stays with each value, so that an error
can name it and a relative path is resolved beside the file that declares it.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from pipelines.errors import BundleError

MAX_DEPTH = 40  # a job needs 12; without a limit a hostile file exhausts the stack
MAX_BYTES = 2_000_000  # 1,000 tasks, a job's most, need some 300,000
MAX_VALUES = 100_000  # aliases of aliases make billions of values out of ten lines

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Node:
    """A value of a YAML file, and where it stands."""

    value: "dict[str, Node] | list[Node] | Scalar"
    file: Path
    line: int
    column: int = 1

    @property
    def where(self) -> str:
        """`file:line:column`, counted from 1; of an entry of a mapping, where its key stands."""
        return f"{self.file}:{self.line}:{self.column}"

    def with_value(self, value: "dict[str, Node] | list[Node] | Scalar") -> "Node":
        """Another value in the same place."""
        return replace(self, value=value)

    @property
    def items(self) -> "dict[str, Node]":
        """The children of a mapping; of an empty value, none."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise BundleError(f"{self.where}: must be a mapping of keys to values; correct it")
        return self.value

    @property
    def elements(self) -> "list[Node]":
        """The children of a list; of an empty value, none."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise BundleError(f"{self.where}: must be a list; begin each entry with '- '")
        return self.value

    def get(self, key: str) -> "Node":
        """The child called `key`, or an empty node in the same place."""
        return self.items.get(key) or self.with_value(None)

    def text(self, default: str | None = None) -> str:
        """The value as a string; a whole number or a boolean counts, as it does in a workspace."""
        if self.value is None and default is not None:
            return default
        if isinstance(self.value, bool):
            return str(self.value).lower()
        if not isinstance(self.value, str | int):
            raise BundleError(f"{self.where}: must be text, got {plain(self)!r}; quote it")
        return str(self.value)

    def integer(self, default: int, minimum: int = 0) -> int:
        """The value as a whole number of at least `minimum`."""
        if self.value is None:
            return default
        # A value from --var is a text.
        digits = isinstance(self.value, str) and re.fullmatch(r"-?\d{1,18}", self.value)
        if (digits or type(self.value) is int) and int(str(self.value)) >= minimum:
            return int(str(self.value))
        raise BundleError(
            f"{self.where}: must be a whole number of at least {minimum}, got {plain(self)!r}"
        )

    def flag(self, default: bool = False) -> bool:
        """The value as a boolean."""
        if self.value is None:
            return default
        if self.text("").lower() not in ("true", "false"):
            raise BundleError(f"{self.where}: must be true or false, got {plain(self)!r}")
        return self.text().lower() == "true"


def read_tree(file: Path, *, kept: Collection[str] = ()) -> Node:
    """The tree of a YAML file.

    Args:
        kept: top-level keys that stay even if they are anchored; others only hold what `*name`
            repeats further down.

    Raises:
        BundleError: the file is missing, too large, not UTF-8, not YAML, or repeats a key.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise BundleError(f"{file}: larger than {MAX_BYTES:,} bytes; part it into includes")
        # The round-trip loader builds no Python objects from tags and refuses duplicate keys.
        document = YAML().load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"{file}: {error.strerror}; name a bundle file") from None
    except (YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise BundleError(f"{file}{place}: not valid YAML: {problem}; correct it") from None
    tree = _Reader(file).node(document, (0, 0), MAX_DEPTH)
    unused = _holders(document).difference(kept)
    return tree.with_value({key: node for key, node in tree.items.items() if key not in unused})


def _holders(document: Any) -> set[str]:
    """Top-level keys that only hold what is named by an anchor, to be used further down."""
    found = document.items() if isinstance(document, CommentedMap) else ()
    return {str(k) for k, v in found if getattr(getattr(v, "anchor", None), "value", None)}


class _Reader:
    """Makes the nodes of one file, and counts them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._left = MAX_VALUES

    def node(self, value: Any, at: tuple[int, int], depth: int) -> Node:
        place = Node(None, self._file, at[0] + 1, at[1] + 1)
        self._left -= 1
        if self._left < 0:
            raise BundleError(f"{place.where}: over {MAX_VALUES:,} values; use fewer aliases")
        if depth == 0:
            raise BundleError(f"{place.where}: nested over {MAX_DEPTH} deep; flatten it")
        tag = getattr(getattr(value, "tag", None), "value", None)
        if tag:
            raise BundleError(f"{place.where}: the tag {tag} is not supported; remove it")
        if isinstance(value, CommentedMap):
            known = value.lc.data or {}  # an alias merged in by << has no place of its own
            places = {key: known[key][:2] if key in known else at for key in value}
            return place.with_value(
                {str(k): self.node(v, places[k], depth - 1) for k, v in value.items()}
            )
        if isinstance(value, CommentedSeq):
            entries = enumerate(value)
            return place.with_value(
                [self.node(entry, value.lc.item(i), depth - 1) for i, entry in entries]
            )
        if isinstance(value, int) and (getattr(value, "_width", None) or 0) > len(str(abs(value))):
            raise BundleError(f"{place.where}: a number that begins with 0; quote it to keep it")
        return place.with_value(_scalar(value))


def _scalar(value: Any) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    # ruamel's scalars are subclasses that remember quotes and digits.
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def plain(node: Node) -> Any:
    """The tree without its places."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def planted(value: Any, at: Node) -> Node:
    """A plain value as a tree that stands where `at` does."""
    if isinstance(value, Mapping):
        return at.with_value({k: planted(v, at) for k, v in value.items()})
    if isinstance(value, list):
        return at.with_value([planted(v, at) for v in value])
    return at.with_value(value)


def merge(base: Node, overlay: Node, keys: Mapping[str, str], name: str = "") -> Node:
    """`base` with `overlay` on top: mappings merge, lists join, the overlay's scalars win.

    Args:
        keys: for a list that is merged entry by entry, the list's name to its entries' key.
        name: what `base` is called in its parent.
    """
    if isinstance(base.value, dict) and isinstance(overlay.value, dict):
        merged = dict(base.value)
        for key, child in overlay.value.items():
            merged[key] = merge(merged[key], child, keys, key) if key in merged else child
        return base.with_value(merged)
    if isinstance(base.value, list) and isinstance(overlay.value, list):
        if name not in keys:
            return base.with_value([*base.value, *overlay.value])
        entries = by_key(base, keys[name])
        for key, child in by_key(overlay, keys[name]).items():
            entries[key] = merge(entries[key], child, keys) if key in entries else child
        return base.with_value(list(entries.values()))
    return overlay


def by_key(entries: Node, key: str) -> dict[str, Node]:
    """The entries of a list of mappings by their `key`, which must be there and unique."""
    found: dict[str, Node] = {}
    for entry in entries.elements:
        value = entry.get(key)
        if value.value is None:
            raise BundleError(f"{entry.where}: has no {key}; give it one")
        if value.text() in found:
            first = found[value.text()].where
            raise BundleError(
                f"{value.where}: {key} '{value.value}' is already used at {first}; rename one"
            )
        found[value.text()] = entry
    return found
