"""SAM-Med3D-MoE (arXiv 2407.04938): a general decoder, one expert decoder a task, and a gate that says who answers.

Encoder and prompt encoder are the foundation's and shared; the gate is all that is trained when experts are joined. An
expert is a folder of its own, so that it is added and removed without touching the others:

    joined/   config.json  model.safetensors  preprocessor_config.json     the foundation
              experts/NAME/expert.json  decoder.safetensors  [adapter/]    one expert; adapter: LoRA on the encoder
              gate/gate.json  gate.safetensors                             who answers, and from which confidence on

Beyond the paper: an expert may carry LoRA weights for the encoder (an encoding more, only where it answers), and is
reached by name without a gate.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn

from vesalius.errors import VesaliusError
from vesalius.nets.sam3d.config import Sam3DConfig
from vesalius.nets.sam3d.decoder import MaskDecoder
from vesalius.nets.sam3d.model import Decoded, Prompts, Sam3DModel
from vesalius.run import replacing

GENERAL = "general"


@dataclass(eq=False)
class Expert:
    """A decoder for one task.

    Attributes:
        name: of the expert.
        decoder: its weights.
        targets: names of the structures that it was trained on.
        foundation: fingerprint of the encoder that it was trained with.
        adapter: whether LoRA weights of the encoder belong to it, under its name in the foundation.
        automatic: whether it was trained to answer without a prompt.
    """

    name: str
    decoder: MaskDecoder
    targets: tuple[str, ...]
    foundation: str
    adapter: bool = False
    automatic: bool = False


class Gate(nn.Module):
    """Confidences of the general decoder and of each expert, from the embeddings of image and prompts.

    It reads the image where the positive clicks are, under the mask so far, and as a whole; and the clicks' embeddings.
    """

    def __init__(self, dim: int, experts: Iterable[str], hidden: int = 128):
        super().__init__()
        self.experts = tuple(experts)
        self.norm = nn.LayerNorm(dim)  # each part by itself: images and clicks may have other scales
        self.layers = nn.Sequential(nn.Linear(4 * dim, hidden), nn.GELU(), nn.Linear(hidden, 1 + len(self.experts)))

    def forward(self, embeddings: torch.Tensor, sparse: torch.Tensor, prompts: Prompts, size: int) -> torch.Tensor:
        """Logits (batch, 1 + experts), the general decoder first; their softmax is the confidence.

        Args:
            embeddings: (batch, dim, g, g, g), of the foundation.
            sparse: (batch, n, dim), embeddings of the clicks, whose last is "no point".
            prompts: as the decoder gets them.
            size: voxels along a side of the crop.
        """
        _, dim, *grid = embeddings.shape
        flat = embeddings.flatten(2).transpose(1, 2)
        whole = flat.mean(1)
        under = at = _mean(flat, _inside(prompts, grid, flat)) if prompts.masks is not None else whole
        clicks = torch.zeros_like(whole)
        if prompts.points is not None and prompts.labels is not None:
            positive = (prompts.labels == 1).to(flat.dtype)
            token = (prompts.points / size * grid[0]).long().clamp(0, grid[0] - 1)
            index = (token[..., 0] * grid[1] + token[..., 1]) * grid[2] + token[..., 2]
            seen = flat.gather(1, index[..., None].expand(-1, -1, dim))
            some = positive.sum(1, keepdim=True) > 0
            at = torch.where(some, _mean(seen, positive), under)
            clicks = torch.where(some, _mean(sparse[:, : positive.shape[1]], positive), clicks)
        if prompts.masks is not None and prompts.points is not None:
            empty = (prompts.masks > 0).flatten(1).sum(1, keepdim=True) == 0
            under = torch.where(empty, at, under)
        return self.layers(self.norm(torch.stack([at, under, whole, clicks], 1)).flatten(1))


def _inside(prompts: Prompts, grid: list[int], flat: torch.Tensor) -> torch.Tensor:
    """Share of each image token under the mask so far, (batch, tokens)."""
    assert prompts.masks is not None
    share = nn.functional.adaptive_avg_pool3d((prompts.masks > 0).to(flat.dtype), grid)  # type: ignore[arg-type]
    return share.flatten(1)


def _mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean over the second axis; 0 where no weight is."""
    return (values * weights[..., None]).sum(1) / weights.sum(1, keepdim=True).clamp(min=1e-6)


@dataclass(eq=False)
class Embedded:
    """A batch of crops and their embeddings; those of experts with weights of their own are made when first needed."""

    crops: torch.Tensor
    general: torch.Tensor
    own: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Joined(Decoded):
    """What a mixture says.

    Attributes:
        confidences: (batch, 1 + experts of the gate), the general decoder first; None where an expert was named.
        weights: for each of the batch who answered, by share.
    """

    confidences: torch.Tensor | None = None
    weights: tuple[dict[str, float], ...] = ()


class Mixture(nn.Module):
    """A foundation and its experts.

    Attributes:
        foundation: general model.
        experts: by name.
        gate: None where experts are only reached by name.
        threshold: confidence from which an expert answers instead of the general decoder.
    """

    def __init__(
        self, foundation: Sam3DModel, experts: Iterable[Expert] = (), gate: Gate | None = None, threshold: float = 0.5
    ):
        super().__init__()
        self.foundation, self.gate, self.threshold = foundation, gate, threshold
        self.experts: dict[str, Expert] = {}
        self.decoders = nn.ModuleDict()
        for expert in experts:
            self.add(expert)

    def add(self, expert: Expert) -> None:
        """Joins an expert; nothing else changes.

        Raises:
            VesaliusError: it was trained on another foundation.
        """
        own = fingerprint_of(self.foundation)
        if expert.foundation != own:
            problem = f"expert {expert.name} was trained on another foundation ({expert.foundation}, this one is {own})"
            raise VesaliusError(problem, remedy="train it on this one: recipe sam3d/expert", code="foundation")
        self.experts[expert.name] = expert
        self.decoders[expert.name.replace(".", "_")] = expert.decoder

    def encode(self, crops: torch.Tensor) -> Embedded:
        """Embeds crops once; see `Sam3DModel.encode`."""
        return Embedded(crops, self._encoded(crops, None))

    def decode(self, embedded: Embedded, prompts: Prompts, expert: str | Sequence[str] | None = None) -> Joined:
        """The general decoder, or the experts of whom the gate is sure enough; or who is named, for all or for each.

        Raises:
            VesaliusError: no such expert.
        """
        if expert is not None and not isinstance(expert, str):
            return self._fuse(embedded, prompts, None, [{name: 1.0} for name in expert])
        if expert is not None or self.gate is None:
            name = expert or GENERAL
            out = self._ask(name, embedded, prompts)
            return Joined(out.logits, out.iou, None, tuple({name: 1.0} for _ in out.iou))
        confidences = self.confidences(embedded, prompts).softmax(-1)
        weights = [self._weights(row) for row in confidences.tolist()]
        return self._fuse(embedded, prompts, confidences, weights)

    def confidences(self, embedded: Embedded, prompts: Prompts) -> torch.Tensor:
        """The gate's logits, (batch, 1 + experts), the general decoder first."""
        assert self.gate is not None
        with torch.no_grad():
            sparse = self.foundation.embed(embedded.general, prompts)[1]
        image = embedded.general.expand(len(sparse), -1, -1, -1, -1)
        return self.gate(image, sparse, prompts, self.foundation.config.image_size)

    def _weights(self, confidences: list[float]) -> dict[str, float]:
        """Who answers, by share."""
        assert self.gate is not None
        given = dict(zip(self.gate.experts, confidences[1:], strict=True))
        sure = {name: c for name, c in given.items() if c > self.threshold and name in self.experts}
        total = sum(sure.values())
        return {name: c / total for name, c in sure.items()} if sure else {GENERAL: 1.0}

    def _fuse(
        self,
        embedded: Embedded,
        prompts: Prompts,
        confidences: torch.Tensor | None,
        weights: list[dict[str, float]],
    ) -> Joined:
        """Each decoder for those of the batch that need it; probabilities are averaged where several answer."""
        size = self.foundation.config.mask_size
        logits = embedded.general.new_zeros(len(weights), 1, size, size, size)
        iou = embedded.general.new_zeros(len(weights), 1)
        shared = torch.tensor([len(w) > 1 for w in weights], device=logits.device)
        for name in sorted({name for w in weights for name in w}):
            rows = [i for i, w in enumerate(weights) if name in w]
            out = self._ask(name, embedded, _some(prompts, rows), rows)
            share = logits.new_tensor([weights[i][name] for i in rows])
            part = torch.where(shared[rows].view(-1, 1, 1, 1, 1), out.logits.sigmoid(), out.logits)
            logits[rows] += part * share.view(-1, 1, 1, 1, 1)
            iou[rows] += out.iou * share.view(-1, 1)
        if shared.any():
            logits[shared] = logits[shared].clamp(1e-6, 1 - 1e-6).logit()
        return Joined(logits, iou, confidences, tuple(weights))

    def _ask(self, name: str, embedded: Embedded, prompts: Prompts, rows: list[int] | None = None) -> Decoded:
        if name == GENERAL:
            return self.foundation.decode(_rows(embedded.general, rows), prompts)
        if name not in self.experts:
            remedy = f"there are {', '.join([GENERAL, *self.experts])}"
            raise VesaliusError(f"there is no expert {name}", remedy=remedy, code="expert")
        expert = self.experts[name]
        image = embedded.general
        if expert.adapter:
            if name not in embedded.own:
                embedded.own[name] = self._encoded(embedded.crops, name)
            image = embedded.own[name]
        return self.foundation.decode(_rows(image, rows), prompts, expert.decoder)

    def _encoded(self, crops: torch.Tensor, adapter: str | None) -> torch.Tensor:
        if any(e.adapter for e in self.experts.values()):
            from vesalius.nets.sam3d.adapter import use

            use(self.foundation.image_encoder, adapter)
        return self.foundation.encode(crops)


def _rows(values: torch.Tensor, rows: list[int] | None) -> torch.Tensor:
    return values if rows is None or len(values) == 1 else values[rows]


def _some(prompts: Prompts, rows: list[int]) -> Prompts:
    return Prompts(*(None if v is None else v[rows] for v in (prompts.points, prompts.labels, prompts.masks)))


def fingerprint_of(foundation: Sam3DModel) -> str:
    """Of the encoder's and prompt encoder's weights, on which experts stand (LoRA weights left out)."""
    digest = hashlib.sha256()
    for part in (foundation.image_encoder, foundation.prompt_encoder):
        for key, value in sorted((k.replace(".base_layer", ""), v) for k, v in part.state_dict().items()):
            if "lora_" not in key:
                digest.update(key.encode())
                digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()[:16]


def save_expert(folder: str | Path, expert: Expert, foundation: Sam3DModel, **more: Any) -> None:
    """Writes an expert as a folder of its own; `more` is kept in its JSON (metrics, data)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "decoder.safetensors") as part:
        save_file({k: v.contiguous() for k, v in expert.decoder.state_dict().items()}, part, {"format": "pt"})
    if expert.adapter:
        from vesalius.nets.sam3d import adapter

        adapter.save(foundation.image_encoder, expert.name, folder / "adapter")
    facts = {
        "name": expert.name,
        "targets": list(expert.targets),
        "foundation": expert.foundation,
        "adapter": expert.adapter,
        "automatic": expert.automatic,
        **more,
    }
    with replacing(folder / "expert.json") as part:
        part.write_text(json.dumps(facts, indent=2), "utf-8")


def load_expert(folder: str | Path, foundation: Sam3DModel) -> Expert:
    """Reads an expert's folder; its LoRA weights, if it has some, are loaded into the foundation under its name.

    Raises:
        VesaliusError: no expert there, or one of another size or foundation.
    """
    folder = Path(folder)
    facts = _json(folder / "expert.json", "an expert")
    decoder = MaskDecoder(foundation.config)  # type: ignore[arg-type]
    weights = _tensors(folder / "decoder.safetensors")
    own, wanted = ({k: tuple(v.shape) for k, v in w.items()} for w in (weights, decoder.state_dict()))
    wrong = next((key for key in wanted if own.get(key) != wanted[key]), None)
    if wrong or own.keys() != wanted.keys():
        detail = f"{wrong} is {own.get(wrong)}, not {wanted[wrong]}" if wrong else "it has further weights"
        remedy = "join experts with the foundation that they were trained on"
        raise VesaliusError(f"is an expert of another size: {detail}", file=folder, remedy=remedy, code="size")
    decoder.load_state_dict(weights)
    if facts["adapter"]:
        from vesalius.nets.sam3d import adapter

        adapter.load(foundation.image_encoder, facts["name"], folder / "adapter")
    known = {key: facts[key] for key in ("name", "foundation", "adapter", "automatic")}
    return Expert(decoder=decoder.eval(), targets=tuple(facts["targets"]), **known)


def save_gate(folder: str | Path, gate: Gate, threshold: float, **more: Any) -> None:
    """Writes the gate and its threshold."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "gate.safetensors") as part:
        save_file(gate.state_dict(), part, {"format": "pt"})
    hidden = gate.layers[0].out_features
    facts = {"experts": list(gate.experts), "hidden": hidden, "threshold": threshold, **more}
    with replacing(folder / "gate.json") as part:
        part.write_text(json.dumps(facts, indent=2), "utf-8")


def load_gate(folder: str | Path, config: Sam3DConfig) -> tuple[Gate, float]:
    """Reads what `save_gate` wrote.

    Raises:
        VesaliusError: no gate there, or one of another size.
    """
    folder = Path(folder)
    facts = _json(folder / "gate.json", "a gate")
    gate = Gate(config.prompt_dim, facts["experts"], facts["hidden"])
    try:
        gate.load_state_dict(_tensors(folder / "gate.safetensors"))
    except RuntimeError:
        remedy = "train it on this foundation: recipe sam3d/gate"
        raise VesaliusError("is a gate of another size", file=folder, remedy=remedy, code="size") from None
    return gate.eval(), float(facts["threshold"])


def load_mixture(folder: str | Path) -> Mixture:
    """A folder as the module describes it; a foundation alone is a mixture without experts.

    Raises:
        VesaliusError: see `load_expert` and `load_gate`.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        remedy = "name a folder with config.json and model.safetensors, as `vesalius train` writes it"
        raise VesaliusError("holds no SAM-Med3D", file=folder, remedy=remedy, code="model")
    transformers.utils.logging.disable_progress_bar()
    foundation = Sam3DModel.from_pretrained(folder).eval()
    base = Mixture(foundation)
    for place in sorted((folder / "experts").glob("*/expert.json")):
        base.add(load_expert(place.parent, foundation))
    if (folder / "gate" / "gate.json").is_file():
        base.gate, base.threshold = load_gate(folder / "gate", foundation.config)
    return base.eval()


def _json(path: Path, what: str) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        remedy = "name a folder that `vesalius train` wrote"
        raise VesaliusError(f"holds no {path.name} of {what} ({error})", file=path.parent, remedy=remedy) from None


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises its own kinds
        raise VesaliusError(f"cannot be read ({error})", file=path, remedy="copy it again", code="unreadable") from None
