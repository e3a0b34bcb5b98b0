"""`make bench-recommend`: recommendations on public data and on the retail year, beside peers.

Figures are means over seeds (MovieLens) or over customers (the year); what is `sure` is better by
more than noise: the 95 % interval of a paired bootstrap over customers is above zero.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # `implicit` has threads of its own

from benchmarks import recommend_public, recommend_retail
from benchmarks.measure import lake


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=("public", "retail"))
    asked = parser.parse_args()
    told: dict[str, str] = {}
    ok = True
    with lake() as (spark, settings), tempfile.TemporaryDirectory() as folder:
        if asked.only != "retail":
            seeds = range(asked.seeds)
            tallies = recommend_public.run(spark, settings.model, Path(folder), seeds)
            print(f"\nMovieLens-100k, nDCG@10 over {asked.seeds} seeds; seconds to fit")
            for name, tally in tallies.items():
                spread = f"{np.mean(tally.ndcg):.4f} ± {np.std(tally.ndcg):.4f}"
                print(f"{name:28} {spread} {np.median(tally.seconds):8.1f} s")
            ours = float(np.mean(tallies["ours"].ndcg))
            told["ndcg10_ml100k"] = f"{ours:.4f}"
            ok &= ours >= 0.442
        if asked.only != "public":
            retail, speed = recommend_retail.run(spark, settings.model)
            ok &= _print(retail, told)
            told["online_p99_ms"] = f"{speed['online'][1]:.2f}"
    print("recommend " + " ".join(f"{name}={figure}" for name, figure in told.items()))
    return 0 if ok else 1


def _print(results: recommend_retail.Results, told: dict[str, str]) -> bool:
    ok = True
    for place, what in enumerate(("everything bought", "items new to the customer")):
        print(f"\n{what:28} nDCG@10 recall@10 coverage diversity popular   ours over it")
        ours = results["ours"][place]
        for name, both in results.items():
            one = both[place]
            line = f"{one.ndcg.mean():7.4f} {one.recall.mean():9.4f} {one.coverage:8.4f}"
            line += f" {one.diversity:9.3f} {one.popular_share:7.3f}"
            if not name.startswith("ours"):
                lift = ours.over(one)
                ok &= lift.is_sure
                sure = "sure" if lift.is_sure else "NOT sure"
                line += f"   {lift.low:+.4f} to {lift.high:+.4f} {sure}"
            print(f"{name:28} {line}")
    frequency, als = results["personal top frequency"][0], results["implicit ALS"][1]
    told["vs_topfreq"] = f"{results['ours'][0].over(frequency).ratio:.3f}"
    told["vs_implicit"] = f"{results['ours'][1].over(als).ratio:.3f}"
    return ok


if __name__ == "__main__":
    sys.exit(main())
