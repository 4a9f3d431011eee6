"""`sam3d:FOLDER`: a SAM-Med3D, alone or with its experts and gate, prompted by clicks or by the names of organs.

    sam3d:out/   sam3d:sam_med3d_turbo.pth   sam3d:out/?expert=pancreas   sam3d:out/?zoom=2&device=cuda

A folder that `vesalius train` wrote, or a public `.pth`. As a model that answers questions it takes a volume with
points or boxes, or the names of organs that its experts know. Leaves the network to `nets/sam3d`, one volume to
`session.py`.
"""

import hashlib
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field

from vesalius.errors import VesaliusError
from vesalius.media.volume import Header, Volume, read_volume, write_volume
from vesalius.models.promptable import Prompt
from vesalius.models.protocol import Generation
from vesalius.models.sam3d.memory import GIB, Needs, needs
from vesalius.models.sam3d.session import Sam3DSession
from vesalius.nets.sam3d.crop import Preprocessing, Scan
from vesalius.nets.sam3d.experts import GENERAL, Mixture, load_mixture
from vesalius.nets.sam3d.public import load_public
from vesalius.records import Answer, Message, Part, Question
from vesalius.run import file_hash

NEGATIVE = "negative"  # the text of a `points` part whose points do not belong


class Options(Generation):
    """Where it runs and how it looks; settings of generation are ignored."""

    device: str = Field("auto", description="cuda, cuda:1, mps, cpu, or auto.")
    expert: str = Field("", description="Always this expert (general: the general decoder), whatever the gate says.")
    zoom: float = Field(1.0, gt=0, le=8, description="Windows so many times as wide, for large structures.")
    widen: bool = Field(False, description="Where a window cuts the mask, look again through a wider one.")
    memory: float | None = Field(None, gt=0, description="GiB in all; a volume that would take more is refused.")
    keep: str = Field("", description="Folder that keeps masks; by default they vanish when the model is closed.")


class Sam3D:
    """See the module; both a `Promptable` and a `Model`.

    Attributes:
        mixture, preprocessing: loaded when first needed.
    """

    media = frozenset({"volume", "points", "boxes"})

    def __init__(self, path: Path, name: str, options: Options):
        if not path.exists():
            raise VesaliusError("there is no such model", file=path, remedy="check the path", code="model")
        self.path, self.name, self.options = path, name, options
        self._own = tempfile.TemporaryDirectory(prefix="vesalius-sam3d-")
        self.keep = Path(options.keep or self._own.name)

    @cached_property
    def device(self) -> torch.device:
        """Where it runs."""
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(auto if self.options.device == "auto" else self.options.device)

    @cached_property
    def mixture(self) -> Mixture:
        """The network."""
        mixture = Mixture(load_public(self.path)) if self.path.is_file() else load_mixture(self.path)
        known = (GENERAL, *mixture.experts)
        if self.options.expert and self.options.expert not in known:
            problem = f"has no expert {self.options.expert}"
            raise VesaliusError(problem, file=self.path, remedy=f"there are {', '.join(known)}", code="expert")
        return mixture.to(self.device)

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """How crops are cut: what lies beside the weights, or what the public code does."""
        if (self.path / "preprocessor_config.json").is_file():
            return Preprocessing.from_pretrained(self.path)
        config = self.mixture.foundation.config
        return Preprocessing(size=config.image_size)

    @property
    def experts(self) -> tuple[str, ...]:
        """Who can be asked by name; empty where there is one network alone."""
        return (GENERAL, *self.mixture.experts) if self.mixture.experts else ()

    @property
    def organs(self) -> tuple[str, ...]:
        """What is segmented without a prompt: targets of experts that were trained for it."""
        return tuple(t for e in self.mixture.experts.values() if e.automatic for t in e.targets)

    def needs(self, image: Header | Volume) -> Needs:
        """The memory that a volume will take, from its header.

        Raises:
            VesaliusError: code `memory`, more than the option allows.
        """
        found = needs(self.mixture, self.preprocessing, image, self.options.zoom)
        if self.options.memory and found.total > self.options.memory * GIB:
            problem = f"would take about {found}, more than memory={self.options.memory:g}"
            remedy = "allow more, or give a part of it or a coarser copy"
            raise VesaliusError(problem, file=image.path, remedy=remedy, code="memory")
        return found

    def open(self, volume: Volume) -> Sam3DSession:
        """Begins with a volume; see `Promptable.open` and `needs`."""
        self.needs(volume)
        scan = Scan(volume, self.preprocessing)
        return Sam3DSession(self.mixture, scan, self.options.expert or None, self.options.zoom, self.options.widen)

    def identity(self) -> dict[str, Any]:
        """Hashes of the weights and of what goes with them, and how it looks."""
        files = [self.path] if self.path.is_file() else sorted(self.path.rglob("*.safetensors"))
        files += [] if self.path.is_file() else sorted(self.path.rglob("*.json"))
        hashes = {str(f.relative_to(self.path.parent)): file_hash(f) for f in files if "checkpoint-" not in str(f)}
        looks = {key: getattr(self.options, key) for key in ("expert", "zoom", "widen")}
        return {"backend": "sam3d", "files": hashes, **looks}

    def check(self) -> str:
        """Loads it, segments the golden case that lies beside the weights, and says what was found."""
        config, count = self.mixture.foundation.config, sum(p.numel() for p in self.mixture.parameters())
        how = self.preprocessing
        experts = f"; experts {', '.join(self.mixture.experts)}" if self.mixture.experts else ""
        said = f"SAM-Med3D, {count:,} parameters, {config.image_size}³ of {how.spacing:g} mm, on {self.device}{experts}"
        return f"{said}; {self._golden()}"

    def _golden(self) -> str:
        """Segments the stored case and compares with the stored Dice.

        Raises:
            VesaliusError: code `golden`, where it comes out otherwise: weights and code do not belong together.
        """
        file = self.path / "golden.json" if self.path.is_dir() else Path()
        if not file.is_file():
            return "no golden case beside it"
        facts = json.loads(file.read_text("utf-8"))
        stored = np.load(file.with_suffix(".npz"))
        session = Sam3DSession(self.mixture, Scan(Volume(stored["image"], stored["affine"]), self.preprocessing))
        mask = session.segment([Prompt(tuple(p["at"]), p["positive"]) for p in facts["prompts"]]).mask
        truth = np.unpackbits(stored["truth"], count=mask.size).reshape(mask.shape).astype(bool)
        dice = 2 * float((mask & truth).sum()) / max(1, int(mask.sum() + truth.sum()))
        if abs(dice - facts["dsc"]) > 0.02:
            problem = f"its golden case comes out with a DSC of {dice:.3f}; stored is {facts['dsc']:.3f}"
            remedy = "weights, preprocessing and version do not belong together: copy the folder again, whole"
            raise VesaliusError(problem, file=self.path, remedy=remedy, code="golden")
        return f"golden case as stored (DSC {dice:.3f})"

    def answer(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """One by one; see `Model.answer`."""
        for question in questions:
            begin = time.perf_counter()
            try:
                message, status, reason = self._one(question), "answered", None
            except VesaliusError as error:
                message, status, reason = None, "failed", str(error)
            yield Answer(question.id, message, status, reason, seconds=time.perf_counter() - begin)

    def _one(self, question: Question) -> Message:
        volumes = [part.path for part in question.media if part.type == "volume" and part.path]
        if len(volumes) != 1:
            problem = f"{len(volumes)} volumes are asked about; one is taken"
            raise VesaliusError(problem, case=question.id, remedy="ask about one volume", code="medium")
        session = self.open(read_volume(volumes[0]))
        prompts = [p for part in question.media for p in _prompts(part)]
        labels = np.zeros(session.volume.shape, np.uint8, order="F")
        if prompts:
            names = {1: "object"}
            labels[session.segment(prompts).mask] = 1
        else:
            words = " ".join(part.text or "" for m in question.messages for part in m.parts if part.type == "text")
            wanted = [organ for organ in self.organs if organ in words] or list(self.organs)
            names = dict(enumerate(wanted, 1))
            for label, found in zip(names, session.segment_organs(wanted), strict=True):
                labels[found.mask] = label
        self.keep.mkdir(parents=True, exist_ok=True)
        path = self.keep / f"{hashlib.sha256(question.id.encode()).hexdigest()[:24]}.nii.gz"
        write_volume(path, Volume(labels, session.volume.affine, names=names))
        return Message("assistant", (Part.of("mask", path, labels=names),))

    def close(self) -> None:
        """Forgets the network; removes masks that nobody asked to keep."""
        self.__dict__.pop("mixture", None)
        self._own.cleanup()


def _prompts(part: Part) -> list[Prompt]:
    if part.type == "points":
        return [Prompt(tuple(map(float, at)), part.text != NEGATIVE) for at in part.points or ()]
    return [Prompt(tuple(map(float, at))) for at in part.boxes or ()] if part.type == "boxes" else []


def promptable(target: str, name: str, options: Options) -> Sam3D:
    """As `connect`; see `promptable.py`."""
    return Sam3D(Path(target), name, options)


def connect(target: str, name: str, options: Options) -> Sam3D:
    """`sam3d:FOLDER`.

    Raises:
        VesaliusError: there is nothing.
    """
    return Sam3D(Path(target), name, options)
