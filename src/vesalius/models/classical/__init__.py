"""Four segmenters of abdominal CT from before deep learning: baselines that any new model should beat.

`windows` (intensity windows where the structure usually lies), `atlas` (probabilistic atlas after affine
registration), `walker` (the atlas refined by a random walker) and `forest` (random forest over voxels). Each learns
from pairs of image and labels alone: `segment(volume)` gives labels on the same grid, `save(path)` and `load(path)`
keep what was learned. Leaves where cases come from to its callers.
"""

from pathlib import Path
from typing import Any

from vesalius.models.classical.segmenter import Segmenter, TrainingCase, Work

MODELS = ("windows", "atlas", "walker", "forest")

__all__ = ["MODELS", "Segmenter", "TrainingCase", "fit", "load"]


def fit(model: str, cases: list[Work], names: dict[int, str], atlas: Path | None = None) -> Segmenter:
    """Fits one of MODELS.

    Args:
        model: which.
        cases: of `segmenter.load_training`.
        names: label id -> structure.
        atlas: a saved atlas of the same cases, for those that build on one.
    """
    from vesalius.models.classical.atlas import Atlas
    from vesalius.models.classical.forest import Forest
    from vesalius.models.classical.walker import Walker
    from vesalius.models.classical.windows import Windows

    if model == "windows":
        return Windows.fit(cases, names)
    ready = Atlas.load(atlas) if atlas else Atlas.fit(cases, names)
    if model == "forest":
        return Forest.grow(cases, ready)
    return Walker(ready) if model == "walker" else ready


def load(files: dict[str, Path]) -> dict[str, Any]:
    """Saved segmenters by model; equal atlases become one, so that a volume is registered once for all."""
    from vesalius.models.classical.atlas import Atlas
    from vesalius.models.classical.forest import Forest
    from vesalius.models.classical.walker import Walker
    from vesalius.models.classical.windows import Windows

    kinds: dict[str, Any] = {"windows": Windows, "atlas": Atlas, "walker": Walker, "forest": Forest}
    out = {model: kinds[model].load(file) for model, file in files.items()}
    shared = next((m.atlas for m in out.values() if hasattr(m, "atlas")), None)
    for model, segmenter in out.items():
        own = segmenter if model == "atlas" else getattr(segmenter, "atlas", None)
        if shared is not None and own is not None and shared.same_as(own):
            if model == "atlas":
                out[model] = shared
            else:
                segmenter.atlas = shared
    return out
