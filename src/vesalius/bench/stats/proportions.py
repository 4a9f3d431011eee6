"""Shares and their differences: Wilson intervals, questions that share an image, paired tests, what could be detected.

Pure functions on arrays. A *cluster* is what several questions share (an image, a slide, a patient): answers within one
are alike, so that n questions tell less than n. The interval then uses their effective number, as surveys do.
"""

import numpy as np

from vesalius.bench.stats.resample import LEVEL

POWER = 0.8


def wilson(successes: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share; (nan, nan) for n = 0.

    >>> [round(x, 4) for x in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    if n <= 0:
        return float("nan"), float("nan")
    z2 = _quantile(level) ** 2
    p = successes / n
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def effective_n(values: np.ndarray, clusters: np.ndarray) -> float:
    """How many independent questions the values are worth (Korn and Graubard 1998).

    Args:
        values: scores in 0–1, one a question.
        clusters: codes 0, 1, …, one a question.

    Returns:
        n where no two questions share a cluster; else n over the design effect, with the t-quantile's correction for
        few clusters, never more than n. Where all values are alike, the number of clusters: nothing else is known.
    """
    n = len(values)
    k = int(clusters.max()) + 1 if n else 0
    if k == n:
        return float(n)
    if k < 2:
        return float(min(k, n))
    p = values.mean()
    simple = p * (1 - p) / n
    if np.ptp(values) == 0 or simple <= 0:
        return float(k)
    totals = np.bincount(clusters, values - p, minlength=k)
    variance = k / (k - 1) * (totals**2).sum() / n**2
    if variance == 0:
        return float(n)
    few = (_t(n - 1) / _t(k - 1)) ** 2
    return float(min(n, n * simple / variance * few))


def share(values: np.ndarray, clusters: np.ndarray | None = None) -> tuple[float, float, float]:
    """(mean, low, high) of scores in 0–1: Wilson's interval, with the effective number where clusters are given."""
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    n = float(len(values)) if clusters is None else effective_n(values, clusters)
    mean = float(values.mean())
    return mean, *wilson(mean * n, n)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact McNemar test: p that so uneven a split of disagreements comes by chance.

    >>> round(mcnemar(10, 2), 4)
    0.0386
    """
    from scipy.stats import binomtest

    n = only_first + only_second
    return float(binomtest(min(only_first, only_second), n, 0.5).pvalue) if n else 1.0


def sign_flip(differences: np.ndarray, clusters: np.ndarray, flips: int = 10_000, seed: int = 0) -> float:
    """Two-sided permutation test of a mean paired difference: whole clusters change sign.

    All changes of sign are made where there are at most 14 clusters with a difference, else `flips` random ones (then
    the smallest p is 1 / (flips + 1)).
    """
    totals = np.bincount(clusters, differences)
    totals = totals[totals != 0]
    if not len(totals):
        return 1.0
    seen = abs(totals.sum()) - 1e-12
    if len(totals) <= 14:
        signs = 1 - 2 * ((np.arange(2 ** len(totals))[:, None] >> np.arange(len(totals))) & 1)
        return float((abs(signs @ totals) >= seen).mean())
    rng = np.random.default_rng(np.random.SeedSequence([seed, len(totals)]))
    hits = 0
    for start in range(0, flips, 1000):
        count = min(1000, flips - start)
        signs = rng.integers(0, 2, (count, len(totals)), dtype=np.int8) * 2 - 1
        hits += int((abs(signs @ totals) >= seen).sum())
    return (hits + 1) / (flips + 1)


def mean_difference(difference: np.ndarray, clusters: np.ndarray) -> tuple[float, float, float]:
    """(mean, low, high) of paired differences, normal and cluster-robust: a model against a baseline on its questions.

    >>> [round(x, 3) for x in mean_difference(np.array([0.75, -0.25, 0.75, 0.75]), np.arange(4))]
    [0.5, 0.01, 0.99]
    """
    mean, error = _mean_and_error(difference, clusters)
    half = _quantile(LEVEL) * error
    return mean, max(-1.0, mean - half), min(1.0, mean + half)


def _mean_and_error(difference: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    n = len(difference)
    k = int(groups.max()) + 1 if n else 0
    mean = float(difference.mean()) if n else float("nan")
    if k < 2:
        return mean, float("nan")
    totals = np.bincount(groups, difference - mean, minlength=k)
    return mean, float(np.sqrt(k / (k - 1) * (totals**2).sum()) / n)


def paired(
    first: np.ndarray, second: np.ndarray, clusters: np.ndarray | None = None, seed: int = 0
) -> dict[str, float]:
    """Two models on the same questions.

    Args:
        first, second: scores in 0–1, one a question.
        clusters: codes; None where questions are independent.
        seed: of the permutation test.

    Returns:
        `n`; `only_first`, `only_second` (questions that one has right and the other wrong); `difference` and its 95 %
        interval (normal, cluster-robust); `p` (exact McNemar, or by sign changes of whole clusters; the latter where
        scores are not 0 or 1, too); `detectable`: the smallest true difference that this test would find with a
        power of 80 % at the 5 % level. Interval and detectable difference are NaN where the two never disagree.
    """
    difference = first - second
    n = len(difference)
    groups = np.arange(n) if clusters is None else clusters
    k = int(groups.max()) + 1 if n else 0
    mean, error = _mean_and_error(difference, groups)
    binary = np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all()
    only_first, only_second = int((difference > 0).sum()), int((difference < 0).sum())
    p = mcnemar(only_first, only_second) if binary and k == n else sign_flip(difference, groups, seed=seed)
    if only_first + only_second == 0:  # how far apart models are that never disagreed is not known, and not zero
        error = float("nan")
    low, high = np.clip([mean - _quantile(LEVEL) * error, mean + _quantile(LEVEL) * error], -1.0, 1.0)
    return {
        "n": n, "only_first": only_first, "only_second": only_second, "difference": mean,
        "ci_low": float(low), "ci_high": float(high), "p": p,
        "detectable": (_quantile(LEVEL) + _power()) * error,
    }  # fmt: skip


def _quantile(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def _power() -> float:
    from scipy.special import ndtri

    return float(ndtri(POWER))


def _t(df: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + LEVEL / 2, df))
