"""What encoder, prompt encoder and decoder of a SAM-Med3D share.

Convolutions whose kernel is their stride touch each voxel once: they are matrix products over blocks of voxels. Here
they are computed so, with channels last, which on CPUs is several times as fast as convolution, most of all backwards;
layers and names of weights stay the published ones.
"""

import torch
from torch import nn
from torch.nn import functional as F


class LayerNorm3d(nn.Module):
    """Layer norm over the channels of (batch, channels, x, y, z)."""

    def __init__(self, channels: int, eps: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised, same shape."""
        return self.last(x.movedim(1, -1)).movedim(-1, 1)

    def last(self, x: torch.Tensor) -> torch.Tensor:
        """The same of (..., channels)."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class FeedForward(nn.Module):
    """Two linear layers; the published names of their weights."""

    def __init__(self, dim: int, hidden: int, activation: type[nn.Module]):
        super().__init__()
        self.lin1, self.lin2, self.act = nn.Linear(dim, hidden), nn.Linear(hidden, dim), activation()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        return self.lin2(self.act(self.lin1(x)))


def blocks(x: torch.Tensor, size: int) -> torch.Tensor:
    """(batch, 1, x, y, z) -> (batch, x/size, y/size, z/size, size³): the voxels of each block, last axis fastest."""
    batch, _, *shape = x.shape
    split = [n for axis in shape for n in (axis // size, size)]
    return x.reshape(batch, *split).permute(0, 1, 3, 5, 2, 4, 6).reshape(batch, *[n // size for n in shape], -1)


def nest(x: torch.Tensor) -> torch.Tensor:
    """(batch, 1, 4g, 4g, 4g) -> (batch, g, g, g, 8, 8): the eighths of each token, the voxels of each eighth."""
    batch, grid = len(x), x.shape[-1] // 4
    x = x.reshape(batch, *(grid, 2, 2) * 3).permute(0, 1, 4, 7, 2, 5, 8, 3, 6, 9)
    return x.reshape(batch, grid, grid, grid, 8, 8)


def unnest(x: torch.Tensor, axis: int) -> torch.Tensor:
    """`nest` the other way: (..., g, g, g, 8, 8, ...) -> (..., 4g, 4g, 4g, ...); `axis` is that of the first g."""
    before, grid, after = x.shape[:axis], x.shape[axis : axis + 3], x.shape[axis + 5 :]
    parted = x.reshape(*before, *grid, *(2,) * 6, *after)
    order = [axis + i for i in (0, 3, 6, 1, 4, 7, 2, 5, 8)]
    last = range(axis + 9, parted.ndim)
    return parted.permute(*range(axis), *order, *last).reshape(*before, *(4 * n for n in grid), *after)


def down(conv: nn.Conv3d, x: torch.Tensor) -> torch.Tensor:
    """A convolution whose kernel is its stride, of blocks that lie last.

    Args:
        conv: kernel size k, stride k.
        x: (..., k³, in) or, where in is 1, (..., k³).

    Returns:
        (..., out).
    """
    weight = conv.weight.flatten(2).transpose(1, 2).flatten(1)  # out, k³ in
    return F.linear(x.flatten(-2) if x.shape[-1] != weight.shape[1] else x, weight, conv.bias)


def up(conv: nn.ConvTranspose3d, x: torch.Tensor) -> torch.Tensor:
    """A transposed convolution whose kernel is its stride: (..., in) -> (..., k³, out), each voxel's block."""
    into, out = conv.weight.shape[:2]
    weight = conv.weight.flatten(2).transpose(1, 2).reshape(into, -1)  # in, k³ out
    return (x @ weight).unflatten(-1, (-1, out)) + conv.bias
