"""`forest`: a random forest over voxels, which sees intensities at several scales and the place in the atlas.

It learns how bright things are in the training cases and has no means to notice that a scan was taken in another phase.
Grown by scikit-learn, kept as plain arrays and walked by a
numba kernel, so that a saved forest runs without scikit-learn and holds no pickled code.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numba
import numpy as np

from vesalius.media.volume import Volume
from vesalius.models.classical.atlas import Atlas
from vesalius.models.classical.segmenter import SPACE, Work, keep, prepare, recall, restore, smooth, tidy

SCALES = (1.8, 4.0, 9.0)  # mm
FAR = (18.0, 36.0)  # mm to the neighbourhoods that are looked at along each axis
TREES, DEPTH, LEAF = 12, 16, 4
SURELY_NONE = 0.975  # prior of background from which nobody looks
SAMPLES = 4500  # voxels of each training case


class Forest:
    """See the module; the trees are arrays, a node a row: feature (-1 in a leaf), threshold, left child, shares."""

    name = "forest"

    def __init__(self, atlas: Atlas, trees: dict[str, np.ndarray]):
        self.atlas, self.trees = atlas, trees

    @property
    def names(self) -> dict[int, str]:
        """Label -> structure."""
        return self.atlas.names

    @classmethod
    def fit(cls, cases: Iterable[Work], names: dict[int, str]) -> Self:
        """Fits the atlas, then grows the trees."""
        cases = list(cases)
        return cls.grow(cases, Atlas.fit(cases, names))

    @classmethod
    def grow(cls, cases: list[Work], atlas: Atlas) -> Self:
        """Grows the trees on a balanced sample of voxels, placed by an atlas of the same cases."""
        from sklearn.ensemble import RandomForestClassifier

        rng = np.random.default_rng(0)
        seen, told = [], []
        for work in cases:
            assert work.labels is not None
            box, prior = atlas.prior(work)
            labels = work.labels[box]
            pick = _balanced(labels, prior, rng)
            seen.append(_look(work, box, pick, atlas))
            told.append(labels.ravel()[pick])
        grown = RandomForestClassifier(
            TREES, max_depth=DEPTH, min_samples_leaf=LEAF, max_features=6, max_samples=0.4, random_state=0, n_jobs=-1
        ).fit(np.concatenate(seen), np.concatenate(told))
        return cls(atlas, _arrays(grown, list(atlas.names)))

    def segment(self, volume: Volume) -> Volume:
        """Labels of a volume."""
        work = prepare(volume)
        return restore(self.label(work), work, volume, self.names)

    def label(self, work: Work) -> np.ndarray:
        """Labels on the working grid."""
        box, prior = self.atlas.prior(work)
        hopeful = np.flatnonzero((prior[0] < SURELY_NONE) & work.body[box])
        shares = np.zeros((prior[0].size, len(prior)), np.float32)
        shares[:, 0] = 1
        if len(hopeful):
            shares[hopeful] = _walk_trees(_look(work, box, hopeful, self.atlas), **self.trees)
        maps = [smooth(shares[:, k].reshape(prior[0].shape), work.spacing, 2.2) for k in range(len(prior))]
        out = np.zeros(work.hu.shape, np.uint8)
        out[box] = np.array([0, *self.names], np.uint8)[np.argmax(maps, axis=0)]
        return tidy(out)

    def save(self, path: Path) -> None:
        """Writes the trees; the atlas goes beside it as `<name>.atlas.npz`."""
        self.atlas.save(path.with_suffix(".atlas.npz"))
        keep(path, self.names, self.trees)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        return cls(Atlas.load(path.with_suffix(".atlas.npz")), recall(path)[1])


def _balanced(labels: np.ndarray, prior: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flat indices: half of them background, the other half shared out among structures by the root of their size."""
    flat, hopeful = labels.ravel(), (prior[0] < SURELY_NONE).ravel()
    counts = np.sqrt(np.bincount(flat[hopeful], minlength=len(prior)).astype(float))
    counts[0] = counts[1:].sum() * 1.2
    wanted = (SAMPLES * counts / max(counts.sum(), 1)).astype(int)
    picked = []
    for label, number in enumerate(wanted):
        own = np.flatnonzero((flat == label) & hopeful)
        picked.append(rng.choice(own, min(number, len(own)), replace=False))
    return np.sort(np.concatenate(picked))


def _look(work: Work, box: tuple[slice, ...], pick: np.ndarray, atlas: Atlas) -> np.ndarray:
    """Features of the picked voxels of a box, (voxels, features) float32."""
    shape = tuple(s.stop - s.start for s in box)
    index = np.array(np.unravel_index(pick, shape), np.float32) + np.array([[s.start] for s in box], np.float32)
    back = np.linalg.inv(atlas.place(work)).astype(np.float32)
    columns = list(back[:3, :3] @ index + back[:3, 3:])
    hu = np.clip(work.hu, *SPACE)
    at = tuple(index.astype(int))
    blurred = [smooth(hu, work.spacing, scale) for scale in SCALES]
    columns += [image[at] for image in blurred]
    calm, limits = blurred[-1], np.array(hu.shape) - 1
    for far in FAR:
        for axis in range(3):
            for sign in (-1, 1):
                moved = [a.copy() for a in at]
                moved[axis] = np.clip(moved[axis] + sign * round(far / work.spacing[axis]), 0, limits[axis])
                columns.append(calm[tuple(moved)])
    columns.append(np.sqrt(np.maximum(smooth(hu * hu, work.spacing, 5.0) - smooth(hu, work.spacing, 5.0) ** 2, 0))[at])
    return np.stack(columns, axis=1).astype(np.float32)


def _arrays(grown, labels: list[int]) -> dict[str, np.ndarray]:
    """scikit-learn's trees one after another; shares in the order background, then `labels`."""
    order = [0, *labels]
    feature, threshold, child, share, roots, offset = [], [], [], [], [], 0
    for estimator in grown.estimators_:
        tree = estimator.tree_
        leaf = tree.children_left < 0
        roots.append(offset)
        feature.append(np.where(leaf, -1, tree.feature))
        threshold.append(tree.threshold)
        child.append(np.stack([tree.children_left, tree.children_right], 1) + offset)
        values = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
        full = np.zeros((len(values), len(order)))
        for k, label in enumerate(grown.classes_):
            full[:, order.index(int(label))] = values[:, k]
        share.append(full)
        offset += len(leaf)
    return {
        "feature": np.concatenate(feature).astype(np.int16), "threshold": np.concatenate(threshold).astype(np.float32),
        "child": np.concatenate(child).astype(np.int32), "share": np.concatenate(share).astype(np.float32),
        "roots": np.array(roots, np.int32),
    }  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _walk_trees(seen, feature, threshold, child, share, roots):
    """Mean share of each class over the trees, (voxels, classes); a tree for many voxels while it is in the cache."""
    count, classes = seen.shape[0], share.shape[1]
    out = np.zeros((count, classes), np.float32)
    for start in range(0, count, 2048):
        for root in roots:
            for i in range(start, min(start + 2048, count)):
                node = root
                while feature[node] >= 0:
                    node = child[node, 0 if seen[i, feature[node]] <= threshold[node] else 1]
                for k in range(classes):
                    out[i, k] += share[node, k]
    return out / len(roots)
