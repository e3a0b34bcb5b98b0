"""`make bench-freshness`: from the broker's acknowledgement of an event until the API shows it.

Price changes are sent at a fixed rate while the reactions run; a reader asks the API for the
changed item until the answer has the new price. Both see the same clock. See `freshness_reaction`.
"""

import argparse
import tempfile

from benchmarks.freshness_reaction import reaction
from benchmarks.percentile import percentile
from pipelines.io.lake import open_lake
from pipelines.running import end_on_signals
from pipelines.settings import load_settings
from pipelines.sources.connection import kafka


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=20_000, help="price changes that are timed")
    parser.add_argument("--rate", type=float, default=50, help="of them per second")
    args = parser.parse_args()
    end_on_signals()  # so that the broker ends too
    with tempfile.TemporaryDirectory(prefix="bench-freshness-") as folder:
        settings = load_settings(overrides={"root": f"{folder}/lake"})
        open_lake(settings, create=True)
        with kafka(settings) as broker:
            took = [
                1000 * seconds for seconds in reaction(broker.settings, args.changes, args.rate)
            ]
    spread = {p: percentile(took, p) for p in (50, 90, 99, 99.9, 100)}
    print("reaction   " + "  ".join(f"p{p} {value:.2f} ms" for p, value in spread.items()))
    print(f"freshness reaction_p50_ms={spread[50]:.2f} reaction_p99_ms={spread[99]:.2f}")


if __name__ == "__main__":
    main()
