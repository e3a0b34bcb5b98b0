"""The files of the dashboard's page, read once: a request can name no other."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

FOLDER = Path(__file__).parent / "page"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class PageFile:
    """One file, its media type and its `ETag`."""

    content: bytes
    media_type: str
    tag: str


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    tag = f'"{blake2b(content, digest_size=16).hexdigest()}"'
    return PageFile(content, _MEDIA_TYPES[path.suffix], tag)


# By name alone: the folders below only put them in order.
PAGE_FILES = {path.name: _read(path) for path in FOLDER.rglob("*") if path.suffix in _MEDIA_TYPES}
PAGE = PAGE_FILES.pop("index.html")
