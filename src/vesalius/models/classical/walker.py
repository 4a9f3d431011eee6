"""`walker`: the atlas refined by a random walker with priors (Grady, CVPR 2005).

Where the atlas is sure, it stands. Between, a walker's steps are likely within even intensity and unlikely across
edges; each unsure voxel takes the structure that a walker from there meets first, the atlas's own opinion being a
chance to be met at every step. One sparse system, solved for all structures by conjugate gradients.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np

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
        from scipy import sparse

        number = np.full(hu.shape, -1, np.int64)
        number[unsure] = np.arange(np.count_nonzero(unsure))
        count = int(number.max()) + 1
        degree, known = np.zeros(count), np.zeros((count, len(prior)))
        rows, columns, weights = [], [], []
        for axis in range(3):
            near, far = (tuple(part if i == axis else slice(None) for i in range(3))
                         for part in (slice(None, -1), slice(1, None)))  # fmt: skip
            step = np.abs(hu[far] - hu[near])
            scale = self.edge * max(float(np.median(step)), 2.0)
            weight = (np.exp(-((step / scale) ** 2)) + 1e-3) * (float(spacing.min()) / float(spacing[axis])) ** 2
            for here, there in ((near, far), (far, near)):
                a, b = number[here].ravel(), number[there].ravel()
                w = weight.ravel()
                inner = a >= 0
                degree += np.bincount(a[inner], w[inner], minlength=count)
                both, edge = inner & (b >= 0), inner & (b < 0)
                rows.append(a[both])
                columns.append(b[both])
                weights.append(w[both])
                beside = prior[(slice(None), *there)].reshape(len(prior), -1)[:, edge]
                for k in range(len(prior)):
                    known[:, k] += np.bincount(a[edge], w[edge] * beside[k], minlength=count)
        matrix = sparse.csr_matrix(
            (-np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), (count, count)
        ) + sparse.diags(degree + self.faith)
        opinion = prior[:, unsure].T
        return _conjugate_gradients(matrix, known + self.faith * opinion, opinion).T

    def save(self, path: Path) -> None:
        """Writes what was learned: the atlas."""
        self.atlas.save(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        return cls(Atlas.load(path))


def _conjugate_gradients(matrix, right: np.ndarray, first: np.ndarray, rounds: int = 40) -> np.ndarray:
    """Solves for all columns at once, preconditioned by the diagonal."""
    x = first.astype(np.float64)
    scale = 1 / matrix.diagonal()[:, None]
    left = right - matrix @ x
    z = scale * left
    direction, power = z, (left * z).sum(axis=0)
    for _ in range(rounds):
        if power.max() < 1e-6 * len(x) * 1e-3:
            break
        moved = matrix @ direction
        length = power / np.maximum((direction * moved).sum(axis=0), 1e-30)
        x = x + length * direction
        left = left - length * moved
        z = scale * left
        power, before = (left * z).sum(axis=0), power
        direction = z + power / np.maximum(before, 1e-30) * direction
    return x
