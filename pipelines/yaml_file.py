"""YAML files that people write: read with their line numbers, refused in one line."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from pipelines.errors import LakehouseError

_MAX_BYTES = 1 << 20


def read_yaml(path: Path, error_class: type[LakehouseError]) -> CommentedMap:
    """The mapping that a YAML file holds; an empty file is an empty mapping.

    Raises:
        error_class: not YAML, not UTF-8, unreadable, or not a mapping; with `file:line`.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise error_class(f"{path}: more than {_MAX_BYTES >> 20} MiB; that is no file of settings")
    try:
        document = YAML().load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not UTF-8 text"
        raise error_class(f"{path}{line}: not valid YAML: {problem}; correct that line") from None
    if document is None:
        return CommentedMap()
    if not isinstance(document, CommentedMap):
        raise error_class(f"{path}:1: must be a mapping of keys to values")
    return document


def locate(key: tuple[str | int, ...], *documents: tuple[Path, Any]) -> str:
    """`file:line` of `key` in the first document that holds all of it, else the last file."""
    for path, document in documents:
        line = line_of(key, document)
        if line is not None:
            return f"{path}:{line}"
    return str(documents[-1][0])


def line_of(key: tuple[str | int, ...], document: Any) -> int | None:
    """The line of a key, counted from 1; a list is walked by position."""
    node: Any = document
    line: int | None = None
    for part in key:
        if isinstance(node, CommentedMap) and part in node:
            line = node.lc.key(part)[0] + 1
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1  # type: ignore[attr-defined]
        else:
            return None
        node = node[part]
    return line


def plain(error: Any) -> str:
    """A pydantic error in a few words."""
    if error["type"] == "extra_forbidden":
        return "unknown key"
    if error["type"] == "missing":
        return "missing"
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, got {error['input']!r}"
