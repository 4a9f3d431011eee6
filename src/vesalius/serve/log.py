"""The ordered log of what a person did to a volume, and its file.

Knows the kinds of entries and that all else follows from them: undo takes the last one away, a restart replays them.
Leaves what they do to the mask to `scene.py`.
"""

import json
import zlib
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from vesalius.errors import VesaliusError
from vesalius.media.grid import grid_difference
from vesalius.media.volume import Volume
from vesalius.run import replacing

FORMAT = 1


class _Entry(BaseModel):
    """Something that was done to an object; `object` is its label in the mask."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    object: int = Field(ge=0, le=65535)


class Add(_Entry):
    """A new object; 0 asks for the next free label."""

    do: Literal["add"] = "add"
    name: str = Field("", max_length=64)


class Click(_Entry):
    """A prompt, RAS mm: a point, or a box by its lower and upper corner."""

    do: Literal["prompt"] = "prompt"
    at: Annotated[tuple[float, ...], Field(min_length=3, max_length=6)]
    positive: bool = True


class Remove(_Entry):
    """Takes one prompt back: the n-th of the whole log, from 1."""

    do: Literal["remove"] = "remove"
    prompt: int


class Ask(_Entry):
    """Which organ, and which expert, the object is asked for; empty: none in particular."""

    do: Literal["ask"] = "ask"
    organ: str = ""
    expert: str = ""


class Rename(_Entry):
    """Another name."""

    do: Literal["rename"] = "rename"
    name: Annotated[str, Field(min_length=1, max_length=64)]


class Lock(_Entry):
    """Finished: its voxels stay as they are seen now; or not finished any more."""

    do: Literal["lock"] = "lock"
    locked: bool = True


class Delete(_Entry):
    """Takes an object out of the mask."""

    do: Literal["delete"] = "delete"


Entry = Annotated[Add | Click | Remove | Ask | Rename | Lock | Delete, Field(discriminator="do")]
ENTRIES: TypeAdapter[list[Entry]] = TypeAdapter(list[Entry])


def fingerprint(volume: Volume, initial: np.ndarray | None) -> dict[str, Any]:
    """What a log belongs to: the image's grid and voxels, and the mask it began with."""
    return {
        "shape": [int(n) for n in volume.shape],
        "affine": np.asarray(volume.affine).tolist(),
        "voxels": _checksum(volume.data),
        "mask": 0 if initial is None else _checksum(initial),
    }


def write(path: Path, belongs: dict[str, Any], image: str, model: str, entries: list, undone: list) -> None:
    """Writes the log, whole or not at all."""
    content = {
        "format": FORMAT,
        "image": image,
        "model": model,
        "belongs_to": belongs,
        "entries": [entry.model_dump() for entry in entries],
        "undone": [entry.model_dump() for entry in undone],
    }
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=1), "utf-8")


def read(path: Path, belongs: dict[str, Any]) -> tuple[list, list]:
    """Entries done and undone; both empty where there is no log yet.

    Raises:
        VesaliusError: code `log`: it cannot be read, or belongs to another image or mask.
    """
    if not path.exists():
        return [], []
    remedy = "give another folder with --out, or move the log away"
    try:
        content = json.loads(path.read_text("utf-8"))
        entries, undone = (ENTRIES.validate_python(content[key]) for key in ("entries", "undone"))
        former = content["belongs_to"]
        own, theirs = (Volume(np.empty(b["shape"], bool), np.array(b["affine"])) for b in (belongs, former))
        other = grid_difference(theirs, own)
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        problem = f"cannot be read as a log of prompts: {str(error).splitlines()[0]}"
        raise VesaliusError(problem, file=path, remedy=remedy, code="log") from None
    if other is None:
        other = "other voxels" if former["voxels"] != belongs["voxels"] else None
    if other:
        raise VesaliusError(f"the prompts belong to another image: {other}", file=path, remedy=remedy, code="log")
    if former["mask"] != belongs["mask"]:
        problem = "the prompts were given on another initial mask"
        raise VesaliusError(problem, file=path, remedy=f"give the same --mask; or {remedy}", code="log")
    return entries, undone


def _checksum(data: np.ndarray) -> int:
    """CRC-32 of the voxels in file order."""
    flat = np.asfortranarray(data)
    return zlib.crc32(flat.T.data)
