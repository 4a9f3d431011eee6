"""Objects on a volume: every mask a function of the log of what was done, and of the mask that it began with.

An object is a layer. Those that are not locked are painted in the order in which they were last edited, later over
earlier; a locked one keeps the voxels that were seen as its own when it was locked. An initial mask gives layers, which
prompts go on from. Knows nothing of HTTP and files but the log's.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.errors import VesaliusError
from vesalius.media.counts import label_counts
from vesalius.media.volume import Volume, onto_grid
from vesalius.models.promptable import Prompt, Promptable, check_prompts
from vesalius.serve import log

LAYERS = 255  # that the page can show
_KEPT = 128  # results of the model that are kept for undo and replay

# Okabe and Ito's colours, told apart by colour-blind people, then lighter and darker ones.
COLOURS = (
    "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2", "#8dd3c7",
    "#fb8072", "#bebada", "#b3de69", "#fdb462", "#bc80bd", "#80b1d3", "#ccebc5", "#fccde5",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Part:
    """A mask by the box that holds it, and what the model said of it."""

    box: tuple[slice, ...]
    mask: np.ndarray
    confidence: float | None = None
    notes: tuple[str, ...] = ()
    experts: dict[str, float] = field(default_factory=dict)


@dataclass
class Layer:
    """An object: its label is its place in the mask's values."""

    label: int
    name: str
    prompts: dict[int, Prompt] = field(default_factory=dict)
    organ: str = ""
    expert: str = ""
    edited: int = -1
    locked: Part | None = None


class Scene:
    """A volume, a model, an initial mask and the log.

    Args:
        volume: what is looked at.
        model: who answers prompts.
        out: folder of the log.
        initial: labels on the volume's grid (or the same with turned axes), with their names.

    Raises:
        VesaliusError: the mask lies on another grid, the log belongs to something else, the model refuses the volume.
    """

    def __init__(self, volume: Volume, model: Promptable, out: Path, initial: Volume | None = None):
        self.volume, self.model = volume, model
        self.path = out / "prompts.json"
        self._session = model.open(volume)
        self._initial: dict[int, Part] = {}
        self._names: dict[int, str] = {}
        marks = None if initial is None else onto_grid(initial, volume)
        if marks is not None:
            self._read_initial(marks)
        self._answers: OrderedDict[tuple, Part] = OrderedDict()
        self._belongs = log.fingerprint(volume, None if marks is None else marks.data)
        self.entries, self.undone = log.read(self.path, self._belongs)
        self.layers, self.labels = self._replay(self.entries)

    def act(self, entry: Any) -> None:
        """Appends an entry; nothing changes where that fails.

        Raises:
            VesaliusError: a prompt outside the volume, on a locked object, that the model refuses; no such object.
        """
        if isinstance(entry, log.Add):
            entry = self._numbered(entry)
        self._become([*self.entries, entry], [])

    def undo(self) -> None:
        """Takes the last entry away; nothing where there is none."""
        if self.entries:
            self._become(self.entries[:-1], [*self.undone, self.entries[-1]])

    def redo(self) -> None:
        """Brings the entry back that was undone last."""
        if self.undone:
            self._become([*self.entries, self.undone[-1]], self.undone[:-1])

    def part(self, layer: Layer) -> Part:
        """The object's own mask, whatever lies over it; the model is asked once for the same prompts."""
        if not layer.prompts and not layer.organ:
            return self._initial.get(layer.label, self._empty())
        key = (layer.label, tuple(layer.prompts.values()), layer.organ, layer.expert)
        if key not in self._answers:
            start = None
            if layer.label in self._initial:
                start = np.zeros(self.volume.shape, bool, order="F")
                part = self._initial[layer.label]
                start[part.box] = part.mask
            answer = self._session.segment(
                list(layer.prompts.values()), organ=layer.organ or None, expert=layer.expert or None, start=start
            )
            found = self._part(answer.mask)
            self._answers[key] = Part(found.box, found.mask, answer.confidence, answer.notes, answer.experts)
            while len(self._answers) > _KEPT:
                self._answers.popitem(last=False)
        self._answers.move_to_end(key)
        return self._answers[key]

    def describe(self) -> dict[str, Any]:
        """The objects and what can be undone, for the page."""
        counts = label_counts(self.labels)
        ml = float(abs(np.linalg.det(self.volume.affine[:3, :3]))) / 1000
        objects = [self._described(i, layer, int(counts[layer.label]), ml) for i, layer in enumerate(self.layers)]
        return {"objects": objects, "can_undo": bool(self.entries), "can_redo": bool(self.undone)}

    def mask(self) -> Volume:
        """Labels (uint8 or uint16) on the volume's grid, with the objects' names."""
        return Volume(self.labels, self.volume.affine, names={layer.label: layer.name for layer in self.layers})

    def colour(self, index: int) -> str:
        """Of the index-th object."""
        return COLOURS[index % len(COLOURS)]

    def _described(self, index: int, layer: Layer, voxels: int, ml: float) -> dict[str, Any]:
        part = self.part(layer)
        prompts = [
            {"number": number, "at": list(p.at), "positive": p.positive, "voxel": self._voxel(p)}
            for number, p in layer.prompts.items()
        ]
        return {
            "label": layer.label, "name": layer.name, "colour": self.colour(index), "locked": layer.locked is not None,
            "organ": layer.organ, "expert": layer.expert, "prompts": prompts, "voxels": voxels,
            "ml": round(voxels * ml, 3), "confidence": part.confidence, "notes": list(part.notes),
            "experts": part.experts, "edited": layer.edited,
        }  # fmt: skip

    def _voxel(self, prompt: Prompt) -> list[int]:
        index = check_prompts([prompt], self.volume)
        return [int(i) for i in np.round(index).ravel()]

    def _become(self, entries: list, undone: list) -> None:
        layers, labels = self._replay(entries)
        out = self.volume.path.name if self.volume.path else ""
        log.write(self.path, self._belongs, out, self.model.name, entries, undone)
        self.entries, self.undone, self.layers, self.labels = entries, undone, layers, labels

    def _replay(self, entries: list) -> tuple[list[Layer], np.ndarray]:
        """Layers and labels after all entries."""
        layers = {label: Layer(label, name) for label, name in self._names.items()}
        prompts = 0
        for turn, entry in enumerate(entries):
            if isinstance(entry, log.Add):
                layers[entry.object] = Layer(entry.object, entry.name, edited=turn)
                continue
            layer = layers.get(entry.object)
            if layer is None:
                remedy = "choose one of the list"
                raise VesaliusError(f"there is no object {entry.object}", remedy=remedy, code="object")
            if isinstance(entry, log.Click | log.Remove | log.Ask):
                if layer.locked is not None:
                    raise VesaliusError(f"{layer.name} is locked", remedy="unlock it to go on with it", code="locked")
                layer.edited = turn
            match entry:
                case log.Click():
                    prompts += 1
                    prompt = Prompt(tuple(entry.at), entry.positive)
                    check_prompts([prompt], self.volume)
                    layer.prompts[prompts] = prompt
                case log.Remove():
                    if entry.prompt not in layer.prompts:
                        problem = f"{layer.name} has no prompt {entry.prompt}"
                        raise VesaliusError(problem, remedy="choose one of its list", code="prompt")
                    del layer.prompts[entry.prompt]
                case log.Ask():
                    self._check_asked(entry)
                    layer.organ, layer.expert = entry.organ, entry.expert
                case log.Rename():
                    layer.name = entry.name
                case log.Lock():
                    layer.locked = self._part(self._paint(layers) == layer.label) if entry.locked else None
                case log.Delete():
                    del layers[entry.object]
        return list(layers.values()), self._paint(layers)

    def _paint(self, layers: dict[int, Layer]) -> np.ndarray:
        labels = np.zeros(self.volume.shape, np.uint8 if max(layers, default=0) < 256 else np.uint16, order="F")
        for layer in sorted(layers.values(), key=lambda layer: (layer.locked is not None, layer.edited)):
            part = layer.locked or self.part(layer)
            labels[part.box][part.mask] = layer.label
        return labels

    def _part(self, mask: np.ndarray) -> Part:
        lines = [np.flatnonzero(mask.any(axis=tuple(i for i in range(3) if i != axis))) for axis in range(3)]
        if not len(lines[0]):
            return self._empty()
        box = tuple(slice(int(line[0]), int(line[-1]) + 1) for line in lines)
        return Part(box, mask[box].copy(order="F"))

    def _empty(self) -> Part:
        return Part((slice(0, 0),) * 3, np.zeros((0, 0, 0), bool))

    def _numbered(self, entry: log.Add) -> log.Add:
        taken = {*self._names, *(layer.label for layer in self.layers)}
        label = entry.object or max([0, *taken, *(e.object for e in self.entries)]) + 1
        if label in taken:
            raise VesaliusError(f"there is an object {label} already", remedy="leave the label open", code="object")
        if len(self.layers) >= LAYERS or label > 65535:
            raise VesaliusError(f"more than {LAYERS} objects", remedy="delete some, or begin anew", code="object")
        return log.Add(object=label, name=entry.name or f"object {label}")

    def _check_asked(self, entry: log.Ask) -> None:
        for what, given, known in (
            ("organ", entry.organ, self.model.organs),
            ("expert", entry.expert, self.model.experts),
        ):
            if given and given not in known:
                remedy = f"choose one of {', '.join(known)}" if known else "give clicks alone"
                raise VesaliusError(f"{self.model.name} has no {what} {given}", remedy=remedy, code=what)

    def _read_initial(self, marks: Volume) -> None:
        found = [int(v) for v in np.unique(marks.data) if v]
        if len(found) > LAYERS or (found and found[-1] > 65535):
            problem = f"{len(found)} labels, the largest {found[-1]}"
            remedy = f"give at most {LAYERS} labels, none above 65535"
            raise VesaliusError(problem, file=marks.path, remedy=remedy, code="labels")
        for label in sorted({*found, *(v for v in marks.names if 0 < v < 65536)}):
            self._names[label] = marks.names.get(label, f"label {label}")
            self._initial[label] = self._part(marks.data == label)
