"""Compiles the kernels of segmentation once, so that no later command has to: `make setup` runs it.

    python -m vesalius.cli.kernels

numba compiles a kernel when it is first called, and keeps it beside the source. So a patient is scanned coarsely,
learned from, segmented, clicked and scored. Without it all works as well; the first command takes half a minute longer.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any


def main() -> None:
    """See the module."""
    with tempfile.TemporaryDirectory(prefix="vesalius-") as folder:
        _compile(Path(folder))


def _compile(out: Path) -> None:
    import numpy as np

    from vesalius.bench import score
    from vesalius.bench.metrics.segmentation import Settings
    from vesalius.bench.score_case import Case, score_case
    from vesalius.cli.demo_steps import METRICS, fit_model, segment_case
    from vesalius.media.volume import read_volume
    from vesalius.models.classical import MODELS, TrainingCase
    from vesalius.models.promptable import Prompt, open_promptable
    from vesalius.phantom.hospitals import make_case, paths, plan_cases, write_tables

    plans = [coarse(plan) for plan in plan_cases(0, training=2, test=1) if plan.site == "A"]
    for plan in plans:
        make_case(str(out), plan)
    write_tables(out, plans)
    training, test = plans[:2], plans[2]
    (out / "models").mkdir()
    for model in MODELS:
        fit_model(model, [TrainingCase(*paths(out, plan)) for plan in training], str(out / "models"))
        (out / "predictions" / model).mkdir(parents=True)
    segment_case(str(out), str(out / "models"), str(out / "predictions"), test)
    pairings = score.plan(out / "predictions", out / "labelsTs", models=True)
    template = Case("", "", None, None, None, settings=Settings(METRICS))
    for case in score.jobs(pairings, template, out / "labelsTs"):
        score_case(case)
    image, labels = (read_volume(path) for path in paths(out, test))
    first, last = np.argwhere(labels.data == labels.data.max())[[0, -1]]
    to_mm = labels.affine
    clicks = [
        Prompt(tuple(to_mm[:3, :3] @ at + to_mm[:3, 3]), positive) for at, positive in ((first, True), (last, False))
    ]
    open_promptable("seeds:").open(image).segment(clicks)


def coarse(plan: Any) -> Any:
    """The same patient in large voxels."""
    scanner = plan.scanner
    shape = tuple(int(n * s / t) for n, s, t in zip(scanner.shape, scanner.spacing, (4.4, 4.4, 6.0), strict=True))
    return replace(plan, scanner=replace(scanner, spacing=(4.4, 4.4, 6.0), shape=shape))


if __name__ == "__main__":
    main()
