"""`windows`: intensity windows where a structure usually lies, cleaned by morphology.

What a student writes on the first afternoon, and a fair floor: for each structure a window of HU, a map of where in the
body's box and how far below the lungs it was seen, then opening and the largest component.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np

from vesalius.media.volume import Volume
from vesalius.models.classical.register import lung_base
from vesalius.models.classical.segmenter import Work, keep, largest, prepare, recall, restore, smooth

GRID = (48, 40, 60)  # cells of the location map: across the body's box, and along 6 mm steps
DEEP = 6.0


class Windows:
    """See the module; `windows` is (structures, 2) HU, `where` (structures, *GRID) shares, `cut` the least share."""

    name = "windows"

    def __init__(self, names: dict[int, str], windows: np.ndarray, where: np.ndarray, cut: float):
        self.names, self.windows, self.where, self.cut = names, windows, where, cut

    @classmethod
    def fit(cls, cases: Iterable[Work], names: dict[int, str]) -> Self:
        """Learns windows (the middle 80 % of each structure's voxels over all cases) and location maps."""
        values: dict[int, list[np.ndarray]] = {label: [] for label in names}
        seen = np.zeros((len(names), *GRID), np.float32)
        covered = np.zeros(GRID, np.float32)
        for work in cases:
            assert work.labels is not None
            calm, cells = smooth(work.hu, work.spacing, 2.0), _cells(work)
            grid = np.stack(np.broadcast_arrays(*np.ix_(*cells))) - 1
            inside = ((grid >= 0) & (grid < np.array(GRID)[:, None, None, None])).all(axis=0) & work.body
            flat = np.ravel_multi_index(tuple(grid[:, inside]), GRID)
            count = np.bincount(flat, minlength=seen[0].size)
            covered += (count > 0).reshape(GRID)
            for i, label in enumerate(names):
                own = work.labels == label
                values[label].append(calm[own][::5])
                hits = np.bincount(flat, own[inside], minlength=count.size)
                seen[i] += (hits / np.maximum(count, 1)).reshape(GRID)
        windows = [
            np.percentile(np.concatenate(v), (10, 90)) if sum(map(len, v)) else (0.0, 0.0) for v in values.values()
        ]
        where = seen / np.maximum(covered, 1)
        where = np.stack([smooth(w, np.ones(3), 1.2) for w in where])
        return cls(names, np.array(windows), where, 0.35)

    def segment(self, volume: Volume) -> Volume:
        """Labels of a volume."""
        work = prepare(volume)
        return restore(self.label(work), work, volume, self.names)

    def label(self, work: Work) -> np.ndarray:
        """Labels on the working grid."""
        from scipy import ndimage

        calm, cells = smooth(work.hu, work.spacing, 2.0), _cells(work)
        out, most = np.zeros(work.hu.shape, np.uint8), np.zeros(work.hu.shape, np.float32)
        ball = ndimage.generate_binary_structure(3, 1)
        for i, label in enumerate(self.names):
            share = np.pad(self.where[i], 1)[np.ix_(*cells)]
            low, high = self.windows[i]
            likely = share > max(self.cut * self.where[i].max(), 1e-6)
            box = ndimage.find_objects(likely.astype(np.uint8))
            if not box:
                continue
            calm_, body, likely, share = (a[box[0]] for a in (calm, work.body, likely, share))
            mask = (calm_ >= low) & (calm_ <= high) & likely & body
            mask = largest(ndimage.binary_opening(mask, ball))
            mask = ndimage.binary_fill_holes(ndimage.binary_closing(mask, ball))
            mask &= share > most[box[0]]
            out[box[0]][mask], most[box[0]][mask] = label, share[mask]
        return out

    def save(self, path: Path) -> None:
        """Writes what was learned."""
        learned = {"windows": self.windows, "where": self.where.astype(np.float16), "cut": np.array(self.cut)}
        keep(path, self.names, learned)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        names, found = recall(path)
        return cls(names, found["windows"], found["where"].astype(np.float32), float(found["cut"]))


def _cells(work: Work) -> list[np.ndarray]:
    """Cell of each index along each axis, counted from 1; 0 and beyond the last is outside the map."""
    low, high = work.box()
    shape = work.hu.shape
    x = (np.arange(shape[0], dtype=np.float32) - low[0]) / (high[0] - low[0]) * (GRID[0] - 1)
    y = (np.arange(shape[1], dtype=np.float32) - low[1]) / (high[1] - low[1]) * (GRID[1] - 1)
    z = (np.arange(shape[2], dtype=np.float32) - lung_base(work)) * work.spacing[2] / DEEP + 0.7 * GRID[2]
    return [np.clip(np.round(c).astype(int) + 1, 0, n + 1) for c, n in zip((x, y, z), GRID, strict=True)]
