"""Commits that another writer's commit spoiled: tried again, a bounded number of times."""

import re
import time
from collections.abc import Callable

from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentWriteException,
    MetadataChangedException,
)

from pipelines.errors import ConflictError

# Delta for Python gives them no base of their own.
CONFLICTS = (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentWriteException,
    MetadataChangedException,
)

# As Delta names the commit that came first. A rewrite leaves every row as it is, so that what was
# computed from them still holds.
_REWRITE = re.compile(r"a concurrent (OPTIMIZE|REORG)\b")

_FIRST_PAUSE_S = 0.2  # doubled each time: about what one micro-batch takes to commit


def retrying(
    action: Callable[[], object],
    attempts: int,
    table: str,
    *,
    after: tuple[type[Exception], ...] = CONFLICTS,
    only_rewrites: bool = False,
) -> int:
    """Run an action that commits to a table until no other commit spoils it.

    Args:
        after: the errors that say so.
        only_rewrites: repeat it only if what spoiled it left every row as it was.

    Returns:
        How often it was spoiled.

    Raises:
        ConflictError: it was spoiled as often as `attempts` says, or by another conflict.
    """
    for conflicts in range(attempts):
        try:
            action()
        except after as error:
            if only_rewrites and not _REWRITE.search(str(error)):
                raise ConflictError(
                    f"{table}: another writer changed its rows meanwhile; run again"
                ) from None
            time.sleep(_FIRST_PAUSE_S * 2**conflicts)
        else:
            return conflicts
    raise ConflictError(
        f"{table}: another writer's commit came first at each of {attempts} attempts; run again "
        "when it is done"
    )
