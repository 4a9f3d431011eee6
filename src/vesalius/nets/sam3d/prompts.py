"""The prompt encoder of SAM-Med3D: clicks and the previous mask become embeddings.

Points are in voxels of the crop. Positions are random Fourier features (sine, cosine, sine: the channels divide by
three). In the published code the first two axes of the image's positions are exchanged against those of the points, so
that a click does not find its own token; weights that were trained so need it (`exchanged_axes`).
"""

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from vesalius.nets.sam3d.config import Sam3DConfig
from vesalius.nets.sam3d.layers import LayerNorm3d, down, nest


class PromptEncoder(nn.Module):
    """Clicks and masks to sparse and dense embeddings."""

    def __init__(self, config: Sam3DConfig):
        super().__init__()
        dim, wide = config.prompt_dim, config.mask_in_chans
        self.image_size, self.grid, self.exchanged = config.image_size, config.grid, config.exchanged_axes
        self.pe_layer = RandomPositions(dim // 3)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(2))  # negative, positive
        self.not_a_point_embed, self.no_mask_embed = nn.Embedding(1, dim), nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv3d(1, wide // 4, 2, stride=2),
            LayerNorm3d(wide // 4),
            nn.GELU(),
            nn.Conv3d(wide // 4, wide, 2, stride=2),
            LayerNorm3d(wide),
            nn.GELU(),
            nn.Conv3d(wide, dim, 1),
        )

    def sparse(self, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Embeddings of clicks, and the one of "no point" that the published code adds after them.

        Args:
            points: (batch, n, 3), voxels of the crop.
            labels: (batch, n), 1 positive, 0 negative, -1 no point.

        Returns:
            (batch, n + 1, prompt_dim).
        """
        positions = self.pe_layer((points + 0.5) / self.image_size)
        negative, positive = (e.weight for e in self.point_embeddings)
        none = self.not_a_point_embed.weight
        labels = labels[..., None]
        found = torch.where(labels == 1, positions + positive, torch.where(labels == 0, positions + negative, none))
        return torch.cat([found, none.expand(len(points), 1, -1)], 1)

    def dense(self, masks: torch.Tensor | None) -> torch.Tensor:
        """Embedding of the previous low-resolution logits (batch, 1, 4 grid, ...), or of their absence (batch 1)."""
        if masks is not None:
            return self._down(masks).movedim(-1, 1)
        return self.no_mask_embed.weight.reshape(1, -1, 1, 1, 1).expand(-1, -1, self.grid, self.grid, self.grid)

    def _down(self, masks: torch.Tensor) -> torch.Tensor:
        """`mask_downscaling` with channels last: (batch, 1, 4 grid, ...) -> (batch, grid, grid, grid, dim)."""
        layers: Any = self.mask_downscaling
        first, norm1, gelu, second, norm2, _, last = layers
        x = gelu(norm1.last(down(first, nest(masks))))
        return F.linear(gelu(norm2.last(down(second, x))), last.weight.flatten(1), last.bias)

    def image_positions(self) -> torch.Tensor:
        """Positions of the image's tokens, (1, prompt_dim, grid, grid, grid)."""
        at = (torch.arange(self.grid, device=self.pe_layer.matrix.device) + 0.5) / self.grid
        first, second, third = torch.meshgrid(at, at, at, indexing="ij")
        axes = [second, first, third] if self.exchanged else [first, second, third]
        return self.pe_layer(torch.stack(axes, -1)).movedim(-1, 0)[None]


class RandomPositions(nn.Module):
    """Random Fourier features of places in the unit cube."""

    def __init__(self, features: int):
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(3, features))

    @property
    def matrix(self) -> torch.Tensor:
        """The frequencies, (3, features)."""
        return self.positional_encoding_gaussian_matrix  # type: ignore[return-value]

    def forward(self, at: torch.Tensor) -> torch.Tensor:
        """(..., 3) in [0, 1] -> (..., 3 features)."""
        phase = 2 * math.pi * ((2 * at.to(self.matrix.dtype) - 1) @ self.matrix)
        return torch.cat([phase.sin(), phase.cos(), phase.sin()], -1)
