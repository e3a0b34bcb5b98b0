"""The process that tasks are forked from: a small interpreter that starts one in a millisecond.

It reads requests from a socket, a line of JSON each, and forks for each a process that leads its
own group, with its output in its log. It tells when one ends and with which code. When whoever asks
is gone, it ends every process and itself, so none is left behind.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

Request = dict[str, Any]
GRACE_SECONDS = 10  # a Spark session stops in 1 to 3 s


def serve(channel: socket.socket) -> Callable[[], object] | None:
    """Fork for each request. Returns in a child what it is to run, and None at the end."""
    wake_read, wake_write = os.pipe()
    for end in (wake_read, wake_write):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; the runner decides
    # A child that is told to end before it is ready ends when it is.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    selector = selectors.DefaultSelector()
    selector.register(channel, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)
    children: dict[int, str] = {}
    buffer = b""
    while True:
        ready = {key.fileobj for key, _ in selector.select()}
        if wake_read in ready:
            os.read(wake_read, 4096)
            _tell_ended(channel, children)
        if channel not in ready:
            continue
        try:
            received = channel.recv(1 << 16)
        except ConnectionResetError:  # the runner was killed with a message unread
            received = b""
        if not received:
            _end_all(children)
            return None
        *lines, buffer = (buffer + received).split(b"\n")
        for line in lines:
            request = json.loads(line)
            child = os.fork()
            if child == 0:
                selector.close()
                signal.set_wakeup_fd(-1)
                for number in (wake_read, wake_write):
                    os.close(number)
                channel.close()
                return _prepared(request)
            _lead(child)
            children[child] = request["id"]
            _tell(channel, {"id": request["id"], "pid": child})


def _lead(child: int) -> None:
    """Make a child the leader of a group of its own; it and we do, whoever comes first."""
    try:
        os.setpgid(child, child)
    except (PermissionError, ProcessLookupError):
        return


def _tell(channel: socket.socket, message: Request) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


def _tell_ended(channel: socket.socket, children: dict[int, str]) -> None:
    for child in list(children):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            _kill(child, signal.SIGKILL)  # what a task leaves behind would outlive the run
            code = os.waitstatus_to_exitcode(status)
            _tell(channel, {"id": children.pop(child), "code": code})


def _kill(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return


def _end_all(children: dict[int, str]) -> None:
    for child in children:
        _kill(child, signal.SIGTERM)
    signal.signal(signal.SIGALRM, lambda *_: _kill_all(children))
    signal.alarm(GRACE_SECONDS)
    for child in children:
        os.waitpid(child, 0)
        _kill(child, signal.SIGKILL)


def _kill_all(children: dict[int, str]) -> None:
    for child in children:
        _kill(child, signal.SIGKILL)


def _prepared(request: Request) -> Callable[[], object]:
    """Make this process the task's: group, signals, output, folder, environment, arguments."""
    _lead(0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    output = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, number in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, number)
    sys.stdout.reconfigure(line_buffering=True, encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    sys.stderr.reconfigure(line_buffering=True, encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    arguments: list[str] = request["argv"]
    if request["how"] == "exec":
        return lambda: os.execvp(arguments[0], arguments)  # noqa: S606
    sys.path[:0] = request.get("path", [])
    sys.argv = arguments
    for hook in request.get("before", []):
        _called(hook)
    if request["how"] == "call":
        return lambda: _called(request["call"])
    return lambda: _run_file(arguments[0])


def _called(name: str) -> None:
    import importlib

    module, _, function = name.partition(":")
    getattr(importlib.import_module(module), function)()


def _run_file(file: str) -> None:
    """Run a Python file as `python FILE` does, with a traceback that begins in the file."""
    sys.path.insert(0, os.path.dirname(file))  # noqa: PTH120  pathlib takes 5 ms to import
    module = sys.modules["__main__"] = type(sys)("__main__")
    module.__file__ = file
    try:
        with open(file, "rb") as source:  # noqa: PTH123
            code = compile(source.read(), file, "exec")
        exec(code, module.__dict__)  # noqa: S102  running it is the purpose
    except Exception as error:
        import traceback  # 5 ms

        begin = error.__traceback__
        while begin and begin.tb_frame.f_code.co_filename != file:
            begin = begin.tb_next
        traceback.print_exception(type(error), error, begin)
        sys.exit(1)


def main(channel: int, modules: str = "") -> None:
    """Load modules, then serve; in a child, run its task and end with its exit code."""
    for module in filter(None, modules.split(",")):
        __import__(module)
    gc.freeze()  # a child that collects garbage would copy all our pages
    task = serve(socket.socket(fileno=channel))
    if task:
        _end(task)


def _end(task: Callable[[], object]) -> None:
    """Run a task and end this process as Python does, but for 3 ms of taking itself apart."""
    import atexit

    code: object = 0
    try:
        task()
    except SystemExit as ended:
        code = ended.code
        if code is not None and not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
            code = 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    threads = sys.modules.get("threading")
    if threads is not None:
        threads._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code & 0xFF if isinstance(code, int) else 0)
