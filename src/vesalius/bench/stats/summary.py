"""How good: each model on its own cases, with bootstrap intervals, and what is missing beside every mean.

Set of cases: each model's own. Values as in the Scores; SD is the population's (ddof 0), as in the published table.
"""

import warnings

import numpy as np
import polars as pl

from vesalius.bench.stats.resample import Bootstrap, interval, weighted_means, weighted_medians
from vesalius.bench.stats.table import Cube


def summary(cube: Cube, bootstrap: Bootstrap) -> pl.DataFrame:
    """One row a model and target.

    Returns:
        `metric, model, target, n, missing, mean, sd, median, q1, q3, ci_low, ci_high` (interval of the mean), then
        `median_ci_low, median_ci_high, n_missed, n_false_positive, n_failed`. `n` counts the values that the mean is
        formed of, `missing` the cases for which another model has a row and this one has none. In the rows of
        `average`, `missing` counts cases, and the last three count rows of all targets.
    """
    values = cube.values
    models, _, targets = values.shape
    with warnings.catch_warnings():  # a model without any value has no mean
        warnings.simplefilter("ignore", RuntimeWarning)
        q1, median, q3 = np.nanpercentile(values, [25, 50, 75], axis=1)
        mean, sd = np.nanmean(values, axis=1), np.nanstd(values, axis=1)
    weights = bootstrap.weights(np.ones(len(cube.cases), dtype=bool))
    flat = values.transpose(0, 2, 1).reshape(models * targets, -1)
    low, high = interval(weighted_means(weights, flat))
    median_low, median_high = interval(weighted_medians(weights, flat))
    frame = pl.DataFrame(
        {
            "metric": cube.metric.name,
            "model": np.repeat(cube.models, targets),
            "target": np.tile(cube.targets, models),
            "n": (~np.isnan(values)).sum(axis=1).ravel(),
            "missing": cube.lacking.sum(axis=1).ravel(),
            "mean": mean.ravel(),
            "sd": sd.ravel(),
            "median": median.ravel(),
            "q1": q1.ravel(),
            "q3": q3.ravel(),
            "ci_low": low,
            "ci_high": high,
            "median_ci_low": median_low,
            "median_ci_high": median_high,
            "n_missed": cube.count("missed").ravel(),
            "n_false_positive": cube.count("hallucinated").ravel(),
            "n_failed": cube.count("failed").ravel(),
        }
    )
    return frame.fill_nan(None)
