"""Labelled volumes as trainings see them: which cases there are, and crops of them around targets, balanced by class.

Any layout that `formats/masks` reads: nnU-Net's images and labels, TotalSegmentator's and AbdomenAtlas' folder a case,
the phantom hospitals. Each volume is brought onto its lattice once (MONAI's caches, in memory or on disk), so that a
crop is a slice of it, the same crop that use will cut. Sample number i depends on the seed and on i alone: whoever
resumes, or shares the work among processes, gets the same samples.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from monai import transforms
from monai.data import PersistentDataset
from pydantic import Field

from vesalius import select
from vesalius.errors import VesaliusError
from vesalius.formats.labels import LabelMap, find_label_map
from vesalius.formats.masks import Entry, find_cases, find_images, read_mask
from vesalius.formats.metadata import read_metadata
from vesalius.media.grid import same_axes
from vesalius.media.volume import read_volume
from vesalius.nets.sam3d.crop import RAS, Preprocessing, Scan, Window, normalise, place
from vesalius.run import file_stamp, fingerprint, progress, replacing
from vesalius.settings import Strict


class Source(Strict):
    """Some labelled volumes.

    `folder` holds both (a folder a case, or nnU-Net's imagesTr and labelsTr); else `images` and `labels` are given.
    """

    folder: Path | None = None
    images: Path | None = None
    labels: Path | None = None
    structures: tuple[str, ...] = Field((), description="Which; all by default.")
    metadata: Path | None = Field(None, description="Table of the cases, for `select`.")
    select: str = Field("", description="Condition on the metadata: site in (A, B).")
    cases: tuple[str, ...] = Field((), description="Which; all by default.")


@dataclass(frozen=True)
class LabelledCase:
    """One volume and its labels, not yet read; `structures` empty for all."""

    case: str
    image: Path
    entry: Entry
    labels: LabelMap | None
    structures: tuple[str, ...] = ()


def find(sources: Sequence[Source]) -> list[LabelledCase]:
    """The cases of some sources, in their order.

    Raises:
        VesaliusError: a folder without cases, a condition or structure that fits none.
    """
    cases = [case for source in sources for case in _find(source)]
    if not cases:
        raise VesaliusError("no cases to train on", remedy="name folders under `data`", code="no_cases")
    return cases


def _find(source: Source) -> list[LabelledCase]:
    images, labels = _folders(source)
    pictures, masks = find_images(images), find_cases(labels)
    names = [case for case in masks if case in pictures and (not source.cases or case in source.cases)]
    if not names:
        remedy = f"images are called {next(iter(pictures))}, …, labels {next(iter(masks))}, …"
        raise VesaliusError("no image belongs to a label", file=images, remedy=remedy, code="no_pairs")
    if source.select:
        if source.metadata is None:
            raise VesaliusError("`select` needs `metadata`", remedy="name the table of the cases", code="recipe")
        names = select.where(read_metadata(source.metadata, names).frame, source.select)["case"].to_list()
        if not names:
            problem = f"no case fulfils «{source.select}»"
            raise VesaliusError(problem, file=source.metadata, remedy="loosen it", code="no_cases")
    known = find_label_map(labels)
    if known is not None and (unknown := [s for s in source.structures if s not in known.targets]):
        remedy = f"structures are: {', '.join(known.targets)}"
        raise VesaliusError(f"no structure is called {unknown[0]}", file=known.path, remedy=remedy, code="recipe")
    return [LabelledCase(case, pictures[case], masks[case], known, source.structures) for case in names]


def _folders(source: Source) -> tuple[Path, Path]:
    if source.images and source.labels and not source.folder:
        return source.images, source.labels
    if source.folder is None or source.images or source.labels:
        raise VesaliusError("a source needs `folder`, or `images` and `labels`", remedy="name them", code="recipe")
    training = source.folder / "imagesTr", source.folder / "labelsTr"
    return training if training[0].is_dir() else (source.folder, source.folder)


def on_lattice(case: LabelledCase, how: Preprocessing) -> dict[str, Any]:
    """A case on its lattice.

    Returns:
        `image` float32 (x, y, z); `layers` a list of uint16 label volumes; `targets` name -> (layer, ids); `boxes` name
        -> (first and last voxel, 2 x 3, and number of voxels) of those that are there.
    """
    volume = read_volume(case.image)
    mask = read_mask(case.entry, case.labels)
    if mask.shape != volume.shape:
        problem = f"labels of shape {mask.shape} for an image of {volume.shape}"
        raise VesaliusError(
            problem, file=case.entry.path, case=case.case, remedy="put both on one grid", code="geometry"
        )
    scan = Scan(volume, how)
    lattice = scan.lattice()
    image = scan.cut(Window((0, 0, 0)), shape=lattice)
    layers = [scan.nearest(same_axes(layer, volume.affine, RAS)[0], lattice).astype(np.uint16) for layer in mask.layers]
    wanted = [name for name in case.structures or mask.targets if name in mask.targets]
    targets = {name: mask.targets[name] for name in wanted}
    boxes = {}
    for name, (layer, ids) in targets.items():
        at = np.argwhere(np.isin(layers[layer], ids))
        if len(at):
            boxes[name] = (np.stack([at.min(0), at.max(0)]), len(at))
    return {"image": image, "layers": layers, "targets": targets, "boxes": boxes}


class Cases:
    """Cases on their lattices, in memory or in MONAI's cache on disk; and which structures each holds."""

    def __init__(
        self, cases: Sequence[LabelledCase], how: Preprocessing, cache: Literal["memory", "disk"], folder: Path
    ):
        self.cases, self.how = list(cases), how
        self.problems: list[str] = []
        self._kept: dict[int, dict[str, Any]] = {}
        self._memory, stamp = cache == "memory", fingerprint(how.to_dict())
        logging.getLogger("DataStats").setLevel(logging.CRITICAL)  # MONAI's: errors say what they are about
        self._disk: Any = PersistentDataset(
            self.cases,
            transform=_OnLattice(how),
            cache_dir=None if self._memory else folder / "cache",
            hash_func=lambda case: fingerprint(stamp, _stamp(case)).encode(),
        )
        self.index = self._look(folder / "cases.json")

    def __getitem__(self, number: int) -> dict[str, Any]:
        """See `on_lattice`."""
        if number in self._kept:
            return self._kept[number]
        try:
            item = _unpacked(self._disk[number])
        except RuntimeError as error:  # MONAI's own, around ours
            raise error.__cause__ if isinstance(error.__cause__, VesaliusError) else error from None
        if self._memory:
            self._kept[number] = item
        return item

    def _look(self, file: Path) -> dict[str, dict[int, int]]:
        """Structure -> number of case -> voxels on the lattice; a case that cannot be read is said and left out."""
        known = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        stamp, found = fingerprint(self.how.to_dict()), {}
        with progress("looking at cases", len(self.cases)) as advance:
            for number, case in enumerate(self.cases):
                key = fingerprint(stamp, _stamp(case))
                if key not in known or self._memory:  # in memory: read before processes are forked, once for all
                    try:
                        known[key] = {name: count for name, (_, count) in self[number]["boxes"].items()}
                    except VesaliusError as error:
                        known[key] = {"": str(error)}
                if "" in known[key]:
                    self.problems.append(known.pop(key)[""])
                else:
                    found[number] = known[key]
                advance(len(self.problems))
        with replacing(file) as part:
            part.write_text(json.dumps(known), "utf-8")
        if not found:
            problem = f"no case can be read; the first: {self.problems[0]}"
            raise VesaliusError(problem, remedy="correct that one first", code="no_cases")
        names = sorted({name for counts in found.values() for name in counts})
        return {name: {n: counts[name] for n, counts in found.items() if name in counts} for name in names}


class _OnLattice(transforms.Transform):
    """`on_lattice` as a transform of MONAI, which keeps nothing else in its cache."""

    def __init__(self, how: Preprocessing):
        self.how = how

    def __call__(self, data: LabelledCase) -> dict[str, Any]:
        return _packed(on_lattice(data, self.how))


def _packed(item: dict[str, Any]) -> dict[str, Any]:
    """With tensors and lists alone, which is all that a cache is read back with."""
    layers = [torch.from_numpy(layer) for layer in item["layers"]]
    boxes = {name: (box.tolist(), count) for name, (box, count) in item["boxes"].items()}
    return {**item, "image": torch.from_numpy(item["image"]), "layers": layers, "boxes": boxes}


def _unpacked(item: dict[str, Any]) -> dict[str, Any]:
    layers = [layer.numpy() for layer in item["layers"]]
    boxes = {name: (np.array(box), count) for name, (box, count) in item["boxes"].items()}
    return {**item, "image": item["image"].numpy(), "layers": layers, "boxes": boxes}


def _stamp(case: LabelledCase) -> list[Any]:
    labels = list(case.entry.organs.values()) or [case.entry.path]
    return [file_stamp(case.image), [file_stamp(path) for path in labels], list(case.structures)]


class Crops(torch.utils.data.Dataset):
    """Crops around targets, as many as are asked for.

    Args:
        cases: see `Cases`.
        length: samples in all.
        seed: of everything that is drawn.
        least: voxels on the lattice below which a structure of a case is left out.
        jitter: voxels by which a crop's middle is moved at most, along each axis.
        around: "target", its middle (published), or "click", any of its voxels, where windows lie in use.
        targets: structures of a crop at most: one (published), or more that lie in it, too, on one encoding.
        augment: transforms of MONAI by name, see `augmentation`.
        structures: which; all by default.
    """

    def __init__(
        self,
        cases: Cases,
        length: int,
        seed: int,
        *,
        least: int = 100,
        jitter: int = 0,
        around: Literal["target", "click"] = "target",
        targets: int = 1,
        augment: Sequence[str] = ("flip",),
        structures: Sequence[str] = (),
    ):
        self.cases, self.length, self.seed, self.jitter, self.around = cases, length, seed, jitter, around
        self.least, self.targets = least, targets
        self.transform = augmentation(augment)
        wanted = structures or list(cases.index)
        self.classes = {
            name: numbers
            for name in wanted
            if (numbers := [n for n, count in cases.index.get(name, {}).items() if count >= least])
        }
        if not self.classes:
            problem = (
                f"no case holds {least} voxels of {', '.join(wanted) or 'any structure'} at {cases.how.spacing:g} mm"
            )
            raise VesaliusError(
                problem, remedy="choose other structures, a finer spacing, or fewer `least`", code="data"
            )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One crop and its targets.

        Returns:
            `pixel_values` (1, s, s, s) normalised; `truth` (targets, s, s, s) of 0 and 1, the one that the crop lies
            around first; `seed` and `target` of each; `case`.
        """
        rng = np.random.default_rng([self.seed, index])
        name = self._target(index)
        number = int(rng.choice(self.classes[name]))
        item, how = self.cases[number], self.cases.how
        corner = self._corner(item, name, rng)
        image = cut(item["image"], corner, how.size, how.beyond)
        names, truths = self._targets(item, name, corner, rng)
        self.transform.set_random_state(seed=int(rng.integers(2**31)))
        pair = self.transform({"image": torch.from_numpy(image)[None], "truth": torch.from_numpy(truths).float()})
        image = normalise(np.ascontiguousarray(torch.as_tensor(pair["image"])[0].numpy()))
        return {
            "pixel_values": torch.from_numpy(image)[None].float(),
            "truth": (torch.as_tensor(pair["truth"]) > 0.5).float(),
            "seed": rng.integers(2**31, size=len(names)).tolist(),
            "target": names,
            "case": self.cases.cases[number].case,
        }

    def _targets(
        self, item: dict[str, Any], first: str, corner: np.ndarray, rng: np.random.Generator
    ) -> tuple[list[str], np.ndarray]:
        """Names and masks of a crop's targets: the first, and others of which enough lies in the crop."""
        size = self.cases.how.size
        layers = [cut(layer, corner, size, 0) for layer in item["layers"]]
        names: list[str] = []
        masks: list[np.ndarray] = []
        for name in [first, *(str(other) for other in rng.permutation([n for n in self.classes if n != first]))]:
            if len(names) == self.targets or name not in item["targets"]:
                continue
            layer, ids = item["targets"][name]
            mask = np.isin(layers[layer], ids)
            if name == first or np.count_nonzero(mask) >= self.least:
                names.append(name)
                masks.append(mask)
        return names, np.stack(masks)

    def _corner(self, item: dict[str, Any], name: str, rng: np.random.Generator) -> np.ndarray:
        """Where a crop begins: around the target's middle, or around one of its voxels, as use does with a click."""
        first, last = item["boxes"][name][0]
        shift = rng.integers(-self.jitter, self.jitter + 1, 3)
        if self.around == "target":
            return (first + last + 1) // 2 + shift - self.cases.how.size // 2
        layer, ids = item["targets"][name]
        box = tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))
        inside = np.argwhere(np.isin(item["layers"][layer][box], ids))
        middle = first + inside[int(rng.integers(len(inside)))]
        return place(middle + 0.5 + shift, np.array(item["image"].shape), self.cases.how)

    def _target(self, index: int) -> str:
        """Each run of as many samples as there are classes holds every class once, in an order of its own."""
        names = list(self.classes)
        order = np.random.default_rng([self.seed, 1 << 32, index // len(names)]).permutation(len(names))
        return names[order[index % len(names)]]


def cut(data: np.ndarray, corner: np.ndarray, size: int, beyond: float) -> np.ndarray:
    """A cube of an array from a corner on, which may lie outside; `beyond` where there is nothing."""
    out = np.full((size,) * 3, beyond, data.dtype)
    low, high = np.maximum(corner, 0), np.minimum(corner + size, data.shape)
    if (high > low).all():
        there = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        here = tuple(slice(a - c, b - c) for a, b, c in zip(low, high, corner, strict=True))
        out[here] = data[there]
    return out


def augmentation(names: Sequence[str]) -> Any:
    """MONAI's augmentations of `image` (intensities, not normalised) and `truth`, (1, s, s, s) each.

    `flip` on all axes (the published training's), `turn` by up to 10 degrees and 10 % of size, `intensity` in scale,
    shift and noise.
    """
    both = ["image", "truth"]
    known: dict[str, list[Any]] = {
        "flip": [transforms.RandFlipd(both, 0.5, axis) for axis in range(3)],
        "turn": [
            transforms.RandAffined(
                both, None, 0.5, rotate_range=(0.17,) * 3, scale_range=(0.1,) * 3,
                mode=("bilinear", "nearest"),
                padding_mode="border",
            )
        ],
        "intensity": [
            transforms.RandScaleIntensityd("image", 0.15, prob=0.5),
            transforms.RandStdShiftIntensityd("image", 0.2, prob=0.5),
            transforms.RandGaussianNoised("image", prob=0.3, std=10.0),
        ],
    }  # fmt: skip
    if unknown := [name for name in names if name not in known]:
        remedy = f"there are {', '.join(known)}"
        raise VesaliusError(f"no augmentation is called {unknown[0]}", remedy=remedy, code="recipe")
    return transforms.Compose([transform for name in names for transform in known[name]])


def collate(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A batch: crops (batch, 1, s, s, s); of all their targets `truth` (targets, 1, s, s, s), `seed` and `target`.

    `crop` says of which crop of the batch each target is.
    """
    return {
        "pixel_values": torch.stack([item["pixel_values"] for item in items]),
        "truth": torch.cat([item["truth"] for item in items])[:, None],
        "seed": torch.tensor([seed for item in items for seed in item["seed"]]),
        "crop": torch.tensor([i for i, item in enumerate(items) for _ in item["target"]]),
        "target": [name for item in items for name in item["target"]],
    }


def on_device(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """The batch with its tensors on a device."""
    return {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}


def data_facts(cases: Sequence[LabelledCase]) -> dict[str, Any]:
    """What the card says of the data: how many cases, which, and a fingerprint of names and sizes of their files."""
    files = [path for case in cases for path in (case.image, case.entry.path)]
    sizes = [[path.name, path.stat().st_size] for path in files if path.is_file()]
    return {"cases": len(cases), "names": [case.case for case in cases], "fingerprint": fingerprint(sizes)}


def truths(case: LabelledCase, structures: Sequence[str] = ()) -> Iterator[tuple[str, np.ndarray]]:
    """Structures of a case on its image's own grid, bool, those that are there."""
    mask = read_mask(case.entry, case.labels)
    for name in structures or case.structures or mask.targets:
        if name in mask.targets and (found := mask.binary(name)).any():
            yield name, found
