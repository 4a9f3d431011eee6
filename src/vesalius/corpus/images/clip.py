"""How well images fit their texts (CLIP), and how they please (LAION's aesthetic predictor), where models are given.

Both are facts beside an image; nothing is dropped or reordered for them. Models are folders and files; none is
fetched. Knows pixels and texts in batches; leaves which texts stand near an image to `nearest_texts`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.corpus.document import Document, Image
from vesalius.errors import VesaliusError


def nearest_texts(document: Document, at: int, near: int = 2) -> list[int]:
    """Which texts stand nearest to an image: indices into `document.parts`, the nearest first, before ahead of after.

    Args:
        document: as it is at last, for filters move the indices.
        at: index of the image.
        near: texts on each side; images between do not count.
    """
    if not isinstance(document.parts[at], Image):
        raise VesaliusError(f"part {at} is no image", case=document.id)
    texts = [place for place, part in enumerate(document.parts) if isinstance(part, str)]
    before = [place for place in texts if place < at][::-1][:near]
    after = [place for place in texts if place > at][:near]
    steps = range(max(len(before), len(after)))
    return [side[step] for step in steps for side in (before, after) if step < len(side)]


class Clip:
    """A CLIP checkpoint: a folder as transformers saves it; on a GPU where there is one.

    Raises:
        VesaliusError: code `model`, no such checkpoint; `packages`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            import torch
            from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel
        except ImportError as error:
            remedy = "pip install 'vesalius[corpus,hf]'"
            raise VesaliusError(f"CLIP needs the package {error.name}", remedy=remedy, code="packages") from None
        if not (self.path / "config.json").is_file():
            remedy = "give a folder with config.json, weights, tokenizer and preprocessor_config.json"
            raise VesaliusError("is no CLIP checkpoint", file=path, remedy=remedy, code="model")
        try:
            self._device = "cuda" if torch.cuda.is_available() else "cpu"
            self._model = CLIPModel.from_pretrained(self.path, local_files_only=True).eval().to(self._device)
            self._tokenizer = AutoTokenizer.from_pretrained(self.path, local_files_only=True)
            self._processor = AutoImageProcessor.from_pretrained(self.path, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            problem = f"cannot be loaded as CLIP ({str(error).splitlines()[0][:200]})"
            raise VesaliusError(problem, file=path, remedy="save it with transformers again", code="model") from None
        self.size: int = self._model.config.projection_dim
        self._longest = self._model.config.text_config.max_position_embeddings

    def images(self, images: Sequence[Any], batch: int = 16) -> np.ndarray:
        """(images, size) float32, each of length 1, of Pillow images (RGB)."""
        return self._embed(images, batch, self._pixels, self._model.get_image_features)

    def texts(self, texts: Sequence[str], batch: int = 32) -> np.ndarray:
        """(texts, size) float32, each of length 1; of a long text its beginning, as far as CLIP reads."""
        return self._embed(texts, batch, self._tokens, self._model.get_text_features)

    def similarities(self, images: np.ndarray, texts: Sequence[Sequence[str]]) -> list[list[float]]:
        """Cosines of each image with each of its texts.

        Args:
            images: (images, size), from `images`.
            texts: of each image; the same one twice is read once.
        """
        distinct = list(dict.fromkeys(text for some in texts for text in some))
        places = {text: place for place, text in enumerate(distinct)}
        embedded = self.texts(distinct)
        return [
            [round(float(image @ embedded[places[text]]), 4) for text in some]
            for image, some in zip(images, texts, strict=True)
        ]

    def _pixels(self, images: list[Any]) -> dict[str, Any]:
        return {"pixel_values": self._processor(images=images, return_tensors="pt")["pixel_values"]}

    def _tokens(self, texts: list[str]) -> dict[str, Any]:
        tokens = self._tokenizer(texts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt")
        return {name: tokens[name] for name in ("input_ids", "attention_mask")}

    def _embed(self, items: Sequence[Any], batch: int, prepare: Any, features: Any) -> np.ndarray:
        import torch

        found = [np.empty((0, self.size), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(items), batch):
                given = prepare(list(items[start : start + batch]))
                out = features(**{name: tensor.to(self._device) for name, tensor in given.items()})
                out = getattr(out, "pooler_output", out)
                found.append(torch.nn.functional.normalize(out.float(), dim=-1).cpu().numpy())
        return np.concatenate(found)


class Aesthetic:
    """LAION's aesthetic predictor: one linear layer, or several without anything between, on CLIP embeddings.

    Reads the state dict of either public form (`weight`, `bias`; `layers.0.weight`, …), as .safetensors or .pth.

    Args:
        path: of the file.
        size: of the embeddings of the CLIP that it is used with.

    Raises:
        VesaliusError: code `model`, no such predictor, or one for another CLIP.
    """

    def __init__(self, path: str | Path, size: int):
        state = _state(Path(path))
        names = sorted((name.removesuffix("weight") for name in state if name.endswith("weight")), key=_order)
        layers = [(state[f"{name}weight"], state.get(f"{name}bias")) for name in names]
        # All linear, so that they are one.
        self._weight, self._bias = np.eye(size), np.zeros(size)
        try:
            for weight, bias in layers:
                self._weight, self._bias = weight @ self._weight, weight @ self._bias + (0 if bias is None else bias)
        except ValueError:
            problem = f"takes embeddings of {layers[0][0].shape[-1]} numbers, CLIP gives {size}"
            raise VesaliusError(problem, file=path, remedy="give the two that belong together", code="model") from None
        if not layers or self._weight.shape[0] != 1:
            raise VesaliusError("gives no single score", file=path, remedy="give LAION's predictor", code="model")

    def score(self, images: np.ndarray) -> list[float]:
        """Of each image, about 1 to 10.

        Args:
            images: (images, size), from `Clip.images`.
        """
        return [round(float(score), 4) for score in images @ self._weight[0] + self._bias[0]]


def _order(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())


def _state(path: Path) -> dict[str, np.ndarray]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            return {name: np.asarray(value, np.float64) for name, value in load_file(path).items()}
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: value.double().numpy() for name, value in state.items()}
    except ImportError as error:
        remedy = "pip install 'vesalius[corpus,hf]'"
        raise VesaliusError(f"needs the package {error.name}", file=path, remedy=remedy, code="packages") from None
    except Exception as error:
        problem = f"is no state dict ({str(error).splitlines()[0][:120] if str(error) else type(error).__name__})"
        raise VesaliusError(problem, file=path, remedy="give a .safetensors or .pth file", code="model") from None
