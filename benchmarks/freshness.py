"""`make bench-freshness`: from the broker's acknowledgement of an event until it shows.

In the API through a reaction: price changes are sent at a fixed rate while the reactions run; a
reader asks the API for the changed item until the answer has the new price (`freshness_reaction`).
In gold through the medallion, under a load of its own, beside a plain micro-batch job
(`freshness_gold`). Sender and reader see the same clock.
"""

import argparse
import tempfile

from benchmarks.freshness_gold import gold
from benchmarks.freshness_reaction import reaction
from benchmarks.freshness_runs import RUNS
from benchmarks.percentile import percentile
from pipelines.io.lake import open_lake
from pipelines.running import end_on_signals
from pipelines.settings import Settings, load_settings
from pipelines.sources.connection import kafka

PARTS = ("reaction", *RUNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=20_000, help="price changes that are timed")
    parser.add_argument("--rate", type=float, default=50, help="of them per second")
    parser.add_argument("--gold-rate", type=int, default=50_000, help="events/s on the way to gold")
    parser.add_argument("--gold-seconds", type=float, default=60)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    args = parser.parse_args()
    end_on_signals()  # so that the broker ends too
    told: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-freshness-") as folder:
        settings = load_settings(overrides={"root": f"{folder}/lake"})
        open_lake(settings, create=True)
        with kafka(settings) as broker:
            if "reaction" in args.only:
                told |= of_reactions(broker.settings, args.changes, args.rate)
            for name in RUNS:
                if name in args.only:
                    found = of_gold(broker.settings, name, args.gold_rate, args.gold_seconds)
                    told |= found if name == "ours" else {}
    print(" ".join(["freshness", *(f"{name}={value:.2f}" for name, value in told.items())]))


def of_reactions(settings: Settings, changes: int, rate: float) -> dict[str, float]:
    took = [1000 * seconds for seconds in reaction(settings, changes, rate)]
    spread = {p: percentile(took, p) for p in (50, 90, 99, 99.9, 100)}
    print(
        "reaction   " + "  ".join(f"p{p} {value:.2f} ms" for p, value in spread.items()), flush=True
    )
    return {"reaction_p50_ms": spread[50], "reaction_p99_ms": spread[99]}


def of_gold(settings: Settings, name: str, rate: int, seconds: float) -> dict[str, float]:
    held = gold(settings, name, rate, seconds)
    spread = {p: percentile(held.took, p) for p in (50, 90, 99, 100)}
    print(
        f"gold {name:6}"
        + "  ".join(f"p{p} {value:.2f} s" for p, value in spread.items())
        + f"  sent {held.sent_per_s:,.0f} events/s, in gold {held.shown_per_s:,.0f} events/s"
        + (f", {held.unseen} of {len(held.took)} marks never showed" if held.unseen else ""),
        flush=True,
    )
    return {"gold_p99_s": spread[99]}


if __name__ == "__main__":
    main()
