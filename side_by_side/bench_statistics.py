"""The statistics of a published benchmark: ours against plain loops over scipy and numpy, in one run.

    .venv/bin/python side_by_side/bench_statistics.py [--data ../shared/data/touchstone/totalsegmentator_results]

Prints what each part takes, whether the numbers are equal, and the ratio.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import wilcoxon

from vesalius.bench import stats
from vesalius.formats.score_tables import read_scores

HERE = Path(__file__).parent


def timed(function):
    """(result, seconds)."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def loops_of_tests(cube, targets) -> dict[tuple[str, str, str], float]:
    """p of every ordered pair by calling scipy."""
    out = {}
    for t, target in targets:
        for i, a in enumerate(cube.models):
            for j, b in enumerate(cube.models):
                if i != j:
                    d = cube.values[i, :, t] - cube.values[j, :, t]
                    d = d[~np.isnan(d)]
                    out[target, a, b] = wilcoxon(d, alternative="greater").pvalue if d.any() else 1.0
    return out


def loop_of_bootstrap(cube, replicates: int) -> np.ndarray:
    """Means of every model and target in each replicate, by indexing."""
    rng = np.random.default_rng(0)
    n = len(cube.cases)
    return np.array([np.nanmean(cube.values[:, rng.integers(0, n, n)], axis=1) for _ in range(replicates)])


def main() -> None:
    """Runs both and prints Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = HERE.parent.parent / "shared" / "data" / "touchstone" / "totalsegmentator_results"
    parser.add_argument("--data", type=Path, default=default)
    data = parser.parse_args().data
    if not data.is_dir():
        sys.exit(f"{data}: no such folder — name Touchstone's per-case results with --data")
    cube = stats.cubes(read_scores([data]).frame, "ignore", ["dsc"])["dsc"]
    print(f"{len(cube.models)} algorithms × {len(cube.cases)} cases × {len(cube.targets)} targets (DSC)\n")

    few = [(t, target) for t, target in enumerate(cube.targets) if target in ("liver", "average")]
    ours, fast = timed(lambda: stats.pairwise(cube))
    theirs, slow = timed(lambda: loops_of_tests(cube, few))
    slow *= len(cube.targets) / len(few)
    p = {tuple(row[:3]): row[3] for row in ours.select("target", "better", "worse", "p").rows()}
    worst = max(abs(p[key] - value) for key, value in theirs.items())

    bootstrap = stats.Bootstrap(1000, 0, None)
    _, summary = timed(lambda: stats.summary(cube, bootstrap))
    _, ranks = timed(lambda: stats.ranking(cube, bootstrap, "mean"))
    _, naive = timed(lambda: loop_of_bootstrap(cube, 50))
    naive *= 20

    print("| | ours | plain loops | ratio |\n| --- | --- | --- | --- |")
    print(f"| 342 Wilcoxon tests a target | {fast:.2f} s | {slow:.1f} s | {slow / fast:.0f}× |")
    ratio = f"{naive:.1f} s (means alone) | {naive / summary:.1f}×"
    print(f"| 1,000 bootstrap replicates, means and medians | {summary:.2f} s | {ratio} |")
    print(f"| 1,000 bootstrap rankings, τ | {ranks:.2f} s | | |")
    print(f"\nLargest difference of a p-value from scipy's: {worst:.1e}")


if __name__ == "__main__":
    main()
