"""The mask decoder of SAM-Med3D: tokens and image look at each other twice, then a mask token paints the image.

An expert of a mixture is one of these with other weights.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from vesalius.nets.sam3d.config import Sam3DConfig
from vesalius.nets.sam3d.layers import FeedForward, LayerNorm3d, unnest, up


class MaskDecoder(nn.Module):
    """Embeddings of image and prompts to low-resolution logits and an estimate of their IoU."""

    def __init__(self, config: Sam3DConfig):
        super().__init__()
        dim, masks = config.prompt_dim, 1 + config.num_multimask_outputs
        self.transformer = TwoWayTransformer(config)
        self.iou_token, self.mask_tokens = nn.Embedding(1, dim), nn.Embedding(masks, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose3d(dim, dim // 4, 2, stride=2),
            LayerNorm3d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose3d(dim // 4, dim // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Head(dim, dim, dim // 8, 3) for _ in range(masks))
        self.iou_prediction_head = Head(dim, config.iou_head_hidden_dim, masks, config.iou_head_depth)

    def forward(
        self, image: torch.Tensor, positions: torch.Tensor, sparse: torch.Tensor, multimask: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks for each prompt.

        Args:
            image: (batch, dim, g, g, g), image embedding with the dense prompt added.
            positions: (1, dim, g, g, g), of its tokens.
            sparse: (batch, n, dim), may have n = 0.
            multimask: the further masks instead of the first.

        Returns:
            logits (batch, masks, 4g, 4g, 4g) and estimated IoU (batch, masks).
        """
        tokens, features = self.look(image, positions, sparse)
        wanted = range(1, len(self.output_hypernetworks_mlps)) if multimask else range(1)
        filters = torch.stack([self.output_hypernetworks_mlps[i](tokens[:, 1 + i]) for i in wanted], 1)
        iou = self.iou_prediction_head(tokens[:, 0])[:, list(wanted)]
        return paint(features, filters, image.shape[2:]), iou

    def look(
        self, image: torch.Tensor, positions: torch.Tensor, sparse: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Own tokens (batch, n, dim), and what filters paint from: (batch, voxels in blocks, dim / 8)."""
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight]).expand(len(image), -1, -1)
        tokens, image = self.transformer(image, positions, torch.cat([own, sparse], 1))
        return tokens, self._up(image).flatten(1, -2)

    def _up(self, image: torch.Tensor) -> torch.Tensor:
        """`output_upscaling` with channels last: (batch, tokens, dim) -> (batch, tokens, 8, 8, dim / 8)."""
        layers: Any = self.output_upscaling
        first, norm, gelu, second, _ = layers
        x = gelu(norm.last(up(first, image)))
        return gelu(up(second, x))


def paint(features: torch.Tensor, filters: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
    """Logits (batch, masks, 4g, 4g, 4g) of filters (batch or 1, masks, channels) on features (see `look`).

    To put voxels in order moves all channels of a feature at once, but a mask's logits one by one.
    """
    batch, _, channels = features.shape
    shape = (batch, filters.shape[1], *(4 * n for n in grid))
    if 12 * shape[1] > channels:
        features = unnest(features.reshape(batch, *grid, 8, 8, channels), 1)
        return (filters @ features.flatten(1, 3).transpose(1, 2)).reshape(shape)
    painted = (features @ filters.transpose(1, 2)).transpose(1, 2)
    return unnest(painted.reshape(batch, -1, *grid, 8, 8), 2)


class Head(nn.Module):
    """Linear layers with ReLU between."""

    def __init__(self, dim: int, hidden: int, out: int, depth: int):
        super().__init__()
        sizes = [dim, *[hidden] * (depth - 1), out]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., dim) -> (..., out)."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class TwoWayTransformer(nn.Module):
    """Tokens attend to the image and the image to the tokens, layer by layer."""

    def __init__(self, config: Sam3DConfig):
        super().__init__()
        dim, heads = config.prompt_dim, config.decoder_heads
        self.layers = nn.ModuleList(TwoWayBlock(config, first=i == 0) for i in range(config.decoder_depth))
        self.final_attn_token_to_image = Attention(dim, heads, dim // 2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, image: torch.Tensor, positions: torch.Tensor, tokens: torch.Tensor):
        """Tokens (batch, n, dim) and image tokens (batch, g³, dim) after they have looked at each other."""
        keys, places, queries = image.flatten(2).transpose(1, 2), positions.flatten(2).transpose(1, 2), tokens
        for layer in self.layers:
            queries, keys = layer(queries, keys, tokens, places)
        queries = queries + self.final_attn_token_to_image(queries + tokens, keys + places, keys)
        return self.norm_final_attn(queries), keys


class TwoWayBlock(nn.Module):
    """Tokens among themselves, tokens to image, tokens alone, image to tokens."""

    def __init__(self, config: Sam3DConfig, first: bool):
        super().__init__()
        dim, heads = config.prompt_dim, config.decoder_heads
        self.self_attn = Attention(dim, heads, dim)
        self.cross_attn_token_to_image = Attention(dim, heads, dim // 2)
        self.cross_attn_image_to_token = Attention(dim, heads, dim // 2)
        self.mlp = FeedForward(dim, config.decoder_mlp_dim, nn.ReLU)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(dim) for _ in range(4))
        self.first = first

    def forward(self, queries, keys, tokens, places):
        """Tokens and image tokens; `tokens` and `places` are their positions."""
        if self.first:
            queries = self.norm1(self.self_attn(queries, queries, queries))
        else:
            among = queries + tokens
            queries = self.norm1(queries + self.self_attn(among, among, queries))
        placed = keys + places
        queries = self.norm2(queries + self.cross_attn_token_to_image(queries + tokens, placed, keys))
        queries = self.norm3(queries + self.mlp(queries))
        keys = self.norm4(keys + self.cross_attn_image_to_token(placed, queries + tokens, queries))
        return queries, keys


class Attention(nn.Module):
    """Multi-head attention in a narrower space."""

    def __init__(self, dim: int, heads: int, inner: int):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(dim, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """(batch, n, dim) each; n may differ between q and the others."""
        q, k, v = (
            p(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for p, x in ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v))
        )
        return self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
