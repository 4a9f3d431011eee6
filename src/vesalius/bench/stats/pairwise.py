"""Who beats whom: one-sided Wilcoxon signed-rank tests for every ordered pair of models, adjusted by Holm.

Set of cases: those that the pair shares. "Better" means higher quality, whatever the metric.
"""

from functools import lru_cache
from itertools import combinations

import numpy as np
import polars as pl

from vesalius.bench.stats.table import Cube

ALPHA = 0.05
_SMALL, _TIED = 50, 13  # scipy's limits for exact tests, without and with zeros or ties

_SCHEMA = {
    "metric": pl.String, "target": pl.String, "better": pl.String, "worse": pl.String, "n": pl.Int64, "p": pl.Float64,
    "p_holm": pl.Float64, "significant": pl.Boolean, "effect": pl.Float64, "mean_difference": pl.Float64,
}  # fmt: skip


def pairwise(cube: Cube, alpha: float = ALPHA) -> pl.DataFrame:
    """Every ordered pair of models, a target at a time.

    Returns:
        `metric, target, better, worse, n, p, p_holm, significant, effect, mean_difference`. `p` is for "the first is
        better"; Holm runs over all ordered pairs of the metric and target; `effect` is the matched-pairs
        rank-biserial correlation (Kerby 2014): 1 where the first wins every case, −1 where it loses every one.
        `mean_difference` is first minus second, in values as in the Scores. A pair without shared cases has p = 1.
    """
    pairs = np.array(list(combinations(range(len(cube.models)), 2)), dtype=int).reshape(-1, 2)
    ordered = np.concatenate([pairs, pairs[:, ::-1]])
    names = np.array(cube.models)
    frames = []
    for t, target in enumerate(cube.targets):
        quality = cube.quality[:, :, t]
        p, effect = wilcoxon_greater(quality[pairs[:, 0]] - quality[pairs[:, 1]])
        p_holm = holm(p.ravel())
        difference = cube.values[ordered[:, 0], :, t] - cube.values[ordered[:, 1], :, t]
        n = (~np.isnan(difference)).sum(axis=1)
        frames.append(
            pl.DataFrame(
                {
                    "metric": cube.metric.name,
                    "target": target,
                    "better": names[ordered[:, 0]],
                    "worse": names[ordered[:, 1]],
                    "n": n,
                    "p": p.ravel(),
                    "p_holm": p_holm,
                    "significant": p_holm < alpha,
                    "effect": np.concatenate([effect, -effect]),
                    "mean_difference": np.nansum(difference, axis=1) / np.where(n, n, np.nan),
                },
                schema=_SCHEMA,
            )
        )
    return pl.concat(frames).sort("metric", "target", "better", "worse", maintain_order=True).fill_nan(None)


def wilcoxon_greater(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One-sided signed-rank tests, many at a time, both ways.

    Args:
        differences: pairs × cases; NaN where the pair does not share the case.

    Returns:
        p: 2 × pairs, for "differences are greater than zero" and "… less than zero"; the same as
            `scipy.stats.wilcoxon(d, zero_method="wilcox", method="auto", alternative=…)`, and 1 where all are zero.
        effect: pairs; matched-pairs rank-biserial correlation, 0 where all are zero.
    """
    from scipy.special import ndtr

    differences = np.where(np.isnan(differences), np.nan, differences)
    shared = (~np.isnan(differences)).sum(axis=1)
    nonzero = np.where(differences == 0, np.nan, differences)
    ranks, ties = _ranks(np.abs(nonzero))
    plus = np.where(nonzero > 0, ranks, 0).sum(axis=1)
    minus = np.where(nonzero < 0, ranks, 0).sum(axis=1)
    n = (~np.isnan(nonzero)).sum(axis=1).astype(float)
    mean = n * (n + 1) * 0.25
    error = np.sqrt((n * (n + 1) * (2 * n + 1) - ties / 2) / 24)
    tested = n > 0
    p = np.ones((2, len(differences)))
    for side, statistic in enumerate((plus, minus)):
        p[side, tested] = ndtr(-(statistic[tested] - mean[tested]) / error[tested])
    for i in np.flatnonzero(tested & (shared <= _SMALL)):
        exact = _few(differences[i], ranks[i])
        if exact is not None:
            p[:, i] = exact
    total = plus + minus
    return p, np.divide(plus - minus, total, out=np.zeros_like(total), where=total > 0)


def _few(differences: np.ndarray, ranks: np.ndarray) -> tuple[float, float] | None:
    """Exact tests both ways where scipy's "auto" (1.15 and later) makes them, else None.

    It does so for at most 50 cases without zeros and ties, and, by all changes of sign, for at most 13 with them.
    """
    cases = int((~np.isnan(differences)).sum())
    counted = ~np.isnan(ranks)
    doubled = (2 * ranks[counted]).astype(int)  # ties have half ranks
    plain = len(doubled) == cases and len(set(doubled.tolist())) == cases
    if cases > (_SMALL if plain else _TIED):
        return None
    survival = _survival(tuple(sorted(doubled.tolist())))
    plus = int(doubled[differences[counted] > 0].sum())
    return float(survival[plus]), float(survival[doubled.sum() - plus])


@lru_cache(maxsize=1024)
def _survival(doubled: tuple[int, ...]) -> np.ndarray:
    """P(sum of a random half of the doubled ranks ≥ s) for s = 0, 1, ...: each rank has either sign alike."""
    ways = np.zeros(sum(doubled) + 1)
    ways[0] = 1
    for rank in doubled:
        ways[rank:] += ways[:-rank].copy()
    return np.cumsum(ways[::-1])[::-1] / 2.0 ** len(doubled)


def _ranks(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean ranks along the last axis (NaN gets none), and Σ(t³ − t) over groups of ties."""
    rows, width = sizes.shape
    order = np.argsort(sizes, axis=1)
    ordered = np.take_along_axis(sizes, order, axis=1)
    starts = np.ones((rows, width), dtype=bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]  # NaN differs from NaN: each is a group of its own
    group = np.cumsum(starts.ravel()) - 1
    first = np.flatnonzero(starts.ravel())
    size = np.diff(np.append(first, rows * width))
    rank = (first % width + 1 + (size - 1) / 2) if width else np.empty(0)
    ranks = np.empty((rows, width))
    np.put_along_axis(ranks, order, rank[group].reshape(rows, width), axis=1)
    ties = (
        np.bincount(first // width, weights=(size.astype(float) ** 3 - size), minlength=rows)
        if width
        else np.zeros(rows)
    )
    return np.where(np.isnan(sizes), np.nan, ranks), ties


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p-values (1979), in the order given."""
    order = np.argsort(p)
    steps = (len(p) - np.arange(len(p))) * p[order]
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's step-up adjusted p-values (1995), in the order given."""
    order = np.argsort(p)
    steps = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1)
    return adjusted
