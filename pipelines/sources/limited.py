"""Work on what nobody vouches for: in a process of its own, within limits of time and memory."""

import contextlib
import multiprocessing
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import psutil

Result = TypeVar("Result")


class LimitError(Exception):
    """The work took too long or too much memory, or its process died."""


class Limited(Generic[Result]):
    """`work`, called in a child process, which a call beyond its limits ends.

    A process and not a thread or an alarm: neither ends a call that hangs or dies in C. It serves
    one call after the other, since a fork takes 6 ms and most documents less than one.

    Args:
        work: an error of it ends the child; what it takes and returns is pickled.
        seconds: of one call.
        memory_bytes: what the child may take beyond what this process holds; not held to where
            the operating system knows no such limit (macOS).
    """

    def __init__(self, work: Callable[..., Result], *, seconds: float, memory_bytes: int) -> None:
        self._work, self._seconds, self._memory_bytes = work, seconds, memory_bytes
        self._child: tuple[BaseProcess, Connection] | None = None

    def __call__(self, *args: object) -> Result:
        """What `work(*args)` returns.

        Raises:
            LimitError: a limit was reached, or the process died.
        """
        is_fresh = self._child is None
        self._child = self._child or self._start()
        _, connection = self._child
        try:
            connection.send(args)
            if connection.poll(self._seconds):
                result: Result = connection.recv()
                return result
        except (EOFError, OSError):
            self.close()
            if not is_fresh:  # earlier calls may have used the memory up
                return self(*args)
            raise LimitError("the process died") from None
        self.close()
        raise LimitError(f"took longer than {self._seconds} s")

    def close(self) -> None:
        """End the child."""
        if self._child:
            child, connection = self._child
            connection.close()
            child.kill()
            child.join()
        self._child = None

    def _start(self) -> tuple[BaseProcess, Connection]:
        fork = multiprocessing.get_context("fork")  # a fresh interpreter would take a second
        ours, theirs = fork.Pipe()
        args = (self._work, self._memory_bytes, ours, theirs)
        child = fork.Process(target=_serve, args=args, daemon=True)
        child.start()
        theirs.close()
        return child, ours


def _serve(
    work: Callable[..., Any], memory_bytes: int, theirs: Connection, ours: Connection
) -> None:
    theirs.close()  # so that the end of the parent is seen
    limit = psutil.Process().memory_info().vms + memory_bytes
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with contextlib.suppress(EOFError):
        while True:
            ours.send(work(*ours.recv()))
