"""What is installed: the packages of requirements.lock with their versions."""

import re
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.M)


def pinned(lock: Path = LOCK) -> dict[str, str]:
    """Normalised name (PEP 503) -> version."""
    return {normal(name): version for name, version in _PINNED.findall(lock.read_text("utf-8"))}


def normal(name: str) -> str:
    """A package's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()
