"""Everything of the trunk that no benchmark asks for: skin, fat, muscle, bone, lungs, heart, bowel.

Nothing here is labelled, but it is what organs touch and are taken for. Also holds the two surfaces that organs lean
on: the inside of the abdominal wall (`Trunk.cavity`) and the diaphragm (`Trunk.dome`).
"""

from dataclasses import dataclass

import numpy as np

from vesalius.phantom.canvas import EVERYWHERE, Canvas, ellipsoid, soft_max, tilted, without
from vesalius.phantom.patient import Patient

FAT, LUNG, GAS = -104.0, -845.0, -950.0


@dataclass(frozen=True, eq=False)
class Trunk:
    """The trunk's surfaces as signed distances on a canvas (mm, negative inside).

    Attributes:
        patient: whose.
        wall: outside of the muscle wall.
        skin: outside of the body.
        cavity: inside of the wall.
        dome: height above the diaphragm; lungs are where it is positive.
        belly: inside of the cavity and below the diaphragm, with a gap of 3 and 2 mm: where organs are.
    """

    patient: Patient
    wall: np.ndarray
    skin: np.ndarray
    cavity: np.ndarray
    dome: np.ndarray
    belly: np.ndarray

    @classmethod
    def of(cls, patient: Patient, canvas: Canvas) -> "Trunk":
        """The surfaces of a patient."""
        x, y, z = canvas.x, canvas.y, canvas.z
        wall = _wall(patient, x, y, z)
        cavity, dome = wall + 13, _dome(patient, x, y, z)  # 13 mm of muscle and rib
        belly = soft_max(cavity + 3, dome + 2)
        return cls(patient, wall, wall - _fat(patient, y, z), cavity, dome, belly)


def _wall(p: Patient, x, y, z):
    """A rounded box, narrower at the waist, with a groove along the spine."""
    waist = 1 - 0.045 * np.exp(-(((z + 35) / 45) ** 2)) - 0.035 * np.clip((z - 90) / 60, 0, 1)
    belly = 1 + 0.05 * np.clip((60 - z) / 120, 0, 1) * np.clip((p.bmi - 22) / 10, 0, 1)
    depth = np.where(y > 0, p.half_depth * belly, p.half_depth * (1 - 0.09 * np.exp(-((x / 20) ** 2))))
    r = (np.abs(x / (p.half_width * waist)) ** 2.35 + np.abs(y / depth) ** 2.35) ** (1 / 2.35)
    return np.sqrt(x * x + y * y) * (1 - 1 / np.maximum(r, 1e-2))


def _fat(patient, y, z):
    """Thickness under the skin, most on belly and flanks."""
    front = np.clip(y / 60, -1, 1)
    share = 0.95 + 0.3 * np.where(z < 50, 1, 0.3) * np.clip(front, 0, 1) + 0.25 * np.clip(-front, 0, 1)
    return patient.fat * share


def _dome(patient, x, y, z):
    """Height above the diaphragm, whose right dome is higher than the left."""
    steep = np.where(y > 0, 46.0, 70.0)
    right = 122 - steep * (((x - 68) / 92) ** 2 + ((y - 4) / 92) ** 2)
    left = 110 - steep * (((x + 74) / 88) ** 2 + ((y - 4) / 92) ** 2)
    centre = 104 - 46 * ((x / 70) ** 2 + ((y - 25) / 80) ** 2)
    return 0.75 * (z - patient.breath - np.maximum(np.maximum(right, left), centre))


def paint_trunk(canvas: Canvas, trunk: Trunk, rng: np.random.Generator) -> None:
    """Skin, fat, muscle wall with ribs, fat of the belly, lungs, heart."""
    muscle = trunk.patient.hu("muscle")
    canvas.paint(trunk.skin, EVERYWHERE, 10.0)
    canvas.paint(trunk.skin + 1.8, EVERYWHERE, FAT)
    canvas.paint(trunk.wall, EVERYWHERE, muscle)
    alba = ellipsoid((0, trunk.patient.half_depth + 4, -20), (3.5, 16, 110))
    canvas.paint(*alba, FAT, clip=trunk.wall)
    canvas.paint(_ribs(trunk, canvas, float(rng.uniform(0, 30))), EVERYWHERE, 420.0)
    canvas.paint(trunk.cavity - 3.5, EVERYWHERE, np.where(trunk.dome > 0, muscle - 40, muscle))  # thin beside the lung
    canvas.paint(trunk.cavity, EVERYWHERE, FAT + 4)
    canvas.paint(np.maximum(trunk.cavity + 0.5, -trunk.dome), EVERYWHERE, LUNG)
    lift = trunk.patient.breath
    canvas.paint(*ellipsoid((-6, 22, 158 + lift), (38, 70, 60)), FAT + 60)  # mediastinum
    heart = ellipsoid((-26, 38, 150 + lift), (58, 46, 43), tilted(about_y=-18))
    canvas.paint(*heart, 0.5 * (trunk.patient.hu("artery") + trunk.patient.hu("muscle")))


def _ribs(trunk: Trunk, canvas: Canvas, start: float) -> np.ndarray:
    """Ribs run down and forward in the wall: bands of height 9 mm every 29 mm along a slope."""
    x, y, z = canvas.x, canvas.y, canvas.z
    along = z + 0.55 * (y + 60) + start
    band = np.abs((along % 29.0) - 14.5) - 4.6
    layer = np.abs(trunk.wall + 8.0) - 3.0
    arch = 28 + 0.55 * np.clip(y + 40, 0, None) - z - 0.25 * np.abs(x)  # below the costal arch there is none
    front = y - 0.62 * trunk.patient.half_depth  # cartilage, no bone
    return np.maximum(np.maximum(band, layer), np.maximum(arch, front))


def paint_spine(canvas: Canvas, trunk: Trunk) -> None:
    """Vertebrae with discs, canal and processes, hip bones, muscles along the spine."""
    patient, muscle = trunk.patient, trunk.patient.hu("muscle")
    back = -patient.half_depth
    marrow = max(70.0, 235.0 - 2.2 * (patient.age - 20)) + patient.hu("marrow")
    for side in (1, -1):
        canvas.paint(*ellipsoid((side * 33, back + 27, 0), (31, 22, 400)), muscle)
        psoas = [
            (side * 27, -44, 45, 8),
            (side * 36, -42, 0, 15),
            (side * 46, -38, -60, 20),
            (side * 58, -24, -140, 21),
        ]
        canvas.tube(psoas, muscle)
        canvas.tube([(side * 55, -62, 20, 9), (side * 72, -58, -30, 14), (side * 80, -55, -80, 12)], muscle)
        hip = ellipsoid((side * 88, -38, -135), (62, 48, 62), tilted(about_z=side * 38))
        inner = ellipsoid((side * 78, -30, -132), (60, 44, 64), tilted(about_z=side * 38))
        canvas.paint(without(hip[0], inner[0]), hip[1], 330.0)
        canvas.tube([(side * 10, -38, 160, 6), (side * 14, -24, 60, 7), (side * 16, -28, 15, 4)], muscle)  # crura

    def body(x, y, z):
        waist = 1 - 0.05 * np.cos((z % 35 - 17.5) * np.pi / 17.5)
        return np.sqrt((x / (22 * waist)) ** 2 + ((y + 44) / (16.5 * waist)) ** 2) * 18 - 18

    def bone(x, y, z):
        in_disc = np.abs(z % 35 - 31) < 4
        shell = np.clip((body(x, y, z) + 3.5) / 3, 0, 1)
        return np.where(in_disc, 75.0, marrow + shell * 230)

    def arch(x, y, z):
        ring = np.maximum(np.abs(np.sqrt(x * x + (y + 67) ** 2) - 11) - 3.5, np.abs(z % 35 - 12) - 12)
        spinous = np.maximum(np.maximum(np.abs(x) - 3.2, np.abs(z % 35 - 10) - 9), np.maximum(y + 74, back + 9 - y))
        across = np.maximum(np.maximum(np.abs(x) - 40, np.abs(y + 66) - 4), np.abs(z % 35 - 14) - 5)
        return np.minimum(np.minimum(ring, spinous), across)

    around = ((-45.0, 45.0), (back, -20.0), (-1e9, 1e9))
    canvas.paint(lambda x, y, z: np.sqrt(x * x + (y + 67) ** 2) - 9, around, 22.0)
    canvas.paint(arch, around, marrow + 190)
    canvas.paint(body, around, bone)


def paint_bowel(canvas: Canvas, trunk: Trunk, rng: np.random.Generator) -> None:
    """Colon with gas and stool, loops of small bowel, mesenteric vessels."""
    patient = trunk.patient
    wide, front, wall = patient.half_width, patient.half_depth, patient.hu("bowel_wall")
    inside = trunk.cavity + 2.0
    for _ in range(26):
        x, z, r = rng.uniform(-70, 70), rng.uniform(-110, 10), rng.uniform(1.8, 3.2)
        end = (x + rng.normal(0, 25), rng.uniform(10, 60), z + rng.normal(0, 25), r)
        canvas.tube([(x * 0.3, 15, 0.5 * z + 10, r), (x * 0.7, 30, z, r), end], patient.hu("portal") * 0.8)
    jitter = lambda s: rng.normal(0, s)  # noqa: E731
    side = wide - 40
    colon = [
        (side - 8, -12, -150), (side - 2, -14, -90), (side - 4 + jitter(6), -8, -40), (side - 14, 18, -12 + jitter(8)),
        (60, front - 42, -22 + jitter(14)), (10, front - 36, -42 + jitter(22)), (-50, front - 40, -14 + jitter(16)),
        (-side + 12, 22, 28 + jitter(10)), (-side + 4, -16, 24), (-side, -26, -30 + jitter(8)), (-side + 4, -22, -90),
        (-side + 14, -6, -150),
    ]  # fmt: skip
    calibre = rng.uniform(15, 22, len(colon))
    oral = {"contrast": 260.0, "water": 12.0}.get(patient.oral, 24.0)
    for centre in _loops(rng, wide, front):
        contents = GAS if rng.random() < 0.08 else oral + rng.normal(0, 12)
        canvas.tube(centre, wall + 6, clip=inside)
        canvas.tube(centre, contents, thicker=-3.2, clip=inside)
    path = [(*point, radius) for point, radius in zip(colon, calibre, strict=True)]
    canvas.tube(path, wall, clip=inside)
    stool = _stool(rng, patient.oral == "contrast")
    canvas.tube(path, stool, thicker=-3.0, clip=inside)


def _loops(rng: np.random.Generator, wide: float, front: float) -> list[list[tuple[float, float, float, float]]]:
    """Small bowel: short winding tubes that fill the middle of the belly."""
    loops = []
    for _ in range(30):
        at = np.array([rng.uniform(-0.55 * wide, 0.5 * wide), rng.uniform(0, front - 40), rng.uniform(-150, -14)])
        heading, path = rng.uniform(0, 2 * np.pi), []
        for _ in range(5):
            path.append((*at, float(rng.uniform(9, 13))))
            heading += rng.normal(0, 0.9)
            at = at + np.array([24 * np.cos(heading), 9 * rng.normal(), 24 * np.sin(heading)])
            at[2] = min(at[2], 6 if at[0] < 0 else -20)
        loops.append(path)
    return loops


def _stool(rng: np.random.Generator, opaque: bool):
    """Contents of the colon: stool mottled with gas, gas in front of it, contrast medium where it was drunk."""
    phase, level = rng.uniform(0, 6.28, 6), rng.uniform(0, 0.9)

    def contents(x, y, z):
        mottle = np.sin(x / 4.1 + phase[0]) * np.sin(y / 3.7 + phase[1]) * np.sin(z / 4.3 + phase[2])
        gas = np.sin(x / 27 + phase[3]) + np.sin(z / 23 + phase[4]) + np.clip(y / 40, -1, 1) > 2 * level
        return np.where(gas, GAS, (190 if opaque else 20) - 190 * np.clip(mottle, 0, 1))

    return contents
