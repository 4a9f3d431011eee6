"""Weights judged as users will meet them: the click protocol of the bench, on whole volumes, in memory."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vesalius.bench.clicks import Protocol, run_case
from vesalius.errors import VesaliusError
from vesalius.media.volume import Volume, read_volume
from vesalius.models.promptable import Prompt
from vesalius.models.sam3d.session import Sam3DSession
from vesalius.nets.sam3d.crop import Preprocessing, Scan
from vesalius.nets.sam3d.experts import Mixture
from vesalius.run import replacing
from vesalius.train.data import LabelledCase, truths
from vesalius.train.sam3d.settings import Judging


def judge(
    mixture: Mixture,
    how: Preprocessing,
    cases: Sequence[LabelledCase],
    judging: Judging,
    structures: Sequence[str] = (),
    expert: str | None = None,
) -> dict[str, float]:
    """Mean DSC after each number of clicks, over structures of their means over cases, and of each structure.

    Args:
        mixture: the network, in whatever state.
        how: its preprocessing.
        cases: on which; none gives no numbers.
        judging: numbers of clicks, way, structures.
        structures: where `judging` names none.
        expert: who answers; None leaves it to the gate.
    """
    protocol = Protocol(judging.after, judging.way, metrics=("dsc",))
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    training = mixture.training
    mixture.eval()
    for case in cases:
        try:
            session = Sam3DSession(mixture, Scan(read_volume(case.image), how), expert)
            found = truths(case, judging.structures or structures)
            for row in run_case(session, found, protocol, case.case):
                if row["value"] is not None:
                    values[row["metric"]][row["target"]].append(row["value"])
        except VesaliusError:
            continue  # said when the cases were looked at
    mixture.train(training)
    out: dict[str, float] = {}
    last = f"dsc@{max(judging.after)}"
    for metric, targets in values.items():
        out[metric] = float(np.mean([np.mean(v) for v in targets.values()]))
    out |= {f"{last}/{target}": float(np.mean(v)) for target, v in values.get(last, {}).items()}
    return out


@torch.no_grad()
def keep_golden(
    folder: Path,
    mixture: Mixture,
    how: Preprocessing,
    cases: Sequence[LabelledCase],
    structures: Sequence[str],
    expert: str | None = None,
) -> dict[str, float]:
    """Writes one small case with its click and the DSC that comes out here: the checkpoint's self-test.

    The first structure of the first case that has one, in a cube of two windows' side on the volume's own voxels; read
    again by `models/sam3d`. Nothing where no case has any.
    """
    for case in cases:
        for structure, truth in truths(case, structures):
            return {"golden": _golden(folder, mixture, how, case, structure, truth, expert)}
    return {}


def _golden(
    folder: Path,
    mixture: Mixture,
    how: Preprocessing,
    case: LabelledCase,
    structure: str,
    truth: np.ndarray,
    expert: str | None,
) -> float:
    volume = read_volume(case.image)
    at = np.argwhere(truth)
    half = np.ceil(how.size * how.spacing / 2 / np.array(volume.spacing)).astype(int)
    middle = (at.min(0) + at.max(0)) // 2
    box = tuple(slice(max(0, m - h), m + h) for m, h in zip(middle, half, strict=True))
    affine = volume.affine.copy()
    affine[:3, 3] = volume.affine[:3, :3] @ [s.start for s in box] + volume.affine[:3, 3]
    image, small = np.asarray(volume.data[box]), np.ascontiguousarray(truth[box])
    if image.dtype.kind == "f":
        image = image.astype(np.float32)
    voxel = at[np.argmin(((at - middle) ** 2).sum(1))] - [s.start for s in box]  # a long structure leaves the cube
    prompts = [Prompt(tuple(float(x) for x in affine[:3, :3] @ voxel + affine[:3, 3]))]
    mask = Sam3DSession(mixture, Scan(Volume(image, affine), how), expert).segment(prompts).mask
    dsc = 2 * float((mask & small).sum()) / max(1, int(mask.sum() + small.sum()))
    with replacing(folder / "golden.npz") as part, open(part, "wb") as stream:
        np.savez_compressed(stream, image=image, affine=affine, truth=np.packbits(small))
    facts = {
        "structure": structure,
        "dsc": dsc,
        "prompts": [{"at": list(p.at), "positive": p.positive} for p in prompts],
    }
    with replacing(folder / "golden.json") as part:
        part.write_text(json.dumps(facts, indent=2), "utf-8")
    return dsc
