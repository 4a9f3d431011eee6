"""`sam3d/warmup`: before clicks, a new network learns to name structures at every voxel, without any prompt.

One decoding shows it all structures of a crop, where a click shows it one: what encoder and painting layers need is
learned in a fraction of the time. The names' filters stand where the decoder makes one from a click; afterwards they
are left behind, and `sam3d/pretrain` goes on from `start.weights`. Not part of the published training, which has
131,000 masks to learn from.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from monai.losses import DiceCELoss
from safetensors.torch import load_file, save_file
from torch import nn

from vesalius.nets.sam3d import Prompts, Sam3DModel
from vesalius.nets.sam3d.decoder import paint
from vesalius.train.data import Cases, Crops, collate, data_facts, on_device
from vesalius.train.job import Job
from vesalius.train.picture import picture
from vesalius.train.sam3d.interaction import dice
from vesalius.train.sam3d.pretrain import Settings as Pretraining
from vesalius.train.sam3d.pretrain import foundation, load_weights


class Settings(Pretraining):
    """A recipe of this task."""

    task: Literal["sam3d/warmup"] = "sam3d/warmup"  # type: ignore[assignment]
    judging_crops: int = 4  # of each structure


class Naming(nn.Module):
    """Gives the loss of a batch: DiceCE of each structure's logits where the crop shows it."""

    def __init__(self, model: Sam3DModel, names: tuple[str, ...]):
        super().__init__()
        self.model, self.names = model, names
        channels = model.config.prompt_dim // 8
        self.filters = nn.Parameter(torch.randn(len(names), channels) * 0.3)
        self.loss = DiceCELoss(sigmoid=True, squared_pred=True, reduction="mean")

    def forward(
        self, pixel_values: torch.Tensor, truth: torch.Tensor, crop: torch.Tensor, target: list[str], **_: object
    ) -> dict[str, torch.Tensor]:
        """`loss` and `dice`, means over all targets of the batch."""
        logits = self.logits(pixel_values)[crop, [self.names.index(name) for name in target]]
        high = self.model.upscale(logits[:, None])
        return {"loss": self.loss(high, truth), "dice": dice(high.detach(), truth).mean()}

    def logits(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Of all structures, low resolution: (batch, names, m, m, m)."""
        model, size = self.model, self.model.config.mask_size
        nothing = Prompts(masks=pixel_values.new_zeros(len(pixel_values), 1, size, size, size))
        image, sparse = model.embed(model.encode(pixel_values), nothing)
        _, features = model.mask_decoder.look(image, model.prompt_encoder.image_positions(), sparse)
        return paint(features, self.filters[None], image.shape[2:])

    def reached(self) -> None:
        """Leaves the weights frozen that no loss reaches: what makes tokens into masks."""
        decoder = self.model.mask_decoder
        last = decoder.transformer.final_attn_token_to_image, decoder.transformer.norm_final_attn
        for part in (self.model.prompt_encoder, *last, decoder.output_hypernetworks_mlps, decoder.iou_prediction_head):
            part.requires_grad_(False)


def prepare(recipe: Settings) -> Job:
    """The job of a recipe.

    Raises:
        VesaliusError: weights or data that cannot be had.
    """
    torch.manual_seed(recipe.seed)
    model, how = foundation(recipe)
    cases = recipe.cases(how)
    crops = recipe.crops(cases)
    held_out = recipe.held_out()
    module = Naming(model, tuple(crops.classes))
    module.reached()

    def save(folder: Path) -> None:
        model.save_pretrained(folder)
        how.save_pretrained(folder)
        save_file({"filters": module.filters.detach()}, folder / "names.safetensors")

    def load(folder: Path) -> None:
        load_weights(model, folder / "model.safetensors")
        with torch.no_grad():
            module.filters.copy_(load_file(folder / "names.safetensors")["filters"])

    def evaluate() -> Mapping[str, float]:
        if not held_out:
            return {}
        looked = Cases(held_out, how, "memory", recipe.output / "data" / "validation")
        return _judge(module, recipe.crops(looked, module.names), recipe.judging_crops)

    return Job(
        module=module,
        dataset=crops,
        collate=collate,
        save=save,
        load=load,
        evaluate=evaluate,
        finish=lambda out: {},
        picture=picture,
        groups=lambda: [{"params": [p for p in module.parameters() if p.requires_grad]}],
        facts={
            "structures": module.names,
            "training": data_facts(cases.cases),
            "validation": data_facts(held_out),
            "unreadable": cases.problems,
            "parameters": sum(p.numel() for p in model.parameters()),
        },
        title=recipe.output.name,
    )


@torch.no_grad()
def _judge(module: Naming, crops: Crops, each: int) -> dict[str, float]:
    """Mean Dice in crops of the validation data, over structures of their means, and of each structure."""
    found: dict[str, list[float]] = defaultdict(list)
    training = module.training
    module.eval()
    for index in range(each * len(crops.classes)):
        batch = on_device(collate([crops[index]]), module.filters.device)
        logits = module.logits(batch["pixel_values"])[0, [module.names.index(name) for name in batch["target"]]]
        for name, value in zip(
            batch["target"], dice(module.model.upscale(logits[:, None]), batch["truth"]), strict=True
        ):
            found[name].append(float(value))
    module.train(training)
    means = {name: float(np.mean(values)) for name, values in sorted(found.items())}
    return {"dice": float(np.mean(list(means.values()))), **{f"dice/{name}": value for name, value in means.items()}}
