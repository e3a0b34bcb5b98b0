"""What a reactor has done, for Prometheus."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0)


@dataclass
class Counts:
    """Counted since the start; each counter is written by one thread.

    Attributes:
        events: messages read, by `reacted` or `refused` (nothing that can be reacted on).
        reactions: by name, how often they matched.
        failures: by name, how often they failed.
        calls: of webhooks, by `made`, `retried`, `given_up`.
        seconds: by bucket, from the broker's time of an event until its effects stood.
    """

    events: Counter[str] = field(default_factory=Counter)
    reactions: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    seconds: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total_seconds: float = 0.0

    def took(self, seconds: float) -> None:
        self.seconds[bisect_left(BUCKETS_S, seconds)] += 1
        self.total_seconds += max(0.0, seconds)


class ReactionMetrics(Collector):
    """The counts as Prometheus metrics; `waiting` tells the calls of webhooks by state."""

    def __init__(self, counts: Counts, waiting: Callable[[], dict[str, int]]) -> None:
        self._counts, self._waiting = counts, waiting

    def collect(self) -> Iterator[Metric]:
        counts = self._counts
        for name, told, label, counted in (
            ("events", "Events read.", "outcome", counts.events),
            ("matches", "Events that a reaction was about.", "reaction", counts.reactions),
            ("failures", "Events with which a reaction failed.", "reaction", counts.failures),
            ("webhook_calls", "Calls of webhooks.", "outcome", counts.calls),
        ):
            family = CounterMetricFamily(f"lakehouse_reactions_{name}", told, labels=[label])
            for value, count in sorted(counted.items()):
                family.add_metric([value], count)
            yield family
        waiting = GaugeMetricFamily(
            "lakehouse_reactions_webhook_outbox", "Calls kept, by state.", labels=["state"]
        )
        for state, count in sorted(self._waiting().items()):
            waiting.add_metric([state], count)
        yield waiting
        told = "From the broker's time of an event until its effects stood."
        seconds = HistogramMetricFamily("lakehouse_reactions_seconds", told)
        total, buckets = 0, []
        for place, bound in enumerate([*map(str, BUCKETS_S), "+Inf"]):
            total += counts.seconds[place]
            buckets.append((bound, float(total)))
        seconds.add_metric([], buckets, counts.total_seconds)
        yield seconds
