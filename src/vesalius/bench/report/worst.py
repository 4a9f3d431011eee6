"""The worst cases as pictures: image, reference, prediction and error, side by side.

Knows which cases to show and where their files lie. Leaves reading to `formats.masks` and drawing to `media.render`.
A picture that cannot be made is a note, never the end of the report.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from vesalius.bench.report.analysis import Analysis
from vesalius.bench.report.verdict import show
from vesalius.errors import VesaliusError


@dataclass(frozen=True)
class Pictures:
    """Where the files lie, and how many cases of each model to show."""

    references: Path
    predictions: Path
    images: Path | None = None
    each: int = 2


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
    from vesalius.formats.masks import find_cases, find_images

    references = find_cases(pictures.references)
    images = find_images(pictures.images) if pictures.images else {}
    folders = _folders(analysis.models, pictures.predictions)
    order = analysis.order(metric, analysis.targets(metric)[0])
    shown, notes = (
        [],
        [f"pictures: no folder of predictions is named {model}" for model in order if model not in folders],
    )
    for row in _worst(analysis, metric, pictures.each).iter_rows(named=True):
        model, case, target = row["model"], row["case"], row["target"]
        if model not in folders:
            continue
        try:
            prediction = folders[model].get(case)
            if case not in references or prediction is None:
                missing = "reference" if case not in references else "prediction"
                raise VesaliusError(f"there is no {missing}", case=case)
            panels = _panels(references[case], prediction, images.get(case), target)
        except VesaliusError as error:
            notes.append(f"pictures: {model}, {case}: {error}")
            continue
        shown.append(WorstCase(model, case, target, show(analysis, metric, row["value"]), panels))
    return sorted(shown, key=lambda item: order.index(item.model)), notes


def _folders(models: tuple[str, ...], folder: Path) -> dict[str, dict]:
    """Each model's cases: `folder` holds a folder for each model, or is the one of the only model."""
    from vesalius.formats.masks import find_cases

    if not folder.is_dir():
        raise VesaliusError("there is no such folder", file=folder, remedy="check --predictions", code="absent")
    found = {model: find_cases(folder / model) for model in models if (folder / model).is_dir()}
    if found:
        return found
    if len(models) == 1:
        return {models[0]: find_cases(folder)}
    raise VesaliusError(
        f"has no folder named like a model ({', '.join(models[:5])})", file=folder, remedy="name the folder of "
        "model folders",
        code="layout",
    )  # fmt: skip


def _worst(analysis: Analysis, metric: str, each: int) -> pl.DataFrame:
    """Scored values of lowest quality, a case once a model."""
    cube = analysis.cubes[metric]
    rows = []
    for m, model in enumerate(cube.models):
        quality = cube.quality[m, :, :-1]
        for c, case in enumerate(cube.cases):
            scored = {t: float(q) for t, q in enumerate(quality[c]) if q == q and cube.status[m, c, t] >= 0}
            if scored:
                t = min(scored, key=lambda t: scored[t])
                value = float(cube.values[m, c, t])
                rows.append(
                    {"model": model, "case": case, "target": cube.targets[t], "value": value, "quality": scored[t]}
                )
    frame = pl.DataFrame(rows)
    return frame.sort("quality", "case").group_by("model", maintain_order=True).head(each) if rows else frame


def _panels(reference, prediction, image: Path | None, target: str) -> dict[str, bytes]:
    from vesalius.formats.masks import read_mask
    from vesalius.media.render import comparison
    from vesalius.media.volume import Volume, onto_grid, read_volume

    scan = read_volume(image) if image else None
    truth = read_mask(reference, grid=scan)
    grid = Volume(truth.layers[0], truth.affine)
    answer = read_mask(prediction, grid=grid)
    if target not in truth.targets and target not in answer.targets:
        raise VesaliusError(
            f"neither mask has a structure named {target}", remedy="give the label map that the scores used"
        )
    wanted, given = (
        Volume(mask.binary(target).astype("uint8"), mask.affine) if target in mask.targets else None
        for mask in (truth, answer)
    )
    if wanted is None:
        wanted = Volume((grid.data * 0).astype("uint8"), truth.affine)
    if given is not None:
        given = onto_grid(given, grid)
    return {name: _small(panel) for name, panel in comparison(scan, wanted, given).items()}


def _small(png: bytes) -> bytes:
    """The picture as WebP: a quarter of the size, so that a page with many stays light."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(png))
    picture.thumbnail((420, 420))
    picture.convert("RGB").save(buffer, "WEBP", quality=82, method=4)
    return buffer.getvalue()
