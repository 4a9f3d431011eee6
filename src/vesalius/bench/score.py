"""Folders of predictions and references to the one long Score table: the job behind `vesalius bench score`.

Knows how cases are found and paired, what the table holds, and what is said at the end. The state of the run lies
beside the table (`scores.parquet.run`), so that a killed job goes on; masks are read and scored in `score_case.py`.

Beside `scores.parquet` stands `scores.cases.csv`: what was paired with what, on which grid, and everything odd.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from vesalius.bench.metrics import metric
from vesalius.bench.metrics.segmentation import EMPTY_POLICIES, Settings
from vesalius.bench.score_case import Case, score_case
from vesalius.errors import VesaliusError
from vesalius.formats.labels import LabelMap, find_label_map
from vesalius.formats.masks import Entry, find_cases, find_images
from vesalius.formats.pairs import Pairing, pair, read_pairs
from vesalius.records import SCORE_SCHEMA
from vesalius.run import Run, Unit, file_stamp, fingerprint, provenance, replacing, work

LIBRARIES = ("scipy", "numba", "nibabel", "SimpleITK", "connected-components-3d")
CASES_SCHEMA = pl.Schema(
    {
        "model": pl.String,
        "case": pl.String,
        "prediction": pl.String,
        "reference": pl.String,
        "outcome": pl.String,
        "problem": pl.String,
        "warnings": pl.String,
        "shape": pl.String,
        "spacing": pl.String,
        "orientation": pl.String,
        "seconds": pl.Float64,
    }
)


@dataclass
class Summary:
    """What became of a scoring job.

    Attributes:
        table: the Score table's path.
        pairs, scored, failed, unscorable: cases times models.
        done_now: how many of them were not done before.
        reasons: failures by code.
        unmatched_predictions, unmatched_references: model → case names.
        warnings: sentences about cases and about the whole.
    """

    table: str
    pairs: int
    scored: int
    failed: int
    unscorable: int
    done_now: int
    reasons: dict[str, int]
    unmatched_predictions: dict[str, list[str]]
    unmatched_references: dict[str, list[str]]
    warnings: list[str] = field(default_factory=list)

    def last_line(self) -> str:
        """How many, in one line."""
        lost = self.failed + self.unscorable
        line = f"scored {self.scored} of {self.pairs}"
        if not lost:
            return line
        reasons = ", ".join(f"{n} {code}" for code, n in sorted(self.reasons.items()))
        return f"{line}; {lost} failed ({reasons}), each a row with its reason"


def plan(
    predictions: str | Path | None,
    references: str | Path | None,
    *,
    models: bool = False,
    model: str | None = None,
    pattern: str | None = None,
    pairs: str | Path | None = None,
) -> dict[str, Pairing]:
    """Which prediction belongs to which reference: model → pairing.

    Args:
        predictions: one model's folder, or with `models` a folder of such folders.
        references: the folder of references.
        models: see `predictions`.
        model: name of the one model; its folder's by default.
        pattern, pairs: see `formats/pairs.py`; `pairs` needs no folders.

    Raises:
        VesaliusError: a folder is missing or empty, nothing matches, a table is wrong.
    """
    if pairs is not None:
        found = read_pairs(pairs)
        return {name or model or "model": pairing for name, pairing in found.items()}
    if predictions is None or references is None:
        raise VesaliusError("no folders", remedy="give PREDICTIONS and REFERENCES, or --pairs CSV", code="usage")
    folder = Path(predictions)
    wanted = find_cases(references)
    if not folder.is_dir():
        raise VesaliusError("there is no such folder", file=folder, remedy="check the path", code="no_cases")
    children = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not models:
        try:
            return {model or folder.resolve().name: pair(find_cases(folder), wanted, pattern)}
        except VesaliusError as error:
            if error.code in ("no_pairs", "no_cases") and any(_holds_some_of(child, wanted) for child in children):
                error.remedy = "its folders look like models: add --models"
            raise error from None
    if not children:
        remedy = "drop --models if it holds one model's predictions"
        raise VesaliusError("no folders of models in it", file=folder, remedy=remedy, code="no_cases")
    return {child.name: pair(find_cases(child), wanted, pattern) for child in children}


def _holds_some_of(folder: Path, wanted: Mapping[str, Entry]) -> bool:
    try:
        return not wanted.keys().isdisjoint(find_cases(folder))
    except VesaliusError:
        return False


def jobs(
    pairings: Mapping[str, Pairing], template: Case, references: Path | None, images: str | Path | None = None
) -> list[Case]:
    """A `Case` for each reference of each model, cases together so that a worker reads a reference once.

    Args:
        pairings: as `plan` gives them.
        template: labels, settings and switches that all cases share.
        references: their folder; a label map beside it names ids where the template has none.
        images: folder of images, whose grids RTSTRUCT needs.
    """
    grids = {case: str(path) for case, path in find_images(images).items()} if images else {}
    labels = template.reference_labels or (find_label_map(references) if references else None)
    if labels is None and (labels := _first_map(pairings)) is not None:
        note = f"the references have no label map: {labels.path} is taken for theirs; give --labels if it is not"
        template = replace(template, note=note)
    _check_tolerances(template.settings, labels, pairings)
    out = []
    for model, pairing in pairings.items():
        cases: dict[str, tuple[Entry | None, Entry | None]] = {**pairing.matched}
        cases |= {case: (None, reference) for case, reference in pairing.only_references.items()}
        for case, (prediction, reference) in cases.items():
            job = replace(template, model=model, case=case, prediction=prediction, reference=reference)
            out.append(replace(job, image=grids.get(case), reference_labels=labels))
    return sorted(out, key=lambda job: (job.case, job.model))


def _check_tolerances(settings: Settings, labels: LabelMap | None, pairings: Mapping[str, Pairing]) -> None:
    """A misspelt target of --tolerance is said before hours of work, where the names are known beforehand."""
    entries = (r for p in pairings.values() for r in [*(r for _, r in p.matched.values()), *p.only_references.values()])
    known = set(labels.targets) if labels else {organ for entry in entries for organ in entry.organs}
    if not known or not isinstance(settings.tolerance, Mapping):
        return
    given = set(map(str, settings.tolerance))
    unknown, lacking = given - known - {"default"}, known - given
    if unknown:
        remedy = f"structures are: {', '.join(sorted(known))}"
        raise VesaliusError(f"--tolerance names {', '.join(sorted(unknown))}", remedy=remedy, code="usage")
    if lacking and "default" not in given and any(name.startswith("nsd") for name in settings.metrics):
        problem = f"--tolerance says nothing of {', '.join(sorted(lacking))}"
        raise VesaliusError(problem, remedy="add them, or default=2", code="usage")


def _first_map(pairings: Mapping[str, Pairing]) -> LabelMap | None:
    """The label map beside the predictions, where the references have none: nnU-Net leaves one there."""
    for pairing in pairings.values():
        for prediction, _ in pairing.matched.values():
            return None if prediction.organs else find_label_map(prediction.path.parent)
    return None


def run(
    pairings: Mapping[str, Pairing],
    cases: Sequence[Case],
    out: str | Path,
    *,
    benchmark: str,
    lesions: str | Path | None = None,
    workers: int | None = None,
    timeout: float | None = None,
    ray: str | None = None,
) -> Summary:
    """Scores what is not yet scored and writes the tables.

    Args:
        pairings: for what is unmatched.
        cases: the whole job.
        out: `.parquet`, `.csv` or `.jsonl`.
        benchmark: name in the table.
        lesions: also write every connected component there.
        workers: processes; one a core by default.
        timeout: seconds a case may take.
        ray: address of a cluster that works instead of processes here.

    Raises:
        VesaliusError: the output cannot be written, another process is at it.
        Interrupted: stopped; the same call goes on.
    """
    out = Path(out)
    _check_output(out)
    units = [Unit(f"{job.model}/{job.case}", _stamp(job), (job,)) for job in cases]
    with Run(out.with_name(out.name + ".run")) as state:
        gone = sorted(set(state.fact("models") or []) - {job.model for job in cases})
        state.set_fact("models", sorted({job.model for job in cases}))
        if state.left(units):
            _compile_once()
        map_cases = partial(work, state, crashed=_crashed, workers=workers, timeout=timeout, ray=ray)
        done_now = map_cases(units, score_case, label="scoring", count=lambda p: bool(p["problem"]))
        # A case that killed or hung its worker has no rows: its reference alone tells what an empty prediction gets.
        again = [
            Unit(f"{unit.key} as failed", unit.stamp, (replace(unit.arguments[0], failure=tuple(p["problem"][1:])),))
            for unit, p, _, kind in state.payloads(units)
            if kind == "crashed"
        ]
        map_cases(again, score_case, label="scoring what crashed as failed")
        standing = {unit.key.removesuffix(" as failed"): result for unit, *result in state.payloads([*units, *again])}
        results = [(unit.arguments[0], *standing[unit.key][:2]) for unit in units if unit.key in standing]
    table = _table(results, benchmark)
    facts = {"settings": asdict(cases[0].settings), "provenance": provenance(LIBRARIES)} if cases else {}
    write_table(table, out, facts)
    write_table(_cases_table(results, pairings), out.with_name(f"{out.stem}.cases.csv"))
    if lesions:
        write_table(_lesions_table(results), Path(lesions))
    summary = _summary(out, results, pairings, table, done_now)
    if gone:
        summary.warnings.insert(0, f"{out} held {', '.join(gone)} too; another --out would have kept both")
    return summary


def _check_output(out: Path) -> None:
    """What would spoil the end is said before the work: a wrong suffix, somebody's file, a folder not to write in."""
    _writer(out)
    state = out.with_name(out.name + ".run")
    if out.exists() and not state.exists():
        remedy = "choose another --out, or remove it"
        raise VesaliusError("is there already and no table of this command's", file=out, remedy=remedy, code="output")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"its folder cannot be made ({error.strerror})"
        raise VesaliusError(problem, file=out, remedy="choose another --out", code="output") from None
    if not os.access(out.parent, os.W_OK):
        raise VesaliusError("its folder cannot be written", file=out, remedy="choose another --out", code="output")


def _compile_once() -> None:
    """Compiles the kernels (or loads them) before workers start, so that they do not all compile the same."""
    import numpy as np
    from rich.console import Console

    from vesalius.bench.metrics.segmentation import score

    tiny = np.zeros((4, 4, 4), np.uint8, order="F")
    tiny[1:3, 1:3, 1:3] = 1
    with Console(stderr=True).status("preparing the kernels (some seconds, the first time)"):
        score(tiny, tiny, (1, 1, 1), [1])


def _stamp(job: Case) -> str:
    files: list[str | Path] = [job.image] if job.image else []
    for entry in (job.prediction, job.reference):
        if entry is not None:
            files += list(entry.organs.values()) or [entry.path]
    stamps = [file_stamp(path) for path in files]
    maps = [asdict(m) if m else None for m in (job.reference_labels, job.prediction_labels)]
    failure = [job.failure] if job.failure else []  # known beforehand: a program that gave no mask
    return fingerprint(stamps, maps, asdict(job.settings), job.resample, job.lesions, *failure)


def _crashed(unit: Unit, error: VesaliusError) -> dict[str, Any]:
    return {"rows": [], "lesions": [], "warnings": [], "problem": ["unscorable", error.code, str(error)]}


Result = tuple[Case, dict[str, Any], float]


def _table(results: Iterable[Result], benchmark: str) -> pl.DataFrame:
    """The Score table: rows of each case, and rows for what a broken case should have had, with its reason."""
    results = sorted(results, key=lambda r: (r[0].model, r[0].case))
    targets = list(dict.fromkeys(row["target"] for _, payload, _ in results for row in payload["rows"]))
    rows: list[dict[str, Any]] = []
    for job, payload, _ in results:
        own = payload["rows"]
        absent = [target for target in targets or ["all"] if target not in {row["target"] for row in own}]
        own = own + [_absent_row(job, payload["problem"], m, target) for target in absent for m in job.settings.metrics]
        rows += [{"benchmark": benchmark, "model": job.model, "case": job.case, **row} for row in own]
    return pl.DataFrame(rows, schema=SCORE_SCHEMA, orient="row") if rows else pl.DataFrame(schema=SCORE_SCHEMA)


def _absent_row(job: Case, problem: Sequence[str] | None, name: str, target: str) -> dict[str, Any]:
    """The row of a structure of which a case's masks say nothing: no label of that id, or no reference to be read."""
    if problem:
        status = "failed" if problem[0] == "failed" else "unscorable"
        return {"metric": name, "target": target, "status": status, "reason": ": ".join(problem[1:])}
    best = EMPTY_POLICIES[job.settings.empty]["both_empty"] == "best"
    return {"metric": name, "target": target, "value": metric(name).best if best else None, "status": "both_empty"}


def _cases_table(results: Iterable[Result], pairings: Mapping[str, Pairing]) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    for job, payload, seconds in results:
        rows.append(
            {
                "model": job.model,
                "case": job.case,
                "prediction": str(job.prediction.path) if job.prediction else None,
                "reference": str(job.reference.path) if job.reference else None,
                "outcome": payload["problem"][0] if payload["problem"] else "scored",
                "problem": ": ".join(payload["problem"][1:]) if payload["problem"] else None,
                "warnings": "; ".join(payload["warnings"]) or None,
                "shape": "x".join(map(str, payload["shape"])) if "shape" in payload else None,
                "spacing": "x".join(f"{s:g}" for s in payload["spacing"]) if "spacing" in payload else None,
                "orientation": payload.get("orientation"),
                "seconds": round(seconds, 4),
            }
        )
    for model, pairing in pairings.items():
        for case, entry in pairing.only_predictions.items():
            problem = "no reference of that name"
            row = {
                "model": model,
                "case": case,
                "prediction": str(entry.path),
                "outcome": "unmatched",
                "problem": problem,
            }
            rows.append(row)
    return pl.DataFrame(rows, schema=CASES_SCHEMA).sort("model", "case")


def _lesions_table(results: Iterable[Result]) -> pl.DataFrame:
    schema = {"model": pl.String, "case": pl.String, "target": pl.String, "side": pl.String, "component": pl.Int64}
    schema |= {"ml": pl.Float64, "matched": pl.Int64, "iou": pl.Float64, "touched": pl.Boolean}
    rows = [{"model": job.model, "case": job.case} | row for job, payload, _ in results for row in payload["lesions"]]
    return pl.DataFrame(rows, schema=schema).sort("model", "case", "target", maintain_order=True)


def _writer(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".csv", ".jsonl"):
        remedy = "name it .parquet, .csv or .jsonl"
        raise VesaliusError(f"{suffix or 'no suffix'} is no table format", file=path, remedy=remedy, code="usage")
    return suffix


def write_table(table: pl.DataFrame, path: Path, facts: Mapping[str, Any] | None = None) -> None:
    """Writes a table by its suffix, atomically; `facts` go into a Parquet file's metadata under "vesalius"."""
    suffix = _writer(path)
    try:
        with replacing(path) as temporary:
            if suffix == ".csv":
                table.write_csv(temporary)
            elif suffix == ".jsonl":
                table.write_ndjson(temporary)
            else:
                table.write_parquet(temporary, metadata={"vesalius": json.dumps(facts or {})})
    except OSError as error:
        remedy = "choose another --out"
        raise VesaliusError(f"cannot be written ({error.strerror})", file=path, remedy=remedy, code="output") from None


def _summary(
    out: Path, results: Sequence[Result], pairings: Mapping[str, Pairing], table: pl.DataFrame, done_now: int
) -> Summary:
    problems = [payload["problem"] for _, payload, _ in results if payload["problem"]]
    kinds = Counter("unscorable" if kind == "unscorable" else "failed" for kind, _, _ in problems)
    where: dict[str, list[str]] = {}
    for job, payload, _ in results:
        for text in payload["warnings"]:
            where.setdefault(text, []).append(f"{job.model}/{job.case}")
    said = [f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {text}" for text, names in where.items()]
    return Summary(
        str(out),
        len(results),
        len(results) - len(problems),
        kinds["failed"],
        kinds["unscorable"],
        done_now,
        dict(Counter(code for _, code, _ in problems)),
        {model: list(p.only_predictions) for model, p in pairings.items() if p.only_predictions},
        {model: list(p.only_references) for model, p in pairings.items() if p.only_references},
        _absent(table) + said,
    )


def _absent(table: pl.DataFrame) -> list[str]:
    """Warnings about structures that a whole data set, or all of a model's predictions, lacks."""
    said = []
    usable = table.filter(~pl.col("status").is_in(["failed", "unscorable"]))
    in_reference = usable.group_by("target", maintain_order=True).agg(pl.col("status").is_in(["ok", "missed"]).any())
    for target, there in in_reference.iter_rows():
        if not there:
            said.append(f"no reference holds {target}: is the label map right?")
    present = usable.filter(pl.col("status").is_in(["ok", "missed"]))
    found = present.group_by("model", "target", maintain_order=True).agg((pl.col("status") == "ok").any())
    for model, target, there in found.iter_rows():
        if not there:
            said.append(f"{model} never predicts {target}: is its label map right?")
    return said


def read_table(path: str | Path) -> pl.DataFrame:
    """A Score table that `write_table` wrote."""
    read = {".csv": pl.read_csv, ".jsonl": pl.read_ndjson, ".parquet": pl.read_parquet}[_writer(Path(path))]
    options = {} if Path(path).suffix == ".parquet" else {"schema": SCORE_SCHEMA}
    return read(path, **options)  # type: ignore[operator]


def failures(table: pl.DataFrame) -> pl.DataFrame:
    """The first row of each failed or unscorable case: `model, case, status, reason`."""
    lost = table.filter(pl.col("status").is_in(["failed", "unscorable"]))
    return lost.select("model", "case", "status", "reason").unique(maintain_order=True, subset=["model", "case"])
