"""Distances from one surface to the other, each with its weight, and the figures computed from them.

Knows lists of numbers; leaves where they come from to `surfaces.py`, and which figure is which metric to
`segmentation.py`.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Directed:
    """Distances in mm from one surface's elements to the other surface, and the elements' weights (float64 (n,))."""

    distances: np.ndarray
    weights: np.ndarray

    def mean(self) -> float:
        """Weighted mean in mm."""
        return float((self.distances * self.weights).sum() / self.weights.sum())


def pooled(pair: tuple[Directed, Directed]) -> Directed:
    """Both directions as one list."""
    return Directed(*(np.concatenate([getattr(d, f) for d in pair]) for f in ("distances", "weights")))


def within(pair: tuple[Directed, Directed], tolerance: float) -> float:
    """Share of the weight of both directions whose distance is at most the tolerance (mm)."""
    inside = sum(d.weights[d.distances <= tolerance].sum() for d in pair)
    return float(inside / sum(d.weights.sum() for d in pair))


def percentile(directed: Directed, q: float) -> float:
    """Weighted percentile of one direction, q in percent."""
    return weighted_percentile(directed.distances, directed.weights, q)


def weighted_percentile(values: np.ndarray, weights: np.ndarray, q: float) -> float:
    """Smallest value at which the cumulated weight reaches q percent of the total, as surface-distance takes it."""
    # Only the values near the answer are sorted: a histogram says where it lies.
    top = values.max()
    bins = (values * (1023 / top)).astype(np.int32) if top > 0 else np.zeros(len(values), np.int32)
    below = np.concatenate([[0.0], np.cumsum(np.bincount(bins, weights, 1024))])
    goal = q / 100 * below[-1]
    chosen = int(np.searchsorted(below[1:-1], goal))
    near = np.flatnonzero(bins == chosen)
    near = near[np.lexsort((weights[near], values[near]))]
    reached = below[chosen] + np.cumsum(weights[near])
    if np.abs(np.concatenate([[below[chosen]], reached]) - goal).min() < 1e-9 * below[-1]:
        # So near the goal that the order of summation decides: sum exactly as the reference implementation does.
        near = np.lexsort((weights, values))
        reached, goal = np.cumsum(weights[near]) / weights.sum(), q / 100
    return float(values[near[min(int(np.searchsorted(reached, goal)), len(near) - 1)]])
