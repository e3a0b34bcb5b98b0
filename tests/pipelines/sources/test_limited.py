"""Work in a process of its own: what exceeds its limits ends, what comes next is served."""

import faulthandler
import os
import re
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from pipelines.sources.limited import Limited, LimitError


def work(what: str, amount: int = 0) -> object:
    if what == "hang":
        re.match(r"(a+)+b", "a" * 60)  # in C, for ages: no alarm would end it
    if what == "grow":
        return len(bytearray(amount))
    if what == "leak":
        KEPT.append(bytearray(amount))
    if what == "die":
        faulthandler.disable()  # its report is no news
        os.kill(os.getpid(), signal.SIGSEGV)
    return os.getpid()


KEPT: list[bytearray] = []


@pytest.fixture
def limited() -> Iterator[Limited[object]]:
    made = Limited(work, seconds=1, memory_bytes=300 << 20)
    yield made
    made.close()


def test_calls_are_served_by_one_process_that_is_not_this_one(limited: Limited[object]) -> None:
    first, second = limited("say"), limited("say")
    assert first == second != os.getpid()


@pytest.mark.parametrize("what", ["hang", "grow", "die"])
def test_what_exceeds_its_limits_is_named_and_the_next_call_is_served(
    limited: Limited[object], what: str
) -> None:
    before = limited("say")
    started = time.monotonic()
    with pytest.raises(LimitError):
        limited(what, 400 << 20)
    assert time.monotonic() - started < 10
    assert limited("say") not in (before, os.getpid())


def test_memory_that_earlier_calls_took_is_not_held_against_the_next(
    limited: Limited[object],
) -> None:
    for _ in range(5):
        limited("leak", 200 << 20)


def test_no_process_stays_behind(limited: Limited[object]) -> None:
    pid = limited("say")
    limited.close()
    assert isinstance(pid, int)
    assert not psutil.pid_exists(pid)
