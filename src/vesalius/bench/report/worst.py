"""The worst cases as pictures: image, reference, prediction and error, side by side.

Knows which cases to show and where their files lie. Leaves reading to `bench.score_case` and drawing to `media.render`.
A picture that cannot be made is a note, never the end of the report.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from vesalius.bench.report.analysis import Analysis
from vesalius.bench.report.verdict import show
from vesalius.bench.score import jobs, plan
from vesalius.bench.score_case import Case, matched_structures, prediction_mask, reference_mask
from vesalius.errors import VesaliusError
from vesalius.formats.labels import read_label_map
from vesalius.records import STATUSES

FAILED = STATUSES.index("failed")  # has nothing to show


@dataclass(frozen=True)
class Pictures:
    """Where the files lie, how their names and labels are read (as for `bench score`), and how many cases to show."""

    references: Path
    predictions: Path
    images: Path | None = None
    each: int = 2
    labels: Path | None = None
    pattern: str | None = None

    def jobs(self, models: tuple[str, ...]) -> dict[tuple[str, str], Case]:
        """(model, case) → where its masks are."""
        if not self.predictions.is_dir():
            raise VesaliusError("there is no such folder", file=self.predictions, remedy="check --predictions")
        several = any((self.predictions / model).is_dir() for model in models)
        if not several and len(models) > 1:
            remedy = "name the folder of model folders"
            problem = f"has no folder named like a model ({', '.join(models[:5])})"
            raise VesaliusError(problem, file=self.predictions, remedy=remedy, code="layout")
        model = None if several else models[0]
        pairings = plan(self.predictions, self.references, models=several, model=model, pattern=self.pattern)
        labels = read_label_map(self.labels) if self.labels else None
        template = Case("", "", None, None, reference_labels=labels)
        return {(job.model, job.case): job for job in jobs(pairings, template, self.references, self.images)}


@dataclass(frozen=True)
class WorstCase:
    """One case to look at: what was scored how, and the panels (PNG bytes by name)."""

    model: str
    case: str
    target: str
    score: str
    panels: dict[str, bytes]


def worst_cases(analysis: Analysis, metric: str, pictures: Pictures) -> tuple[list[WorstCase], list[str]]:
    """The `each` worst cases of every model, each with its worst target, models in rank order; and what went wrong."""
    found = pictures.jobs(analysis.models)
    order = analysis.order(metric, analysis.targets(metric)[0])
    absent = [model for model in order if model not in {name for name, _ in found}]
    notes = [f"pictures: no folder of predictions is named {model}" for model in absent]
    shown = []
    for row in _worst(analysis, metric, pictures.each).iter_rows(named=True):
        model, case, target = row["model"], row["case"], row["target"]
        if model in absent:
            continue
        try:
            if (model, case) not in found:
                raise VesaliusError("there is no reference", case=case)
            panels = _panels(found[model, case], target)
        except VesaliusError as error:
            notes.append(f"pictures: {model}, {case}: {error}")
            continue
        shown.append(WorstCase(model, case, target, show(analysis, metric, row["value"]), panels))
    return sorted(shown, key=lambda item: order.index(item.model)), notes


def _worst(analysis: Analysis, metric: str, each: int) -> pl.DataFrame:
    """Scored values of lowest quality, a case once a model."""
    cube = analysis.cubes[metric]
    rows = []
    for m, model in enumerate(cube.models):
        quality = cube.quality[m, :, :-1]
        for c, case in enumerate(cube.cases):
            shown = (cube.status[m, c] >= 0) & (cube.status[m, c] != FAILED)
            scored = {t: float(q) for t, q in enumerate(quality[c]) if q == q and shown[t]}
            if scored:
                t = min(scored, key=lambda t: scored[t])
                value = float(cube.values[m, c, t])
                rows.append(
                    {"model": model, "case": case, "target": cube.targets[t], "value": value, "quality": scored[t]}
                )
    frame = pl.DataFrame(rows)
    return frame.sort("quality", "case").group_by("model", maintain_order=True).head(each) if rows else frame


def _panels(job: Case, target: str) -> dict[str, bytes]:
    from vesalius.media.render import comparison
    from vesalius.media.volume import Volume, read_volume

    truth = reference_mask(job)
    answer = prediction_mask(job, truth, [])
    both = matched_structures(truth, answer, job, [])
    if target not in both:
        remedy = "give the label map that the scores used with --labels"
        raise VesaliusError(f"the masks have no structure named {target}", remedy=remedy)
    wanted, given = (
        Volume(np.isin(mask.layers[layer], ids).astype(np.uint8), truth.affine)
        for mask, (layer, ids) in zip((truth, answer), both[target], strict=True)
    )
    panels = comparison(read_volume(job.image) if job.image else None, wanted, given)
    if job.image is None:
        del panels["image"]
    return {name: _small(panel) for name, panel in panels.items()}


def _small(png: bytes) -> bytes:
    """The picture as WebP: a quarter of the size, so that a page with many stays light."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(png))
    picture.thumbnail((420, 420))
    picture.convert("RGB").save(buffer, "WEBP", quality=82, method=4)
    return buffer.getvalue()
