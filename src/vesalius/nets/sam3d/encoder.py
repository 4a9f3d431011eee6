"""The image encoder of SAM-Med3D (arXiv 2310.15161, section 3): a 3D ViT with windows and relative positions.

Two things of the published code are kept exactly, because its weights were trained with them, and made differently.

**Pads.** Tokens of a crop are padded with zeros up to whole windows (8 -> 14 along each side for `vit_b_ori`), and all
2,744 are attended to, pads included. Here pads are never made: they share one key and one value (the biases), and the
sum of the exponentials of their logits factorises, so one further key stands for all of them, exactly. A window of 8³
tokens costs 512 x 513 products, not 2,744 x 2,744.

**Relative positions.** Meant is q·(r_d + r_h + r_w), each by the distance along its axis. Published is, by a missing
axis in `add_decomposed_rel_pos`, for the query (d, h, w) and the key (i, j, k),

    q(d,h,w)·R_d[d,k] + q(d,h,i)·R_h[h,k] + q(d,h,j)·R_w[j,k]:

two of three terms belong to other queries of the same row, at pads too. So it is computed here.
"""

from collections.abc import Iterator
from itertools import product

import torch
from torch import nn
from torch.nn import functional as F

from vesalius.nets.sam3d.config import Sam3DConfig
from vesalius.nets.sam3d.layers import FeedForward, LayerNorm3d, blocks, down


class ImageEncoder(nn.Module):
    """Crop to embedding."""

    def __init__(self, config: Sam3DConfig):
        super().__init__()
        grid, dim, out = config.grid, config.hidden_size, config.prompt_dim
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv3d(1, dim, config.patch_size, stride=config.patch_size)})
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, grid, dim))
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.num_hidden_layers))
        self.neck = nn.Sequential(
            nn.Conv3d(dim, out, 1, bias=False),
            LayerNorm3d(out),
            nn.Conv3d(out, out, 3, padding=1, bias=False),
            LayerNorm3d(out),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, 1, size, size, size), normalised -> (batch, prompt_dim, grid, grid, grid)."""
        patch: nn.Conv3d = self.patch_embed["proj"]  # type: ignore[assignment]
        x = down(patch, blocks(x, patch.kernel_size[0])) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.neck(x.movedim(-1, 1)).contiguous(memory_format=torch.channels_last_3d)


class Block(nn.Module):
    """Attention in windows, or over all tokens, then a feed-forward layer."""

    def __init__(self, config: Sam3DConfig, layer: int):
        super().__init__()
        dim = config.hidden_size
        self.window = config.grid if layer in config.global_attn_indexes else config.window_size
        self.norm1, self.norm2 = nn.LayerNorm(dim, 1e-6), nn.LayerNorm(dim, 1e-6)
        self.attn = WindowAttention(dim, config.num_attention_heads, self.window)
        self.mlp = FeedForward(dim, int(dim * config.mlp_ratio), nn.GELU)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, d, h, w, channels), same shape."""
        normed, attended = self.norm1(x), torch.empty_like(x)
        for part in _windows(x.shape[1:4], self.window):
            attended[:, *part] = self.attn(normed[:, *part])
        x = x + attended
        return x + self.mlp(self.norm2(x))


def _windows(grid: torch.Size, size: int) -> Iterator[tuple[slice, ...]]:
    """The windows of a grid of tokens; the last ones along an axis hold what is left."""
    starts = [range(0, n, size) for n in grid]
    yield from (tuple(slice(a, a + size) for a in corner) for corner in product(*starts))


class WindowAttention(nn.Module):
    """Attention among the tokens of one window, whose part beyond the grid is zeros; see the module."""

    def __init__(self, dim: int, heads: int, window: int):
        super().__init__()
        self.heads, self.window = heads, window
        channels = dim // heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.rel_pos_d, self.rel_pos_h, self.rel_pos_w = (
            nn.Parameter(torch.zeros(2 * window - 1, channels)) for _ in range(3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, d, h, w, channels) of the real tokens of a window, same shape."""
        batch, d, h, w, dim = x.shape
        channels, tokens = dim // self.heads, d * h * w
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, channels).permute(2, 0, 3, 1, 4)
        by_query, by_i, by_j = self._positions(q.reshape(batch, self.heads, d, h, w, channels))
        bias = (
            (
                by_query[..., None, None, :w]  # (batch, heads, d, h, w, 1, 1, k)
                + by_i[..., None, :d, None, :w]  # (batch, heads, d, h, 1, i, 1, k)
                + by_j[..., None, None, :h, :w]  # (batch, heads, d, h, 1, 1, j, k)
            ).reshape(batch, self.heads, tokens, tokens)
        )
        if min(d, h, w) < self.window:
            _, pad_key, pad_value = self.qkv.bias.reshape(3, self.heads, 1, channels)
            logit = (q * pad_key).sum(-1) * channels**-0.5 + _pads(by_query, by_i, by_j, (d, h, w)).flatten(2)
            bias = torch.cat([bias, logit[..., None]], -1)
            k = F.pad(k, (0, 0, 0, 1))  # a key of zeros: its logit stands in the bias
            v = torch.cat([v, pad_value.expand(batch, -1, -1, -1)], 2)
        out = _attention(q, k, v, bias)
        return self.proj(out.transpose(1, 2).reshape(batch, d, h, w, dim))

    def _positions(self, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The three terms of the published bias, for keys all over the window.

        Args:
            q: (batch, heads, d, h, w, channels).

        Returns:
            by query (batch, heads, d, h, w, k), by i (batch, heads, d, h, i, k) and by j (batch, heads, d, h, j, k).
        """
        d, h, w = q.shape[2:5]
        pad = self.qkv.bias.reshape(3, self.heads, 1, 1, 1, -1)[0]
        row = torch.cat([q, pad.expand(len(q), -1, d, h, self.window - w, -1)], 4)
        place = torch.arange(self.window, device=q.device)
        place = place[:, None] - place + self.window - 1
        return (
            torch.einsum("bndhwc,dkc->bndhwk", q, self.rel_pos_d[place[:d]]),
            torch.einsum("bndhic,hkc->bndhik", row, self.rel_pos_h[place[:h]]),
            torch.einsum("bndhjc,jkc->bndhjk", row, self.rel_pos_w[place]),
        )


def _attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """(batch, heads, tokens, channels) each, bias of the logits.

    Where a bias is learned on a CPU, torch has no kernel and looks through all logits for rows of minus infinity, which
    there are none of here.
    """
    if not (bias.requires_grad and bias.device.type == "cpu"):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    flat = [x.flatten(0, 1) for x in (bias, q, k, v)]
    logits = torch.baddbmm(flat[0], flat[1], flat[2].transpose(1, 2), alpha=q.shape[-1] ** -0.5)
    return (logits.softmax(-1) @ flat[3]).unflatten(0, q.shape[:2])


def _pads(by_query: torch.Tensor, by_i: torch.Tensor, by_j: torch.Tensor, real: tuple[int, int, int]) -> torch.Tensor:
    """Log of the sum over all pads of a window of the exponential of their bias, (batch, heads, d, h, w).

    The padded part is the window less the box of real tokens, taken apart into boxes so that nothing is subtracted.
    """
    d, h, w = real
    inner_i, inner_j = by_i[..., :d, :].logsumexp(-2), by_j[..., :h, :].logsumexp(-2)
    boxes = []
    for i, j, start in (
        (by_i[..., d:, :].logsumexp(-2), by_j.logsumexp(-2), 0),
        (inner_i, by_j[..., h:, :].logsumexp(-2), 0),
        (inner_i, inner_j, w),
    ):
        along = by_query + i.unsqueeze(-2) + j.unsqueeze(-2)  # (batch, heads, d, h, w, k)
        boxes.append(along[..., start:].logsumexp(-1))
    window = by_query.shape[-1]
    return torch.stack([box for box, n in zip(boxes, real, strict=True) if n < window]).logsumexp(0)
