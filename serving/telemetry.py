"""What the API says of itself: requests counted by route in shared memory, and access logs."""

import json
import logging
import mmap
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
STATUSES = ("2xx", "3xx", "4xx", "429", "5xx")
MAX_ROUTES = 128
OTHER = ("", "other")  # what no route takes: a million made-up paths are one series
_SUM = len(STATUSES) + len(BUCKETS_S) + 1  # of a route's cells the one that sums up seconds
_WIDTH = _SUM + 1
Route = tuple[str, str]
# Probes carry no key, and what the API looks like is no secret.
OPEN = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})
_AUDITED = ("request_id", "key", "method", "route", "status")

access = logging.getLogger("serving.access")


class Counts:
    """Counters by worker and route, in memory that forked workers share; each writes its own."""

    def __init__(self, workers: int = 1) -> None:
        self._row = MAX_ROUTES * _WIDTH
        self._workers = workers
        self._cells = memoryview(mmap.mmap(-1, workers * self._row * 8)).cast("d")

    def add(self, worker: int, route: int, status: int, seconds: float) -> None:
        """Count one answer."""
        at, cells = worker * self._row + route * _WIDTH, self._cells
        cells[at + _place_of(status)] += 1
        cells[at + len(STATUSES) + bisect_left(BUCKETS_S, seconds)] += 1
        cells[at + _SUM] += seconds

    def of(self, route: int) -> list[float]:
        """The cells of a route, over all workers."""
        starts = [worker * self._row + route * _WIDTH for worker in range(self._workers)]
        return [sum(self._cells[at + n] for at in starts) for n in range(_WIDTH)]


class RequestMetrics(Collector):
    """The counts as Prometheus metrics."""

    def __init__(self, counts: Counts, routes: list[Route]) -> None:
        self._counts, self._routes = counts, routes

    def collect(self) -> Iterator[Metric]:
        labels = ["method", "route"]
        requests = CounterMetricFamily(
            "lakehouse_http_requests", "Requests answered.", labels=[*labels, "status"]
        )
        seconds = HistogramMetricFamily(
            "lakehouse_http_request_seconds", "Time to answer a request.", labels=labels
        )
        for number, route in enumerate(self._routes):
            cells = self._counts.of(number)
            for place, status in enumerate(STATUSES):
                if cells[place]:
                    requests.add_metric([*route, status], cells[place])
            if any(cells):
                seconds.add_metric(list(route), _cumulative(cells), cells[_SUM])
        yield requests
        yield seconds


class Telemetry:
    """The layer around all others: counts each answer and logs it.

    Args:
        app: what answers.
        routes: (method, path template) of every route, and `OTHER`; their places are their cells.
        worker: the number of this process.
        logs: write a line for each request.
        audit: is told who asked for what; not of what is open to all.
    """

    def __init__(
        self,
        app: ASGIApp,
        counts: Counts,
        routes: list[Route],
        worker: int,
        logs: bool,
        audit: Callable[..., None] | None = None,
    ) -> None:
        self.app, self._counts, self._worker, self._logs = app, counts, worker, logs
        self._audit = audit
        self._places = {route: place for place, route in enumerate(routes)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, begun = 500, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - begun
            route = (scope["method"], getattr(scope.get("route"), "path_format", ""))
            if route not in self._places:
                route = OTHER
            self._counts.add(self._worker, self._places[route], status, seconds)
            if self._audit and scope["path"] not in OPEN:
                told = _fields(scope, route, status, seconds)
                self._audit(**{name: told[name] for name in _AUDITED})
            if self._logs:
                access.info("request", extra={"fields": _fields(scope, route, status, seconds)})


def routes_of(paths: dict[str, dict[str, Any]]) -> list[Route]:
    """The routes of an OpenAPI document, and `OTHER`."""
    found = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    return [OTHER, *sorted(found)][:MAX_ROUTES]


class JsonLines(logging.Formatter):
    """Log records as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_to_stderr() -> Callable[[], None]:
    """Let what the API logs be JSON lines on standard error; returns what ends that."""
    handler, logger = logging.StreamHandler(sys.stderr), logging.getLogger("serving")
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.propagate = False
    access.setLevel(logging.INFO)

    def end() -> None:
        logger.removeHandler(handler)
        logger.propagate = True

    return end


def _place_of(status: int) -> int:
    return 3 if status == 429 else (0, 1, 2, 4)[min(max(status // 100, 2), 5) - 2]


def _cumulative(cells: list[float]) -> list[tuple[str, float]]:
    total, told = 0.0, []
    for place, bound in enumerate([*map(str, BUCKETS_S), "+Inf"]):
        total += cells[len(STATUSES) + place]
        told.append((bound, total))
    return told


def _fields(scope: Scope, route: Route, status: int, seconds: float) -> dict[str, Any]:
    """Of a request what a log may keep: no path, query or address, which can name a customer."""
    state = scope.get("state", {})
    return {
        "request_id": state.get("request_id"),
        "key": state.get("key_name"),
        "method": scope["method"][:16],
        "route": route[1],
        "status": status,
        "ms": round(1000 * seconds, 3),
    }
