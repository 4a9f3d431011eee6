"""Models that are prompted: clicks and boxes in the patient, the name of an organ, a mask to go on from.

    sam3d:FOLDER     a SAM-Med3D, alone or with its experts      seeds:     region growing from the clicks, no weights

Knows what a prompt is (in RAS mm, so that no axis order and no resampling can confuse it) and what comes back: a mask
on the volume's own grid. An image is looked at once: `open` gives a session, and every answer of it is a function of
the prompts alone, so that undo, deleting one prompt and replaying a log need no state. Leaves who clicks to
`bench/clicks` (the simulator) and `serve` (a person).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
from pydantic import ValidationError

from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume
from vesalius.models.protocol import BACKENDS, bad_option, parse_url

# Backends whose module also has `promptable(target, name, options) -> Promptable`.
PROMPTABLE = ("sam3d", "seeds")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A click or a box.

    Attributes:
        at: RAS mm; a point (x, y, z), or the lower and the upper corner of a box after each other.
        positive: whether it belongs to the structure; a box always does.
    """

    at: tuple[float, ...]
    positive: bool = True

    def __post_init__(self):
        if len(self.at) not in (3, 6):
            raise VesaliusError(f"a prompt of {len(self.at)} numbers", remedy="give 3 (a point) or 6 (a box), in mm")
        if self.is_box and not self.positive:
            raise VesaliusError("a box that is negative", remedy="click what does not belong", code="prompt")

    @property
    def is_box(self) -> bool:
        """Box or point."""
        return len(self.at) == 6


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What came of some prompts.

    Attributes:
        mask: bool, on the volume's grid.
        confidence: what the model thinks of it, 0 to 1 (an estimate of the IoU); None where it does not say.
        notes: what a person should know ("the mask touches the window's face ...").
        experts: who answered, by weight; empty where there is one network alone.
        probability: uint8, 0 to 255, on the volume's grid, where asked for.
    """

    mask: np.ndarray
    confidence: float | None = None
    notes: tuple[str, ...] = ()
    experts: dict[str, float] = field(default_factory=dict)
    probability: np.ndarray | None = None


class Session(Protocol):
    """One volume being segmented; what was computed of it (embeddings) is kept and used again."""

    @property
    def volume(self) -> Volume:
        """As it was opened."""
        ...

    def segment(
        self,
        prompts: Sequence[Prompt],
        *,
        organ: str | None = None,
        expert: str | None = None,
        start: np.ndarray | None = None,
        probability: bool = False,
    ) -> Segmentation:
        """The structure that the prompts mean.

        Args:
            prompts: in the order in which they were given; may be empty where an organ is named.
            organ: one of the model's `organs`; alone, without a prompt, it asks for automatic segmentation.
            expert: one of the model's `experts`, instead of what the model would choose.
            start: bool mask on the volume's grid to go on from.
            probability: give the probability map too.

        Raises:
            VesaliusError: a prompt outside the volume, an organ or expert that is not known, nothing to go by.
        """
        ...


class Promptable(Protocol):
    """A model that opens volumes.

    It may have `identity() -> dict` too, hashes that tell when scores are to be made again, and `needs(header)`, the
    memory that a volume will take (`.total`, bytes), before it is read.

    Attributes:
        name: how tables call it.
        organs: names that it segments without a prompt.
        experts: names of its experts, "general" first; empty where there is one network alone.
    """

    name: str
    organs: tuple[str, ...]
    experts: tuple[str, ...]

    def open(self, volume: Volume) -> Session:
        """Begins with a volume.

        Raises:
            VesaliusError: no volume that it can work on (one slice, NaN, nothing but air).
        """
        ...


def open_promptable(url: str | Path) -> Promptable:
    """The promptable model that a URL names; a bare path is a `sam3d:` folder.

    Raises:
        VesaliusError: it names none, or one that takes no clicks.
    """
    text = str(url)
    parsed = parse_url(f"sam3d:{text}" if Path(text).exists() else text)
    if parsed.backend not in PROMPTABLE:
        remedy = f"name one of {', '.join(f'{b}:…' for b in PROMPTABLE)}"
        raise VesaliusError(f"a model of {parsed.backend}: takes no clicks", file=text, remedy=remedy, code="model")
    module = import_module(BACKENDS[parsed.backend])
    try:
        options = module.Options(**parsed.options)
    except ValidationError as error:
        raise bad_option(text, error, module.Options.model_fields) from None
    return module.promptable(parsed.target, parsed.name, options)


def check_prompts(prompts: Sequence[Prompt], volume: Volume) -> np.ndarray:
    """Voxel indices of every point and box corner, float, shape (prompts with corners, 3).

    Raises:
        VesaliusError: code `outside`, the first one that lies outside the volume, in mm and voxels.
    """
    corners = np.array([p for prompt in prompts for p in np.reshape(prompt.at, (-1, 3))], float).reshape(-1, 3)
    back = np.linalg.inv(volume.affine)
    index = corners @ back[:3, :3].T + back[:3, 3]
    limit = np.array(volume.shape[:3])
    wrong = ~np.isfinite(index).all(axis=1) | ((index < -0.5) | (index > limit - 0.5)).any(axis=1)
    for number in np.flatnonzero(wrong):
        where = "(" + ", ".join(f"{x:.1f}" for x in corners[number]) + ") mm"
        voxel = tuple(int(x) for x in np.nan_to_num(np.round(index[number])))
        problem = f"the prompt at {where} lies outside: voxel {voxel} of {tuple(int(n) for n in limit)}"
        remedy = "give RAS millimetres, as in the file's own affine (NIfTI; DICOM's first two change their sign)"
        raise VesaliusError(problem, file=volume.path, remedy=remedy, code="outside")
    return index
