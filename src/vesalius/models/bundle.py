"""A MONAI Bundle opened: what its metadata says, and the network and transforms that its configuration makes.

    configs/metadata.json         what goes in and what comes out, names of the channels
    configs/inference.json        or .yaml: network_def, preprocessing, inferer, postprocessing
    models/model.pt               weights; or models/model.ts, the network itself as TorchScript
    scripts/                      Python of its own, where it has some

**A bundle is a program.** Its configuration names Python by `_target_` and `$expressions`, which MONAI evaluates: who
opens a bundle runs it, with his own rights. Weights are read as tensors alone. Knows the layout of the model zoo;
leaves volumes, masks and questions to `monai.py`.
"""

import json
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vesalius.errors import VesaliusError
from vesalius.run import file_hash, fingerprint

CONFIGS = ("inference.json", "inference.yaml", "inference.yml")
WEIGHTS = ("models/model.pt", "models/model.ts")
_BACKGROUND = {"background", "bg", "everything else", "unlabeled", "unlabelled"}
_READERS = ("LoadImaged", "LoadImage")


@dataclass(frozen=True, eq=False)
class Opened:
    """A bundle ready to answer.

    Attributes:
        preprocessing, postprocessing: transforms of a dictionary; the second always brings a prediction back to the
            image's own grid, and writes no file.
        network: in evaluation, on its device.
        inferer: called with a batch and the network.
        argmax: whether the ids of a label volume that comes out are numbers of channels.
    """

    preprocessing: Callable
    network: Any
    inferer: Callable
    postprocessing: Callable
    argmax: bool


class Bundle:
    """A bundle's folder and its metadata; nothing of it has been run.

    Attributes:
        root: the folder that holds `configs`.
        meta: the metadata.
        config: the file of the configuration.

    Raises:
        VesaliusError: a file is missing or cannot be read, or it is no bundle for volumes.
    """

    def __init__(self, root: Path, config: str = "", weights: str = ""):
        self.root = root
        self.meta = _json(root / "configs" / "metadata.json")
        names = [config] if config else list(CONFIGS)
        found = [path for name in names for path in (root / "configs" / name, Path(name)) if path.is_file()]
        if not found:
            remedy = "add it, or name another with config="
            raise VesaliusError(f"has no configs/{names[0]}", file=root, remedy=remedy, code="bundle")
        self.config, self._weights = found[0], weights
        data = self.meta.get("network_data_format")
        if not isinstance(data, dict) or not data.get("inputs") or not data.get("outputs"):
            raise self._wrong("says no network_data_format with inputs and outputs", "add what goes in and comes out")
        self.image_key, self._input = next(iter(data["inputs"].items()))
        self.pred_key = "pred" if "pred" in data["outputs"] else next(iter(data["outputs"]))
        self._output = data["outputs"][self.pred_key]
        shape = self._input.get("spatial_shape", [0, 0, 0])
        if len(shape) != 3:
            raise self._wrong(f"describes images of {len(shape)} dimensions", "give a bundle for volumes")

    @property
    def channels(self) -> list[str]:
        """Names of what goes in, a volume each."""
        given = self._input.get("channel_def") or {}
        count = int(self._input.get("num_channels", len(given) or 1))
        return [str(given.get(str(n), f"channel {n}")) for n in range(count)]

    @property
    def structures(self) -> dict[int, str]:
        """Channel of the prediction → name, background too; empty where the metadata has no names."""
        given = self._output.get("channel_def") or {}
        try:
            return {int(number): str(name).strip() for number, name in sorted(given.items(), key=lambda e: int(e[0]))}
        except (ValueError, AttributeError):
            raise self._wrong('has no channel_def like {"1": "spleen"}', "correct it") from None

    @property
    def background_first(self) -> bool:
        """Whether channel 0 of the prediction is background, or not named."""
        return self.structures.get(0, "background").lower() in _BACKGROUND

    def names(self, argmax: bool, channels: int) -> dict[int, str]:
        """Id → name in the label volume that a prediction becomes; see `monai.labels_of`.

        Args:
            argmax: ids are numbers of channels.
            channels: of what the postprocessing gives: 1, a label volume; more, a mask each.

        Raises:
            VesaliusError: the metadata does not say it.
        """
        given, first = self.structures, self.background_first
        remedy = "name the ids with labels=FILE, a map like «spleen: 1»"
        if not given:
            raise self._wrong("names no channels of the prediction (channel_def)", remedy)
        if argmax and not first:
            raise self._wrong(f"calls channel 0 «{given[0]}», which in a label volume is background", remedy)
        if not argmax and channels == 1 and len(given) - first > 1:
            raise self._wrong("has several channels, and the postprocessing makes ids of its own of them", remedy)
        return {number + (not first): name for number, name in given.items() if number or not first}

    @cached_property
    def hash(self) -> str:
        """Of the bytes of all that can decide an answer."""
        folders = [self.root / name for name in ("configs", "models", "scripts")]
        files = sorted(f for folder in folders for f in folder.rglob("*") if f.is_file() and f.suffix != ".pyc")
        besides = [file_hash(path) for path in (self.config, Path(self._weights)) if path.is_file()]
        return fingerprint([[str(f.relative_to(self.root)), file_hash(f)] for f in files], besides, self.config.name)

    def open(self, device: str) -> Opened:
        """Makes the network and the transforms: this runs the bundle's code.

        Raises:
            VesaliusError: its configuration cannot be made, or its weights do not fit; file and remedy say what.
        """
        from monai.bundle import ConfigParser

        with self.running():
            parser = ConfigParser()
            self._made("configuration", lambda: _read(parser, self.root, self.config))
            parser["bundle_root"] = str(self.root)
            parser["device"] = f"$torch.device({device!r})"
            for transform in _transforms(parser.get("preprocessing")):
                if str(transform.get("_target_", "")).rpartition(".")[2] in _READERS:
                    transform["reader"] = "NibabelReader"  # what it is given is NIfTI, whatever it was trained on
            for needed in ("preprocessing", "inferer"):
                if needed not in parser:
                    raise VesaliusError(f"has no {needed}", file=self.config, remedy="add it", code="bundle")
            network = self._network(parser, device)
            before = self._made("preprocessing", lambda: parser.get_parsed_content("preprocessing"))
            inferer = self._made("inferer", lambda: parser.get_parsed_content("inferer"))
            after = None
            if "postprocessing" in parser:
                after = self._made("postprocessing", lambda: parser.get_parsed_content("postprocessing"))
            after, argmax = _onto_the_image(before, after, self.image_key, self.pred_key)
        return Opened(before, network, inferer, after, argmax)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Its own `scripts` can be imported in here, and no network is reached from this thread."""
        for name, module in list(sys.modules.items()):  # of another bundle
            file = Path(getattr(module, "__file__", None) or "/")
            if name.partition(".")[0] == "scripts" and not file.is_relative_to(self.root):
                del sys.modules[name]
        sys.path.insert(0, str(self.root))
        try:
            with _offline(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of MONAI's, about readers and defaults that nobody here chose
                yield
        finally:
            sys.path.remove(str(self.root))

    def _network(self, parser: Any, device: str) -> Any:
        import torch

        path = self._weights_file(parser)
        if path.suffix == ".ts":
            try:
                return torch.jit.load(str(path), map_location=device).eval()
            except (RuntimeError, ValueError, OSError) as error:
                raise _unfit(path, error) from None
        if "network_def" not in parser:
            raise VesaliusError("has no network_def", file=self.config, remedy="add it, or models/model.ts")
        network = self._made("network_def", lambda: parser.get_parsed_content("network_def"))
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            for key in ("model", "state_dict", "network", "net"):
                if isinstance(state, dict) and isinstance(state.get(key), dict):
                    state = state[key]
            network.load_state_dict(state)
        except Exception as error:  # pickle, zip, shapes, keys: whatever is wrong with a file of weights
            raise _unfit(path, error) from None
        return network.to(device).eval()

    def _weights_file(self, parser: Any) -> Path:
        """The one that was named, else what the configuration loads, else the layout's."""
        names = [self._weights] if self._weights else []
        loader = _find(parser.config, "CheckpointLoader") if not names else None
        if loader:
            names.append(str(self._made("load_path", lambda: parser.get_parsed_content(f"{loader}::load_path"))))
        for name in [*names, *([] if self._weights else WEIGHTS)]:
            for path in (Path(name), self.root / name):
                if path.is_file():
                    return path
        remedy = "put the weights there, or name them with weights="
        raise VesaliusError(f"has no {names[0] if names else WEIGHTS[0]}", file=self.root, remedy=remedy, code="bundle")

    def _made(self, what: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except Exception as error:  # a bundle's own code, or MONAI reading it
            problem = f"its {what} cannot be made: {said(error)}"
            remedy = "mend the bundle, or install what it needs; it was made for " + self._made_for()
            raise VesaliusError(problem, file=self.config, remedy=remedy, code="bundle") from None

    def _made_for(self) -> str:
        return f"MONAI {self.meta.get('monai_version', 'of unknown version')}"

    def _wrong(self, problem: str, remedy: str) -> VesaliusError:
        return VesaliusError(problem, file=self.root / "configs" / "metadata.json", remedy=remedy, code="bundle")


def said(error: BaseException) -> str:
    """An exception's cause on one line; MONAI wraps what happened in what it was doing."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _json(path: Path) -> dict[str, Any]:
    try:
        given = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        remedy = "a bundle has configs/metadata.json, configs/inference.json and models/model.pt"
        raise VesaliusError(problem, file=path, remedy=remedy, code="bundle") from None
    except ValueError as error:
        raise VesaliusError(f"is no JSON ({error})", file=path, remedy="correct it", code="bundle") from None
    if not isinstance(given, dict):
        raise VesaliusError("holds no JSON object", file=path, remedy="correct it", code="bundle")
    return given


def _read(parser: Any, root: Path, config: Path) -> None:
    parser.read_config(str(config))
    parser.read_meta(str(root / "configs" / "metadata.json"))


def _transforms(composed: Any) -> list[dict]:
    """The configurations of single transforms, of a list of them or of a Compose."""
    given = composed.get("transforms") if isinstance(composed, dict) else composed
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def _find(config: Any, target: str, place: str = "") -> str | None:
    """The id of the first component of a class."""
    if isinstance(config, dict):
        if str(config.get("_target_", "")).rpartition(".")[2] == target:
            return place
        items: Any = config.items()
    else:
        items = enumerate(config) if isinstance(config, list) else ()
    inside = (_find(value, target, f"{place}::{key}" if place else str(key)) for key, value in items)
    return next((found for found in inside if found), None)


def _onto_the_image(before: Any, after: Any, image: str, pred: str) -> tuple[Callable, bool]:
    """The postprocessing without what writes files, with what brings a prediction onto the image's grid.

    Where the bundle inverts its preprocessing, it is left as it is. Where it does not, scores are inverted before they
    become labels, since labels that are resampled lose their edges.
    """
    from monai.transforms import AsDiscreted, Compose, Invertd, SaveImage, SaveImaged

    given = after.flatten().transforms if isinstance(after, Compose) else [after] if callable(after) else after or []
    chain = [one for one in given if not isinstance(one, SaveImage | SaveImaged)]
    if not any(isinstance(one, Invertd) for one in chain):
        at = next((n for n, one in enumerate(chain) if isinstance(one, AsDiscreted)), len(chain))
        chain.insert(at, Invertd(keys=pred, transform=before, orig_keys=image, nearest_interp=False))
    argmax = any(isinstance(one, AsDiscreted) and any(one.argmax) for one in chain)
    return Compose(chain), argmax


def _unfit(path: Path, error: Exception) -> VesaliusError:
    problem = f"the weights cannot be loaded: {said(error)}"
    remedy = "check that they are of this network_def and hold tensors alone; name others with weights="
    return VesaliusError(problem, file=path, remedy=remedy, code="bundle")


@contextmanager
def _offline() -> Iterator[None]:
    """No name is looked up from this thread: what a bundle wants to download, it does not get."""
    mine, look_up = threading.get_ident(), socket.getaddrinfo

    def refuse(*args: Any, **more: Any) -> Any:
        if threading.get_ident() == mine:
            raise OSError("a bundle may not use the network: put what it downloads into its folder")
        return look_up(*args, **more)

    socket.getaddrinfo = refuse
    try:
        yield
    finally:
        socket.getaddrinfo = look_up
