"""Affine registration to a template by Gauss-Newton, inverse compositional (Baker and Matthews, IJCV 2004).

Compares smoothed intensities, clipped so that contrast medium weighs little against fat, lung and bone. Several starts
along the body's axis, since scans begin and end anywhere. Plain numpy and scipy, no random numbers.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from vesalius.media.kernels import njit
from vesalius.models.classical.segmenter import Work, smooth

STEP = 8.0  # mm of the template's grid
STILL = 0.02  # voxels of the template: a step that moves nothing further is the last
CLIP = (-250.0, 160.0)


@dataclass(frozen=True, eq=False)
class Template:
    """A mean image on a grid of `STEP` mm.

    Attributes:
        image: clipped HU, float32.
        seen: how much of the training cases covered a voxel, 0 to 1.
    """

    image: np.ndarray
    seen: np.ndarray


def features(work: Work) -> np.ndarray:
    """The image that registration compares, on the working grid; outside the body as air."""
    hu = np.where(work.body, np.clip(work.hu, *CLIP), CLIP[0])
    return smooth(hu, work.spacing, 6.0)


def sample(image: np.ndarray, points: np.ndarray, outside: float = 0.0, order: int = 1) -> np.ndarray:
    """Values at points (3, ...) in index coordinates, linear."""
    from scipy import ndimage

    return ndimage.map_coordinates(image, points, order=order, mode="constant", cval=outside, prefilter=False)


def grid_points(shape: tuple[int, ...]) -> np.ndarray:
    """Index coordinates of a grid, (3, n)."""
    return np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij")).reshape(3, -1)


def start(work: Work, template_shape: tuple[int, ...], top: float) -> np.ndarray:
    """First guess, template index -> work index: body boxes laid on each other across, base of the lungs on `top`.

    Args:
        work: the case.
        template_shape: of the template's grid, whose middle is the middle of the body.
        top: slice of the template at which lungs end.
    """
    low, high = work.box()
    out = np.eye(4)
    scale = STEP / work.spacing
    out[:3, :3] = np.diag(scale)
    middle = (low + high) / 2
    out[:2, 3] = middle[:2] - scale[:2] * (np.array(template_shape[:2]) - 1) / 2
    out[2, 3] = lung_base(work) - scale[2] * top
    return out


def lung_base(work: Work) -> float:
    """Lowest slice of which more than 12 % is air that reaches the top of the scan; without lungs the top slice."""
    import cc3d

    air = (work.hu < -500) & work.body
    found = cc3d.connected_components(np.ascontiguousarray(air))
    crown = np.unique(found[:, :, -1])
    lungs = np.isin(found, crown[crown > 0]) & (found > 0)
    share = lungs.sum(axis=(0, 1)) / np.maximum(work.body.sum(axis=(0, 1)), 1)
    above = np.flatnonzero(share > 0.12)
    return float(above[0]) if len(above) else float(work.hu.shape[2] - 1)


def register(
    image: np.ndarray, template: Template, guess: np.ndarray, shifts: tuple[float, ...] = (0.0,)
) -> np.ndarray:
    """The affine map template index -> image index that makes the image look most like the template.

    Args:
        image: of `features`.
        template: what to look like.
        guess: where to begin, 4x4.
        shifts: further starts, mm along the body.
    """
    coarse = _Fit(template, every=2)
    tried = []
    for shift in shifts:
        begin = guess.copy()
        begin[2, 3] += shift / STEP * guess[2, 2]
        tried.append(coarse.run(image, begin, 8))
    _, best = min(tried, key=lambda result: result[0])
    return _Fit(template, every=1).run(image, best, 14)[1]


class _Fit:
    """Gauss-Newton over some of the template's voxels; gradients of the template are taken once."""

    def __init__(self, template: Template, every: int):
        use = np.zeros(template.image.shape, bool)
        use[::every, ::every, ::every] = True
        use &= template.seen > 0.3
        self.points = np.argwhere(use).T.astype(np.float32)
        self.values, self.weights = template.image[use], template.seen[use]
        gradient = np.stack([g[use] for g in np.gradient(template.image)])
        self.middle = (np.array(template.image.shape, np.float32)[:, None] - 1) / 2
        ends = [(0, n - 1) for n in template.image.shape]
        self.corners = np.array([(*corner, 1.0) for corner in product(*ends)]).T
        spread = (self.points - self.middle) / 20
        # Twelve columns: a shift along each axis, and each axis times each coordinate.
        self.jacobian = np.concatenate([gradient, *(gradient[i] * spread for i in range(3))]).astype(np.float32)

    def run(self, image: np.ndarray, place: np.ndarray, rounds: int) -> tuple[float, np.ndarray]:
        error, begin = np.inf, place.copy()
        for _ in range(rounds):
            found, inside = _sample(image, place.astype(np.float32), self.points)
            weight = self.weights * inside
            if weight.sum() < 0.15 * self.weights.sum():
                return np.inf, begin
            left = (found - self.values) * inside
            error = float((weight * left**2).sum() / weight.sum()) * float(self.weights.sum() / weight.sum()) ** 0.3
            weighted = self.jacobian * weight
            hessian = weighted @ self.jacobian.T
            hessian[np.diag_indices(12)] *= 1.01
            hessian[np.arange(3, 12), np.arange(3, 12)] += 0.01 * np.trace(hessian) / 12
            step = self._matrix(np.linalg.solve(hessian.astype(float), (weighted @ left).astype(float)))
            place = place @ np.linalg.inv(step)
            if np.abs(step @ self.corners - self.corners).max() < STILL:
                break
        return error, place if _sane(place, begin) else begin

    def _matrix(self, step: np.ndarray) -> np.ndarray:
        out = np.eye(4)
        linear = step[3:].reshape(3, 3) / 20
        out[:3, :3] += linear
        out[:3, 3] = step[:3] - linear @ self.middle[:, 0]
        return out


def _sane(place: np.ndarray, begin: np.ndarray) -> bool:
    """Whether a map is one that a body can have: no axis scaled by more than a half or sheared away."""
    stretch = np.linalg.svd(np.linalg.solve(begin[:3, :3], place[:3, :3]))[1]
    return bool(stretch.min() > 0.6 and stretch.max() < 1.6)


@njit(cache=True, nogil=True)
def _sample(image, place, points):
    """Trilinear samples at points (3, n) that `place` takes into the image, and which are inside it; 0 elsewhere."""
    nx, ny, nz = image.shape
    count = points.shape[1]
    out, inside = np.zeros(count, np.float32), np.zeros(count, np.bool_)
    for i in range(count):
        p, q, r = points[0, i], points[1, i], points[2, i]
        x = place[0, 0] * p + place[0, 1] * q + place[0, 2] * r + place[0, 3]
        y = place[1, 0] * p + place[1, 1] * q + place[1, 2] * r + place[1, 3]
        z = place[2, 0] * p + place[2, 1] * q + place[2, 2] * r + place[2, 3]
        if x < 0 or y < 0 or z < 0 or x > nx - 1 or y > ny - 1 or z > nz - 1:
            continue
        a, b, c = int(x), int(y), int(z)
        d, e, f = min(a + 1, nx - 1), min(b + 1, ny - 1), min(c + 1, nz - 1)
        x, y, z = x - a, y - b, z - c
        near = (image[a, b, c] * (1 - z) + image[a, b, f] * z) * (1 - y)
        near += (image[a, e, c] * (1 - z) + image[a, e, f] * z) * y
        far = (image[d, b, c] * (1 - z) + image[d, b, f] * z) * (1 - y)
        far += (image[d, e, c] * (1 - z) + image[d, e, f] * z) * y
        out[i], inside[i] = near * (1 - x) + far * x, True
    return out, inside
