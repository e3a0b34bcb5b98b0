"""Runs the API: `serve` in the foreground, `BackgroundServer` in a thread."""

import errno
import ipaddress
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import FastAPI

from pipelines.errors import ConfigError, StoreError
from pipelines.settings import Settings
from serving.api import create_app
from serving.dashboard import Panels
from serving.gold import Gold
from serving.http_protocol import BoundedHttp
from serving.online import OnlineStore
from serving.recommender.champion import MODELS, Champion
from serving.search_shelf import FOLDER
from serving.shared import Shared, shared
from serving.stores import store_to_read
from serving.telemetry import log_to_stderr
from serving.workers import run_workers

SECONDS_TO_START = 10.0
SECONDS_TO_DRAIN = 5


def serve(
    settings: Settings,
    gold: Gold | None = None,
    *,
    panels: Panels | None = None,
    port: int | None = None,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve the online store of the settings until SIGINT or SIGTERM.

    Args:
        settings: of them `serving`, `online` and `state` count.
        gold: reads the gold views of the lake.
        panels: what the dashboard shows of it.
        port: instead of `settings.serving.port`; 0 takes any free one.
        announce: told the URL, with the real port, once requests are answered; by default it is
            written to standard error.

    Raises:
        ConfigError: others can reach the host and there are no API keys, or the port is not free.
        StoreError: there is no online store.
    """
    host, count = settings.serving.host, settings.serving.workers
    common = shared(settings, is_local=_is_loopback(host))
    listener = _listen(host, settings.serving.port if port is None else port)
    tell = announce or _tell

    def work(worker: int, ready: Callable[[str], None]) -> None:
        store = store_to_read(settings)
        end_logging = log_to_stderr()
        champion = Champion(store, settings.state / MODELS)
        champion.watch()
        try:
            app = create_app(
                store,
                gold,
                champion=champion,
                panels=panels,
                search_folder=settings.state / FOLDER,
                shared=common,
                worker=worker,
            )
            _Server(app, listener, ready).run(sockets=[listener])
        finally:
            champion.close()
            end_logging()
            store.close()

    try:
        if count == 1:
            work(0, tell)
        else:
            store_to_read(settings).close()  # what is wrong with it is said once, here
            run_workers(count, work, tell)
    finally:
        listener.close()


class BackgroundServer:
    """The API in a thread of this process, for the length of a `with` block.

    Args:
        store: what to serve; the caller closes it.
        gold: reads the gold views of a lake.
        champion: ranks items in this process; the caller closes it.
        panels: what the dashboard shows of it.
        search_folder: where the search indexes are that the store names; None: no search.
        port: 0 takes any free one.
        common: keys and the like, see `create_app`.

    Raises:
        ConfigError: the port is not free, or the host is not this machine alone.
        StoreError: it did not start within 10 s.
    """

    def __init__(
        self,
        store: OnlineStore,
        gold: Gold | None = None,
        *,
        champion: Champion | None = None,
        panels: Panels | None = None,
        search_folder: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        common: Shared | None = None,
    ) -> None:
        self._app = create_app(
            store,
            gold,
            champion=champion,
            panels=panels,
            search_folder=search_folder,
            shared=common,
        )
        self._address = (host, port)
        self.url = ""

    def __enter__(self) -> Self:
        host, port = self._address
        if not _is_loopback(host):
            raise ConfigError(f"{host!r} is not this machine alone; use `lakehouse serve`")
        self._listener = _listen(host, port)
        started = threading.Event()
        self._server = _Server(self._app, self._listener, lambda _: started.set())
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), name="api", daemon=True
        )
        self._thread.start()
        if not started.wait(SECONDS_TO_START):
            self.__exit__(None, None, None)
            raise StoreError(
                f"the API did not start within {SECONDS_TO_START:.0f} s; see the log and try again"
            )
        self.url = _url(self._listener)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(SECONDS_TO_DRAIN + SECONDS_TO_START)
        self._listener.close()


class _Server(uvicorn.Server):
    """Uvicorn on a socket of ours, saying when it is ready."""

    def __init__(
        self,
        app: FastAPI,
        listener: socket.socket,
        announce: Callable[[str], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedHttp,
                loop="uvloop",
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=SECONDS_TO_DRAIN,
            )
        )
        self._announce, self._told = announce, _url(listener)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._announce(self._told)


def _listen(host: str, port: int) -> socket.socket:
    """A socket bound to an address: uvicorn itself would log and exit on a taken port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it every keep-alive answer
    # waits for a delayed acknowledgement: 44 ms instead of less than one.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Bound is not yet taken: without listening a second server could bind as well.
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        why = "the port is taken" if taken else str(error)
        raise ConfigError(
            f"cannot listen on {host}:{port}: {why}; choose another port, or 0 for any free one"
        ) from None
    return listener


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _tell(url: str) -> None:
    sys.stderr.write(f"serving {url} (dashboard; documentation: {url}/docs); stop with Ctrl+C\n")
    sys.stderr.flush()
