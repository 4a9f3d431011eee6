"""Four segmenters of abdominal CT from before deep learning: baselines that any new model should beat.

`windows` (intensity windows where the structure usually lies), `atlas` (probabilistic atlas after affine
registration), `walker` (the atlas refined by a random walker) and `forest` (random forest over voxels). Each learns
from pairs of image and labels alone: `fit(cases) -> self`, `segment(volume) -> labels on the same grid`, `save(path)`, `load(path)`.
"""

from vesalius.models.classical.segmenter import Segmenter, TrainingCase

__all__ = ["Segmenter", "TrainingCase"]
