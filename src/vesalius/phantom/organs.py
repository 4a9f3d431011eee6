"""The nine structures of Touchstone, where anatomy puts them, with the vessels and the duodenum between them.

Sizes and places are those of an adult of about 75 kg; `paint_organs` paints from back to front, so that what lies
in a groove of its neighbour cuts it and touches it, as the right kidney does in the liver.
"""

import numpy as np

from vesalius.phantom.canvas import Canvas, ellipsoid, smooth_noise, soft_max, tilted
from vesalius.phantom.patient import Patient
from vesalius.phantom.surroundings import FAT, GAS, Trunk

STRUCTURES = (
    "aorta", "gall_bladder", "kidney_left", "kidney_right", "liver", "pancreas", "postcava", "spleen", "stomach",
)  # fmt: skip
LABELS = {name: i + 1 for i, name in enumerate(STRUCTURES)}


def paint_organs(canvas: Canvas, trunk: Trunk, rng: np.random.Generator) -> None:
    """All nine, each missing where the patient's findings say so."""
    shape, step = canvas.x.shape, 36.0 / canvas.edge
    bumps = [smooth_noise(rng, shape, (step, step, step)) for _ in range(2)]
    lobules = smooth_noise(rng, shape, (9 / canvas.edge,) * 3)
    _spleen(canvas, trunk, rng, 2.2 * bumps[0])
    _stomach(canvas, trunk, rng, 2.0 * bumps[1])
    _liver(canvas, trunk, rng, 3.0 * bumps[0])
    for side in ("right", "left"):
        _kidney(canvas, trunk.patient, rng, side, 1.4 * bumps[1])
    _gut_of_the_pancreas(canvas, trunk.patient, rng, lobules)
    _gall_bladder(canvas, trunk.patient, rng, bumps[1])
    _vessels(canvas, trunk.patient, rng)


def _liver(canvas: Canvas, trunk: Trunk, rng: np.random.Generator, rough: np.ndarray) -> None:
    """Under the right dome, against the wall; the lower face rises to the left, the left lobe crosses the midline."""
    patient = trunk.patient
    size = rng.normal(0, 9) + (10 if "steatosis" in patient.findings else 0) - (12 if patient.female else 0)
    low, slope, reach = 36 - size, rng.uniform(0.5, 0.68), rng.uniform(38, 72)
    lift = 0.6 * patient.breath

    def liver(x, y, z):
        z = z - lift
        under = low - slope * x - z
        medial = 20 - np.clip(1.5 * (y + 8), 0, reach + 20) - x
        tip = -28 - z
        return soft_max(0.8 * under, 0.7 * medial, tip)

    box = ((-90.0, 200.0), (-130.0, 140.0), (-60.0, 190.0))
    canvas.paint(liver, box, patient.hu("liver"), LABELS["liver"], rough=rough, clip=trunk.belly)
    fissure = ellipsoid((-4, 62, 62 + lift), (2.5, 30, 32), tilted(about_z=12))
    canvas.paint(*fissure, FAT, clip=trunk.belly)
    veins = patient.hu("portal")
    for end in ((95, 10, 95), (60, 45, 95), (20, 48, 88)):  # to the cava at the dome, and portal branches
        x, y, z = (v + rng.normal(0, 6) for v in end)
        canvas.tube([(27, 0, 104 + lift, 5), ((27 + x) / 2, y / 2, 100 + lift, 4), (x, y, z + lift, 2)], veins, None)
        canvas.tube([(34, 14, 44, 5.5), ((34 + x) / 2, (14 + y) / 2, 56, 4.5), (x, y, z - 34, 2.5)], veins, None)
    _lesions(canvas, patient, rng, "liver", ((20, 110), (-30, 50), (20, 90)))


def _lesions(canvas: Canvas, patient: Patient, rng: np.random.Generator, organ: str, where) -> None:
    """Cysts and tumours inside an organ, which stay part of it."""
    kinds = [kind for kind in ("cyst", "tumour") if f"{organ}_{kind}" in patient.findings]
    for kind in kinds:
        for _ in range(rng.integers(1, 4)):
            centre = [rng.uniform(*side) for side in where]
            radii = rng.uniform(6, 17) * rng.uniform(0.8, 1.2, 3)
            own = np.where(canvas.labels == LABELS[organ], -9.0, 9.0)
            hu = patient.hu("fluid") if kind == "cyst" else patient.hu("tumour")
            canvas.paint(*ellipsoid(centre, radii), hu, None, clip=own)


def _spleen(canvas: Canvas, trunk: Trunk, rng: np.random.Generator, rough: np.ndarray) -> None:
    """A crescent behind the stomach, against the left wall and the left dome."""
    patient = trunk.patient
    scale = (1.33 if "splenomegaly" in patient.findings else 1.0) * rng.uniform(0.86, 1.12)
    lift, wide = 0.6 * patient.breath, patient.half_width
    centre = np.array([-(wide - 47), -36.0, 58 + lift])
    outer, box = ellipsoid(centre, np.array([35, 49, 55]) * scale, tilted(about_x=-20, about_z=-18))
    hollow, _ = ellipsoid(centre + np.array([40 * scale, 14, 2]), np.array([36, 36, 60]) * scale)

    def spleen(x, y, z):
        return soft_max(outer(x, y, z), -hollow(x, y, z), blend=5)

    canvas.paint(spleen, box, patient.hu("spleen"), LABELS["spleen"], rough=rough, clip=trunk.belly)


def _stomach(canvas: Canvas, trunk: Trunk, rng: np.random.Generator, rough: np.ndarray) -> None:
    """From the left dome forward and across to the pylorus; holds what was eaten, with gas in front."""
    patient = trunk.patient
    full = {"fasting": 0.62, "meal": 1.0, "water": 0.95, "contrast": 0.9}[patient.oral] * rng.uniform(0.85, 1.12)
    lift, shift, sag = 0.6 * patient.breath, rng.normal(0, 6), rng.normal(0, 9)
    way = [
        (-54 + shift, -12, 92 + lift, 31 * full), (-66 + shift, 14, 68 + lift, 31 * full),
        (-60 + shift, 42, 36 + sag, 25 * full), (-28, 60, 10 + sag, 19 * full), (8, 56, 4 + sag / 2, 14 * full),
        (26, 46, 10, 10),
    ]  # fmt: skip
    hold = {"fasting": 16.0, "meal": 34.0, "water": 8.0, "contrast": 280.0}[patient.oral]
    level = rng.uniform(15, 70) if patient.oral != "fasting" else rng.uniform(35, 80)
    crumbs = rng.uniform(0, 6.28, 3)

    def contents(x, y, z):
        food = np.sin(x / 5 + crumbs[0]) * np.sin(y / 5 + crumbs[1]) * np.sin(z / 5 + crumbs[2])
        return np.where(y > level, GAS, hold + (45 * food if patient.oral == "meal" else 0))

    canvas.tube(way, patient.hu("bowel_wall") + 5, LABELS["stomach"], rough=rough, clip=trunk.belly)
    canvas.tube(way, contents, None, thicker=-4.5, rough=rough, clip=trunk.belly + 4)


def _kidney(canvas: Canvas, patient: Patient, rng: np.random.Generator, side: str, rough: np.ndarray) -> None:
    """A bean beside the spine in its own fat, cortex outside, medulla and sinus within; the upper pole leans inward."""
    sign = 1 if side == "right" else -1
    size = rng.normal(1.0, 0.06) * (0.95 if patient.female else 1.03) * (0.9 if patient.age > 78 else 1.0)
    centre = np.array([sign * (62 + rng.normal(0, 4) + 0.5 * (patient.bmi - 25)), -36 + rng.normal(0, 3), 0.0])
    centre[2] = (2 if side == "right" else 15) + rng.normal(0, 7) + 0.35 * patient.breath
    if f"nephrectomy_{side}" in patient.findings:
        return
    axes = tilted(about_x=8, about_y=sign * 12, about_z=sign * 35)
    fat = max(4.0, 7 + 0.5 * (patient.bmi - 25)) if side == "left" else 2.0
    canvas.paint(*ellipsoid(centre, np.array([28, 25, 56]) * size + fat, axes), FAT + 2)
    outer, box = ellipsoid(centre, np.array([28, 25, 56]) * size, axes)
    hilum = centre + np.array([-sign * 17 * size, 9 * size, 0])
    sinus, _ = ellipsoid(hilum, np.array([15, 12, 27]) * size, axes)
    label = LABELS[f"kidney_{side}"]
    bean = lambda x, y, z: soft_max(outer(x, y, z), -sinus(x, y, z), blend=5)  # noqa: E731
    canvas.paint(bean, box, patient.hu("cortex"), label, rough=rough)
    pyramids = rng.uniform(0, 6.28, 2)

    def medulla(x, y, z):
        columns = 2.5 * np.sin(z / 5.5 + pyramids[0]) * np.cos(x / 6 + pyramids[1])
        return np.maximum(outer(x, y, z) + 8.0 + columns, 2.0 - sinus(x, y, z))

    canvas.paint(medulla, box, patient.hu("medulla"), None)
    canvas.paint(sinus, box, FAT + 25)
    pelvis = [
        (*hilum, 5.0),
        (*(hilum + np.array([-sign * 14, 4, -16])), 3.5),
        (sign * 38, -12, -60, 2.2),
        (sign * 40, -8, -140, 2),
    ]
    canvas.tube(pelvis, patient.hu("pelvis"))
    spot = ((centre[0] - 18, centre[0] + 18), (centre[1] - 15, centre[1] + 15), (centre[2] - 45, centre[2] + 45))
    _lesions(canvas, patient, rng, f"kidney_{side}", spot)


def _gut_of_the_pancreas(canvas: Canvas, patient: Patient, rng: np.random.Generator, lobules: np.ndarray) -> None:
    """Pancreas across the spine to the hilum of the spleen, its head in the loop of the duodenum."""
    lift, wall = 0.35 * patient.breath, patient.hu("bowel_wall")
    loop = [
        (26, 46, 10, 11), (46, 38, 8, 12), (52, 16, -4, 13), (50, 8, -34, 12), (36, 2, -50, 11), (4, 8, -49, 10),
        (-28, 14, -36, 10),
    ]  # fmt: skip
    course = [(x, y, z + lift, r * rng.uniform(0.85, 1.15)) for x, y, z, r in loop]
    canvas.tube(course, wall + 5)
    canvas.tube(course, {"contrast": 250.0}.get(patient.oral, 15.0), thicker=-3.5)
    thin = np.clip(1.06 - 0.006 * max(0, patient.age - 40), 0.75, 1.1) * rng.normal(1, 0.08)
    bend = rng.normal(0, 5, 2)
    way = [
        (32, 18, -24, 12), (34, 20, -4, 15), (26, 27, 10, 13), (6, 33, 18, 9), (-18, 34 + bend[0], 27 + bend[1], 10),
        (-48, 14 + bend[0], 36 + bend[1], 10), (-(patient.half_width - 66), -14, 46 + bend[1], 8),
    ]  # fmt: skip
    way = [(x, y, z + lift, 1.08 * r * thin) for x, y, z, r in way]
    fatty = 10 + 0.55 * max(0, patient.age - 40) + 1.2 * max(0, patient.bmi - 25)
    at = canvas.within(((-200.0, 70.0), (-40.0, 60.0), (-60.0, 80.0)))
    canvas.tube(way, patient.hu("pancreas") - 0.35 * fatty, LABELS["pancreas"], rough=2.3 * lobules)
    if at is not None:  # fat between the lobules
        own = canvas.labels[at] == LABELS["pancreas"]
        canvas.hu[at] -= own * (fatty * np.clip(lobules[at], -0.5, 2.5)).astype(np.float32)
    if "pancreas_tumour" in patient.findings:
        mass = ellipsoid((32 + rng.normal(0, 6), 20, -4 + lift + rng.normal(0, 8)), rng.uniform(9, 16, 3))
        canvas.paint(*mass, patient.hu("tumour") + 18, LABELS["pancreas"])


def _gall_bladder(canvas: Canvas, patient: Patient, rng: np.random.Generator, rough: np.ndarray) -> None:
    """A pear under the right lobe, pointing forward and down."""
    if "cholecystectomy" in patient.findings:
        return
    full, turn, lift = rng.uniform(0.95, 1.5), rng.normal(0, 6), 0.5 * patient.breath
    low = 30 - 36 + rng.normal(0, 5) + lift
    way = [(38, 28, low + 28, 4), (46 + turn / 2, 42, low + 19, 10 * full), (52 + turn, 56, low + 8, 14 * full)]
    way.append((56 + turn, 64, low - 2, 12 * full))
    canvas.tube(way, patient.hu("bowel_wall"), LABELS["gall_bladder"], rough=0.8 * rough)
    canvas.tube(way, patient.hu("bile") + rng.uniform(-4, 10), None, thicker=-1.6, rough=0.8 * rough)
    if "gallstones" in patient.findings:
        canvas.paint(*ellipsoid((52 + turn, 54, low + 2), (5, 5, 5)), 180.0, None)


def _vessels(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Aorta and cava before the spine, their branches, the portal vein and what flows into it."""
    artery, cava, upper, portal = (patient.hu(name) for name in ("artery", "cava", "cava_upper", "portal"))
    wide = (0.9 if patient.female else 1.0) * (1 + 0.004 * (patient.age - 50)) * rng.normal(1, 0.06)
    sway, lift = rng.normal(0, 3, 3), patient.breath
    for side in (1, -1):  # renal veins and arteries, iliac vessels
        hilum = (side * 44, -28, 6 if side > 0 else 18)
        canvas.tube([(side * 8, -6, 10, 4.5), (*hilum, 4.0)], 0.5 * (upper + patient.hu("cortex")))
        canvas.tube([(-8, -16, 12, 3.2), (side * 44, -34, 10, 2.8)], artery)
        canvas.tube([(side * 4 - 6, -16, -80, 7), (side * 26, -18, -115, 6), (side * 48, -10, -160, 6)], artery)
        canvas.tube([(side * 4 + 12, -18, -86, 8), (side * 30, -28, -120, 8), (side * 52, -20, -160, 8)], cava)
    canvas.tube([(10, 20, -70, 5), (10, 22, -20, 6), (12, 24, 8, 7), (32, 22, 34, 7), (44, 18, 48, 6)], portal, None)
    canvas.tube([(12, 24, 12, 5), (-20, 24, 26, 4.5), (-70, -8, 44, 4)], portal, None)  # splenic vein
    canvas.tube([(-10, -4, 20, 4), (-6, 12, 0, 3.6), (0, 18, -60, 3)], artery)  # superior mesenteric
    canvas.tube([(-9, -2, 34, 4), (-8, 14, 40, 3.4), (-45, 0, 48, 2.6)], artery)  # coeliac and splenic
    course = [(14, -20, -84, 8.5), (18 + sway[0], -12, -40, 10), (20 + sway[1], -10, 10, 11.5), (24, -8, 50, 12)]
    lower = [(x, y, z, r * wide) for x, y, z, r in course]
    canvas.tube(lower, _mixing(cava, upper), LABELS["postcava"], flat=0.8)
    top = [(24, -8, 48, 12 * wide), (26, -4, 80, 12.5 * wide), (24, 4, 108 + lift, 13 * wide)]
    canvas.tube(top, upper, LABELS["postcava"], flat=0.85)
    course = [
        (-10, -30, 190, 11.5),
        (-11, -22, 110, 11.5),
        (-12 + sway[2], -14, 40, 10.5),
        (-9 + sway[2] / 2, -13, -20, 9.5),
    ]
    course.append((-6, -15, -78, 8.5))
    aorta = [(x, y, z, r * wide) for x, y, z, r in course]
    canvas.tube(aorta, artery, LABELS["aorta"])
    if patient.age > 62:  # calcified wall
        for _ in range(rng.integers(2, 9)):
            z = rng.uniform(-75, 60)
            angle = rng.uniform(0, 6.28)
            spot = (-11 + 9.5 * wide * np.cos(angle), -14 + 9.5 * wide * np.sin(angle), z)
            canvas.paint(*ellipsoid(spot, (2.4, 2.4, 5)), 420.0, None)


def _mixing(cava: float, upper: float):
    """Blood of the legs below the renal veins, mixed with the kidneys' above."""
    return lambda x, y, z: cava + (upper - cava) * np.clip((z + 2) / 22, 0, 1)
