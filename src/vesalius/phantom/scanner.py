"""A CT machine and its protocol: the grid, the table, and how the image differs from the patient.

Physics in the image domain: the kernel sharpens or softens and colours the noise; noise grows with the attenuating
path and falls with dose and slice thickness; thick patients get streaks along their longest path, and the beam hardens.
"""

from dataclasses import dataclass

import numpy as np

from vesalius.phantom.canvas import EVERYWHERE, Canvas


@dataclass(frozen=True)
class Scanner:
    """One machine with one protocol, set up for one patient.

    Attributes:
        spacing: mm (x, y, slice thickness).
        shape: voxels.
        bottom: height of the lowest slice's lower face in patient coordinates (mm).
        kernel: -1 (soft) to 1 (sharp).
        noise: HU in water of 30 cm at 5 mm slices.
        kvp: tube voltage.
        hardening: HU of cupping in the middle of a large patient.
        offset: HU by which the calibration is off.
        table: "flat" or "curved".
        care: how far patients lie off centre and turned, 1 is usual.
        orientation: of the axes in the files.
    """

    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]
    bottom: float
    kernel: float
    noise: float
    kvp: int
    hardening: float = 8.0
    offset: float = 0.0
    table: str = "curved"
    care: float = 1.0
    orientation: str = "RAS"


def paint_table(canvas: Canvas, scanner: Scanner, top: float) -> None:
    """The couch that the patient lies on."""

    def shell(x, y, z):
        sag = 0.0016 * x * x if scanner.table == "curved" else 0.0
        return np.maximum(np.abs(y - (top - 5 + sag)) - 2.5, np.abs(x) - 205)

    canvas.paint(shell, EVERYWHERE, -20.0)


def measure(truth: np.ndarray, scanner: Scanner, rng: np.random.Generator) -> np.ndarray:
    """What the machine makes of the truth (HU, axes RAS): float32 of the same shape."""
    from scipy import ndimage

    soft = ndimage.gaussian_filter1d(ndimage.gaussian_filter1d(truth, 0.75, axis=0), 0.75, axis=1)
    # A soft kernel gives the blurred image, a sharp one overshoots at edges.
    image = truth + (soft - truth) * (-0.55 * scanner.kernel if scanner.kernel > 0 else -scanner.kernel)
    body = ndimage.uniform_filter1d((soft > -400).astype(np.float32), 5, axis=2)
    across, along = body.sum(axis=0) * scanner.spacing[0], body.sum(axis=1) * scanner.spacing[1]
    thick = np.maximum((across[None, :, :] + along[:, None, :]) / 2, 60)
    image = image + _noise(truth.shape, scanner, thick, rng)
    image = image + _streaks(truth, scanner, across, rng)
    cupping = np.clip((thick - 180) / 200, 0, 1) ** 2
    return image - scanner.hardening * cupping * (image > -500) + scanner.offset


def _noise(shape: tuple[int, ...], scanner: Scanner, thick: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Correlated noise: a soft kernel passes low frequencies, a sharp one lifts high ones; more behind thick parts."""
    from scipy import ndimage

    white = rng.standard_normal(shape, dtype=np.float32)
    low = ndimage.gaussian_filter1d(ndimage.gaussian_filter1d(white, 0.8, axis=0), 0.8, axis=1)
    coloured = (1 + scanner.kernel) / 2 * (white - 0.6 * low) + (1 - scanner.kernel) / 2 * 2.0 * low
    coloured /= coloured.std()
    amount = scanner.noise * np.sqrt(5.0 / scanner.spacing[2]) * (120 / scanner.kvp) ** 0.8
    return coloured * amount * np.exp((thick - 300) / 260).astype(np.float32)


def _streaks(truth: np.ndarray, scanner: Scanner, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Photon starvation along the long axis: lines from side to side where bone and breadth swallow the beam."""
    from scipy import ndimage

    bone = (truth > 250).sum(axis=0) * scanner.spacing[0]
    starved = np.clip((across + 2.5 * bone - 330) / 200, 0, 1.5)
    lines = ndimage.uniform_filter1d(rng.standard_normal(truth.shape, dtype=np.float32), 25, axis=0) * 5
    return (scanner.noise * 0.9 * starved)[None] * lines * (truth > -600)
