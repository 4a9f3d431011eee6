"""SAM-Med3D and its mixture of experts."""

from vesalius.nets.sam3d.config import Sam3DConfig
from vesalius.nets.sam3d.model import Decoded, Prompts, Sam3DModel

__all__ = ["Decoded", "Prompts", "Sam3DConfig", "Sam3DModel"]
