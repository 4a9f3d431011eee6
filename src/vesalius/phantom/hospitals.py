"""Five hospitals, their scanners, protocols and patients; a cohort of them on disk in nnU-Net's layout.

A, B and C are where training cases come from; D and E are elsewhere. What sets them apart is what sets real
hospitals apart: machine, kernel, dose, tube voltage, slice thickness, coverage, contrast phase, what patients drank,
who comes. Makers and models are invented.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from vesalius.media.volume import write_volume
from vesalius.phantom.abdomen import LABELS, scan
from vesalius.phantom.contrast import PHASES
from vesalius.phantom.patient import Mix, Patient, draw_patient
from vesalius.phantom.scanner import Scanner
from vesalius.run import replacing

COMMON = {"liver_cyst": 0.1, "kidney_left_cyst": 0.1, "kidney_right_cyst": 0.1, "gallstones": 0.08}


@dataclass(frozen=True)
class Hospital:
    """How a hospital scans, and whom.

    Attributes:
        site, maker, model, kernel_name: as they stand in the metadata.
        phases: share of each phase of `contrast.PHASES`.
        oral: share of fasting, meal, water, contrast.
        spacing: in-plane mm and slice thickness.
        coverage: mm from the lowest to the highest slice, around the liver's and kidneys' middle.
        cut: share of scans that miss the top or the bottom.
        kernel, noise, kvp, hardening, offset, table, care, orientation: see `Scanner`; `kvp` is drawn from these.
        breath: mean and SD in mm of the diaphragm's height over full inspiration.
        mix: the patients.
    """

    site: str
    maker: str
    model: str
    kernel_name: str
    phases: tuple[float, float, float, float]
    oral: tuple[float, float, float, float]
    spacing: tuple[float, float]
    coverage: float
    cut: float
    kernel: float
    noise: float
    kvp: tuple[int, ...]
    hardening: float
    offset: float
    table: str
    care: float
    orientation: str
    breath: tuple[float, float]
    mix: Mix


HOSPITALS = {
    h.site: h
    for h in (
        Hospital(
            "A", "Nordlicht", "Aurora 64", "B30", (0.1, 0.0, 0.9, 0.0), (0.5, 0.2, 0.3, 0.0), (3.0, 5.0), 275, 0.1,
            -0.6, 11, (120,), 8, 0.0, "curved", 1.0, "LPS", (4, 6),
            Mix((58, 14), (26, 4), 0.5, COMMON | {"steatosis": 0.2, "liver_tumour": 0.2, "cholecystectomy": 0.08}),
        ),
        Hospital(
            "B", "Asahi", "Prism One", "FC08", (0.0, 0.25, 0.75, 0.0), (0.4, 0.1, 0.5, 0.0), (2.8, 4.0), 260, 0.15,
            0.0, 12, (100, 120), 10, 2.0, "flat", 0.9, "LPS", (0, 5),
            Mix((62, 12), (24, 3.2), 0.45, COMMON | {"pancreas_tumour": 0.3, "cholecystectomy": 0.1}),
        ),
        Hospital(
            "C", "Nordlicht", "Polar 128", "I40", (0.2, 0.0, 0.5, 0.3), (0.6, 0.2, 0.2, 0.0), (3.4, 3.0), 255, 0.1,
            0.5, 9, (120,), 6, -2.0, "curved", 1.1, "RAS", (7, 7),
            Mix((54, 16), (27, 4.5), 0.5, COMMON | {"steatosis": 0.25, "splenomegaly": 0.2, "nephrectomy_left": 0.06}),
        ),
        Hospital(
            "D", "Meridian", "M7 LowDose", "sharp", (0.75, 0.0, 0.25, 0.0), (0.1, 0.2, 0.1, 0.6), (3.4, 5.0), 280, 0.2,
            0.9, 20, (120, 140), 16, 4.0, "flat", 1.7, "RAS", (12, 9),
            Mix((70, 11), (31, 5), 0.55,
                COMMON | {"steatosis": 0.45, "cholecystectomy": 0.2, "nephrectomy_right": 0.08}),
        ),
        Hospital(
            "E", "Kestrel", "Duo Dual Source", "Br49", (0.0, 0.7, 0.3, 0.0), (0.1, 0.7, 0.2, 0.0), (3.0, 2.5), 205, 0.5,
            0.3, 13, (80, 100), 8, 0.0, "curved", 1.6, "LAS", (18, 9),
            Mix((36, 13), (23, 3.2), 0.3, {"splenomegaly": 0.1, "liver_cyst": 0.05}),
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """One case to make: everything that decides its voxels, and where it belongs."""

    case: str
    site: str
    split: str
    patient: Patient
    scanner: Scanner

    def metadata(self) -> dict[str, Any]:
        """The case's row of `patients.csv`."""
        hospital, patient = HOSPITALS[self.site], self.patient
        return {
            "case": self.case, "patient": f"P{self.case}", "site": self.site, "split": self.split, "sex": patient.sex,
            "age": patient.age, "bmi": patient.bmi, "manufacturer": hospital.maker, "scanner": hospital.model,
            "kernel": hospital.kernel_name, "kvp": self.scanner.kvp, "phase": patient.phase, "oral": patient.oral,
            "slice_thickness": self.scanner.spacing[2], "pixel_spacing": self.scanner.spacing[0],
            "pathology": ";".join(patient.findings) or "none",
        }  # fmt: skip


def plan_cases(seed: int, training: int = 8, test: int = 10) -> list[Plan]:
    """The cohort of a seed: `test` cases of every hospital and, of A, B and C, `training` cases before them."""
    plans = []
    for site, hospital in HOSPITALS.items():
        splits = ["training"] * (training if site in "ABC" else 0) + ["test"] * test
        for number, split in enumerate(splits):
            rng = np.random.default_rng([seed, ord(site), number])
            plans.append(_plan(rng, hospital, f"{site}{number:03d}", split))
    return plans


def _plan(rng: np.random.Generator, hospital: Hospital, case: str, split: str) -> Plan:
    phase = str(rng.choice(PHASES, p=hospital.phases))
    oral = str(rng.choice(("fasting", "meal", "water", "contrast"), p=hospital.oral))
    kvp = int(rng.choice(hospital.kvp))
    patient = draw_patient(rng, hospital.mix, phase, kvp, oral, hospital.breath)
    return Plan(case, hospital.site, split, patient, _set_up(rng, hospital, patient))


def _set_up(rng: np.random.Generator, hospital: Hospital, patient: Patient) -> Scanner:
    """The technician's work: a field of view around this patient, and a range that usually holds what is wanted."""
    pixel, slice_ = hospital.spacing
    wide = 2 * (patient.half_width + 1.2 * patient.fat) + 24
    deep = 2 * (patient.half_depth + 1.35 * patient.fat) + 34
    pixel = round(pixel * float(np.clip(wide / 360, 0.9, 1.2)), 3)
    bottom = -112 + rng.normal(0, 9) + (280 - hospital.coverage) * 0.3
    coverage = hospital.coverage * patient.height
    if rng.random() < hospital.cut:
        coverage -= rng.uniform(20, 70)
        bottom += rng.choice((0.0, 1.0)) * rng.uniform(20, 60)
    shape = (int(np.ceil(wide / pixel)), int(np.ceil(deep / pixel)), int(coverage / slice_))
    return Scanner(
        (pixel, pixel, slice_), shape, float(bottom), hospital.kernel, hospital.noise * float(rng.uniform(0.85, 1.2)),
        patient.kvp, hospital.hardening, hospital.offset, hospital.table, hospital.care, hospital.orientation,
    )  # fmt: skip


def paths(folder: str | Path, plan: Plan) -> tuple[Path, Path]:
    """Where a case's image and labels lie: nnU-Net's names."""
    end = "Tr" if plan.split == "training" else "Ts"
    folder = Path(folder)
    return folder / f"images{end}" / f"{plan.case}_0000.nii.gz", folder / f"labels{end}" / f"{plan.case}.nii.gz"


def make_case(folder: str, plan: Plan) -> dict[str, Any]:
    """Scans a case and writes image and labels; returns its row of metadata."""
    image, labels = scan(plan.patient, plan.scanner)
    image_path, labels_path = paths(folder, plan)
    write_volume(image_path, image)
    write_volume(labels_path, labels)
    return plan.metadata()


def write_tables(folder: str | Path, plans: list[Plan]) -> None:
    """`patients.csv` and `dataset.json` (also beside the labels, where a reader of masks looks for names)."""
    folder = Path(folder)
    for split in ("labelsTr", "labelsTs"):
        (folder / split).mkdir(parents=True, exist_ok=True)
    with replacing(folder / "patients.csv") as part:
        pl.DataFrame([plan.metadata() for plan in plans]).write_csv(part)
    content = {
        "name": "Phantom hospitals A to E",
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **LABELS},
        "numTraining": sum(plan.split == "training" for plan in plans),
        "file_ending": ".nii.gz",
    }
    for place in (folder, folder / "labelsTr", folder / "labelsTs"):
        with replacing(place / "dataset.json") as part:
            part.write_text(json.dumps(content, indent=2), "utf-8")
