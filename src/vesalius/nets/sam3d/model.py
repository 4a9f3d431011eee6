"""SAM-Med3D whole: an image is encoded once; clicks, organs and experts decode from its embedding.

Source: arXiv 2310.15161; weights have the names and shapes of the repository uni-medical/SAM-Med3D. Tensors are crops:
where they come from, and how logits return to the patient, is in `crop.py`.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel

from vesalius.errors import VesaliusError
from vesalius.nets.sam3d.config import Sam3DConfig
from vesalius.nets.sam3d.decoder import MaskDecoder
from vesalius.nets.sam3d.encoder import ImageEncoder
from vesalius.nets.sam3d.prompts import PromptEncoder

_RAW = 60.0  # no crop that was normalised over its positive voxels spreads so far; Hounsfield units do


@dataclass(frozen=True, eq=False)
class Prompts:
    """What a crop is asked.

    Attributes:
        points: (batch, n, 3), voxels of the crop; None for none at all.
        labels: (batch, n), 1 positive, 0 negative, -1 no point.
        masks: (batch, 1, m, m, m), low-resolution logits of the answer before (m = 4 grid); None for none.
    """

    points: torch.Tensor | None = None
    labels: torch.Tensor | None = None
    masks: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a decoder says.

    Attributes:
        logits: (batch, masks, m, m, m), low resolution.
        iou: (batch, masks), the decoder's own estimate.
    """

    logits: torch.Tensor
    iou: torch.Tensor


class Sam3DModel(PreTrainedModel):
    """See the module. `from_pretrained` and `save_pretrained` as everywhere; the public `.pth` in `public.py`."""

    config_class = Sam3DConfig
    base_model_prefix = "sam3d"
    main_input_name = "pixel_values"
    _no_split_modules = ["Block", "TwoWayBlock"]  # noqa: RUF012

    def __init__(self, config: Sam3DConfig):
        config.check()
        super().__init__(config)
        self.image_encoder = ImageEncoder(config)
        self.prompt_encoder = PromptEncoder(config)
        self.mask_decoder = MaskDecoder(config)
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Layers begin as torch begins them, as in the published code."""

    def encode(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Embeddings of crops: (batch, 1, size, size, size) -> (batch, prompt_dim, grid, grid, grid).

        Raises:
            VesaliusError: code `shape`; code `raw` for a crop that was not normalised (SAM-Med3D#118, #121).
        """
        size = self.config.image_size
        if pixel_values.shape[1:] != (1, size, size, size):
            problem = f"a crop of shape {tuple(pixel_values.shape)}, not (batch, 1, {size}, {size}, {size})"
            raise VesaliusError(problem, remedy="cut it with vesalius.nets.sam3d.crop", code="shape")
        spread = pixel_values.detach().abs().amax()
        if not spread <= _RAW:
            problem = f"a crop with values up to {float(spread):.4g}: not normalised"
            remedy = "z-normalise it over its positive voxels, as vesalius.nets.sam3d.crop does"
            raise VesaliusError(problem, remedy=remedy, code="raw")
        return self.image_encoder(pixel_values)

    def embed(self, embeddings: torch.Tensor, prompts: Prompts) -> tuple[torch.Tensor, torch.Tensor]:
        """Image with the dense prompt added, (batch, dim, g, g, g), and sparse embeddings, (batch, n, dim)."""
        image = embeddings + self.prompt_encoder.dense(prompts.masks)
        if prompts.points is None:
            batch = len(prompts.masks) if prompts.masks is not None else len(embeddings)
            sparse = image.new_zeros(batch, 0, self.config.prompt_dim)
        else:
            assert prompts.labels is not None
            sparse = self.prompt_encoder.sparse(prompts.points, prompts.labels)
        return image.expand(len(sparse), -1, -1, -1, -1), sparse

    def decode(
        self,
        embeddings: torch.Tensor,
        prompts: Prompts,
        decoder: MaskDecoder | None = None,
        multimask: bool = False,
    ) -> Decoded:
        """Masks for prompts.

        Args:
            embeddings: as `encode` gave them, one for each prompt or one for all.
            prompts: see there.
            decoder: an expert's, instead of the general one.
            multimask: the further masks instead of the first.
        """
        image, sparse = self.embed(embeddings, prompts)
        positions = self.prompt_encoder.image_positions()
        return Decoded(*(decoder or self.mask_decoder)(image, positions, sparse, multimask))

    def upscale(self, logits: torch.Tensor) -> torch.Tensor:
        """Low-resolution logits at the crop's own resolution, trilinear."""
        if logits.shape[-1] == self.config.image_size:
            return logits
        return F.interpolate(logits, size=(self.config.image_size,) * 3, mode="trilinear", align_corners=False)

    def forward(
        self,
        pixel_values: torch.Tensor,
        points: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        masks: torch.Tensor | None = None,
        multimask: bool = False,
    ) -> Decoded:
        """One encoding and one answer; see `encode` and `decode`."""
        return self.decode(self.encode(pixel_values), Prompts(points, labels, masks), multimask=multimask)
