"""What is lost out of distribution: the difference of means between cases like the training data and the others.

Set of cases: each model's own on either side. gap = mean_in − mean_out, in values as in the Scores: for a metric where
higher is better a positive gap is a loss out of distribution, for a distance a negative one.
"""

import numpy as np
import polars as pl

from vesalius.bench.stats.pairwise import holm
from vesalius.bench.stats.resample import Bootstrap, interval, weighted_means
from vesalius.bench.stats.table import Cube, nanmean

_IN, _OUT = 1, 2  # streams of the bootstrap: the two sides are drawn independently


def gap(cube: Cube, inside: np.ndarray, outside: np.ndarray, bootstrap: Bootstrap) -> pl.DataFrame:
    """One row a model and target.

    Args:
        cube: the scores.
        inside, outside: bool, one for each case; a case may be in neither (its metadata are not known).
        bootstrap: how to draw; each side is drawn on its own.

    Returns:
        `metric, model, target, n_in, n_out, mean_in, mean_out, gap, ci_low, ci_high, p, p_holm, effect`: percentile
        interval of the gap, two-sided Mann–Whitney p, Holm over the models of the target, and Cliff's δ (positive:
        larger values in distribution).
    """
    from scipy.stats import mannwhitneyu

    models, _, targets = cube.values.shape
    flat = cube.values.transpose(0, 2, 1).reshape(models * targets, -1)
    within, without = flat[:, inside], flat[:, outside]
    n_in, n_out = ((~np.isnan(side)).sum(axis=1) for side in (within, without))
    mean_in, mean_out = nanmean(within, axis=1), nanmean(without, axis=1)
    low, high = interval(
        weighted_means(bootstrap.weights(inside, _IN), flat) - weighted_means(bootstrap.weights(outside, _OUT), flat)
    )
    p, effect = np.full(len(flat), np.nan), np.full(len(flat), np.nan)
    for i in np.flatnonzero((n_in > 0) & (n_out > 0)):
        a, b = within[i][~np.isnan(within[i])], without[i][~np.isnan(without[i])]
        test = mannwhitneyu(a, b)
        p[i], effect[i] = test.pvalue, 2 * test.statistic / (len(a) * len(b)) - 1
    adjusted = p.reshape(models, targets).copy()
    for t in range(targets):
        tested = ~np.isnan(adjusted[:, t])
        adjusted[tested, t] = holm(adjusted[tested, t])
    return pl.DataFrame(
        {
            "metric": cube.metric.name,
            "model": np.repeat(cube.models, targets),
            "target": np.tile(cube.targets, models),
            "n_in": n_in,
            "n_out": n_out,
            "mean_in": mean_in,
            "mean_out": mean_out,
            "gap": mean_in - mean_out,
            "ci_low": low,
            "ci_high": high,
            "p": p,
            "p_holm": adjusted.ravel(),
            "effect": effect,
        }
    ).fill_nan(None)
