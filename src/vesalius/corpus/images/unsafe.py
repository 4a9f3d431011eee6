"""How likely an image shows a naked body: NudeNet's detector, whose model its package brings.

Scores are facts. A clinic's pictures show bodies too: which of the detector's classes the score counts stands here,
where a run draws the line is `Limits.unsafe`, and what was found is kept beside the image, dropped or not. A male
chest, a belly, feet and armpits, bare or not, are no reason.

The detector knows photographs, not X-rays and lesions. Of 932 public clinical images, none of which shows a naked body,
it finds a counted class in 190, with 0.6 and more in 20 (a tenth of the dermoscopic ones), with 0.85 in none; of 80
figures of articles in none. A line much lower than that loses medicine; a corpus of the open web may want one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vesalius.errors import VesaliusError

COUNTED = frozenset(
    {"FEMALE_BREAST_EXPOSED", "FEMALE_GENITALIA_EXPOSED", "MALE_GENITALIA_EXPOSED", "ANUS_EXPOSED", "BUTTOCKS_EXPOSED"}
)
_SIDE = 320  # pixels that the model sees


class Scorer:
    """NudeNet, on one thread.

    Raises:
        VesaliusError: code `packages`.
    """

    def __init__(self) -> None:
        try:
            import nudenet
            import onnxruntime
        except ImportError as error:
            remedy = "pip install 'vesalius[corpus]'"
            problem = f"unsafe images are found by the package {error.name}"
            raise VesaliusError(problem, remedy=remedy, code="packages") from None
        from importlib.resources import files

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = (files(nudenet) / "320n.onnx").read_bytes()
        # Its constructor would start a thread a core.
        self._detector = nudenet.NudeDetector.__new__(nudenet.NudeDetector)
        self._detector.onnx_session = onnxruntime.InferenceSession(
            model, sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._detector.input_name = self._detector.onnx_session.get_inputs()[0].name
        self._detector.input_width = self._detector.input_height = _SIDE

    def score(self, images: Sequence[Any], batch: int = 8) -> list[dict[str, Any]]:
        """The facts of some images.

        Args:
            images: Pillow images, RGB (`check.picture`).
            batch: seen at once.

        Returns:
            For each, `unsafe`: the highest score among `COUNTED`, 0 where there is none (the detector tells none below
            0.25); `unsafe_found`: all that was detected, [{"part": class, "score": 0 to 1}], the highest first.
        """
        arrays = [np.ascontiguousarray(np.asarray(image)[..., ::-1]) for image in images]
        return [_facts(found) for found in self._detector.detect_batch(arrays, batch_size=batch)] if arrays else []


def _facts(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    parts = [{"part": one["class"], "score": round(one["score"], 4)} for one in found]
    parts.sort(key=lambda one: (-one["score"], one["part"]))
    return {
        "unsafe": max((one["score"] for one in parts if one["part"] in COUNTED), default=0.0),
        "unsafe_found": parts,
    }
