"""Where the weights of a new network begin: a click looks at its own place, and what it finds can be told apart.

As torch begins layers, a click's attention to hundreds of image tokens is flat and the logits hardly depend on it: a
training from nothing spends its first hundreds of steps at "all background". Here queries and keys of the attention
to the image begin as the positions' own features, so that a click attends to its own token and copies it; the
embeddings that are added to positions begin small; the layers that paint begin with unit variance. Only values at the
start differ: the network is the same. Measured in docs/sam3d.md.
"""

from typing import Any

import torch
from torch import nn

from vesalius.nets.sam3d.model import Sam3DModel

_SHARP = 3.0  # gain of positions in queries and keys: about 0.6 of a click's attention falls on its own token of 512
_CONTENT = 0.2  # scale of image and tokens against positions, whose features have a variance of a half
_LABELS = 0.1  # scale of the embeddings of "positive", "negative", "no point" and of the decoder's own tokens


@torch.no_grad()
def begin(model: Sam3DModel) -> None:
    """Sets the weights of neck, prompt encoder and decoder, in place."""
    prompts, decoder = model.prompt_encoder, model.mask_decoder
    neck: Any = model.image_encoder.neck
    transformer: Any = decoder.transformer
    neck[-1].weight.fill_(_CONTENT)
    embeddings: list[Any] = [
        *prompts.point_embeddings,
        prompts.not_a_point_embed,
        decoder.iou_token,
        decoder.mask_tokens,
    ]
    for embedding in embeddings:
        embedding.weight.mul_(_LABELS)
    for layer in decoder.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.ConvTranspose3d):  # kernel and stride are alike: each output sees one input voxel
            nn.init.normal_(layer.weight, std=(2 / layer.in_channels) ** 0.5)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    for block in transformer.layers:
        for norm in (block.norm1, block.norm2, block.norm3, block.norm4):
            norm.weight.fill_(_CONTENT)
    own = _positions(model.config.prompt_dim)
    looks = [block.cross_attn_token_to_image for block in transformer.layers]
    for attention in (*looks, transformer.final_attn_token_to_image):
        for projection in (attention.q_proj, attention.k_proj):
            projection.weight.normal_(std=0.02).add_(_SHARP * own)
        attention.v_proj.weight.copy_(own / _CONTENT)
        attention.out_proj.weight.copy_(own.T)


def _positions(dim: int) -> torch.Tensor:
    """(dim / 2, dim): sine and cosine of a quarter of `dim` frequencies out of positions (sine, cosine, sine)."""
    third, out = dim // 3, torch.zeros(dim // 2, dim)
    for row in range(dim // 4):
        out[2 * row, [row, 2 * third + row]] = 0.5
        out[2 * row + 1, third + row] = 1.0
    return out
