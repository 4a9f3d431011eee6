"""How much memory a volume will take in front of a network, before anything is read: from sizes alone.

Measured against the peak of real processes (tests/models/test_sam3d_memory.py). Knows what is held at the same time;
leaves what to do about it to whoever asks.
"""

from dataclasses import dataclass

import numpy as np

from vesalius.media.volume import Header, Volume
from vesalius.nets.sam3d.crop import SLAB, Preprocessing
from vesalius.nets.sam3d.experts import Mixture

GIB = 1 << 30
_PROCESS = 450 << 20  # Python with torch and transformers imported
_FLOAT = 4


@dataclass(frozen=True)
class Needs:
    """Bytes.

    Attributes:
        network: weights, and what one window takes on its way through; on the device, if there is one.
        volume: intensities, mask and probability map.
        way_back: logits on their way to the volume's grid.
    """

    network: int
    volume: int
    way_back: int

    @property
    def total(self) -> int:
        """All of it and the process itself."""
        return _PROCESS + self.network + self.volume + self.way_back

    def __str__(self) -> str:
        return f"{self.total / GIB:.1f} GiB"


def needs(mixture: Mixture, how: Preprocessing, image: Header | Volume, zoom: float = 1.0) -> Needs:
    """What clicks into an image, or its organs by name, take at their peak.

    Args:
        mixture: the network.
        how: its preprocessing.
        image: the volume, or its header.
        zoom: see `Scan`.
    """
    config = mixture.foundation.config
    weights = sum(p.numel() * p.element_size() for p in mixture.parameters())
    tokens = (config.image_size // config.patch_size) ** 3
    encoding = tokens * (config.hidden_size * (4 + 2 * config.mlp_ratio) + 2 * config.num_attention_heads * tokens)
    decoding = 3 * config.mask_size**3 * config.prompt_dim // 8
    window = 4 * config.image_size**3
    dtype = image.data.dtype if isinstance(image, Volume) else image.dtype
    voxels = int(np.prod(image.shape))
    side = how.size * how.spacing * zoom
    seen = [min(float(n), side / s) for n, s in zip(image.shape, image.spacing, strict=True)]
    half = seen[0] * seen[1] * config.mask_size
    organs = sum(len(expert.targets) for expert in mixture.experts.values() if expert.automatic)
    whole = voxels * float(np.prod(image.spacing)) / (how.spacing * zoom * config.image_size / config.mask_size) ** 3
    return Needs(
        network=int(weights + _FLOAT * (encoding + decoding + window)),
        volume=voxels * (dtype.itemsize + 2),
        way_back=int(_FLOAT * (half + 3 * min(SLAB, float(np.prod(seen))) + organs * whole)),
    )
