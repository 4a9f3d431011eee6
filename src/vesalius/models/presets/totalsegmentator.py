"""`command:totalsegmentator?task=total`: TotalSegmentator (version 2), by its own command.

    command:totalsegmentator?task=total&fast=true&env=venvs/totalseg&weights=~/.totalsegmentator/nnunet/results

Names come from the table that TotalSegmentator writes into its masks, else from its published class map
(`totalsegmentator.yaml`). It would fetch weights and send usage statistics: neither happens, since it has no network
and its settings, a copy, say so.

**Its weights could not be had here: masks were checked against recorded output only** (tasks total, total_mr, body).
The program itself, 2.18.0, ran through this preset with a network of random weights in the place of its own.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from vesalius.errors import VesaliusError
from vesalius.media.volume import read_header
from vesalius.models.presets.framework import MASK, Framework, FrameworkOptions
from vesalius.models.program import Program
from vesalius.run import file_stamp, fingerprint

CLASSES = Path(__file__).with_suffix(".yaml")
UNTRIED = "this preset was checked against recorded output only, never with TotalSegmentator's own weights"
# Data sets of weights that a call needs, where TotalSegmentator has published them for long.
_WEIGHTS = {
    ("total", ""): (291, 292, 293, 294, 295),
    ("total", "fast"): (297,),
    ("total", "fastest"): (298,),
}
# Its settings have to lie where it can write, so a copy is laid there before it starts.
_START = 'mkdir /tmp/settings && cp /input/config.json /tmp/settings/ && exec "$0" "$@"'


class Options(FrameworkOptions):
    """Which task, and where weights lie."""

    task: str = Field("total", description="total, total_mr, body, …: as TotalSegmentator calls them.")
    fast: bool = Field(False, description="The model of 3 mm.")
    fastest: bool = Field(False, description="The model of 6 mm.")
    weights: str = Field(
        "~/.totalsegmentator/nnunet/results", description="Folder of weights, as totalseg_download_weights fills it."
    )


class TotalSegmentator(Framework):
    """See the module."""

    tool = "TotalSegmentator"
    before = ("/bin/sh", "-c", _START)

    def __init__(self, options: Options):
        self.own = options
        self.weights = Path(options.weights).expanduser().resolve()
        if not self.weights.is_dir():
            remedy = "download them first (totalseg_download_weights), and name their folder: weights=FOLDER"
            raise VesaliusError("there is no such folder of weights", file=options.weights, remedy=remedy, code="model")
        super().__init__(options, [self.weights])

    @property
    def speed(self) -> str:
        """fast, fastest, or nothing."""
        return "fastest" if self.own.fastest else "fast" if self.own.fast else ""

    def arguments(self) -> list[str]:
        """One label volume of all classes."""
        return [
            "-i", "/input/0_0000.nii.gz", "-o", f"/output/{MASK}", "--ml", "--task", self.own.task,
            "--device", "gpu" if self.device else "cpu", "--nr_thr_saving", "1",
            *([f"--{self.speed}"] if self.speed else []),
        ]  # fmt: skip

    def variables(self) -> dict[str, str]:
        """Where it finds settings and weights."""
        return {"TOTALSEG_HOME_DIR": "/tmp/settings", "TOTALSEG_WEIGHTS_PATH": str(self.weights)}

    def prepare(self, folder: Path) -> None:
        """Its settings: the user's, where there are some (a licence stands in them), without statistics."""
        settings: dict[str, Any] = {"totalseg_id": "totalseg_vesalius", "prediction_counter": 0}
        theirs = self.weights.parent.parent / "config.json"
        if theirs.is_file():
            settings |= json.loads(theirs.read_text())
        settings |= {"send_usage_stats": False, "statistics_disclaimer_shown": True}
        (folder / "config.json").write_text(json.dumps(settings))

    def written(self, out: Path, number: int) -> Path:
        """As it is told."""
        return out / MASK

    def names(self, mask: Path) -> dict[int, str] | None:
        """Of the table in the mask, else as published for the task."""
        if self.ids:
            return None
        found = read_header(mask).names or classes().get(self.own.task)
        if not found:
            raise VesaliusError(f"it carries no names, and none are known for the task {self.own.task}")
        return found

    def settings(self) -> dict[str, Any]:
        """Weights by sizes and times: they are gigabytes."""
        stamps = [[Path(name).name, *rest] for name, *rest in file_stamp(self.weights)]
        return {"weights": fingerprint(stamps), "ids": self.ids}

    def check(self) -> str:
        """Whether the program can be limited here and has its weights."""
        needed = _WEIGHTS.get((self.own.task, self.speed), ())
        lacking = [f"Dataset{n}" for n in needed if not next(self.weights.glob(f"Dataset{n}_*"), None)]
        if lacking:
            remedy = "download them first (totalseg_download_weights): it has no network when it runs"
            raise VesaliusError(f"lacks {', '.join(lacking)}", file=self.weights, remedy=remedy, code="model")
        found = super().check()
        count = len(classes().get(self.own.task, ()))
        return f"TotalSegmentator, task {self.own.task} ({count or 'unknown'} classes); {UNTRIED}; {found}"


@cache
def classes() -> dict[str, dict[int, str]]:
    """Task → id → name, as published."""
    given = yaml.safe_load(CLASSES.read_text("utf-8"))
    return {task: dict(enumerate(names, 1)) if isinstance(names, list) else names for task, names in given.items()}


def connect(target: str, name: str, options: Options) -> Program:
    """`command:totalsegmentator`.

    Raises:
        VesaliusError: not installed, no weights.
    """
    return Program(name, TotalSegmentator(options), options)
