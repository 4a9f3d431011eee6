"""`walker`: the atlas refined by a random walker with priors (Grady, CVPR 2005).

Where the atlas is sure, it stands. Between, a walker's steps are likely within even intensity and unlikely across
edges; each unsure voxel takes the structure that a walker from there meets first, the atlas's own opinion being a
chance to be met at every step. One sparse system, solved for all structures by conjugate gradients.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np

from vesalius.media.kernels import njit
from vesalius.media.volume import Volume
from vesalius.models.classical.atlas import Atlas
from vesalius.models.classical.segmenter import Work, prepare, restore, smooth, tidy


class Walker:
    """See the module.

    Args:
        atlas: gives the first opinion.
        edge: HU that make a step unlikely, as a multiple of the scan's own median step.
        faith: weight of the atlas against the neighbours.
        sure: posterior from which the atlas stands.
    """

    name = "walker"

    def __init__(self, atlas: Atlas, edge: float = 2.0, faith: float = 0.25, sure: float = 0.97):
        self.atlas, self.edge, self.faith, self.sure = atlas, edge, faith, sure

    @property
    def names(self) -> dict[int, str]:
        """Label -> structure."""
        return self.atlas.names

    @classmethod
    def fit(cls, cases: Iterable[Work], names: dict[int, str]) -> Self:
        """Fits the atlas; the walker itself adapts to each scan."""
        return cls(Atlas.fit(cases, names))

    def segment(self, volume: Volume) -> Volume:
        """Labels of a volume."""
        work = prepare(volume)
        return restore(self.label(work), work, volume, self.names)

    def label(self, work: Work) -> np.ndarray:
        """Labels on the working grid."""
        box, posterior = self.atlas.posterior(work)
        hu = np.clip(smooth(work.hu, work.spacing, 1.2)[box], -150, 350)
        unsure = posterior.max(axis=0) < self.sure
        refined = posterior
        if unsure.any():
            refined[:, unsure] = self._walk(hu, posterior, unsure, work.spacing)
        out = np.zeros(work.hu.shape, np.uint8)
        out[box] = np.array([0, *self.names], np.uint8)[refined.argmax(axis=0)]
        return tidy(out)

    def _walk(self, hu: np.ndarray, prior: np.ndarray, unsure: np.ndarray, spacing: np.ndarray) -> np.ndarray:
        """Chances of meeting each structure, (structures, unsure voxels)."""
        number = np.full(hu.shape, -1, np.int64)
        number[unsure] = np.arange(np.count_nonzero(unsure))
        steps = [np.abs(np.diff(hu, axis=axis)) for axis in range(3)]
        scales = self.edge * np.array([max(float(np.median(s)) if s.size else 0.0, 2.0) for s in steps])
        shares = (float(spacing.min()) / np.asarray(spacing, float)) ** 2
        opinion = np.ascontiguousarray(prior[:, unsure].T, np.float64)
        ends, columns, values, diagonal, known = _equations(
            hu, number, np.argwhere(unsure), prior, scales, shares, self.faith
        )
        return _conjugate_gradients(ends, columns, values, diagonal, known + self.faith * opinion, opinion, 40).T

    def save(self, path: Path) -> None:
        """Writes what was learned: the atlas."""
        self.atlas.save(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        return cls(Atlas.load(path))


@njit(cache=True, nogil=True)
def _equations(hu, number, voxels, prior, scales, shares, faith):
    """The walker's system: its matrix as CSR (ends of rows, columns, values), the diagonal apart, and what is known.

    Args:
        hu: of the box.
        number: of unsure voxels in order, -1 elsewhere.
        voxels: the unsure, (n, 3).
        prior: (structures, *box).
        scales: HU along each axis that make a step unlikely.
        shares: of a step along each axis.
        faith: weight of the atlas.
    """
    count, classes = len(voxels), prior.shape[0]
    ends, columns, values = np.zeros(count + 1, np.int64), np.empty(6 * count, np.int64), np.empty(6 * count)
    diagonal, known = np.full(count, faith), np.zeros((count, classes))
    used = 0
    for u in range(count):
        here = hu[voxels[u, 0], voxels[u, 1], voxels[u, 2]]
        for axis in range(3):
            for side in (-1, 1):
                x, y, z = voxels[u, 0], voxels[u, 1], voxels[u, 2]
                if axis == 0:
                    x += side
                elif axis == 1:
                    y += side
                else:
                    z += side
                if x < 0 or y < 0 or z < 0 or x >= hu.shape[0] or y >= hu.shape[1] or z >= hu.shape[2]:
                    continue
                step = (hu[x, y, z] - here) / scales[axis]
                weight = (np.exp(-step * step) + 1e-3) * shares[axis]
                diagonal[u] += weight
                if number[x, y, z] >= 0:
                    columns[used], values[used] = number[x, y, z], -weight
                    used += 1
                else:
                    for k in range(classes):
                        known[u, k] += weight * prior[k, x, y, z]
        ends[u + 1] = used
    return ends, columns[:used], values[:used], diagonal, known


@njit(cache=True, nogil=True)
def _conjugate_gradients(ends, columns, values, diagonal, right, first, rounds):
    """Solves for all columns of `right` at once, preconditioned by the diagonal."""
    count, classes = right.shape
    x, left, direction, moved = first.copy(), np.empty_like(right), np.empty_like(right), np.empty_like(right)
    power, along = np.zeros(classes), np.zeros(classes)
    _times(ends, columns, values, diagonal, x, moved)
    for u in range(count):
        for k in range(classes):
            left[u, k] = right[u, k] - moved[u, k]
            direction[u, k] = left[u, k] / diagonal[u]
            power[k] += left[u, k] * direction[u, k]
    for _ in range(rounds):
        if power.max() < 1e-9 * count:
            break
        _times(ends, columns, values, diagonal, direction, moved)
        along[:] = 0
        for u in range(count):
            for k in range(classes):
                along[k] += direction[u, k] * moved[u, k]
        length = power / np.maximum(along, 1e-30)
        before = np.maximum(power, 1e-30)
        power = np.zeros(classes)
        for u in range(count):
            for k in range(classes):
                x[u, k] += length[k] * direction[u, k]
                left[u, k] -= length[k] * moved[u, k]
                power[k] += left[u, k] * left[u, k] / diagonal[u]
        turn = power / before
        for u in range(count):
            for k in range(classes):
                direction[u, k] = left[u, k] / diagonal[u] + turn[k] * direction[u, k]
    return x


@njit(cache=True, nogil=True)
def _times(ends, columns, values, diagonal, x, out):
    for u in range(len(diagonal)):
        for k in range(x.shape[1]):
            out[u, k] = diagonal[u] * x[u, k]
        for entry in range(ends[u], ends[u + 1]):
            other, value = columns[entry], values[entry]
            for k in range(x.shape[1]):
                out[u, k] += value * x[other, k]
