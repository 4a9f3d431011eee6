"""Runs read afresh: every kept answer scored again, with what judges said and the facts of each benchmark.

Knows which questions of which runs are judged, which of them belong together (a cluster), and what is to be noted.
Leaves reading an answer to `reading`, and counting to `tables`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from vesalius.bench.questions import blind
from vesalius.bench.questions.judge import TASKS, apply, verdicts
from vesalius.bench.questions.reading import read
from vesalius.bench.questions.store import Store
from vesalius.errors import VesaliusError
from vesalius.select import expression
from vesalius.taxonomy import levels, nodes, taxonomy_columns

ROWS = {
    "benchmark": pl.String, "model": pl.String, "case": pl.String, "rotation": pl.Int64, "repeat": pl.Int64,
    "answer": pl.String, "choice": pl.String, "expected": pl.String, "correct": pl.Float64, "status": pl.String,
    "rule": pl.String, "position": pl.Int64, "chosen": pl.Int64, "conflict": pl.Boolean, "attempts": pl.Int64,
    "seconds": pl.Float64, "tokens": pl.Int64,
}  # fmt: skip


@dataclass(frozen=True)
class Benchmark:
    """A benchmark as it stands in a run.

    Attributes:
        name: in tables.
        cases: one row a question: `id, type`, metadata, and `cluster` (a code), `chance`, `longest` (null where they do
            not apply), `truth`, `n_options`.
        tree: its levels from the root on.
        nodes: `node, depth, id`.
        clustered: whether questions share images, slides or patients.
        models: what the run says of each model that was asked (URL, settings, provenance).
        entry: what the run says of the benchmark (path, hash, layout).
    """

    name: str
    cases: pl.DataFrame
    tree: list[str]
    nodes: pl.DataFrame
    clustered: bool
    models: dict[str, Any]
    entry: dict[str, Any]


@dataclass
class Judged:
    """Everything that was read from one or several runs.

    Attributes:
        benchmarks: by name.
        rows: one row an asking that was answered; columns are `ROWS`.
        metrics: `benchmark, model, case, rotation, repeat, metric, value`.
        accounts: `benchmark, model, prompt_tokens, tokens, cost, seconds, retried, cut_off`.
        classes: `benchmark, model, case, class, by` of wrong answers, by a judge or by hand.
        folders: the runs.
        notes: sentences about what is to be known.
    """

    benchmarks: dict[str, Benchmark]
    rows: pl.DataFrame
    metrics: pl.DataFrame
    accounts: pl.DataFrame
    classes: pl.DataFrame
    folders: list[Path]
    notes: list[str] = field(default_factory=list)

    def models(self, benchmark: str) -> list[str]:
        """Models that answered something of it, in the order asked."""
        rows = self.rows.filter(pl.col("benchmark") == benchmark)
        return rows["model"].unique(maintain_order=True).to_list()


def judge_runs(
    folders: Sequence[Path],
    *,
    select: str | None = None,
    tree: Sequence[str] = (),
    cluster: str | None = None,
    classes_by_hand: pl.DataFrame | None = None,
) -> Judged:
    """Reads runs afresh from their kept answers.

    Args:
        folders: runs; the same benchmark may be in several, under different models.
        select: condition on the questions' metadata.
        tree: levels to use instead of the benchmark's own.
        cluster: column that says which questions belong together.
        classes_by_hand: see `files.read_classes`; they count before a judge's.

    Raises:
        VesaliusError: no run, nothing answered, two runs disagree about a benchmark or a model.
    """
    benchmarks: dict[str, Benchmark] = {}
    rows: list[dict[str, Any]] = []
    metrics: list[tuple] = []
    accounts: list[dict[str, Any]] = []
    classes: list[tuple] = []
    notes: list[str] = []
    seen: set[tuple[str, str]] = set()
    digests: dict[str, str] = {}
    for folder in folders:
        with Store(folder, read_only=True) as store:
            for name, entry in store.benchmarks.items():
                if digests.setdefault(name, entry["sha256"]) != entry["sha256"]:
                    remedy = "report them apart"
                    problem = f"asked another {name} than the run before it"
                    raise VesaliusError(problem, file=folder, remedy=remedy, code="runs")
                models = {k.removeprefix(f"{name}/"): v for k, v in store.models.items() if k.startswith(f"{name}/")}
                if twice := next((m for m in models if (name, m) in seen), None):
                    remedy = "report them apart, or compare them with `vesalius bench diff`"
                    raise VesaliusError(
                        f"{name} was asked of {twice} in another run, too", file=folder, remedy=remedy, code="runs"
                    )
                seen |= {(name, model) for model in models}
                benchmark = _benchmark(store, name, entry, models, select, tree, cluster)
                if name in benchmarks:
                    benchmark.models.update(benchmarks[name].models)
                benchmarks[name] = benchmark
                kept = set(benchmark.cases["id"])
                for model in models:
                    notes += _collect(store, name, model, kept, rows, metrics, accounts, classes)
    frame = pl.DataFrame(rows, schema=ROWS, orient="row")
    if frame.is_empty():
        raise VesaliusError(
            "nothing is answered yet", file=folders[0], remedy="run `vesalius bench run` first", code="empty"
        )
    names = ("benchmark", "model", "case", "rotation", "repeat", "metric", "value")
    kinds = (pl.String, pl.String, pl.String, pl.Int64, pl.Int64, pl.String, pl.Float64)
    long = pl.DataFrame(metrics, schema=dict(zip(names, kinds, strict=True)), orient="row")
    errors = pl.DataFrame(
        classes, schema=dict.fromkeys(("benchmark", "model", "case", "class", "by"), pl.String), orient="row"
    )
    if classes_by_hand is not None:
        errors = pl.concat([classes_by_hand, errors]).unique(
            ["benchmark", "model", "case"], keep="first", maintain_order=True
        )
    return Judged(benchmarks, frame, long, pl.DataFrame(accounts), errors, list(folders), notes)


def _collect(
    store: Store, name: str, model: str, kept: set[str], rows: list, metrics: list, accounts: list, classes: list
) -> list[str]:
    """Reads one model's answers into the lists; gives back notes."""
    total: dict[str, Any] = dict.fromkeys(("prompt_tokens", "tokens", "retried", "cut_off"), 0) | {
        "cost": 0.0,
        "seconds": 0.0,
    }
    waiting = conflicts = absent = 0
    said = {task: verdicts(store, name, model, task) for task in TASKS}
    for result in store.results(name, model):
        if result.sample.question.id not in kept:
            continue
        row = read(result)
        if row is None or result.answer is None:
            waiting += 1
            continue
        key = (row.case, row.rotation, row.repeat)
        found: dict[str, Any] = {task: given[key][0] for task, given in said.items() if key in given}
        row = apply(row, result, found | {"judged_open": bool(said["open"])})
        if row.correct == 0 and "errors" in found:
            classes.append((name, model, row.case, found["errors"].verdict, "judge"))
        conflicts += row.conflict
        absent += row.status == "no_medium"
        both = {"benchmark": name, "model": model} | {k: getattr(row, k) for k in ROWS if hasattr(row, k)}
        rows.append(both | {k: getattr(result.answer, k) for k in ("attempts", "seconds", "tokens")})
        metrics += [(name, model, row.case, row.rotation, row.repeat, k, v) for k, v in row.metrics.items()]
        answer = result.answer
        total["prompt_tokens"] += answer.prompt_tokens or 0
        total["tokens"] += answer.tokens or 0
        total["cost"] += answer.cost or 0.0
        total["seconds"] += answer.seconds or 0.0
        total["retried"] += answer.attempts > 1
        total["cut_off"] += answer.status == "cut_off"
    accounts.append({"benchmark": name, "model": model, **total})
    notes = []
    for task, given in said.items():
        if asked := store.fact("judges").get(f"{task}/{name}/{model}"):
            notes.append(f"{name} · {model}: {asked['by']} judged {len(given):,} of {asked['wanted']:,} ({task})")
    if waiting:
        notes.append(f"{name} · {model}: {waiting:,} questions are not answered yet; the same `bench run` goes on")
    if absent:
        notes.append(f"{name} · {model}: {absent:,} questions were not asked, since their media are not there")
    if conflicts:
        what = "answers the words after the letter are another option's; the letter counts"
        notes.append(f"{name} · {model}: in {conflicts:,} {what}")
    return notes


def _benchmark(
    store: Store, name: str, entry: dict[str, Any], models: dict[str, Any], select: str | None, tree: Sequence[str],
    cluster: str | None,
) -> Benchmark:  # fmt: skip
    frame = store.metadata(name)
    if select:
        frame = frame.filter(expression(select, frame))
        if frame.is_empty():
            raise VesaliusError(f"--select «{select}» keeps no question of {name}", remedy="widen it", code="empty")
    column = cluster or entry["cluster"]
    if cluster and cluster not in frame.columns:
        remedy = f"columns are: {', '.join(frame.columns)}"
        raise VesaliusError(f"--cluster names the unknown column {cluster}", remedy=remedy, code="columns")
    codes: dict[str, int] = {}
    extra: dict[str, list] = {k: [] for k in ("cluster", "chance", "longest", "truth", "n_options")}
    given = frame[column].to_list() if column and column in frame.columns else [None] * frame.height
    for sample, own in zip(store.samples(name, frame["id"].to_list()), given, strict=True):
        shared = own or "|".join(part.path or "" for part in sample.question.media) or f"#{sample.question.id}"
        extra["cluster"].append(codes.setdefault(shared, len(codes)))
        extra["chance"].append(blind.chance(sample))
        extra["longest"].append(blind.longest(sample))
        extra["truth"].append(None if sample.truth is None else sample.truth.strip().lower())
        extra["n_options"].append(len(sample.question.options))
    kinds = {
        "cluster": pl.Int64,
        "chance": pl.Float64,
        "longest": pl.Float64,
        "truth": pl.String,
        "n_options": pl.Int64,
    }
    cases = frame.with_columns([pl.Series(k, v, dtype=kinds[k]) for k, v in extra.items()])
    grown = levels(frame, tree, entry["tree"])
    others = taxonomy_columns(frame, column)
    if frame["type"].n_unique() < 2:
        others = [other for other in others if other != "type"]
    return Benchmark(name, cases, grown, nodes(frame, grown, others), len(codes) < frame.height, models, entry)
