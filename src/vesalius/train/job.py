"""What a task hands to the trainer: a module that gives a loss, samples, and how to judge, save and describe what
comes.

The trainer knows nothing of segmentation or language; a family of models is a file or folder beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass
class Job:
    """One training, ready to run.

    Attributes:
        module: its `forward(**batch)` gives `{"loss": ..., other numbers}`.
        dataset: map-style, as long as all steps need; sample i is the same whenever it is asked for.
        collate: items to a batch.
        groups: parameter groups with their learning rates relative to the recipe's (`scale`).
        evaluate: judges the present weights through `bench`; names and numbers.
        save, load: the trained weights, to and from a folder (of a checkpoint, or the output).
        finish: what is added to the output at the end (preprocessing, golden case, calibration); numbers for the card.
        facts: for the card: data, model, sizes.
        picture: a batch as rows of (caption, PNG) for the data page.
    """

    module: torch.nn.Module
    dataset: torch.utils.data.Dataset
    collate: Callable[[Sequence[Any]], dict[str, Any]]
    save: Callable[[Path], None]
    load: Callable[[Path], None]
    evaluate: Callable[[], Mapping[str, float]]
    finish: Callable[[Path], Mapping[str, Any]]
    picture: Callable[[Sequence[Any]], Sequence[tuple[str, bytes]]]
    groups: Callable[[], list[dict[str, Any]]]
    facts: dict[str, Any] = field(default_factory=dict)
    title: str = ""
