"""Which process a run goes on in: its number, with when it began, because numbers come again."""

import os
from functools import cache

import psutil


@cache
def own_name() -> str:
    """The name of this process."""
    return f"{os.getpid()}/{psutil.Process().create_time()}"


def is_alive(name: str | None) -> bool:
    """Whether the process that had this name is still there."""
    number, _, began = (name or "").partition("/")
    try:
        return bool(number) and str(psutil.Process(int(number)).create_time()) == began
    except psutil.NoSuchProcess:
        return False
