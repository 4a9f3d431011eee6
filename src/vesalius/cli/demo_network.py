"""The promptable network of the demo: a generalist, fine-tuned, given experts, joined, and clicked.

Knows its sizes, how long it learns, and which cases are clicked; how is in `train/sam3d/study.py`. Small enough for a
few minutes on two cores: it shows the way, one seed of it, and decides nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from vesalius.bench.score import write_table
from vesalius.phantom.hospitals import Plan
from vesalius.run import Unit, replacing
from vesalius.train.sam3d.study import Study, click, question, training_units, trainings

WHOLE = ("generalist", "tuned", "joined")
TASKS = ("pancreas", "gall_bladder")
CLICKED = 2  # cases of each hospital
STUDY: dict[str, Any] = {
    "tasks": TASKS,
    "where": "site = A",
    "validation": 1,
    "judged": 1,
    "after": (1, 3),
    "metrics": ("dsc",),
    "sizes": {
        "image_size": 24, "patch_size": 4, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "mlp_ratio": 2, "window_size": 6, "global_attn_indexes": (0, 1), "prompt_dim": 96, "mask_in_chans": 16,
        "decoder_heads": 1, "decoder_mlp_dim": 192, "num_multimask_outputs": 0, "iou_head_hidden_dim": 64,
        "exchanged_axes": False,
    },
    "cropping": {"spacing": 8.0, "clip": (-200, 300), "pad": -200, "lattice": 4},
    "interaction": {"clicks": 2, "varied": True},
    "decoder_rate": 3.0,
    "warmup": {"steps": 480, "learning_rate": 3e-3, "batch_size": 2},
    "general": {"steps": 400, "learning_rate": 5e-4},
    "expert": {"steps": 90, "learning_rate": 5e-4},
    "gate": {"steps": 80, "learning_rate": 2e-3},
    "calibration": 60,
}  # fmt: skip


def units(plans: Sequence[Plan], seed: int, folder: Path, code: str) -> list[Unit]:
    """What is trained, in `folder` beside the hospitals; see `train.sam3d.study.do`.

    Args:
        plans: all cases.
        seed: of the trainings.
        folder: of recipes and networks.
        code: fingerprint of what makes them.
    """
    cases = [plan.case for plan in plans if plan.split == "training"]
    given = trainings(Study(**STUDY), seed, cases, place="../")
    del given["continued"]  # for the study of five seeds
    return training_units(given, folder, "train/", code)


def clicked(plans: Sequence[Plan]) -> list[str]:
    """The test cases that are clicked: the first of each hospital."""
    test = [plan for plan in plans if plan.split == "test"]
    return [plan.case for site in dict.fromkeys(plan.site for plan in test) for plan in _of(test, site)[:CLICKED]]


def click_through(out: Path, plans: Sequence[Plan], seed: int, segmented: Path, workers: int | None) -> Path:
    """Clicks networks and region growing through the chosen cases; returns the Score table.

    Beside it lies the question of the report, `forgetting.yaml`.

    Segmenters that take no clicks stand in it with what they scored (`segmented`): their masks do not change.
    """
    study, cases, table = Study(**STUDY), clicked(plans), out / "clicks.parquet"
    scores = click(study, seed, out / "networks", out, out / "networks" / "clicks.parquet", WHOLE, cases, workers)
    still = pl.read_parquet(segmented).filter(pl.col("case").is_in(cases))
    for after in study.after:
        same = pl.format("{}@{}", pl.col("metric"), pl.lit(after))
        rows = still.filter(pl.col("metric").is_in(study.metrics)).with_columns(same.alias("metric"))
        scores = pl.concat([scores, rows.select(scores.columns)])
    write_table(scores, table)
    asked = {k: v for k, v in question(study).items() if k not in ("continued", "seed")}
    with replacing(out / "forgetting.yaml") as part:
        part.write_text(yaml.safe_dump(asked, sort_keys=False), "utf-8")
    return table


def _of(plans: Sequence[Plan], site: str) -> list[Plan]:
    return [plan for plan in plans if plan.site == site]
