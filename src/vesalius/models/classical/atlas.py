"""`atlas`: a probabilistic atlas after affine registration, with intensities that adapt to the scan.

Training cases are registered to their own mean; their labels give the prior of each structure at each place. In a new
scan each structure's mean HU starts at the training value and is re-estimated from the scan itself (a few rounds of
expectation-maximisation with a conjugate prior), because contrast medium moves it by a hundred HU. Structures that are
mixtures, as a stomach with gas, keep the histogram of the training cases.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numba
import numpy as np

from vesalius.media.volume import Volume
from vesalius.models.classical.register import STEP, Template, features, grid_points, register, sample, start
from vesalius.models.classical.segmenter import Work, keep, prepare, recall, restore, smooth, tidy

SHAPE = (64, 52, 48)  # of the template, 8 mm each: 51 x 42 x 38 cm
TOP = 36.0  # slice of the template on which the base of the lungs is laid
FINE = 2  # the priors' grid is this much finer than the template's
BINS = np.arange(-210, 461, 10.0)
STARTS = (0.0, -45.0, -22.0, 22.0, 45.0)


class Atlas:
    """What was learned.

    Attributes:
        names: label -> structure.
        template: mean image.
        priors: (structures, fine grid), float32: how often a structure was there.
        histograms: (1 + structures, bins), background first.
        levels: (structures, 3): mean HU over cases, SD of it between cases, SD of voxels within a case.
    """

    name = "atlas"

    def __init__(self, names, template: Template, priors: np.ndarray, histograms: np.ndarray, levels: np.ndarray):
        self.names, self.template, self.priors = names, template, priors
        self.histograms, self.levels = histograms, levels
        self._placed: tuple[Work, np.ndarray] | None = None
        self._prior: tuple[Work, tuple[slice, ...], np.ndarray] | None = None
        self._posterior: tuple[Work, tuple[slice, ...], np.ndarray] | None = None

    @classmethod
    def fit(cls, cases: Iterable[Work], names: dict[int, str]) -> Self:
        """Registers the cases to their mean, twice, and learns priors and intensities."""
        cases = list(cases)
        images = [features(work) for work in cases]
        places = [start(work, SHAPE, TOP) for work in cases]
        for round_ in range(2):
            template = _mean_image(images, places)
            shifts = STARTS if round_ == 0 else (0.0,)
            places = [register(image, template, place, shifts) for image, place in zip(images, places, strict=True)]
        template = _mean_image(images, places)
        priors = _mean_labels(cases, places, list(names))
        return cls(names, template, priors, _histograms(cases, list(names)), _levels(cases, list(names)))

    def segment(self, volume: Volume) -> Volume:
        """Labels of a volume."""
        work = prepare(volume)
        return restore(self.label(work), work, volume, self.names)

    def label(self, work: Work) -> np.ndarray:
        """Labels on the working grid."""
        box, posterior = self.posterior(work)
        out = np.zeros(work.hu.shape, np.uint8)
        ids = np.array([0, *self.names], np.uint8)
        out[box] = ids[posterior.argmax(axis=0)]
        return tidy(out)

    def place(self, work: Work) -> np.ndarray:
        """The map template index -> work index; the last one is remembered, as segmenters share it."""
        if self._placed is None or self._placed[0] is not work:
            self._placed = work, register(features(work), self.template, start(work, SHAPE, TOP), STARTS)
        return self._placed[1]

    def prior(self, work: Work) -> tuple[tuple[slice, ...], np.ndarray]:
        """Where any structure may be, and the prior there: (1 + structures, *box), background first; remembered too."""
        if self._prior is None or self._prior[0] is not work:
            self._prior = work, *self._prior_of(work)
        return self._prior[1], self._prior[2].copy()

    def _prior_of(self, work: Work) -> tuple[tuple[slice, ...], np.ndarray]:
        back = np.linalg.inv(self.place(work))
        corners = _support(self.priors.max(axis=0) > 0.01)
        box = _image_box(self.place(work), corners, work.hu.shape)
        corner = np.eye(4)
        corner[:3, 3] = [s.start for s in box]
        to_fine = np.diag([FINE, FINE, FINE, 1.0])
        to_fine[:3, 3] = (FINE - 1) / 2
        shape = tuple(s.stop - s.start for s in box)
        organs = _sample_all(self.priors, to_fine @ back @ corner, shape)
        return box, np.concatenate([np.maximum(1 - organs.sum(axis=0, keepdims=True), 1e-3), organs])

    def posterior(self, work: Work) -> tuple[tuple[slice, ...], np.ndarray]:
        """Prior times likelihood, normalised: (1 + structures, *box); remembered too."""
        if self._posterior is None or self._posterior[0] is not work:
            self._posterior = work, *self._posterior_of(work)
        return self._posterior[1], self._posterior[2].copy()

    def _posterior_of(self, work: Work) -> tuple[tuple[slice, ...], np.ndarray]:
        box, prior = self.prior(work)
        hu = smooth(work.hu, work.spacing, 1.8)[box]
        prior[1:] *= work.body[box]
        means = self._adapt(hu, prior)
        joint = prior * self._likelihood(hu, means)
        return box, joint / np.maximum(joint.sum(axis=0), 1e-12)

    def _mixed(self) -> np.ndarray:
        return self.levels[:, 2] > 45

    def _likelihood(self, hu: np.ndarray, means: np.ndarray) -> np.ndarray:
        """(1 + structures, ...) densities per HU."""
        table = self.histograms.copy()
        middles = (BINS[:-1] + BINS[1:]) / 2
        for i, (_, _, within) in enumerate(self.levels):
            if not self._mixed()[i]:
                z = (middles - means[i]) / max(within, 8.0)
                table[1 + i] = 10 * np.exp(-0.5 * z * z) / (max(within, 8.0) * np.sqrt(2 * np.pi)) + 1e-4
        index = np.clip((hu - BINS[0]) / 10, 0, len(BINS) - 2).astype(np.uint8)
        return table.astype(np.float32)[:, index]

    def _adapt(self, hu: np.ndarray, prior: np.ndarray, rounds: int = 6) -> np.ndarray:
        """Means of the structures in this scan, by EM on every third voxel along each axis."""
        some = (slice(None), *(slice(None, None, 2),) * 3)
        few, sparse = hu[some[1:]], prior[some]
        mean, between, _ = self.levels.T
        means = mean.copy()
        for _ in range(rounds):
            joint = sparse * self._likelihood(few, means)
            share = joint / np.maximum(joint.sum(axis=0), 1e-12)
            weight = share[1:].sum(axis=(1, 2, 3))
            total = (share[1:] * few).sum(axis=(1, 2, 3))
            trust = 0.02 * weight.max() * (20 / np.maximum(between, 1)) ** 2
            means = (total + trust * mean) / np.maximum(weight + trust, 1e-6)
        return means

    def same_as(self, other: "Atlas") -> bool:
        """Whether both learned the same, so that one may stand for the other."""
        return self.names == other.names and all(
            np.array_equal(a, b) for a, b in ((self.priors, other.priors), (self.template.image, other.template.image),
                                              (self.histograms, other.histograms), (self.levels, other.levels))
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """Writes what was learned."""
        priors, seen = (self.priors * 255 + 0.5).astype(np.uint8), self.template.seen.astype(np.float16)
        learned = {"priors": priors, "histograms": self.histograms, "levels": self.levels}
        keep(path, self.names, {"image": self.template.image, "seen": seen, **learned})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        names, found = recall(path)
        template = Template(found["image"], found["seen"].astype(np.float32))
        return cls(names, template, found["priors"].astype(np.float32) / 255, found["histograms"], found["levels"])


def _mean_image(images: list[np.ndarray], places: list[np.ndarray]) -> Template:
    points = grid_points(SHAPE)
    total, seen = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    for image, place in zip(images, places, strict=True):
        at = (place[:3, :3] @ points + place[:3, 3:]).astype(np.float32)
        value = sample(image, at, np.nan).reshape(SHAPE)
        # Beside the body there is air whether it was scanned or not; only above and below is unknown.
        aside = ((at[2] >= 0) & (at[2] <= image.shape[2] - 1)).reshape(SHAPE)
        value = np.where(np.isnan(value), image.min(), value)
        total += np.where(aside, value, 0)
        seen += aside
    return Template(total / np.maximum(seen, 1), seen / len(images))


def _mean_labels(cases: list[Work], places: list[np.ndarray], labels: list[int]) -> np.ndarray:
    shape = tuple(FINE * n for n in SHAPE)
    points = (grid_points(shape) - (FINE - 1) / 2) / FINE
    total, seen = np.zeros((len(labels), *shape), np.float32), np.zeros(shape, np.float32)
    for work, place in zip(cases, places, strict=True):
        assert work.labels is not None
        at = (place[:3, :3] @ points + place[:3, 3:]).astype(np.float32)
        found = sample(work.labels, at, 255, order=0).reshape(shape)
        seen += found != 255
        for i, label in enumerate(labels):
            total[i] += found == label
    share = total / np.maximum(seen, 1)
    blur = np.full(3, STEP / FINE)
    return np.stack([smooth(s, blur, 3.0) for s in share])


def _histograms(cases: list[Work], labels: list[int]) -> np.ndarray:
    """Share of voxels in each bin of HU; background is what lies within 3 cm of a structure."""
    from scipy import ndimage

    counts = np.zeros((1 + len(labels), len(BINS) - 1))
    for work in cases:
        assert work.labels is not None
        hu = np.clip(smooth(work.hu, work.spacing, 1.8), BINS[0], BINS[-1] - 1)
        near = ndimage.uniform_filter((work.labels > 0).astype(np.float32), 60 / work.spacing) > 0.01
        masks = [near & (work.labels == 0) & work.body, *(work.labels == label for label in labels)]
        for i, mask in enumerate(masks):
            counts[i] += np.histogram(hu[mask], BINS)[0]
    counts = ndimage.gaussian_filter1d(counts, 1.0, axis=1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) + 1e-4


def _levels(cases: list[Work], labels: list[int]) -> np.ndarray:
    """(structures, 3): mean of the cases' medians, SD between cases, median SD within a case."""
    out = []
    calm = [smooth(work.hu, work.spacing, 1.8) for work in cases]
    for label in labels:
        voxels = [hu[work.labels == label] for hu, work in zip(calm, cases, strict=True)]
        voxels = [v for v in voxels if len(v) > 20] or [np.array([0.0])]
        medians = [np.median(v) for v in voxels]
        spread = [0.7413 * np.subtract(*np.percentile(v, (75, 25))) + 0.25 * v.std() for v in voxels]
        out.append((np.mean(medians), np.std(medians), np.median(spread)))
    return np.array(out)


@numba.njit(cache=True, nogil=True)
def _sample_all(maps, place, shape):
    """Trilinear samples of all maps (k, ...) on a grid of `shape` that `place` takes into theirs; zero outside."""
    count, nx, ny, nz = maps.shape
    out = np.zeros((count, *shape), np.float32)
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                x = place[0, 0] * i + place[0, 1] * j + place[0, 2] * k + place[0, 3]
                y = place[1, 0] * i + place[1, 1] * j + place[1, 2] * k + place[1, 3]
                z = place[2, 0] * i + place[2, 1] * j + place[2, 2] * k + place[2, 3]
                if x < 0 or y < 0 or z < 0 or x >= nx - 1 or y >= ny - 1 or z >= nz - 1:
                    continue
                a, b, c = int(x), int(y), int(z)
                x, y, z = x - a, y - b, z - c
                for m in range(count):
                    v = maps[m]
                    near = (v[a, b, c] * (1 - z) + v[a, b, c + 1] * z) * (1 - y)
                    near += (v[a, b + 1, c] * (1 - z) + v[a, b + 1, c + 1] * z) * y
                    far = (v[a + 1, b, c] * (1 - z) + v[a + 1, b, c + 1] * z) * (1 - y)
                    far += (v[a + 1, b + 1, c] * (1 - z) + v[a + 1, b + 1, c + 1] * z) * y
                    out[m, i, j, k] = near * (1 - x) + far * x
    return out


def _support(mask: np.ndarray) -> np.ndarray:
    """Corners (3, 8) of the box that holds a mask of the fine grid, in template indices."""
    where = np.argwhere(mask)
    low, high = where.min(axis=0) / FINE - 0.5, where.max(axis=0) / FINE + 0.5
    return np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]).T


def _image_box(place: np.ndarray, corners: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, ...]:
    at = place[:3, :3] @ corners + place[:3, 3:]
    low, high = np.floor(at.min(axis=1)).astype(int), np.ceil(at.max(axis=1)).astype(int) + 1
    return tuple(
        slice(max(0, min(a, n - 1)), max(1, min(b, n)))
        for a, b, n in zip(low.tolist(), high.tolist(), shape, strict=True)
    )
