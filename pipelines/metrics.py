"""The state of the streams as Prometheus metrics."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipelines.errors import ConfigError
from pipelines.streams import OUTCOMES, StreamState, load_streams

_PREFIX = "lakehouse_stream_"
_GAUGES: dict[str, tuple[str, Callable[[StreamState], float]]] = {
    "up": ("1 while the process that runs the stream lives.", lambda s: s.is_live),
    "progress_timestamp_seconds": ("When the stream last reported.", lambda s: s.at),
    "rows_per_second": (
        "Rows that arrived, of the last batch.",
        lambda s: s.rows_per_second,
    ),
    "batch_seconds": ("Seconds that the last batch took.", lambda s: s.batch_seconds),
}
_ENDS = dict(
    zip(
        OUTCOMES,
        (
            "Rows that went to their tables.",
            "Rows that went to quarantine.",
            "Rows that a producer had sent before.",
            "Rows parked because they came later than the horizon.",
            "Rows that were read again and stood in silver already.",
        ),
        strict=True,
    )
)


class StreamMetrics(Collector):
    """Reads the states of a lake's streams at every scrape."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        streams = load_streams(self._state)
        for name, (told, value) in _GAUGES.items():
            gauge = GaugeMetricFamily(_PREFIX + name, told, labels=["stream"])
            for stream in streams:
                gauge.add_metric([stream.stream], value(stream))
            yield gauge
        lag = GaugeMetricFamily(
            f"{_PREFIX}lag", "What the source holds and is not read yet.", labels=["stream", "unit"]
        )
        for stream in streams:
            if stream.lag is not None:
                lag.add_metric([stream.stream, stream.lag_unit], stream.lag)
        yield lag
        rows = CounterMetricFamily(f"{_PREFIX}rows", "Rows read.", labels=["stream"])
        for stream in streams:
            rows.add_metric([stream.stream], stream.rows)
        yield rows
        for name, told in _ENDS.items():
            counter = CounterMetricFamily(_PREFIX + name, told, labels=["stream"])
            for stream in streams:
                if name in stream.outcomes:
                    counter.add_metric([stream.stream], stream.outcomes[name])
            yield counter


@contextlib.contextmanager
def serving_metrics(state: Path, host: str, port: int, *more: Collector) -> Iterator[None]:
    """Answer scrapes on `http://HOST:PORT/metrics` while the block runs; port 0: do not.

    Args:
        more: what is told beside the streams.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    if not port:
        yield
        return
    registry = CollectorRegistry()
    for collector in (StreamMetrics(state), *more):
        registry.register(collector)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigError(
            f"cannot serve metrics on {host}:{port}: {error.strerror}; choose another port with "
            "--metrics-port, or 0 for none"
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
