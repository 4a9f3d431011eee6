"""How the bootstrap draws: a seed for each replicate, cases or patients with replacement, weights instead of copies.

Knows replicates as a matrix of counts. A statistic of all replicates is then a matrix product (means) or a cumulative
sum along sorted values (medians), for every model and target at once.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class Bootstrap:
    """How to draw: `replicates` times, replicate i from the i-th child of `SeedSequence([seed, stream])`.

    Attributes:
        replicates: how many.
        seed: recorded in the provenance. Since every replicate has a seed of its own, the draws are the same for any
            number of workers, and the first hundred of a thousand are those of a hundred.
        clusters: for each case the patient (or other unit) that is drawn as a whole; None draws cases.
    """

    replicates: int = 1000
    seed: int = 0
    clusters: tuple[str | None, ...] | None = None

    def weights(self, among: np.ndarray, stream: int = 0) -> np.ndarray:
        """How often each case was drawn: uint16 replicates × cases, 0 outside `among` (bool, one for each case).

        A case whose cluster is not known is a unit of its own.
        """
        chosen = np.flatnonzero(among)
        units = self._units(chosen)
        n = int(units.max()) + 1 if len(units) else 0
        counts = np.zeros((self.replicates, len(among)), dtype=np.uint16)
        if n == 0:
            return counts
        for i, child in enumerate(np.random.SeedSequence([self.seed, stream]).spawn(self.replicates)):
            drawn = np.random.default_rng(child).integers(0, n, n)
            counts[i, chosen] = np.bincount(drawn, minlength=n)[units]
        return counts

    def _units(self, chosen: np.ndarray) -> np.ndarray:
        if self.clusters is None:
            return np.arange(len(chosen))
        index: dict[object, int] = {}
        labels: Sequence[object] = [self.clusters[c] if self.clusters[c] is not None else (c,) for c in chosen]
        return np.array([index.setdefault(label, len(index)) for label in labels], dtype=int)


def weighted_means(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Means of every replicate.

    Args:
        weights: replicates × cases.
        values: models × cases; NaN cases take no part.

    Returns:
        replicates × models; NaN where a replicate drew no case with a value.
    """
    drawn = weights.astype(float)
    present = ~np.isnan(values)
    total = drawn @ np.where(present, values, 0.0).T
    number = drawn @ present.T.astype(float)
    return np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)


def weighted_medians(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Medians of every replicate; shapes as in `weighted_means`."""
    medians = np.full((len(weights), len(values)), np.nan)
    by_case = np.ascontiguousarray(weights.T)
    for m, row in enumerate(values):
        order = np.argsort(row)[: np.count_nonzero(~np.isnan(row))]
        if not len(order):
            continue
        reached = np.cumsum(by_case[order], axis=0, dtype=np.uint32)
        total = reached[-1]
        sorted_values = row[order]
        last = len(order) - 1
        # The k-th smallest (from 0) of the drawn values lies where the cumulative count first exceeds k.
        low = sorted_values[np.minimum((reached <= (np.maximum(total, 1) - 1) // 2).sum(axis=0), last)]
        high = sorted_values[np.minimum((reached <= total // 2).sum(axis=0), last)]
        medians[:, m] = np.where(total > 0, (low + high) / 2, np.nan)
    return medians


def interval(replicates: np.ndarray, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval at `LEVEL` along the replicates; NaN where no replicate has a value."""
    tail = 100 * (1 - LEVEL) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanpercentile(replicates, [tail, 100 - tail], axis=axis)
    return low, high
