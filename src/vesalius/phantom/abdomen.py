"""A patient in a scanner's grid becomes an abdominal CT with labels: the phantom's front door.

`scan` is all that a caller needs. Anatomy is painted on a grid finer than a slice, averaged into slices (partial
volume), then measured with the scanner's kernel, noise and artefacts.
"""

import numpy as np

from vesalius.media.volume import Volume
from vesalius.phantom.canvas import Canvas, smooth_noise
from vesalius.phantom.organs import LABELS, STRUCTURES, paint_organs
from vesalius.phantom.patient import Patient
from vesalius.phantom.scanner import Scanner, measure, paint_table
from vesalius.phantom.surroundings import Trunk, paint_bowel, paint_spine, paint_trunk

__all__ = ["LABELS", "STRUCTURES", "scan"]

_TEXTURE = {"liver": 3.5, "spleen": 3.0, "pancreas": 3.0, "kidney_left": 4.0, "kidney_right": 4.0, "stomach": 3.0}


def scan(patient: Patient, scanner: Scanner) -> tuple[Volume, Volume]:
    """A CT in HU (int16) and its labels (uint8, `LABELS`), on the same grid; the same arguments give the same voxels.

    Args:
        patient: who.
        scanner: which machine, protocol and field of view.
    """
    rng = np.random.default_rng([patient.seed, 1])
    canvas, depth = _canvas(patient, scanner, rng)
    trunk = Trunk.of(patient, canvas)
    paint_table(canvas, scanner, -(patient.half_depth + 1.2 * patient.fat) - 4)
    paint_trunk(canvas, trunk, rng)
    paint_spine(canvas, trunk)
    paint_bowel(canvas, trunk, rng)
    paint_organs(canvas, trunk, rng)
    _add_texture(canvas, patient, rng)
    hu = measure(_slices(canvas.hu, depth).mean(axis=3), scanner, np.random.default_rng([patient.seed, 2]))
    labels = _slices(canvas.labels, depth)[..., depth // 2]
    return _placed(np.round(hu).clip(-1024, 3071).astype(np.int16), scanner), _placed(labels, scanner)


def _canvas(patient: Patient, scanner: Scanner, rng: np.random.Generator) -> tuple[Canvas, int]:
    """Coordinates of a patient who lies a little turned and off centre, whose body is bent smoothly; layers a slice."""
    (nx, ny, nz), (dx, dy, dz) = scanner.shape, scanner.spacing
    depth = max(1, round(dz / 2.6))
    turn = np.radians(rng.normal(0, scanner.care * 2.0, 2))
    away = rng.normal(0, scanner.care * 7.0, 2)
    x = (np.arange(nx, dtype=np.float32) - (nx - 1) / 2) * dx - away[0]
    y = (np.arange(ny, dtype=np.float32) - (ny - 1) / 2) * dy - away[1]
    z = scanner.bottom + (np.arange(nz * depth, dtype=np.float32) + 0.5) * dz / depth
    x, y, z = np.meshgrid(x, y, z / patient.height, indexing="ij")
    c, s = np.cos(turn[0]), np.sin(turn[0])
    x, y = c * x - s * y, s * x + c * y
    x = x + np.tan(turn[1]) * z
    cells = np.array([70 / dx, 70 / dy, 70 * depth / dz])
    x, y, z = (
        coordinate + amount * smooth_noise(rng, coordinate.shape, cells)
        for coordinate, amount in ((x, 3.6), (y, 3.2), (z, 4.0))
    )
    return Canvas(x, y, z, edge=float(dx)), depth


def _add_texture(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Parenchyma is not flat; the spleen is striped while contrast medium arrives."""
    grain = smooth_noise(rng, canvas.hu.shape, (3.0, 3.0, 3.0))
    amount = np.full(len(LABELS) + 1, 2.0, np.float32)
    for name, hu in _TEXTURE.items():
        amount[LABELS[name]] = hu
    if patient.phase == "arterial":
        amount[LABELS["spleen"]] = 24.0
    canvas.hu += np.where(canvas.hu > -60, amount[canvas.labels], 5.0) * grain


def _slices(layers: np.ndarray, depth: int) -> np.ndarray:
    """(nx, ny, nz, depth): the layers of each slice."""
    return layers.reshape(*layers.shape[:2], -1, depth)


def _placed(data: np.ndarray, scanner: Scanner) -> Volume:
    """The array in the scanner's own axis order, with the affine that says so."""
    shape = np.array(data.shape)
    affine = np.diag([*scanner.spacing, 1.0])
    affine[:3, 3] = -(shape - 1) / 2 * scanner.spacing
    affine[2, 3] = scanner.bottom + scanner.spacing[2] / 2
    for axis, letter in enumerate(scanner.orientation):
        if letter in "LPI":
            data = np.flip(data, axis)
            affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
            affine[:3, axis] *= -1
    return Volume(np.asfortranarray(data), affine)
