"""Hospitals differ as hospitals do; cohorts are reproducible and lie on disk as nnU-Net has it."""

import json
from dataclasses import replace

import numpy as np
import polars as pl

from vesalius.formats.masks import find_cases, find_images, read_mask
from vesalius.phantom.hospitals import HOSPITALS, LABELS, make_case, paths, plan_cases, write_tables


def test_hospitals_differ_in_machine_voxels_and_patients():
    assert len({(h.maker, h.model) for h in HOSPITALS.values()}) == 5
    assert len({h.spacing for h in HOSPITALS.values()}) == 5
    plans = [p for seed in range(8) for p in plan_cases(seed)]
    age = {site: np.mean([p.patient.age for p in plans if p.site == site]) for site in HOSPITALS}
    assert age["D"] > age["A"] > age["E"]
    native = {site: np.mean([p.patient.phase == "native" for p in plans if p.site == site]) for site in HOSPITALS}
    assert native["D"] > 0.5 > native["A"] and native["E"] == 0


def test_a_seed_gives_the_same_cohort_and_another_seed_other_patients():
    assert plan_cases(3) == plan_cases(3)
    assert {p.patient.seed for p in plan_cases(3)}.isdisjoint(p.patient.seed for p in plan_cases(4))


def test_training_cases_come_from_a_b_and_c_alone():
    plans = plan_cases(0)
    assert {p.site for p in plans if p.split == "training"} == {"A", "B", "C"}
    assert {p.site for p in plans if p.split == "test"} == set("ABCDE")
    assert len({p.case for p in plans}) == len(plans)


def test_organs_are_absent_in_some_patients():
    findings = {f for seed in range(6) for p in plan_cases(seed) for f in p.patient.findings}
    assert {"cholecystectomy", "nephrectomy_left", "splenomegaly", "steatosis"} <= findings


def test_a_case_on_disk_is_read_as_any_other(tmp_path):
    plan = next(p for p in plan_cases(0) if p.split == "test")
    plan = replace(plan, scanner=replace(plan.scanner, spacing=(6.0, 6.0, 10.0), shape=(60, 46, 26)))
    row = make_case(str(tmp_path), plan)
    write_tables(tmp_path, [plan])
    image, labels = paths(tmp_path, plan)
    assert set(find_images(tmp_path / "imagesTs")) == set(find_cases(tmp_path / "labelsTs")) == {plan.case}
    mask = read_mask(labels)
    assert set(mask.targets) == set(LABELS)
    assert image.exists() and mask.binary("liver").any()
    table = pl.read_csv(tmp_path / "patients.csv")
    assert table.rows(named=True)[0] == row
    assert json.loads((tmp_path / "dataset.json").read_text())["labels"]["liver"] == LABELS["liver"]
