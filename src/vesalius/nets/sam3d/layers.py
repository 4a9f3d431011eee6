"""What encoder, prompt encoder and decoder of a SAM-Med3D share."""

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
        return F.layer_norm(x.movedim(1, -1), self.weight.shape, self.weight, self.bias, self.eps).movedim(-1, 1)


class FeedForward(nn.Module):
    """Two linear layers; the published names of their weights."""

    def __init__(self, dim: int, hidden: int, activation: type[nn.Module]):
        super().__init__()
        self.lin1, self.lin2, self.act = nn.Linear(dim, hidden), nn.Linear(hidden, dim), activation()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        return self.lin2(self.act(self.lin1(x)))
