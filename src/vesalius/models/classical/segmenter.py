"""What every classical segmenter shares: the protocol, the working grid, the body, and tidying of label maps.

A segmenter works on a copy of the volume in RAS order with voxels of at least `FINEST` mm, so that a clinical CT of
100 million voxels costs no more than a coarse one; its labels return to the volume's own grid.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume, onto_grid, read_labels, read_volume

FINEST = 2.4  # mm
SPACE = (-200.0, 300.0)  # HU between which soft tissue, fat and vessels differ


@dataclass(frozen=True)
class TrainingCase:
    """One labelled volume: paths of the image (HU) and of its labels on the same grid."""

    image: Path
    labels: Path


class Segmenter(Protocol):
    """Learns from labelled volumes, then labels others."""

    name: str

    def fit(self, cases: Iterable["Work"], names: dict[int, str]) -> Self:
        """Learns from `cases` (see `load_training`), whose label ids mean `names`."""
        ...

    def segment(self, volume: Volume) -> Volume:
        """Labels (uint8) on the volume's grid; `names` says what they mean."""
        ...

    def save(self, path: Path) -> None:
        """Writes what was learned to one `.npz` file."""
        ...

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        ...


@dataclass(frozen=True, eq=False)
class Work:
    """A volume on the working grid.

    Attributes:
        hu: float32, axes RAS.
        affine: 4x4, index -> RAS mm, diagonal up to the scanner's tilt.
        spacing: mm along each axis.
        body: bool, patient without table and air around.
        labels: uint8 on the same grid, for training cases.
    """

    hu: np.ndarray
    affine: np.ndarray
    spacing: np.ndarray
    body: np.ndarray
    labels: np.ndarray | None = None

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest index of the body along each axis, robust to a stray line of voxels."""
        low, high = [], []
        for axis in range(3):
            line = self.body.sum(axis=tuple(i for i in range(3) if i != axis))
            inside = np.flatnonzero(line > 0.03 * line.max())
            low.append(inside[0])
            high.append(inside[-1])
        return np.array(low, float), np.array(high, float)


def prepare(volume: Volume, labels: Volume | None = None) -> Work:
    """A volume on the working grid, with its body found.

    Raises:
        VesaliusError: code `geometry` where labels lie on another grid; `content` where there is no body in it.
    """
    data, affine, spacing = _to_ras(np.asarray(volume.data), volume.affine)
    steps = np.maximum(1, np.floor(FINEST / spacing + 0.5)).astype(int)
    hu = _block_mean(data, steps)
    shift = np.eye(4)
    shift[:3, 3] = (steps - 1) / 2
    affine = affine @ shift @ np.diag([*steps, 1.0])
    body = _body(hu)
    if not body.any():
        raise VesaliusError(
            "there is no body in it", file=volume.path, remedy="give a CT in Hounsfield units", code="content"
        )
    marked = None
    if labels is not None:
        marks, _, _ = _to_ras(onto_grid(labels, volume).data, volume.affine)
        middle = tuple(
            slice(int(s) // 2, int(s) // 2 + n * int(s), int(s)) for s, n in zip(steps, hu.shape, strict=True)
        )
        marked = np.ascontiguousarray(marks[middle], np.uint8)
    return Work(hu, affine, spacing * steps, body, marked)


def load_training(cases: Iterable[TrainingCase]) -> list[Work]:
    """Training cases on the working grid."""
    return [prepare(read_volume(case.image), read_labels(case.labels)) for case in cases]


def restore(labels: np.ndarray, work: Work, volume: Volume, names: dict[int, str]) -> Volume:
    """Labels from the working grid on the volume's own."""
    back = onto_grid(Volume(labels, work.affine), volume, resample=True)
    return Volume(np.asfortranarray(back.data.astype(np.uint8)), volume.affine, names=names)


def _to_ras(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axes turned to run nearest to right, front, head; the new affine; spacing."""
    turn = affine[:3, :3]
    order = _axis_order(turn)
    data, affine = data.transpose(order), affine[:, [*order, 3]].copy()
    for axis in range(3):
        if affine[axis, axis] < 0:
            data = np.flip(data, axis)
            affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
            affine[:3, axis] *= -1
    return data, affine, np.linalg.norm(affine[:3, :3], axis=0)


def _axis_order(turn: np.ndarray) -> list[int]:
    """Which array axis runs nearest to x, y and z."""
    from itertools import permutations

    share = np.abs(turn / np.linalg.norm(turn, axis=0))
    return list(max(permutations(range(3)), key=lambda order: sum(share[i, axis] for i, axis in enumerate(order))))


def _block_mean(data: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Mean of whole blocks of voxels; what is left over at the end is dropped."""
    kept = [n // int(s) for n, s in zip(data.shape, steps, strict=True)]
    if not all(kept):
        steps, kept = np.ones(3, int), list(data.shape)
    data = data[tuple(slice(0, k * int(s)) for k, s in zip(kept, steps, strict=True))].astype(np.float32)
    if (steps == 1).all():
        return np.ascontiguousarray(data)
    shape = [v for k, s in zip(kept, steps, strict=True) for v in (k, int(s))]
    return np.ascontiguousarray(data.reshape(shape).mean(axis=(1, 3, 5)))


def _body(hu: np.ndarray) -> np.ndarray:
    """The largest thing denser than air, freed of the table by an opening, holes filled slice by slice."""
    from scipy import ndimage

    dense = hu > -300
    opened = ndimage.binary_opening(dense, np.ones((3, 3, 1), bool), iterations=2)
    # Holes are what is not joined to the border of its slice.
    around = np.pad(~largest(opened), ((1, 1), (1, 1), (0, 0)), constant_values=True)
    within = np.zeros((3, 3, 3), bool)
    within[:, 1, 1] = within[1, :, 1] = True
    parts, _ = ndimage.label(around, within)
    outside = np.zeros(parts.max() + 1, bool)
    outside[parts[0, 0]] = True
    return ~outside[parts[1:-1, 1:-1]]


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected component (26 neighbours); what came in where there is none."""
    import cc3d

    found, count = cc3d.connected_components(np.ascontiguousarray(mask), return_N=True)
    if count < 2:
        return mask.astype(bool)
    return found == 1 + int(np.argmax(np.bincount(found.ravel())[1:]))


def tidy(labels: np.ndarray) -> np.ndarray:
    """Each structure's largest component alone."""
    import cc3d

    out = np.zeros_like(labels)
    found, count = cc3d.connected_components(np.ascontiguousarray(labels), return_N=True)
    if count:
        sizes = np.bincount(found.ravel())
        first = np.full(count + 1, -1)
        flat, order = np.unique(found.ravel(), return_index=True)
        first[flat] = labels.ravel()[order]
        for label in np.unique(first[1:]):
            own = np.flatnonzero(first == label)
            if label:
                out[found == own[np.argmax(sizes[own])]] = label
    return out


def smooth(data: np.ndarray, spacing: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian of `sigma` mm, float32."""
    from scipy import ndimage

    return ndimage.gaussian_filter(data.astype(np.float32), sigma / spacing, truncate=2.5)


def keep(path: Path, names: dict[int, str], arrays: dict[str, np.ndarray]) -> None:
    """Writes learned arrays and label names to one `.npz`, whole or not at all."""
    from vesalius.run import replacing

    text = np.array([f"{label}={name}" for label, name in names.items()])
    with replacing(path) as part, open(part, "wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, names=text, **arrays)


def recall(path: Path) -> tuple[dict[int, str], dict[str, np.ndarray]]:
    """Reads what `keep` wrote.

    Raises:
        VesaliusError: code `unreadable`.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        pairs = [str(item).split("=", 1) for item in arrays.pop("names")]
    except (OSError, ValueError, KeyError) as error:
        raise VesaliusError(
            f"is no segmenter ({error})", file=path, remedy="fit it again and save it there", code="unreadable"
        ) from None
    return {int(label): name for label, name in pairs}, arrays
