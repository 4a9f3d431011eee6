"""A training step of SAM-Med3D: one encoding, several rounds of simulated clicks, the losses of all rounds summed.

As published: the first click lies anywhere in the target, later ones anywhere in what is wrong; the logits before go
back in; one round in the middle and the last are without clicks. Losses are MONAI's DiceCE (sigmoid, squared) at full
resolution.
"""

from collections.abc import Callable

import numpy as np
import torch
from monai.losses import DiceCELoss
from torch import nn
from torch.nn import functional as F

from vesalius.nets.sam3d import Decoded, Prompts, Sam3DModel
from vesalius.train.sam3d.settings import Interaction


class Clicker:
    """Simulated clicks for a batch of targets; each has its own generator, so that nothing depends on its
    neighbours.

    Args:
        truth: (targets, 1, s, s, s) of 0 and 1.
        seeds: of each target.
    """

    def __init__(self, truth: torch.Tensor, seeds: torch.Tensor):
        self.truth = truth[:, 0] > 0.5
        self.generators = [np.random.default_rng(int(seed)) for seed in seeds]
        self.points = torch.zeros(len(truth), 0, 3, device=truth.device)
        self.labels = torch.zeros(len(truth), 0, device=truth.device)

    def click(self, mask: torch.Tensor) -> None:
        """One more click for each target, given its mask (batch, s, s, s), bool."""
        wrong = mask != self.truth
        new, labels = [], []
        for i, rng in enumerate(self.generators):
            region = wrong[i] if wrong[i].any() else self.truth[i]
            places = region.flatten().nonzero()[:, 0]
            share = rng.random()
            if len(places) == 0:  # a crop without target and without error
                new.append(torch.full((3,), region.shape[0] / 2, device=mask.device))
                labels.append(0.0)
                continue
            at = int(places[int(share * len(places))])
            x, rest = divmod(at, region.shape[1] * region.shape[2])
            y, z = divmod(rest, region.shape[2])
            new.append(torch.tensor([x, y, z], dtype=torch.float32, device=mask.device))
            labels.append(float(self.truth[i, x, y, z]))
        self.points = torch.cat([self.points, torch.stack(new)[:, None]], 1)
        self.labels = torch.cat([self.labels, torch.tensor(labels, device=mask.device)[:, None]], 1)


class InteractiveTraining(nn.Module):
    """Gives the loss of a batch.

    Args:
        model: the foundation.
        how: rounds and losses.
        decode: (embeddings, prompts) -> masks; the general decoder by default, an expert's in its training.
        frozen_encoder: the encoding needs no gradient.
    """

    def __init__(
        self,
        model: Sam3DModel,
        how: Interaction,
        decode: Callable[[torch.Tensor, Prompts], Decoded] | None = None,
        frozen_encoder: bool = False,
    ):
        super().__init__()
        self.model, self.how, self.frozen_encoder = model, how, frozen_encoder
        self.answer = decode or model.decode
        self.loss = DiceCELoss(sigmoid=True, squared_pred=True, reduction="mean")

    def forward(
        self, pixel_values: torch.Tensor, truth: torch.Tensor, seed: torch.Tensor, crop: torch.Tensor, **_: object
    ) -> dict[str, torch.Tensor]:
        """`loss` (summed over rounds) and `dice` after the last round, both means over all targets of the batch."""
        with torch.set_grad_enabled(self.training and not self.frozen_encoder):
            embeddings = self.model.encode(pixel_values)[crop]
        clicker, rng = Clicker(truth, seed), np.random.default_rng([int(seed[0]), 1])
        rounds = 1 + int(rng.integers(self.how.clicks)) if self.how.varied and self.training else self.how.clicks
        without = self._without(rng, rounds)
        size = self.model.config.mask_size
        low = truth.new_zeros(len(truth), 1, size, size, size)
        high = torch.zeros_like(truth)
        loss = truth.new_zeros(())
        for number in range(rounds):
            clicker.click(high.detach()[:, 0] > 0)
            prompts = Prompts(masks=low) if number in without else Prompts(clicker.points, clicker.labels, low)
            out = self.answer(embeddings, prompts)
            low, high = out.logits, self.model.upscale(out.logits)
            loss = loss + self.loss(high, truth)
            if self.how.iou:
                loss = loss + self.how.iou * F.mse_loss(out.iou[:, 0], _iou(high.detach(), truth))
            low = low.detach() if not self.training else low
        return {"loss": loss / rounds if self.how.varied else loss, "dice": dice(high.detach(), truth).mean()}

    def _without(self, rng: np.random.Generator, rounds: int) -> set[int]:
        """Rounds without clicks."""
        found = {rounds - 1, int(rng.integers(2, max(3, rounds - 2)))} if rounds > 3 else set()
        return found | ({0} if rng.random() < self.how.automatic else set())


def dice(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Dice of each target at threshold 0: (targets, 1, s, s, s) twice -> (targets,)."""
    mask = (logits > 0).float()
    both = (mask * truth).flatten(1).sum(1)
    return 2 * both / (mask.flatten(1).sum(1) + truth.flatten(1).sum(1)).clamp(min=1)


def _iou(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    d = dice(logits, truth)
    return d / (2 - d)
