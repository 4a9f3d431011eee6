"""`command:nnunet?model=FOLDER`: a trained nnU-Net (version 2), by its own `nnUNetv2_predict_from_modelfolder`.

    command:nnunet?model=nnUNet_results/Dataset701_X/nnUNetTrainer__nnUNetPlans__3d_fullres&env=venvs/nnunet

The folder is one that `nnUNetv2_train` wrote: `dataset.json` (channels, labels, file ending), `plans.json`,
`fold_0/checkpoint_final.pth`. With `batch=N` one call answers N cases and loads the network once. Weights of nnU-Net
are pickles, that is, programs: they are opened in the sandbox alone.
"""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from vesalius.errors import VesaliusError
from vesalius.formats.labels import read_label_map
from vesalius.models.presets.framework import Framework, FrameworkOptions, check_ending, listed
from vesalius.models.program import Program
from vesalius.run import file_hash, fingerprint

_TRAINED = "give a folder that nnUNetv2_train wrote: dataset.json, plans.json, fold_0/checkpoint_final.pth"


class Options(FrameworkOptions):
    """Which model, and how it predicts."""

    model: str = Field("", description="Folder of the trained model: TRAINER__PLANS__CONFIGURATION, or its data set's.")
    folds: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        (), description="0|1|2 or all; by default those that are there."
    )
    checkpoint: str = Field("checkpoint_final.pth", description="Or checkpoint_best.pth.")
    tta: bool = Field(True, description="Mirrors, and averages; without it about 8 times as fast.")
    step_size: float = Field(0.5, gt=0, le=1, description="Of the sliding window, in patches.")


class NnUNet(Framework):
    """See the module."""

    tool = "nnUNetv2_predict_from_modelfolder"
    together = True

    def __init__(self, options: Options):
        self.own = options
        self.model = _model_folder(options.model)
        described = self.model / "dataset.json"
        given = _described(described)
        self.ending = str(given.get("file_ending", ".nii.gz"))
        check_ending(self.ending, described)
        channels = given.get("channel_names") or given.get("modality") or {"0": "image"}
        self.channels = tuple(str(name) for _, name in sorted(channels.items(), key=lambda entry: int(entry[0])))
        self.labels = {} if options.ids else _labels(described, given)
        self.folds = options.folds or tuple(sorted(f.name[5:] for f in self.model.glob("fold_*") if f.is_dir()))
        self.weights = [self.model / f"fold_{fold}" / options.checkpoint for fold in self.folds]
        for file in [self.model / "plans.json", *self.weights]:
            if not file.is_file():
                raise VesaliusError("is not there", file=file, remedy=_TRAINED, code="model")
        if not self.weights:
            raise VesaliusError("has no folds", file=self.model, remedy=_TRAINED, code="model")
        super().__init__(options, [self.model])

    def arguments(self) -> list[str]:
        """One process each for reading and writing: memory and processes are limited."""
        more = [] if self.own.tta else ["--disable_tta"]
        return [
            "-i", "/input", "-o", "/output", "-m", str(self.model), "-f", *self.folds, "-chk", self.own.checkpoint,
            "-step_size", f"{self.own.step_size:g}", "-device", "cuda" if self.device else "cpu", "-npp", "1",
            "-nps", "1", "--disable_progress_bar", *more,
        ]  # fmt: skip

    def written(self, out: Path, number: int) -> Path:
        """nnU-Net's: the case's name without the channel."""
        return out / f"{number}{self.ending}"

    def names(self, mask: Path) -> dict[int, str] | None:
        """Those of the model's dataset.json."""
        return None if self.ids else self.labels

    def settings(self) -> dict[str, Any]:
        """Weights, plans and labels by their bytes."""
        files = [self.model / "dataset.json", self.model / "plans.json", *self.weights]
        return {"model": fingerprint([file_hash(file) for file in files]), "ids": self.ids}

    def check(self) -> str:
        """Whether the program can be limited here, and what model it is."""
        found = super().check()
        names = "the challenge's ids" if self.ids else ", ".join(list(self.labels.values())[:12])
        folds = f"fold{'s' * (len(self.folds) > 1)} {', '.join(self.folds)}"
        return f"nnU-Net {self.model.name}, {folds}, of {', '.join(self.channels)}: {names}; {found}"


def _model_folder(name: str) -> Path:
    """The folder named, or the only trained one in the folder of a data set."""
    if not name:
        raise VesaliusError("names no model", file="command:nnunet", remedy="command:nnunet?model=FOLDER", code="model")
    folder = Path(name).resolve()
    if not folder.is_dir():
        raise VesaliusError("there is no such folder", file=name, remedy=_TRAINED, code="model")
    if not (folder / "dataset.json").is_file():
        inside = sorted(child for child in folder.glob("*__*__*") if (child / "dataset.json").is_file())
        if len(inside) > 1:
            remedy = f"name one: {', '.join(child.name for child in inside)}"
            raise VesaliusError(f"holds {len(inside)} trained models", file=name, remedy=remedy, code="model")
        if not inside:
            raise VesaliusError("holds no trained model", file=name, remedy=_TRAINED, code="model")
        folder = inside[0]
    if folder.name.endswith("cascade_fullres"):
        problem = "is the second stage of a cascade, which needs the masks of the first"
        raise VesaliusError(problem, file=name, remedy="wrap both in a program: command:FOLDER", code="model")
    return folder


def _described(file: Path) -> dict[str, Any]:
    try:
        given = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise VesaliusError(f"cannot be read ({error})", file=file, remedy=_TRAINED, code="model") from None
    if not isinstance(given, dict) or not isinstance(given.get("labels"), dict):
        raise VesaliusError("declares no labels", file=file, remedy=_TRAINED, code="model")
    return given


def _labels(file: Path, given: dict[str, Any]) -> dict[int, str]:
    targets = read_label_map(file).targets
    if given.get("regions_class_order") or any(len(ids) > 1 for ids in targets.values()):
        problem = "is a model of regions, whose ids mean nothing alone"
        remedy = "add ids=challenge if the challenge's labels are the same regions"
        raise VesaliusError(problem, file=file, remedy=remedy, code="labels")
    return {ids[0]: name for name, ids in targets.items()}


def connect(target: str, name: str, options: Options) -> Program:
    """`command:nnunet`.

    Raises:
        VesaliusError: no such model, nothing installed, a model that cannot be run case by case.
    """
    return Program(name, NnUNet(options), options)
