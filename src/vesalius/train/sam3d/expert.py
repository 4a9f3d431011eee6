"""`sam3d/expert`: a decoder of its own for one task; encoder, prompt encoder and the general decoder stay as they are.

Beyond the paper: `expert.lora` adds a low-rank delta to the encoder, kept beside the decoder, which costs an encoding
of its own wherever this expert answers.
"""

import copy
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field

from vesalius.errors import VesaliusError
from vesalius.nets.sam3d import Sam3DModel, adapter
from vesalius.nets.sam3d.crop import Preprocessing
from vesalius.nets.sam3d.decoder import MaskDecoder
from vesalius.nets.sam3d.experts import Expert, Mixture, fingerprint_of, save_expert
from vesalius.settings import Strict
from vesalius.train.data import collate, data_facts
from vesalius.train.job import Job
from vesalius.train.picture import picture
from vesalius.train.sam3d.interaction import InteractiveTraining
from vesalius.train.sam3d.judge import judge
from vesalius.train.sam3d.pretrain import load_weights
from vesalius.train.sam3d.settings import Sam3DRecipe


class Lora(Strict):
    """Low-rank weights for the encoder (Hu et al. 2021), by PEFT."""

    rank: int = Field(8, ge=1)
    alpha: int = Field(16, ge=1)
    rate: float = Field(1.0, gt=0, description="Learning rate relative to the decoder's.")


class Task(Strict):
    """What an expert is for."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    targets: tuple[str, ...] = Field(min_length=1)
    lora: Lora | None = None


class Settings(Sam3DRecipe):
    """A recipe of this task."""

    task: Literal["sam3d/expert"] = "sam3d/expert"
    foundation: Path
    expert: Task
    learning_rate: float = 8e-5


def prepare(recipe: Settings) -> Job:
    """The job of a recipe.

    Raises:
        VesaliusError: foundation or data that cannot be had.
    """
    torch.manual_seed(recipe.seed)
    model, how = read_foundation(recipe.foundation)
    cases = recipe.cases(how)
    crops = recipe.crops(cases, recipe.expert.targets)
    held_out = recipe.held_out()
    expert = _new_expert(recipe, model)
    mixture = Mixture(model, [expert])

    def decode(embeddings: torch.Tensor, prompts: Any) -> Any:
        return model.decode(embeddings, prompts, expert.decoder)

    module = InteractiveTraining(model, recipe.interaction, decode, frozen_encoder=not expert.adapter)
    module.decoder = expert.decoder

    def load(folder: Path) -> None:
        load_weights(expert.decoder, folder / "decoder.safetensors")
        if expert.adapter:
            adapter.load(model.image_encoder, expert.name, folder / "adapter")

    def groups() -> list[dict[str, Any]]:
        own = [p for p in expert.decoder.parameters() if p.requires_grad]
        delta = [p for p in model.parameters() if p.requires_grad]
        scale = recipe.expert.lora.rate if recipe.expert.lora else 1.0
        return [{"params": own}, *([{"params": delta, "scale": scale}] if delta else [])]

    def evaluate() -> dict[str, float]:
        found = judge(mixture, how, held_out, recipe.judging, recipe.expert.targets, expert.name)
        if expert.adapter:  # judging encodes without it, too
            adapter.use(model.image_encoder, expert.name)
        return found

    return Job(
        module=module,
        dataset=crops,
        collate=collate,
        save=lambda folder: save_expert(folder, expert, model),
        load=load,
        evaluate=evaluate,
        finish=lambda out: {},
        picture=picture,
        groups=groups,
        facts={
            "foundation": expert.foundation,
            "targets": recipe.expert.targets,
            "training": data_facts(cases.cases),
            "validation": data_facts(held_out),
            "unreadable": cases.problems,
            "parameters": sum(p.numel() for group in groups() for p in group["params"]),
        },
        title=f"Expert {expert.name}",
    )


def read_foundation(folder: Path) -> tuple[Sam3DModel, Preprocessing]:
    """A frozen foundation and how crops are cut for it.

    Raises:
        VesaliusError: there is none.
    """
    if not (folder / "config.json").is_file():
        remedy = "train one: recipe sam3d/pretrain; or convert a public .pth with steps: 1"
        raise VesaliusError("holds no SAM-Med3D", file=folder, remedy=remedy, code="model")
    model = Sam3DModel.from_pretrained(folder).eval().requires_grad_(False)
    if (folder / "preprocessor_config.json").is_file():
        return model, Preprocessing.from_pretrained(folder)
    return model, Preprocessing(size=model.config.image_size)


def _new_expert(recipe: Settings, model: Sam3DModel) -> Expert:
    """A copy of the general decoder, whose reachable weights learn."""
    base = fingerprint_of(model)
    decoder: MaskDecoder = copy.deepcopy(model.mask_decoder).requires_grad_(True)
    for mlp in decoder.output_hypernetworks_mlps[1:]:
        mlp.requires_grad_(False)
    decoder.iou_prediction_head.requires_grad_(recipe.interaction.iou > 0)
    name, lora = recipe.expert.name, recipe.expert.lora
    if lora:
        adapter.add(model.image_encoder, name, lora.rank, lora.alpha)
    automatic = recipe.interaction.automatic > 0
    return Expert(name, decoder, recipe.expert.targets, base, lora is not None, automatic)
