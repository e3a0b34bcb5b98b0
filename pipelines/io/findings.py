"""What is wrong, where, and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        place: a table, stream or checkpoint.
        repair: what is safe to do.
        is_note: it is worth knowing, and nothing is broken.
    """

    place: str
    problem: str
    repair: str
    is_note: bool = False
