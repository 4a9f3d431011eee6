"""`monai:PATH`: a MONAI Bundle as a model, a folder or a .zip; volumes in, a mask on the image's own grid out.

Volumes come from our own readers (DICOM series, NRRD, …) and are handed over as temporary NIfTI files. Preprocessing,
inferer and postprocessing are the bundle's, as it defines them; what is added is said in `bundle.py`. Names come from
the bundle's metadata, or from `labels=FILE`. A case that cannot be answered is a failed Answer with its reason.
"""

import hashlib
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from vesalius.errors import VesaliusError
from vesalius.formats.labels import read_label_map
from vesalius.media.grid import grid_difference
from vesalius.media.volume import Volume, as_labels, onto_grid, read_volume, write_volume
from vesalius.models.bundle import Bundle, Opened, said
from vesalius.models.protocol import Generation
from vesalius.records import Answer, Message, Part, Question
from vesalius.run import file_hash


class Options(Generation):
    """Where a bundle runs, and what stands elsewhere than the model zoo has it; settings of generation are ignored."""

    device: str = Field("auto", description="cuda, cuda:1, mps, cpu, or auto.")
    config: str = Field("", description="Another configuration than configs/inference.json or .yaml.")
    weights: str = Field("", description="Another file than the configuration loads (.pt, or .ts for TorchScript).")
    labels: str = Field("", description="Label map that names the ids, where the metadata does not.")
    keep: str = Field("", description="Folder that keeps masks; by default they vanish when the model is closed.")


class MonaiBundle:
    """See the module.

    Attributes:
        keep: the folder of the masks.
    """

    media = frozenset({"volume"})

    def __init__(self, path: Path, name: str, options: Options):
        self.name, self.options = name, options
        self._own = tempfile.TemporaryDirectory(prefix="vesalius-monai-")
        self.keep = Path(options.keep or f"{self._own.name}/masks")
        self.bundle = Bundle(_unpacked(path, Path(self._own.name)), options.config, options.weights)
        self.given = None
        if options.labels:
            targets = read_label_map(options.labels).targets
            self.given = {i: name for name, ids in targets.items() for i in ids}
        self._opened: Opened | None = None

    def identity(self) -> dict[str, Any]:
        """A hash of the bundle's files, the label map's, and MONAI's version: its transforms decide voxels."""
        from importlib.metadata import version

        labels = file_hash(self.options.labels) if self.options.labels else ""
        return {"backend": "monai", "bundle": self.bundle.hash, "labels": labels, "monai": version("monai")}

    def check(self) -> str:
        """Opens the bundle, which runs its code, and says what it segments with what."""
        opened, meta = self.opened, self.bundle.meta
        names = self.given or self.bundle.names(opened.argmax, len(self.bundle.structures))
        count = sum(p.numel() for p in opened.network.parameters())
        network = getattr(opened.network, "original_name", type(opened.network).__name__)
        title = " ".join(str(meta[key]) for key in ("name", "version") if meta.get(key)) or self.bundle.root.name
        shown = ", ".join(list(names.values())[:12]) + (", …" if len(names) > 12 else "")
        return f"{title}: {shown}; {network}, {count:,} parameters, on {self.device}"

    @cached_property
    def device(self) -> str:
        """Where it runs."""
        import torch

        if self.options.device != "auto":
            return self.options.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def opened(self) -> Opened:
        """The bundle, opened once."""
        if self._opened is None:
            try:
                self._opened = self.bundle.open(self.device)
            except ImportError:
                remedy = "install it: pip install monai torch"
                raise VesaliusError("MONAI is not installed", file=self.name, remedy=remedy, code="model") from None
        return self._opened

    def answer(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """One by one; see `Model.answer`."""
        for question in questions:
            opened, started = self.opened, time.perf_counter()
            try:
                message, status, reason = self._one(question, opened), "answered", None
            except VesaliusError as error:
                message, status, reason = None, "failed", str(error)
            except Exception as error:  # whatever a bundle's transforms or network make of this case
                message, status, reason = None, "failed", f"the bundle fails: {said(error)}"
            yield Answer(question.id, message, status, reason, seconds=time.perf_counter() - started)

    def _one(self, question: Question, opened: Opened) -> Message:
        volumes = [read_volume(part.path) for part in question.media if part.type == "volume" and part.path]
        self._check(volumes)
        with tempfile.TemporaryDirectory() as folder, self.bundle.running():
            files = [f"{folder}/{n}.nii" for n in range(len(volumes))]
            for file, volume in zip(files, volumes, strict=True):
                write_volume(file, volume)
            found = predict(opened, files, self.bundle, self.device)
        labels, names = self._labels(found, opened.argmax)
        mask = onto_grid(Volume(labels, _affine(found, volumes[0])), volumes[0])
        self._check_names(mask.data, names)
        self.keep.mkdir(parents=True, exist_ok=True)
        path = self.keep / f"{hashlib.sha256(question.id.encode()).hexdigest()[:24]}.nii.gz"
        write_volume(path, Volume(np.asfortranarray(mask.data), volumes[0].affine))
        return Message("assistant", (Part.of("mask", path, labels=names),))

    def _check(self, volumes: list[Volume]) -> None:
        wanted = self.bundle.channels
        if len(volumes) != len(wanted):
            problem = f"{len(volumes)} volumes are asked about, the bundle takes {len(wanted)} ({', '.join(wanted)})"
            remedy = "give each channel as a volume (case_0000, case_0001, …)"
            raise VesaliusError(problem, remedy=remedy, code="channels")
        for volume in volumes:
            if min(volume.shape) < 2:
                problem = f"has one slice (shape {volume.shape}), and the bundle takes volumes"
                raise VesaliusError(problem, file=volume.path, remedy="give all slices", code="shape")
            if not np.isfinite(volume.data).all():
                count = int((~np.isfinite(volume.data)).sum())
                problem = f"{count:,} of its voxels are no numbers"
                raise VesaliusError(problem, file=volume.path, remedy="export it again", code="nan")
            if difference := grid_difference(volume, volumes[0]):
                problem = f"another grid than the first channel: {difference}"
                raise VesaliusError(problem, file=volume.path, remedy="resample it onto the first", code="geometry")

    def _labels(self, found: Any, argmax: bool) -> tuple[np.ndarray, dict[int, str]]:
        """See `labels_of`; with the names that `labels=` gives, or the metadata's."""
        array = found.detach().cpu().numpy()
        array = array if array.ndim == 4 else array[None]
        labels, chosen = labels_of(array, self.bundle.background_first)
        names = self.given if self.given is not None else self.bundle.names(argmax or chosen, len(array))
        return labels, names

    def _check_names(self, labels: np.ndarray, names: dict[int, str]) -> None:
        unknown = [int(i) for i in np.unique(labels) if i and int(i) not in names]
        if unknown:
            problem = f"its mask holds label {unknown[0]}, which no name declares"
            remedy = "name it with labels=FILE"
            raise VesaliusError(problem, file=self.bundle.root, remedy=remedy, code="labels")

    def close(self) -> None:
        """Forgets the network; removes masks that nobody asked to keep, and an unpacked .zip."""
        self._opened = None
        self._own.cleanup()


def predict(opened: Opened, files: list[str], bundle: Bundle, device: str) -> Any:
    """What the postprocessing gives for an image: a tensor (C, x, y, z) on the grid that it ends on.

    Args:
        opened, bundle: of the same bundle.
        files: NIfTI, one a channel.
        device: where the network is.
    """
    import torch
    from monai.data import decollate_batch, list_data_collate
    from monai.utils import convert_to_dst_type

    item = opened.preprocessing({bundle.image_key: files if len(files) > 1 else files[0]})
    batch = list_data_collate([item])
    image = batch[bundle.image_key]
    with torch.no_grad():
        scores = opened.inferer(image.to(device), opened.network)
    while isinstance(scores, list | tuple | dict):  # deep supervision: the finest is first
        scores = scores[bundle.pred_key] if isinstance(scores, dict) else scores[0]
    batch[bundle.pred_key] = convert_to_dst_type(scores.float(), image, device=scores.device)[0]
    return opened.postprocessing(decollate_batch(batch)[0])[bundle.pred_key]


def labels_of(array: np.ndarray, background: bool) -> tuple[np.ndarray, bool]:
    """A label volume (x, y, z) of what a postprocessing gave, and whether its ids are numbers of channels.

    Args:
        array: (C, x, y, z): a label volume where C is 1, else a mask or scores for each channel.
        background: whether the first of several channels is background.

    Raises:
        VesaliusError: structures overlap, or one channel holds no labels.
    """
    if len(array) == 1:
        return as_labels(array[0]), False
    if not np.isin(array, (0, 1)).all():
        return array.argmax(0).astype(np.uint16), True
    masks = array[1:] if background else array
    overlap = int((masks.sum(0) > 1).sum())
    if overlap:
        problem = f"its structures overlap in {overlap:,} voxels, and a mask holds one label a voxel"
        remedy = "let the bundle's postprocessing decide which counts"
        raise VesaliusError(problem, remedy=remedy, code="overlap")
    ids = np.arange(1, len(masks) + 1, dtype=np.float32)
    return as_labels(np.tensordot(ids, masks.astype(np.float32), 1)), False


def _affine(found: Any, image: Volume) -> np.ndarray:
    """Where a prediction lies: what MONAI kept with it; a plain tensor is taken to lie on the image's grid."""
    kept = getattr(found, "affine", None)
    return image.affine if kept is None else np.asarray(kept, dtype=float)


def _unpacked(path: Path, room: Path) -> Path:
    """The folder that holds `configs`, of a folder or a .zip."""
    if not path.exists():
        raise VesaliusError("there is no such bundle", file=path, remedy="check the path", code="model")
    if path.is_file():
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(room / "bundle")
        except (zipfile.BadZipFile, OSError) as error:
            remedy = "give a bundle's folder or .zip"
            raise VesaliusError(f"is no .zip that can be read ({error})", file=path, remedy=remedy) from None
        inside = sorted((room / "bundle").rglob("configs/metadata.json"), key=lambda file: len(file.parts))
        path = inside[0].parent.parent if inside else room / "bundle"
    return path.resolve()


def connect(target: str, name: str, options: Options) -> MonaiBundle:
    """`monai:PATH`.

    Raises:
        VesaliusError: there is nothing, or it is no bundle for volumes.
    """
    return MonaiBundle(Path(target), name, options)
