"""Several processes that answer on one socket."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType

# Forked, so that they share the socket, the rates and the counts.
_fork = multiprocessing.get_context("fork")
LOOK_S = 0.2  # between looks at whether to stop
RESTART_S = 0.5  # a worker that dies at once is not started more often


Work = Callable[[int, Callable[[str], None]], None]


def run_workers(count: int, work: Work, ready: Callable[[str], None]) -> None:
    """Run workers until SIGINT or SIGTERM; one that ends before is replaced.

    Args:
        count: how many.
        work: answers until SIGTERM; gets its number and what to tell its URL once it answers.
        ready: told the URL, once, when all of them answer.
    """
    inbox, outbox = _fork.Pipe(duplex=False)
    alive, kept_open = os.pipe()
    stop = threading.Event()
    received: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        stop.set()

    def start(number: int) -> BaseProcess:
        arguments = (number, work, outbox, alive, kept_open)
        process = _fork.Process(target=_worker, args=arguments, name=f"worker {number}")
        process.start()
        return process

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    workers = {number: start(number) for number in range(count)}
    try:
        waiting = set(workers)
        while not stop.is_set():
            wait([inbox, *(worker.sentinel for worker in workers.values())], timeout=LOOK_S)
            while inbox.poll():
                worker_ready, url = inbox.recv()
                if worker_ready in waiting:
                    waiting.remove(worker_ready)
                    if not waiting:
                        ready(url)
            for number, worker in workers.items():
                if not worker.is_alive() and not stop.wait(RESTART_S):
                    workers[number] = start(number)
    finally:
        for worker in workers.values():
            worker.terminate()
        for worker in workers.values():
            worker.join()
        os.close(alive)
        os.close(kept_open)
        for number, handler in before.items():
            signal.signal(number, handler)
    os.kill(os.getpid(), received[-1])


def _worker(
    number: int,
    work: Work,
    outbox: Connection,
    alive: int,
    kept_open: int,
) -> None:
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_DFL)
    os.close(kept_open)  # now only the parent holds it: it is closed when the parent is gone
    threading.Thread(target=_end_with_parent, args=[alive], daemon=True).start()
    work(number, lambda url: outbox.send((number, url)))


def _end_with_parent(alive: int) -> None:
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)
