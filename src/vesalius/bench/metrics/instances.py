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
    import cc3d
    from scipy.optimize import linear_sum_assignment

    neighbours: Any = connectivity if reference.ndim == 3 else 4 if connectivity == 6 else 8
    r, n = cc3d.connected_components(reference, connectivity=neighbours, return_N=True)
    p, m = cc3d.connected_components(prediction, connectivity=neighbours, return_N=True)
    joint = np.bincount(r.ravel().astype(np.int64) * (m + 1) + p.ravel(), minlength=(n + 1) * (m + 1))
    joint = joint.reshape(n + 1, m + 1)
    sizes_r, sizes_p = joint.sum(axis=1)[1:], joint.sum(axis=0)[1:]
    shared = joint[1:, 1:]
    iou = shared / np.maximum(sizes_r[:, None] + sizes_p[None, :] - shared, 1)
    # As panoptic quality defines it, a pair at exactly 0.5 does not match: only above are matches unique.
    allowed = iou > least_iou if least_iou == 0.5 else iou >= max(least_iou, np.finfo(float).tiny)
    rows, columns = linear_sum_assignment(np.where(allowed, iou, 0.0), maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    matches = [(i, j, float(iou[i, j])) for i, j in pairs if allowed[i, j]]
    touched_r, touched_p = (np.asarray(shared.any(axis=axis)) for axis in (1, 0))
    return Instances(sizes_r * voxel_ml, sizes_p * voxel_ml, matches, touched_r, touched_p)
