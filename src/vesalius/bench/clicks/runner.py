"""Folders of images and references, and models that take clicks, to the one long Score table.

A unit of work is a case of a model; the state lies beside the table, so that a killed run goes on. A case that fails is
a row a structure with the worst value and its reason.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from vesalius.bench.clicks.protocol import Protocol, lost, run_case
from vesalius.bench.metrics import CONFIDENCE
from vesalius.bench.score import write_table
from vesalius.errors import VesaliusError
from vesalius.formats.labels import LabelMap, find_label_map
from vesalius.formats.masks import Entry, find_cases, find_images, read_mask
from vesalius.media.volume import read_header, read_volume
from vesalius.models.promptable import Promptable, open_promptable
from vesalius.records import SCORE_SCHEMA
from vesalius.run import Run, Unit, console, cores, file_stamp, fingerprint, provenance, work

_MASKS = 6  # bytes a voxel: the labels, a truth, an answer, and where they differ


@dataclass(frozen=True)
class Summary:
    """What became of it: cases times models, how many failed, how many were done now, cases without an image; and of
    models that say how sure they are, after the most clicks: model, metric, mean error and mean absolute error.
    """

    pairs: int
    failed: int
    done_now: int
    without_image: tuple[str, ...]
    confidence: tuple[tuple[str, str, float, float], ...]


def run(
    images: str | Path,
    references: str | Path,
    models: Mapping[str, str],
    out: str | Path,
    protocol: Protocol,
    *,
    structures: Sequence[str] = (),
    own: Mapping[str, Sequence[str]] | None = None,
    cases: Sequence[str] = (),
    benchmark: str = "clicks",
    workers: int | None = None,
) -> Summary:
    """Clicks through every case with every model and writes the table.

    What models say of their own answers is scored in a table beside it, `OUT.confidence.parquet`: not all say it.

    Args:
        images, references: folders; see `formats/masks.py` for the layouts.
        models: name -> URL of a model that takes clicks.
        out: the Score table.
        protocol: see there.
        structures: which; all that the references name by default.
        own: structures of models that answer for these alone.
        cases: which; all by default.
        benchmark: name in the table.
        workers: processes; one a core by default.

    Raises:
        VesaliusError: folders without cases, a model that does not open, a structure that no reference names.
        Interrupted: stopped; the same call goes on.
    """
    out = Path(out)
    pairs, without = _pairs(images, references, cases)
    labels = find_label_map(references)
    asked = {name: tuple((own or {}).get(name, structures)) for name in models}
    for wanted in asked.values():
        _check_structures(wanted, labels)
    stamps = {name: _identity(url) for name, url in models.items()}
    units = [
        Unit(
            f"{name}/{case}",
            fingerprint(stamps[name], asdict(protocol), list(asked[name]), file_stamp(image), file_stamp(entry.path)),
            (url, case, str(image), entry, labels, protocol, asked[name]),
        )
        for case, (image, entry) in pairs.items()
        for name, url in models.items()
    ]
    workers = _fitting(models.values(), [image for image, _ in pairs.values()], workers)
    with Run(out.with_name(out.name + ".run")) as state:
        done = work(state, units, click_case, crashed=_crashed, label="clicking", workers=workers, count=_failed)
        found = [(unit.key.rsplit("/", 1), payload) for unit, payload, _, _ in state.payloads(units)]
    targets = list(dict.fromkeys(row["target"] for _, payload in found for row in payload["rows"]))
    rows = pl.DataFrame(
        [
            {"benchmark": benchmark, "model": model, "case": case, **row}
            for (model, case), payload in found
            for row in (
                payload["rows"] or lost(payload["problem"], list(asked[model]) or targets or ["all"], protocol.names)
            )
        ],
        SCORE_SCHEMA,
        orient="row",
    ).sort("model", "case", maintain_order=True)
    facts = {"protocol": asdict(protocol), "models": dict(models), "provenance": provenance(("torch", "numpy"))}
    said = pl.col("metric").str.starts_with(CONFIDENCE.name)
    write_table(rows.filter(~said), out, facts)
    confidence = rows.filter(said)
    beside = out.with_suffix(f".confidence{out.suffix}")
    if len(confidence):
        write_table(confidence, beside, facts)
    else:
        beside.unlink(missing_ok=True)
    failed = sum(_failed(payload) for _, payload in found)
    return Summary(len(units), failed, done, tuple(without), _sure(confidence))


def _sure(confidence: pl.DataFrame) -> tuple[tuple[str, str, float, float], ...]:
    value = pl.col("value")
    groups = confidence.group_by("model", "metric", maintain_order=True)
    means = groups.agg(value.mean().alias("mean"), value.abs().mean().alias("absolute"))
    return tuple(means.group_by("model", maintain_order=True).last().rows())


def _fitting(urls: Iterable[str], images: Sequence[Path], workers: int | None) -> int:
    """As many workers as the free memory has room for, each with the largest image; says what one takes."""
    wanted = workers or cores()
    try:
        header = read_header(max(images, key=lambda path: path.stat().st_size))
        asked = [model.needs(header).total for model in map(open_promptable, urls) if hasattr(model, "needs")]
    except VesaliusError:
        return wanted  # a case that fails is told in its rows
    if not asked:
        return wanted
    import psutil  # models that tell their needs bring it; region growing does without

    each = max(asked) + _MASKS * math.prod(header.shape)
    room = max(1, min(wanted, int(psutil.virtual_memory().available // each)))
    line = f"a worker takes about {each / 2**30:.1f} GiB" + (f": {room} of {wanted} fit" if room < wanted else "")
    console().print(line, highlight=False)
    return room


def _pairs(images: str | Path, references: str | Path, wanted: Sequence[str]):
    pictures, masks = find_images(images), find_cases(references)
    unknown = sorted(set(wanted) - masks.keys())
    if unknown:
        raise VesaliusError(f"no reference is called {unknown[0]}", file=references, remedy="check the names")
    pairs = {c: (pictures[c], m) for c, m in masks.items() if c in pictures and (not wanted or c in wanted)}
    if not pairs:
        remedy = f"images are called {next(iter(pictures))}, …, references {next(iter(masks))}, …"
        raise VesaliusError("no image belongs to a reference", file=images, remedy=remedy, code="no_pairs")
    return pairs, [case for case in masks if case not in pictures and (not wanted or case in wanted)]


def _check_structures(structures: Sequence[str], labels: LabelMap | None) -> None:
    if labels is not None and (unknown := [s for s in structures if s not in labels.targets]):
        remedy = f"structures are: {', '.join(labels.targets)}"
        raise VesaliusError(f"no structure is called {unknown[0]}", file=labels.path, remedy=remedy, code="usage")


def _identity(url: str) -> Any:
    model = open_promptable(url)
    identity = getattr(model, "identity", None)
    return identity() if identity else [url]


def click_case(
    url: str,
    case: str,
    image: str,
    entry: Entry,
    labels: LabelMap | None,
    protocol: Protocol,
    structures: tuple[str, ...],
) -> dict[str, Any]:
    """One case of one model, in a worker: rows, or the problem."""
    try:
        volume = read_volume(image)
        mask = read_mask(entry, labels)
        if mask.shape != volume.shape:
            problem = f"the reference has shape {mask.shape}, the image {volume.shape}"
            raise VesaliusError(problem, case=case, remedy="give references on the image's grid", code="geometry")
        wanted = [name for name in structures or mask.targets if name in mask.targets]
        session = _opened(url).open(volume)
        truths = ((name, mask.binary(name)) for name in wanted)
        return {"rows": list(run_case(session, truths, protocol, case)), "problem": None}
    except VesaliusError as error:
        return {"rows": [], "problem": str(error)}


@lru_cache(maxsize=2)
def _opened(url: str) -> Promptable:
    """A model a worker; threads are the pool's business."""
    return open_promptable(url)


def _failed(payload: Mapping[str, Any]) -> bool:
    return payload["problem"] is not None


def _crashed(unit: Unit, error: VesaliusError) -> dict[str, Any]:
    return {"rows": [], "problem": str(error)}
