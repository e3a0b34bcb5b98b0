"""`GET /metrics`: requests of all workers, and how old and large what they answer from is."""

from collections.abc import Iterator
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipelines.errors import StoreError
from serving.online import OnlineStore
from serving.problems import PROBLEMS
from serving.telemetry import Counts, RequestMetrics, Route

router = APIRouter(responses=PROBLEMS)


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus metrics, in its text format."""
    text = generate_latest(request.app.state.metrics)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def registry(store: OnlineStore, counts: Counts, routes: list[Route]) -> CollectorRegistry:
    """What is measured of an API."""
    made = CollectorRegistry()
    made.register(RequestMetrics(counts, routes))
    made.register(_StoreMetrics(store))
    return made


class _StoreMetrics(Collector):
    """Age and size of every kind of answer."""

    def __init__(self, store: OnlineStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        told = "1 while the online store cannot be read or the last good copy stands in for it."
        degraded = GaugeMetricFamily("lakehouse_store_degraded", told)
        age = GaugeMetricFamily(
            "lakehouse_store_age_seconds", "Since a kind was published.", labels=["kind"]
        )
        size = GaugeMetricFamily("lakehouse_store_entries", "Keys published.", labels=["kind"])
        try:
            kinds, is_degraded = self._store.kinds(), self._store.is_degraded
        except StoreError:
            kinds, is_degraded = {}, True
        now = datetime.now(UTC)
        for kind, info in sorted(kinds.items()):
            age.add_metric([kind], (now - info.published_at).total_seconds())
            size.add_metric([kind], info.entries)
        degraded.add_metric([], float(is_degraded))
        yield from (degraded, age, size)
