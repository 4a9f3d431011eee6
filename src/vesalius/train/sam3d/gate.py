"""`sam3d/gate`: joins a foundation and its experts. The gate is all that learns; then its threshold is calibrated.

A sample's right answer is the expert whose target it is, or the general decoder. Clicks come from the right decoder's
masks. The threshold is the one under which the joined model's DSC on held-out crops is best, structure by structure
alike.
"""

import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from vesalius.errors import VesaliusError
from vesalius.nets.sam3d import Prompts
from vesalius.nets.sam3d.crop import Preprocessing
from vesalius.nets.sam3d.experts import GENERAL, Gate, Mixture, load_expert, save_gate
from vesalius.settings import Strict
from vesalius.train.data import Cases, Crops, collate, data_facts, find, on_device
from vesalius.train.job import Job
from vesalius.train.picture import picture
from vesalius.train.sam3d.expert import read_foundation
from vesalius.train.sam3d.interaction import Clicker
from vesalius.train.sam3d.judge import judge, keep_golden
from vesalius.train.sam3d.pretrain import load_weights
from vesalius.train.sam3d.settings import Sam3DRecipe

THRESHOLDS = np.round(np.arange(0.02, 1.0, 0.02), 2)


class Calibration(Strict):
    """How the threshold is found: on crops of the validation data, after these numbers of clicks."""

    samples: int = Field(180, ge=1)
    after: tuple[int, ...] = (1, 3)


class Settings(Sam3DRecipe):
    """A recipe of this task."""

    task: Literal["sam3d/gate"] = "sam3d/gate"
    foundation: Path
    experts: tuple[Path, ...] = Field(min_length=1)
    hidden: int = Field(128, ge=1)
    learning_rate: float = 1e-3
    calibration: Calibration = Calibration()  # type: ignore[call-arg]


class GateTraining(nn.Module):
    """Gives the loss of a batch: cross entropy of who should answer, over all rounds of clicks."""

    def __init__(self, mixture: Mixture, owners: dict[str, str], rounds: int):
        super().__init__()
        self.gate, self.rounds, self.owners = mixture.gate, rounds, owners
        self._mixture = [mixture]  # in a list: its weights are not this module's

    def _apply(self, *arguments: Any, **more: Any) -> "GateTraining":
        """To another device or type the mixture goes along."""
        self._mixture[0]._apply(*arguments, **more)
        return super()._apply(*arguments, **more)

    def forward(
        self, pixel_values: torch.Tensor, truth: torch.Tensor, seed: torch.Tensor, crop: torch.Tensor, target: list[str]
    ) -> dict[str, torch.Tensor]:
        """`loss` and `right`, the share of targets for which the most confident is the right one."""
        mixture = self._mixture[0]
        owners = [self.owners.get(name, GENERAL) for name in target]
        wanted = torch.tensor([(GENERAL, *mixture.gate.experts).index(name) for name in owners]).to(truth.device)  # type: ignore[union-attr]
        with torch.no_grad():
            embedded = mixture.encode(pixel_values[crop])
        size = mixture.foundation.config.mask_size
        low, clicker = truth.new_zeros(len(truth), 1, size, size, size), Clicker(truth, seed)
        mask = torch.zeros_like(truth[:, 0], dtype=torch.bool)
        loss, right = truth.new_zeros(()), truth.new_zeros(())
        for number in range(self.rounds):
            clicker.click(mask)
            prompts = Prompts(clicker.points, clicker.labels, low)
            logits = mixture.confidences(embedded, prompts)
            loss = loss + F.cross_entropy(logits, wanted) / self.rounds
            right = right + (logits.argmax(-1) == wanted).float().mean() / self.rounds
            if number == self.rounds - 1:
                break
            with torch.no_grad():
                low = mixture.decode(embedded, prompts, owners).logits
                mask = mixture.foundation.upscale(low)[:, 0] > 0
        return {"loss": loss, "right": right}


def prepare(recipe: Settings) -> Job:
    """The job of a recipe.

    Raises:
        VesaliusError: foundation, experts or data that cannot be had; an expert of another foundation.
    """
    torch.manual_seed(recipe.seed)
    model, how = read_foundation(recipe.foundation)
    experts = [load_expert(folder, model) for folder in recipe.experts]
    gate = Gate(model.config.prompt_dim, [e.name for e in experts], recipe.hidden)
    mixture = Mixture(model, experts, gate).requires_grad_(False)
    gate.requires_grad_(True)
    owners = {target: expert.name for expert in experts for target in expert.targets}
    cases = recipe.cases(how)
    crops = recipe.crops(cases)
    held_out = recipe.held_out()
    structures = tuple(crops.classes)

    def load(folder: Path) -> None:
        load_weights(gate, folder / "gate.safetensors")

    def finish(out: Path) -> dict[str, Any]:
        found = _calibrate(mixture, owners, recipe, how)
        mixture.threshold = found["threshold"]
        _join(out, recipe, gate, found)
        numbers = {k: v for k, v in found.items() if k != "curve"}
        if not held_out:
            return numbers
        judged = judge(mixture, how, held_out, recipe.judging, structures)
        return {**judged, **numbers, **keep_golden(out, mixture, how, held_out, structures)}

    return Job(
        module=GateTraining(mixture, owners, max(1, min(3, recipe.interaction.clicks))),
        dataset=crops,
        collate=collate,
        save=lambda folder: save_gate(folder if folder != recipe.output else folder / "gate", gate, mixture.threshold),
        load=load,
        evaluate=lambda: judge(mixture, how, held_out, recipe.judging, structures),
        finish=finish,
        picture=picture,
        groups=lambda: [{"params": list(gate.parameters())}],
        facts={
            "experts": {e.name: e.targets for e in experts},
            "training": data_facts(cases.cases),
            "validation": data_facts(held_out),
            "unreadable": cases.problems,
            "parameters of the gate": sum(p.numel() for p in gate.parameters()),
        },
        title=f"{recipe.output.name}: a foundation and {len(experts)} experts",
    )


def _join(out: Path, recipe: Settings, gate: Gate, found: dict[str, Any]) -> None:
    """Foundation, experts and gate in one folder; see `nets/sam3d/experts.py`."""
    for name in ("config.json", "model.safetensors", "preprocessor_config.json"):
        if (recipe.foundation / name).is_file():
            shutil.copyfile(recipe.foundation / name, out / name)
    for folder in recipe.experts:
        keep = shutil.ignore_patterns("checkpoint-*", "data", "optimizer.pt")
        target = out / "experts" / folder.name
        if folder.resolve() != target.resolve():
            shutil.copytree(folder, target, ignore=keep, dirs_exist_ok=True)
    save_gate(out / "gate", gate, found["threshold"], calibration=found)


@torch.no_grad()
def _calibrate(mixture: Mixture, owners: dict[str, str], recipe: Settings, how: Preprocessing) -> dict[str, Any]:
    """Threshold, its curve, and how well the gate knows what it knows; 0.5 where there is nothing held out."""
    if not recipe.validation:
        return {"threshold": 0.5, "curve": []}
    cases = Cases(find(recipe.validation), how, recipe.cache, recipe.output / "data")
    crops = Crops(cases, recipe.calibration.samples, recipe.seed + 1, least=recipe.least, augment=())
    mixture.eval()
    seen = [row for i in range(len(crops)) for row in _look(mixture, crops[i], recipe.calibration.after)]
    curve = [(float(t), _joined(seen, t)) for t in THRESHOLDS]
    best = max(dsc for _, dsc in curve)
    plateau = [t for t, dsc in curve if dsc >= best - 1e-6]
    names = [GENERAL, *mixture.gate.experts]  # type: ignore[union-attr]
    top = np.array([max(row["confidences"]) for row in seen])
    right = np.array([names[int(np.argmax(r["confidences"]))] == owners.get(r["target"], GENERAL) for r in seen])
    return {
        "threshold": plateau[len(plateau) // 2],
        "dsc": best,
        "gate_accuracy": float(right.mean()),
        "gate_ece": _ece(top, right),
        "crops": len(seen),
        "curve": curve,
    }


def _look(mixture: Mixture, item: dict[str, Any], after: tuple[int, ...]) -> list[dict[str, Any]]:
    """A crop clicked along the general decoder's masks: confidences, and everybody's DSC after some clicks."""
    batch = on_device(collate([item]), next(mixture.parameters()).device)
    truth, size = batch["truth"], mixture.foundation.config.mask_size
    embedded, clicker = mixture.encode(batch["pixel_values"]), Clicker(truth, batch["seed"])
    low, mask = truth.new_zeros(1, 1, size, size, size), torch.zeros_like(truth[:, 0], dtype=torch.bool)
    rows = []
    for number in range(1, max(after) + 1):
        clicker.click(mask)
        prompts = Prompts(clicker.points, clicker.labels, low)
        masks = {}
        for name in (GENERAL, *mixture.gate.experts) if number in after else (GENERAL,):  # type: ignore[union-attr]
            masks[name] = mixture.decode(embedded, prompts, name).logits
        if number in after:
            scores = {name: _dsc(mixture.foundation.upscale(m) > 0, truth) for name, m in masks.items()}
            confidences = mixture.confidences(embedded, prompts).softmax(-1)[0].tolist()
            rows.append({"target": item["target"][0], "confidences": confidences, "dsc": scores})
        low = masks[GENERAL]
        mask = mixture.foundation.upscale(low)[:, 0] > 0
    return rows


def _joined(seen: list[dict[str, Any]], threshold: float) -> float:
    """Mean over structures of the DSC under a threshold; where several pass, the most confident stands for them."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in seen:
        names = list(row["dsc"])
        best = 1 + int(np.argmax(row["confidences"][1:]))
        chosen = names[best] if row["confidences"][best] > threshold else GENERAL
        values[row["target"]].append(row["dsc"][chosen])
    return float(np.mean([np.mean(v) for v in values.values()]))


def _dsc(mask: torch.Tensor, truth: torch.Tensor) -> float:
    wanted = truth > 0.5
    return 2 * float((mask & wanted).sum()) / max(1, int(mask.sum() + wanted.sum()))


def _ece(confidence: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error in equal bins of confidence (Guo et al. 2017)."""
    if not len(confidence):
        raise VesaliusError("no crop to calibrate on", remedy="give more validation data", code="data")
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    parts = [(index == b) for b in range(bins)]
    return float(sum(p.mean() * abs(confidence[p].mean() - right[p].mean()) for p in parts if p.any()))
