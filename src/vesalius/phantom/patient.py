"""A person before the scan: sex, age, build, what they suffer from, and how large their organs are.

Knows how patients vary; leaves what a hospital's patients are like to `hospitals.py`.
"""

from dataclasses import dataclass, field

import numpy as np

from vesalius.phantom.contrast import tissue_hu


@dataclass(frozen=True)
class Mix:
    """Which patients come: mean and SD of age and BMI, share of women, and how often each finding occurs."""

    age: tuple[float, float]
    bmi: tuple[float, float]
    women: float
    findings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Patient:
    """One person, on one day.

    Attributes:
        sex: "F" or "M".
        age: years.
        bmi: kg/m².
        height: of the trunk, 1 for an average adult.
        findings: names of what is not normal (keys of `Mix.findings`).
        phase, kvp, uptake, timing: of the contrast medium, see `contrast.tissue_hu`.
        oral: what the stomach and bowel hold: "fasting", "meal", "water" or "contrast".
        breath: mm by which the diaphragm stands higher than in full inspiration.
        seed: of everything that is left to chance within the body.
    """

    sex: str
    age: int
    bmi: float
    height: float
    findings: tuple[str, ...]
    phase: str
    kvp: int
    uptake: float
    timing: float
    oral: str
    breath: float
    seed: int

    def hu(self, tissue: str) -> float:
        """HU of a tissue in this patient, steatosis included."""
        value = tissue_hu(tissue, self.phase, self.kvp, self.uptake, self.timing)
        if tissue == "liver" and "steatosis" in self.findings:
            value -= 12 + 38 * np.random.default_rng([self.seed, 5]).random()
        if tissue == "muscle":
            value -= 0.25 * max(0, self.age - 45)  # fat between the fibres
        return value

    @property
    def female(self) -> bool:
        """Whether the patient is a woman."""
        return self.sex == "F"

    @property
    def half_width(self) -> float:
        """mm from the midline to the outside of the muscle wall."""
        return (136 if self.female else 149) + 2.0 * (self.bmi - 25)

    @property
    def half_depth(self) -> float:
        """mm from the middle to the front of the muscle wall."""
        return (93 if self.female else 101) + (1.6 if self.female else 2.4) * (self.bmi - 25)

    @property
    def fat(self) -> float:
        """Thickness of the fat under the skin in mm."""
        return max(3.0, (17 if self.female else 11) + (1.9 if self.female else 1.35) * (self.bmi - 25))


def draw_patient(
    rng: np.random.Generator, mix: Mix, phase: str, kvp: int, oral: str, breath: tuple[float, float]
) -> Patient:
    """A patient of a mix; `breath` is the mean and SD of the diaphragm's height."""
    sex = "F" if rng.random() < mix.women else "M"
    age = int(np.clip(rng.normal(*mix.age), 18, 92))
    bmi = float(np.round(np.clip(rng.normal(*mix.bmi), 17, 42), 1))
    findings = tuple(name for name, share in mix.findings.items() if rng.random() < share)
    return Patient(
        sex, age, bmi, float((0.965 if sex == "F" else 1.03) * rng.normal(1, 0.035)), findings, phase, kvp,
        uptake=float(np.clip(rng.normal(1.0, 0.13) * (25 / bmi) ** 0.35, 0.6, 1.5)),
        timing=float(rng.random() ** 2 * 0.6), oral=oral, breath=float(rng.normal(*breath)),
        seed=int(rng.integers(2**31)),
    )  # fmt: skip
