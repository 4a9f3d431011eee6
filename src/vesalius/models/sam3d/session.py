"""One volume in front of a SAM-Med3D: windows embedded once, clicks decoded one after the other, masks on its own grid.

An answer is a function of the prompts alone: each click is decoded with the logits after the one before, and what came
of a beginning of the list is kept, so that a further click costs one decoding, and undo costs none. Positive clicks say
where the window lies, and the mask how wide it is, where that is asked for. What a click says of its own voxel holds,
whatever the network thinks.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume
from vesalius.models.promptable import Prompt, Segmentation, check_prompts
from vesalius.nets.sam3d.crop import Scan, Window, empty_like
from vesalius.nets.sam3d.experts import Embedded, Joined, Mixture
from vesalius.nets.sam3d.model import Prompts

_WIDER = 1.5  # times as wide is the next window, where a mask is cut
SURE = 4.0  # logits of what a box or a given mask says
_STATES = 256  # answers kept, a few hundred kilobytes each


class Sam3DSession:
    """See the module.

    Args:
        mixture: the network.
        scan: the volume.
        expert: who answers where a call names nobody; None leaves it to the gate.
        zoom: how much wider windows are than usual.
        widen: look again through a wider window where the mask is cut by the window's face.
    """

    def __init__(self, mixture: Mixture, scan: Scan, expert: str | None = None, zoom: float = 1.0, widen: bool = False):
        self.mixture, self.scan, self.expert, self.zoom, self.widen = mixture, scan, expert, zoom, widen
        config = mixture.foundation.config
        self.ratio = config.image_size // config.mask_size
        self._device = next(mixture.parameters()).device
        self._fixed: Window | None = None
        self._embedded: dict[Window, Embedded] = {}
        self._states: dict[Any, Joined] = {}

    @property
    def volume(self) -> Volume:
        """As it was opened."""
        return self.scan.volume

    def focus(self, corners: np.ndarray | None) -> None:
        """Keeps one window, around corners (RAS mm, (n, 3)), whatever is clicked; None: it follows the clicks."""
        places = None if corners is None else self.scan.along(corners)
        self._fixed = None if places is None else self.scan.window(places.min(0), places.max(0), self.zoom)

    def segment(
        self,
        prompts: Sequence[Prompt],
        *,
        organ: str | None = None,
        expert: str | None = None,
        start: np.ndarray | None = None,
        probability: bool = False,
    ) -> Segmentation:
        """The structure that the prompts mean; see `promptable.Session`."""
        check_prompts(prompts, self.volume)
        expert = expert or self._expert_of(organ) or self.expert
        if not prompts and start is None:
            if organ is None:
                remedy = "click on the structure, draw a box, or name an organ that it knows"
                raise VesaliusError("nothing to go by", file=self.volume.path, remedy=remedy, code="prompt")
            return next(self.segment_organs([organ], probability))
        begin = None if start is None else self._canonical(start)
        window = self._window(prompts, begin, self.zoom)
        state, logits, cut = self._look(prompts, window, expert, begin)
        while cut and self.widen and self._fixed is None:
            window = self._window(prompts, begin, _WIDER * window.zoom)
            state, logits, cut = self._look(prompts, window, expert, begin)
        mask, chance = self._on_grid(logits, window, probability, begin)
        self._hold(prompts, mask)
        notes = self._notes(cut, window)
        trained = self.mixture.foundation.config.iou_trained
        confidence = float(state.iou[0, 0].clamp(0, 1)) if trained else None
        return Segmentation(mask, confidence, notes, state.weights[0] if self.mixture.experts else {}, chance)

    def _look(
        self, prompts: Sequence[Prompt], window: Window, expert: str | None, start: np.ndarray | None
    ) -> tuple[Joined, np.ndarray, list[str]]:
        """The state in a window, its logits, and the window's faces that cut the mask."""
        state = self._decode(prompts, window, expert, start)
        logits = state.logits[0, 0].float().cpu().numpy()
        return state, logits, self.scan.faces(logits > 0, window)

    @torch.no_grad()
    def segment_organs(self, organs: Sequence[str], probability: bool = False) -> Iterator[Segmentation]:
        """Organs by name, without a prompt: overlapping windows over the volume, their logits weighed together.

        Masks are made one by one: a hundred of them need not be held at once.
        """
        experts = [self._automatic(organ) for organ in organs]
        size, how = self.scan.how.size, self.scan.how
        room = np.ceil(self.scan.extent / self.scan.mm(self.zoom)).astype(int) - size
        first = np.minimum(room // 2, 0)  # a small volume lies in the middle of its window
        room = -(-np.maximum(room, 0) // how.lattice) * how.lattice  # the last window may reach beyond the volume
        starts = [_starts(int(n), size // 2 // how.lattice * how.lattice) for n in room]
        total = np.zeros((len(organs), *((room + size) // self.ratio)), np.float32)
        weight, bump = np.zeros(total.shape[1:], np.float32), _bump(size // self.ratio)
        for corner in ((i, j, k) for i in starts[0] for j in starts[1] for k in starts[2]):
            embedded = self._embed(_window(first + corner, self.zoom))
            low = torch.zeros(1, 1, *[self.mixture.foundation.config.mask_size] * 3, device=self._device)
            part = tuple(slice(c // self.ratio, c // self.ratio + len(bump)) for c in corner)
            for number, expert in enumerate(experts):
                out = self.mixture.decode(embedded, Prompts(masks=low), expert)
                total[number][part] += bump * out.logits[0, 0].float().cpu().numpy()
            weight[part] += bump
        for logits, name in zip(total, experts, strict=True):
            mask, chance = self._on_grid(logits / weight, _window(first, self.zoom), probability)
            yield Segmentation(mask, experts={name: 1.0}, probability=chance)

    def _expert_of(self, organ: str | None) -> str | None:
        return next((e.name for e in self.mixture.experts.values() if organ in e.targets), None) if organ else None

    def _automatic(self, organ: str) -> str:
        for expert in self.mixture.experts.values():
            if expert.automatic and organ in expert.targets:
                return expert.name
        known = [t for e in self.mixture.experts.values() if e.automatic for t in e.targets]
        remedy = (
            f"it knows {', '.join(known)}" if known else "click on it: no expert was trained to work without a click"
        )
        problem = f"{organ} is not segmented without a prompt"
        raise VesaliusError(problem, file=self.volume.path, remedy=remedy, code="organ")

    def _canonical(self, mask: np.ndarray) -> np.ndarray:
        if mask.shape != self.volume.shape:
            problem = f"a mask of shape {mask.shape} for a volume of {self.volume.shape}"
            raise VesaliusError(problem, remedy="give it on the volume's own grid", code="shape")
        copy, view = empty_like(self.volume)
        copy[...] = mask
        return view

    def _window(self, prompts: Sequence[Prompt], start: np.ndarray | None, zoom: float) -> Window:
        """Around the positive clicks and boxes; around the mask to go on from where there are none."""
        if self._fixed is not None:
            return self._fixed
        wanted = [p for p in prompts if p.positive]
        if wanted:
            places = self.scan.along(np.concatenate([np.reshape(p.at, (-1, 3)) for p in wanted]))
        elif start is not None and start.any():
            places = np.stack([np.argwhere(start).min(0), np.argwhere(start).max(0)]) * self.scan.step
        else:
            remedy = "click on the structure first"
            raise VesaliusError("only negative prompts", file=self.volume.path, remedy=remedy, code="prompt")
        return self.scan.window(places.min(0), places.max(0), zoom)

    @torch.no_grad()
    def _embed(self, window: Window) -> Embedded:
        if window not in self._embedded:
            self._embedded[window] = self.mixture.encode(self.scan.crop(window).to(self._device))
        return self._embedded[window]

    @torch.no_grad()
    def _decode(
        self, prompts: Sequence[Prompt], window: Window, expert: str | None, start: np.ndarray | None
    ) -> Joined:
        """The state after the last prompt, from the longest beginning that is known."""
        begin = None if start is None else hash(start.tobytes())
        keys = [(window, expert, begin, tuple(prompts[:n])) for n in range(len(prompts) + 1)]
        known = next((n for n in range(len(prompts), -1, -1) if keys[n] in self._states), None)
        low = self._begin(window, start) if known is None else self._states[keys[known]].logits
        embedded = self._embed(window)
        if not prompts and known is None:
            self._states[keys[0]] = self.mixture.decode(embedded, Prompts(masks=low), expert)
        for n in range((known or 0) + 1, len(prompts) + 1):
            low = self._boxed(prompts[n - 1], low, window)
            self._states[keys[n]] = self.mixture.decode(embedded, self._asked(prompts[:n], low, window), expert)
            low = self._states[keys[n]].logits
        while len(self._states) > _STATES:
            self._states.pop(next(iter(self._states)))
        return self._states[keys[-1]]

    def _begin(self, window: Window, start: np.ndarray | None) -> torch.Tensor:
        """Logits before the first prompt: zeros, as in training, or what a mask says."""
        size = self.mixture.foundation.config.mask_size
        if start is None:
            return torch.zeros(1, 1, size, size, size, device=self._device)
        share = torch.from_numpy(self.scan.cut(window, start.astype(np.float32), beyond=0))[None, None]
        share = torch.nn.functional.avg_pool3d(share.to(self._device), self.ratio)
        return (2 * share - 1) * SURE

    def _boxed(self, prompt: Prompt, low: torch.Tensor, window: Window) -> torch.Tensor:
        """A box is a mask: nothing outside; inside what was thought, or the box where that was nothing."""
        if not prompt.is_box:
            return low
        corners = self.scan.voxels(self.scan.along(np.reshape(prompt.at, (2, 3))), window) / self.ratio
        inside = torch.ones_like(low, dtype=torch.bool)
        for axis, (a, b) in enumerate(np.sort(corners, 0).T):
            at = torch.arange(low.shape[2 + axis], device=low.device)
            line = (at >= round(a)) & (at <= round(b))
            inside &= line.view([-1 if i == 2 + axis else 1 for i in range(5)])
        kept = low if (low[inside] > 0).any() else torch.full_like(low, SURE)
        return torch.where(inside, kept, -SURE)

    def _asked(self, prompts: Sequence[Prompt], low: torch.Tensor, window: Window) -> Prompts:
        clicks = [p for p in prompts if not p.is_box]
        if not clicks:
            return Prompts(masks=low)
        places = self.scan.voxels(self.scan.along(np.array([p.at for p in clicks])), window)
        inside = ((places >= 0) & (places < self.scan.how.size)).all(1)
        labels = np.where(inside, [float(p.positive) for p in clicks], -1.0)
        points = torch.from_numpy(places.astype(np.float32))[None].to(self._device)
        return Prompts(points, torch.from_numpy(labels.astype(np.float32))[None].to(self._device), low)

    def _on_grid(
        self, logits: np.ndarray, window: Window, probability: bool, start: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The mask, and the probability map; beyond the window a mask to go on from stays as it was."""
        mask, view = empty_like(self.volume)
        if start is not None:
            view[...] = start
        chance, chances = empty_like(self.volume, np.uint8) if probability else (None, None)
        for where, values in self.scan.spread(logits, window, self.ratio):
            view[where] = values > 0
            if chances is not None:
                chances[where] = np.round(255 / (1 + np.exp(-values.clip(-30, 30)))).astype(np.uint8)
        return mask, chance

    def _hold(self, prompts: Sequence[Prompt], mask: np.ndarray) -> None:
        """A click's voxel is what the click says (MONAILabel#1406); the last click counts."""
        back = np.linalg.inv(self.volume.affine)
        for prompt in (p for p in prompts if not p.is_box):
            index = back[:3, :3] @ np.array(prompt.at) + back[:3, 3]
            at = np.clip(np.floor(index + 0.5).astype(int), 0, np.array(mask.shape) - 1)
            mask[tuple(at)] = prompt.positive

    def _notes(self, cut: Sequence[str], window: Window) -> tuple[str, ...]:
        notes = []
        if cut:
            side = self.scan.how.size * self.scan.mm(window.zoom)
            said = f"the mask is cut by the window of {side:.0f} mm ({', '.join(cut)})"
            notes.append(f"{said}: click where it goes on, or zoom out")
        if window.zoom > self.zoom:
            what = "mask fits" if self.widen else "prompts fit"
            notes.append(f"zoomed out {window.zoom / self.zoom:.2f} times, so that the {what} into the window")
        unknown = set(self.mixture.experts) - set(self.mixture.gate.experts if self.mixture.gate else ())
        if unknown:
            notes.append(f"the gate does not know {', '.join(sorted(unknown))}: name it, or train the gate again")
        return tuple(notes)


def _window(corner: np.ndarray, zoom: float) -> Window:
    return Window((int(corner[0]), int(corner[1]), int(corner[2])), zoom)


def _starts(room: int, stride: int) -> list[int]:
    return sorted({*range(0, room, max(stride, 1)), room})


def _bump(size: int) -> np.ndarray:
    """Weights of a window's logits: its middle counts more than its faces (MONAI's Gaussian)."""
    from monai.data.utils import compute_importance_map

    found = compute_importance_map((size,) * 3, mode="gaussian", sigma_scale=0.25)
    return np.maximum(found.numpy().astype(np.float32), 1e-3)
