"""What a tissue measures in HU: without contrast medium, and how much iodine it takes up in each phase.

Values at 120 kVp for an adult of 75 kg, from textbooks of abdominal CT; iodine shines more at lower tube voltage.
"""

PHASES = ("native", "arterial", "portal", "delayed")

# Tissue: HU without contrast, and the rise in the arterial (35 s), portal venous (70 s) and delayed (5 min) phase.
TISSUES: dict[str, tuple[float, float, float, float]] = {
    "artery": (41, 265, 120, 70),
    "cava": (40, 32, 100, 68),  # below the renal veins; above, the kidneys' blood comes in
    "cava_upper": (40, 85, 108, 68),
    "portal": (40, 70, 130, 68),
    "liver": (56, 14, 54, 34),
    "spleen": (46, 78, 76, 44),
    "pancreas": (38, 66, 52, 32),
    "cortex": (34, 140, 145, 85),
    "medulla": (31, 38, 120, 95),
    "pelvis": (6, 0, 4, 420),
    "bowel_wall": (38, 42, 48, 30),
    "muscle": (54, 6, 12, 14),
    "bile": (8, 0, 0, 0),
    "fluid": (8, 0, 0, 0),
    "marrow": (0, 5, 12, 10),
    "tumour": (34, 16, 26, 22),
}

_IODINE = {80: 1.62, 100: 1.27, 120: 1.0, 140: 0.86}  # at a tube voltage, relative to 120 kVp


def tissue_hu(tissue: str, phase: str, kvp: int, uptake: float = 1.0, timing: float = 0.0) -> float:
    """HU of a tissue.

    Args:
        tissue: a key of TISSUES.
        phase: one of PHASES.
        kvp: 80, 100, 120 or 140.
        uptake: iodine in this patient relative to the standard (weight, heart).
        timing: 0 to 1, how far the scan came too late, toward the next phase.
    """
    native, *rises = TISSUES[tissue]
    if phase == "native":
        return native
    stage = PHASES.index(phase) - 1
    late = rises[min(stage + 1, 2)]
    return native + _IODINE[kvp] * uptake * (rises[stage] + timing * (late - rises[stage]))
