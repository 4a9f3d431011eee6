"""What each metric is called, which way is better, what its worst value is, and how it is defined.

This file knows metrics as readers of scores need them; the numbers themselves come from the pure functions beside it.
To add one: write its function, add a line here, and name it in `segmentation.COMPUTERS` (docs/add_a_metric.md).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as readers of scores need it.

    Attributes:
        name: as in the `metric` column of a Score.
        better: "higher", "lower", or "zero" (signed: the nearer to zero the better).
        best: value of a perfect answer.
        worst: value of a missed structure or failed prediction; None where it depends on the case (distances: the
            image diagonal in mm; volumes: what an empty prediction gives).
        unit: "" for fractions, else "mm", "ml" or "count".
        title: as written in headings.
        definition: one sentence, with its source.
    """

    name: str
    better: Literal["higher", "lower", "zero"]
    best: float
    worst: float | None
    unit: str
    title: str
    definition: str

    def quality(self, values: np.ndarray) -> np.ndarray:
        """Values turned so that larger is better whatever the metric (any shape; NaN stays NaN)."""
        if self.better == "higher":
            return np.asarray(values, dtype=float)
        return -np.abs(values) if self.better == "zero" else -np.asarray(values, dtype=float)


_SURFACE = "surface elements of the marching-cubes corner grid weighted by area, as in google-deepmind/surface-distance"
_FALSE = "predicted components that touch no reference"
_VOXEL = "boundary voxels (face neighbours outside), unweighted, as in MONAI, medpy and MetricsReloaded"


def _fraction(name: str, title: str, definition: str) -> Metric:
    return Metric(name, "higher", 1.0, 0.0, "", title, definition)


def _distance(name: str, title: str, definition: str) -> Metric:
    return Metric(name, "lower", 0.0, None, "mm", title, definition)


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        _fraction("dsc", "DSC", "Dice similarity, 2|A∩B| / (|A|+|B|)."),
        _fraction("iou", "IoU", "Intersection over union, |A∩B| / |A∪B|."),
        _fraction("nsd", "NSD", f"Share of both surfaces within the tolerance of the other; {_SURFACE}."),
        _distance("hd", "HD", f"Hausdorff distance, the larger of the two directed maxima; {_SURFACE}."),
        _distance("hd95", "HD95", f"Larger of the two directed 95th percentiles; {_SURFACE}."),
        _distance("hd95_pooled", "HD95 (pooled)", f"95th percentile of both directions pooled; {_SURFACE}."),
        _distance("assd", "ASSD", f"Mean distance over both surfaces pooled; {_SURFACE}."),
        _distance("masd", "MASD", f"Mean of the two directed mean distances; {_SURFACE}."),
        _distance("asd_to_prediction", "ASD ref→pred", f"Directed mean distance, reference to prediction; {_SURFACE}."),
        _distance("asd_to_reference", "ASD pred→ref", f"Directed mean distance, prediction to reference; {_SURFACE}."),
        _distance("hd95_to_prediction", "HD95 ref→pred", f"95th percentile, reference to prediction; {_SURFACE}."),
        _distance("hd95_to_reference", "HD95 pred→ref", f"95th percentile, prediction to reference; {_SURFACE}."),
        _fraction("nsd_voxel", "NSD (voxel)", f"Share of both boundaries within the tolerance of the other; {_VOXEL}."),
        _distance("hd_voxel", "HD (voxel)", f"Hausdorff distance; {_VOXEL}."),
        _distance("hd95_voxel", "HD95 (voxel)", f"Larger of the two directed 95th percentiles (linear); {_VOXEL}."),
        _distance("hd95_voxel_pooled", "HD95 (voxel, pooled)", f"95th percentile of both directions pooled; {_VOXEL}."),
        _distance("assd_voxel", "ASSD (voxel)", f"Mean distance over both boundaries pooled; {_VOXEL}."),
        _distance("masd_voxel", "MASD (voxel)", f"Mean of the two directed mean distances; {_VOXEL}."),
        Metric("volume_difference", "zero", 0.0, None, "ml", "Volume difference", "Prediction minus reference, in ml."),
        Metric(
            "relative_volume_difference", "zero", 0.0, -1.0, "", "Relative volume difference",
            "(Prediction minus reference) / reference.",
        ),
        _fraction("boundary_iou", "Boundary IoU", "IoU of the inner bands (Cheng et al., CVPR 2021)."),
        _fraction("cldice", "clDice", "Dice of skeletons and masks (Shit et al., CVPR 2021)."),
        _fraction("instance_f1", "Instance F1", "F1 of connected components matched one to one at an IoU threshold."),
        _fraction("instance_recall", "Instance recall", "Share of reference components that are matched."),
        _fraction("instance_precision", "Instance precision", "Share of predicted components that are matched."),
        _fraction("panoptic_quality", "PQ", "Sum of matched IoU / (TP + FP/2 + FN/2) (Kirillov et al., CVPR 2019)."),
        Metric("false_positive_volume", "lower", 0.0, None, "ml", "FP volume", f"Volume of {_FALSE}, in ml."),
        Metric("false_positive_count", "lower", 0.0, None, "count", "FP count", f"Number of {_FALSE}."),
    )
}  # fmt: skip

# Of answers in words, computed in `bench/questions`; BLEU's single questions are smoothed (see `words.caption_scores`).
OF_ANSWERS: dict[str, Metric] = {
    m.name: m
    for m in (
        _fraction("accuracy", "Accuracy", "Share of questions answered rightly; what cannot be read is wrong."),
        _fraction("recall", "Recall of options", "Share of the right options that were named, of several choices."),
        _fraction("token_f1", "Token F1", "F1 of normalised words, as SQuAD's evaluation has it."),
        _fraction("judge", "Judge", "What a judging model gave: right or wrong, or marks of ten."),
        _fraction("rouge_l", "ROUGE-L", "F-measure of the longest common subsequence (Lin 2004), by rouge-score."),
        *(
            _fraction(f"bleu_{n}", f"BLEU-{n}", f"Words in sequences of 1 to {n}, smoothed by sentence, by sacrebleu.")
            for n in range(1, 5)
        ),
    )
}

# Of what a model says of its own answer to clicks, computed in `bench/clicks`.
CONFIDENCE = Metric(
    "confidence_error", "zero", 0.0, None, "", "Confidence error",
    "What the model says of its own IoU minus that IoU; above zero it is too sure.",
)  # fmt: skip

DEFAULT_METRICS = ("dsc", "nsd", "hd95", "volume_difference")


def metric(name: str) -> Metric:
    """The metric of that name (`instance_recall:0-1ml` is a part of `instance_recall`, `dsc@3` is after 3 clicks).

    One that is not known, from somebody's own table, is taken as a fraction where higher is better.
    """
    base, _, clicks = name.partition("@")
    if clicks.isdigit() and (known := {**METRICS, CONFIDENCE.name: CONFIDENCE}.get(base)):
        many = f"{clicks} click{'' if clicks == '1' else 's'}"
        return replace(known, name=name, title=f"{known.title}, {many}", definition=f"After {many}. {known.definition}")
    known = METRICS.get(name) or METRICS.get(name.partition(":")[0]) or OF_ANSWERS.get(name)
    return known or _fraction(name, name, "Not defined by Vesalius; taken as higher is better, worst 0.")
