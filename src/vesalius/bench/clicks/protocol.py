"""One case of the click protocol: click, let the model answer, score, click again where it is wrong.

Scores stand after 1, 3, 5 and 10 clicks, as `dsc@1`, `nsd@10`; where the model says how sure it is, that is scored as
`confidence_error@1`. Knows no folders: see `runner.py`.
"""

import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vesalius.bench.clicks.simulator import WAYS, next_click
from vesalius.bench.metrics import CONFIDENCE, metric, segmentation
from vesalius.errors import VesaliusError
from vesalius.media.grid import spacing_of
from vesalius.models.promptable import Prompt, Session


@dataclass(frozen=True)
class Protocol:
    """What decides a score besides model and case.

    Attributes:
        after: numbers of clicks after which is scored.
        way: how clicks are simulated, see `simulator.py`.
        crop: "click" (windows lie where the clicks are) or "truth" (around the truth's box, as the public code has it:
            the model is told the extent, so the two are never compared).
        metrics, tolerance: see `segmentation.Settings`.
        seed: of the clicks; the same for every model.
    """

    after: tuple[int, ...] = (1, 3, 5, 10)
    way: str = "random"
    crop: str = "click"
    metrics: tuple[str, ...] = ("dsc", "nsd")
    tolerance: float = 2.0
    seed: int = 0

    def __post_init__(self):
        if not self.after or min(self.after) < 1:
            raise VesaliusError(f"scores after {self.after} clicks", remedy="give numbers from 1 on", code="usage")
        if self.way not in WAYS:
            raise VesaliusError(f"no way to click is called {self.way}", remedy=f"choose {' or '.join(WAYS)}")
        if self.crop not in ("click", "truth"):
            raise VesaliusError(f"no crop is called {self.crop}", remedy="choose click or truth", code="usage")
        self.settings  # noqa: B018  (says what is wrong with the metrics before hours of work)

    @property
    def names(self) -> list[str]:
        """Of the scores: `dsc@1`, ..."""
        return [f"{metric}@{n}" for n in self.after for metric in self.metrics]

    @property
    def settings(self) -> segmentation.Settings:
        """Of the metrics."""
        return segmentation.Settings(self.metrics, self.tolerance)


def run_case(
    session: Session, truths: Iterable[tuple[str, np.ndarray]], protocol: Protocol, case: str
) -> Iterator[dict[str, Any]]:
    """Rows of one case, structure by structure: metric (`dsc@3`), target, value, status, reason, seconds.

    Args:
        session: the model, in front of the case's volume.
        truths: structures and where they are, bool masks on the volume's grid; taken one by one.
        protocol: see there.
        case: its name; with the seed it decides the clicks.
    """
    for target, truth in truths:
        rng = np.random.default_rng([protocol.seed, zlib.crc32(f"{case}/{target}".encode())])
        done = []
        try:
            for row in _run_target(session, target, truth, protocol, rng):
                done.append(row["metric"])
                yield row
        except VesaliusError as error:
            yield from lost(str(error), [target], [name for name in protocol.names if name not in done])


def _run_target(session: Session, target: str, truth: np.ndarray, protocol: Protocol, rng: np.random.Generator):
    if not truth.any():
        reason = "the reference holds none: there is nothing to click on"
        empty = {"target": target, "value": None, "status": "both_empty", "reason": reason}
        yield from ({"metric": name, **empty} for name in protocol.names)
        return
    spacing, affine = spacing_of(session.volume.affine), session.volume.affine
    if protocol.crop == "truth":
        _focus(session, truth)
    mask, clicks, seconds = np.zeros_like(truth), [], 0.0
    for number in range(1, max(protocol.after) + 1):
        found = next_click(mask, truth, protocol.way, rng, spacing)
        assert found is not None
        clicks.append(Prompt(tuple(float(x) for x in affine[:3, :3] @ found[0] + affine[:3, 3]), found[1]))
        begin = time.perf_counter()
        answer = session.segment(clicks)
        mask = answer.mask
        seconds += time.perf_counter() - begin
        if number in protocol.after:
            for row in segmentation.score(
                mask.view(np.uint8), truth.view(np.uint8), spacing, {target: 1}, protocol.metrics, protocol.tolerance
            ):
                yield {**row, "metric": f"{row['metric']}@{number}", "reason": None, "seconds": round(seconds, 4)}
            if answer.confidence is not None:
                error = answer.confidence - (mask & truth).sum() / (mask | truth).sum()
                name = f"{CONFIDENCE.name}@{number}"
                yield {"metric": name, "target": target, "value": float(error), "status": "ok", "reason": None}


def lost(problem: str, targets: Iterable[str], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of what failed: the worst value where the metric has one."""
    for target in targets:
        for name in names:
            value = metric(name).worst
            yield {"metric": name, "target": target, "value": value, "status": "failed", "reason": problem}


def _focus(session: Session, truth: np.ndarray) -> None:
    focus = getattr(session, "focus", None)
    if focus is None:
        problem = f"{type(session).__name__} has no window that could be put around the truth"
        raise VesaliusError(problem, remedy="choose crop=click", code="usage")
    at = np.argwhere(truth)
    affine = session.volume.affine
    focus(np.stack([at.min(0), at.max(0)]) @ affine[:3, :3].T + affine[:3, 3])
