"""`sam3d/pretrain`: the foundation, from nothing or from given weights; plain fine-tuning is this with `start.weights`.

Published: AdamW 8e-4 for the encoder, a tenth for prompt encoder and decoder, weight decay 0.1, steps down at 120 and
180 of 200 epochs (arXiv 2310.15161).
"""

from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_model

from vesalius.errors import VesaliusError
from vesalius.nets.sam3d import Sam3DConfig, Sam3DModel
from vesalius.nets.sam3d.beginning import begin
from vesalius.nets.sam3d.crop import Preprocessing
from vesalius.nets.sam3d.experts import Mixture
from vesalius.nets.sam3d.public import load_public
from vesalius.train.data import collate, data_facts
from vesalius.train.job import Job
from vesalius.train.picture import picture
from vesalius.train.sam3d.interaction import InteractiveTraining
from vesalius.train.sam3d.judge import judge, keep_golden
from vesalius.train.sam3d.settings import Cropping, Sam3DRecipe, Start


class Settings(Sam3DRecipe):
    """A recipe of this task."""

    task: Literal["sam3d/pretrain"] = "sam3d/pretrain"
    start: Start = Start()
    cropping: Cropping | None = None
    learning_rate: float = 8e-4
    decoder_rate: float = 0.1  # of the encoder's


def prepare(recipe: Settings) -> Job:
    """The job of a recipe.

    Raises:
        VesaliusError: weights or data that cannot be had.
    """
    torch.manual_seed(recipe.seed)
    model, how = foundation(recipe)
    model.config.iou_trained = recipe.interaction.iou > 0
    freeze_unused(model, recipe.interaction.iou > 0)
    cases = recipe.cases(how)
    crops = recipe.crops(cases)
    held_out = recipe.held_out()
    structures = tuple(crops.classes)
    mixture = Mixture(model)

    def groups() -> list[dict[str, Any]]:
        slow = [*model.prompt_encoder.parameters(), *model.mask_decoder.parameters()]
        return [
            {"params": list(model.image_encoder.parameters())},
            {"params": [p for p in slow if p.requires_grad], "scale": recipe.decoder_rate},
        ]

    def save(folder: Path) -> None:
        model.save_pretrained(folder)
        how.save_pretrained(folder)

    return Job(
        module=InteractiveTraining(model, recipe.interaction),
        dataset=crops,
        collate=collate,
        save=save,
        load=lambda folder: load_weights(model, folder / "model.safetensors"),
        evaluate=lambda: judge(mixture, how, held_out, recipe.judging, structures),
        finish=lambda out: keep_golden(out, mixture, how, held_out, structures),
        picture=picture,
        groups=groups,
        facts={
            "structures": structures,
            "training": data_facts(cases.cases),
            "validation": data_facts(held_out),
            "unreadable": cases.problems,
            "parameters": sum(p.numel() for p in model.parameters()),
        },
        title=recipe.output.name,
    )


def foundation(recipe: Settings) -> tuple[Sam3DModel, Preprocessing]:
    """The model that training begins with, and how crops are cut for it."""
    given = recipe.start.weights
    if given is None:
        model = Sam3DModel(Sam3DConfig(**recipe.start.sizes.model_dump()))
        if not model.config.exchanged_axes:  # as published, a click is not to find its own place
            begin(model)
    elif given.is_file():
        model = load_public(given)
    elif (given / "config.json").is_file():
        model = Sam3DModel.from_pretrained(given)
    else:
        remedy = "name a folder that was trained, or a public .pth"
        raise VesaliusError("holds no SAM-Med3D", file=given, remedy=remedy, code="model")
    if given is not None and recipe.cropping is None and (given / "preprocessor_config.json").is_file():
        return model, Preprocessing.from_pretrained(given)
    cropping = recipe.cropping or Cropping()  # type: ignore[call-arg]
    return model, Preprocessing(size=model.config.image_size, **cropping.model_dump())


def freeze_unused(model: Sam3DModel, iou: bool) -> None:
    """Weights that no loss reaches; DDP refuses them, and weight decay would wear them away."""
    model.prompt_encoder.no_mask_embed.requires_grad_(False)
    for mlp in model.mask_decoder.output_hypernetworks_mlps[1:]:
        mlp.requires_grad_(False)
    if not iou:
        model.mask_decoder.iou_prediction_head.requires_grad_(False)


def load_weights(module: torch.nn.Module, file: Path) -> None:
    """Weights of a checkpoint into a module, whole."""
    load_model(module, str(file), strict=True)
