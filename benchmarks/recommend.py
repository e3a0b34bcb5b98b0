"""`make bench-recommend`: recommendations, search and prices on real data, beside their peers.

Figures are means over seeds (MovieLens) or over customers (the year); what is `sure` is better by
more than noise: the 95 % interval of a paired bootstrap over customers is above zero. The table at
the end holds every figure to what it must reach; the exit code is 1 if one does not.
"""

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # `implicit` has threads of its own

from benchmarks import recommend_pricing, recommend_public, recommend_retail, recommend_search
from benchmarks.measure import lake
from benchmarks.recommend_data import households
from pipelines.settings import Settings
from pipelines.sources.completejourney_data import Journey

PARTS = ("public", "retail", "search", "pricing")
QUICK_HOUSEHOLDS = 5  # one of so many


@dataclass(frozen=True)
class Line:
    """A line of the table: a figure, what it stands beside and whether it is what it must be."""

    what: str
    figure: str
    beside: str
    must: str
    is_met: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="splits of MovieLens-100k")
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    parser.add_argument("--quick", action="store_true", help="one seed, a fifth of the households")
    asked = parser.parse_args()
    parts = (asked.only,) if asked.only else PARTS
    seeds = range(1 if asked.quick else asked.seeds)
    told: dict[str, str] = {}
    lines: list[Line] = []
    with lake() as (spark, settings):
        if "public" in parts:
            lines += _public(spark, settings, seeds, told)
        journey = households(QUICK_HOUSEHOLDS if asked.quick else 1)
        for part in parts:
            if part in _OF_THE_YEAR:
                lines += _OF_THE_YEAR[part](spark, settings, journey, told)
    print(f"\n{'':44}{'here':>12}  {'beside':44}{'must':12}")
    for line in lines:
        met = "met" if line.is_met else "NOT met"
        print(f"{line.what:44}{line.figure:>12}  {line.beside:44}{line.must:12}{met}")
    order = ("ndcg10_ml100k", "vs_topfreq", "vs_implicit", "search_mrr_lift", "interval_coverage",
             "online_p99_ms")  # fmt: skip
    print("recommend " + " ".join(f"{name}={told[name]}" for name in order if name in told))
    return 0 if all(line.is_met for line in lines) else 1


def _public(
    spark: SparkSession, settings: Settings, seeds: range, told: dict[str, str]
) -> list[Line]:
    with tempfile.TemporaryDirectory() as folder:
        tallies = recommend_public.run(spark, settings.model, Path(folder), seeds)
    print(f"\nMovieLens-100k, nDCG@10 over {len(seeds)} seeds; seconds to fit")
    for name, tally in tallies.items():
        spread = f"{np.mean(tally.ndcg):.4f} ± {np.std(tally.ndcg):.4f}"
        print(f"{name:28} {spread} {np.median(tally.seconds):8.1f} s")
    means = {name: float(np.mean(tally.ndcg)) for name, tally in tallies.items()}
    ours = means.pop("ours")
    best = max(means, key=lambda name: means[name])
    told["ndcg10_ml100k"] = f"{ours:.4f}"
    beside = f"{best} {means[best]:.4f}"
    return [Line("MovieLens-100k, nDCG@10", f"{ours:.4f}", beside, ">= 0.442", ours >= 0.442)]


def _retail(
    spark: SparkSession, settings: Settings, journey: Journey, told: dict[str, str]
) -> list[Line]:
    results, speeds = recommend_retail.run(spark, settings.model, journey)
    lines = []
    for place, what in enumerate(("everything bought", "new to the customer")):
        print(f"\n{what:28} nDCG@10 recall@10 coverage diversity popular   ours over it")
        ours = results["ours"][place]
        for name, both in results.items():
            one = both[place]
            line = f"{one.ndcg.mean():7.4f} {one.recall.mean():9.4f} {one.coverage:8.4f}"
            line += f" {one.diversity:9.3f} {one.popular_share:7.3f}"
            if not name.startswith("ours"):
                lift = ours.over(one)
                line += f"   {lift.low:+.4f} to {lift.high:+.4f}"
                figure, beside = f"{ours.ndcg.mean():.4f}", f"{name} {one.ndcg.mean():.4f}"
                lines.append(
                    Line(f"the year, nDCG@10, {what}", figure, beside, "> surely", lift.is_sure)
                )
            print(f"{name:28} {line}")
    frequency, als = results["personal top frequency"][0], results["implicit ALS"][1]
    told["vs_topfreq"] = f"{results['ours'][0].over(frequency).ratio:.3f}"
    told["vs_implicit"] = f"{results['ours'][1].over(als).ratio:.3f}"
    (batch, brute), (p50, p99), wide = speeds["batch"], speeds["online"], speeds["a million"]
    told["online_p99_ms"] = f"{p99:.2f}"
    lines += [
        Line("batch, customers/s per core", f"{batch:.0f}", f"numpy, all items {brute:.0f}",
             "", True),
        Line("one list in process, ms", f"{p99:.2f}", f"p99; p50 {p50:.2f}", "aim 2", True),
        Line("the same, a million items, ms", f"{wide[1]:.2f}", f"p99; p50 {wide[0]:.2f}",
             "", True),
    ]  # fmt: skip
    return lines


def _search(
    spark: SparkSession, settings: Settings, journey: Journey, told: dict[str, str]
) -> list[Line]:
    found = recommend_search.run(spark, settings, journey)
    lift = found["mrr_lift"]
    told["search_mrr_lift"] = f"{lift:.3f}"
    figure, beside = f"{found['mrr_personal']:.4f}", f"text alone {found['mrr_text']:.4f}"
    return [Line("search, MRR@10", figure, beside, "+20 %", lift >= 0.2)]


def _pricing(
    spark: SparkSession, settings: Settings, journey: Journey, told: dict[str, str]
) -> list[Line]:
    found = recommend_pricing.run(spark, settings, journey)
    covered = found["interval_coverage"]
    told["interval_coverage"] = f"{covered:.3f}"
    ours = found.pop("here MAE")
    peers = {name: error for name, error in found.items() if name.endswith(" MAE")}
    best = min(peers, key=lambda name: peers[name])
    beside = f"{best.removesuffix(' MAE')} {peers[best]:.3f}"
    return [
        Line(
            "weekly units, mean absolute error", f"{ours:.3f}", beside, "< it", ours < peers[best]
        ),
        Line("90 % interval covers", f"{covered:.1%}", "", "85 to 95 %", 0.85 <= covered <= 0.95),
    ]


_OF_THE_YEAR = {"retail": _retail, "search": _search, "pricing": _pricing}


if __name__ == "__main__":
    sys.exit(main())
