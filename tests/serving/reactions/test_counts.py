"""What Prometheus is told of the reactions."""

from prometheus_client import CollectorRegistry, generate_latest

from serving.reactions.counts import Counts, ReactionMetrics


def test_counts_are_told_and_times_are_cumulative() -> None:
    counts = Counts()
    counts.events["reacted"] += 3
    counts.reactions["stock-moved"] += 2
    counts.calls["given_up"] += 1
    for seconds in (0.001, 0.004, 0.004, 70.0, -1.0):
        counts.took(seconds)
    registry = CollectorRegistry()
    registry.register(ReactionMetrics(counts, lambda: {"waiting": 4}))
    told = generate_latest(registry).decode().splitlines()
    for line in (
        'lakehouse_reactions_events_total{outcome="reacted"} 3.0',
        'lakehouse_reactions_matches_total{reaction="stock-moved"} 2.0',
        'lakehouse_reactions_webhook_calls_total{outcome="given_up"} 1.0',
        'lakehouse_reactions_webhook_outbox{state="waiting"} 4.0',
        'lakehouse_reactions_seconds_bucket{le="0.002"} 2.0',
        'lakehouse_reactions_seconds_bucket{le="0.005"} 4.0',
        'lakehouse_reactions_seconds_bucket{le="60.0"} 4.0',
        'lakehouse_reactions_seconds_bucket{le="+Inf"} 5.0',
        "lakehouse_reactions_seconds_count 5.0",
    ):
        assert line in told
