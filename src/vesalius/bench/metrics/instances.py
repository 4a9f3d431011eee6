"""Lesion-wise scores: connected components of two masks, matched one to one.

Knows components, their volumes and which match; leaves to callers which masks, and what an empty mask means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Instances:
    """Components of a reference and a prediction and how they match.

    Attributes:
        reference_ml, prediction_ml: volume in ml of each component (float64 (n,), (m,)).
        matches: (reference index, prediction index, IoU) of each matched pair.
        reference_touched, prediction_touched: whether a component shares a voxel with the other mask (bool).
    """

    reference_ml: np.ndarray
    prediction_ml: np.ndarray
    matches: list[tuple[int, int, float]]
    reference_touched: np.ndarray
    prediction_touched: np.ndarray

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return 2 * len(self.matches) / (len(self.reference_ml) + len(self.prediction_ml))

    @property
    def recall(self) -> float:
        """Share of reference components that are matched."""
        return len(self.matches) / len(self.reference_ml)

    @property
    def precision(self) -> float:
        """Share of predicted components that are matched."""
        return len(self.matches) / len(self.prediction_ml)

    @property
    def panoptic_quality(self) -> float:
        """Sum of matched IoU / (TP + FP/2 + FN/2)."""
        return 2 * sum(iou for _, _, iou in self.matches) / (len(self.reference_ml) + len(self.prediction_ml))

    @property
    def false_positive_volume(self) -> float:
        """Volume in ml of predicted components that touch no reference."""
        return float(self.prediction_ml[~self.prediction_touched].sum())

    @property
    def false_positive_count(self) -> int:
        """How many predicted components touch no reference."""
        return int((~self.prediction_touched).sum())

    def recall_by_size(self, edges: Sequence[float]) -> dict[str, float | None]:
        """Recall in each bin of reference volume; `edges` in ml, None where a bin holds no component."""
        limits = [0.0, *edges, float("inf")]
        found = np.zeros(len(self.reference_ml), bool)
        found[[r for r, _, _ in self.matches]] = True
        out: dict[str, float | None] = {}
        for low, high in pairwise(limits):
            inside = (self.reference_ml >= low) & (self.reference_ml < high)
            name = f"{low:g}-{high:g}ml" if high < float("inf") else f">={low:g}ml"
            out[name] = float(found[inside].mean()) if inside.any() else None
        return out

    def table(self) -> list[dict[str, object]]:
        """A row for each component of either side: `side, component, ml, matched, iou, touched`."""
        by_reference = {r: (p, iou) for r, p, iou in self.matches}
        by_prediction = {p: (r, iou) for r, p, iou in self.matches}
        sides = (
            ("reference", self.reference_ml, by_reference, self.reference_touched),
            ("prediction", self.prediction_ml, by_prediction, self.prediction_touched),
        )
        return [
            {
                "side": side,
                "component": i + 1,
                "ml": float(volume),
                "matched": matched[i][0] + 1 if i in matched else None,
                "iou": matched[i][1] if i in matched else None,
                "touched": bool(touched[i]),
            }
            for side, volumes, matched, touched in sides
            for i, volume in enumerate(volumes)
        ]


def match(
    reference: np.ndarray, prediction: np.ndarray, voxel_ml: float, connectivity: int = 26, least_iou: float = 0.5
) -> Instances:
    """Components of two boolean masks on one grid, matched one to one so that the sum of IoU is greatest.

    Args:
        reference, prediction: boolean, 2D or 3D.
        voxel_ml: volume of a voxel in ml.
        connectivity: 6, 18 or 26; in 2D 6 means 4 and the others 8.
        least_iou: pairs below do not match; an IoU equal to it does only above 0.5, where matches are unique anyway.
    """
    r, n = _components(reference, connectivity)
    p, m = _components(prediction, connectivity)
    sizes_r, sizes_p = np.bincount(r.ravel(), minlength=n + 1)[1:], np.bincount(p.ravel(), minlength=m + 1)[1:]
    # Only pairs that share a voxel are kept: noise has thousands of components, whose every pair would fill the memory.
    both = (r > 0) & (p > 0)
    pairs, shared = np.unique(r[both].astype(np.int64) * (m + 1) + p[both], return_counts=True)
    rows, columns = pairs // (m + 1) - 1, pairs % (m + 1) - 1
    iou = shared / (sizes_r[rows] + sizes_p[columns] - shared)
    touched_r, touched_p = np.zeros(n, bool), np.zeros(m, bool)
    touched_r[rows], touched_p[columns] = True, True
    # As panoptic quality defines it, a pair at exactly 0.5 does not match: only above are matches unique.
    allowed = iou > least_iou if least_iou == 0.5 else iou >= least_iou
    matches = _assign(rows[allowed], columns[allowed], iou[allowed], n, m)
    return Instances(sizes_r * voxel_ml, sizes_p * voxel_ml, matches, touched_r, touched_p)


def _components(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, int]:
    """Labelled components; a 2D mask as one slice of a volume, since cc3d's own 2D path mislabels some images."""
    import cc3d

    volume = np.pad(mask if mask.ndim == 3 else mask[None], 1).view(np.uint8)
    neighbours: Any = connectivity
    labels, count = cc3d.connected_components(volume, connectivity=neighbours, return_N=True)
    inner = labels[1:-1, 1:-1, 1:-1]
    return inner if mask.ndim == 3 else inner[0], int(count)


def _assign(rows: np.ndarray, columns: np.ndarray, iou: np.ndarray, n: int, m: int) -> list[tuple[int, int, float]]:
    """One-to-one matches with the greatest sum of IoU, group by group of components that touch each other."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(rows):
        return []
    graph = coo_array((np.ones(len(rows)), (rows, n + columns)), shape=(n + m, n + m))
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group[rows], kind="stable")
    matches = []
    for some in np.split(order, np.flatnonzero(np.diff(group[rows[order]])) + 1):
        left, i = np.unique(rows[some], return_inverse=True)
        right, j = np.unique(columns[some], return_inverse=True)
        gain = np.zeros((len(left), len(right)))
        gain[i, j] = iou[some]
        for a, b in zip(*linear_sum_assignment(gain, maximize=True), strict=True):
            if gain[a, b] > 0:
                matches.append((int(left[a]), int(right[b]), float(gain[a, b])))
    return sorted(matches)
