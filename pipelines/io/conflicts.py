"""Commits that another writer's commit spoiled: tried again, a bounded number of times."""

import time
from collections.abc import Callable

from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentWriteException,
    MetadataChangedException,
)

# Delta for Python gives them no base of their own.
CONFLICTS = (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentWriteException,
    MetadataChangedException,
)

_FIRST_PAUSE_S = 0.2  # doubled each time: about what one micro-batch takes to commit


def retrying(action: Callable[[], object], attempts: int) -> int:
    """Run an action that commits to a table until no other commit spoils it.

    Returns:
        How often it was spoiled; as often as `attempts` says if it was given up.
    """
    for conflicts in range(attempts):
        try:
            action()
        except CONFLICTS:
            time.sleep(_FIRST_PAUSE_S * 2**conflicts)
        else:
            return conflicts
    return attempts
