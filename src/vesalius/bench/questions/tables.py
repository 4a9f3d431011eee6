"""A run's answers as tables: accuracy at every node of the tree, pairs of models, positions, metrics, statuses.

Knows which numbers a report of questions has, and on which questions each stands. Leaves reading to `reading`, the
numbers' formulas to `bench/stats/proportions`, and pages to `report`.

Two accuracies: *strict* counts every question that was asked (what could not be read is wrong), and that of the
answered counts what could be read. Questions without a known truth, or whose medium was not there, count in neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from vesalius.bench.questions import blind
from vesalius.bench.questions.reading import read
from vesalius.bench.questions.store import Store
from vesalius.bench.stats.pairwise import ALPHA, holm
from vesalius.bench.stats.proportions import paired, share
from vesalius.errors import VesaliusError
from vesalius.select import expression
from vesalius.taxonomy import levels, nodes, taxonomy_columns

ROWS = {
    "benchmark": pl.String, "model": pl.String, "case": pl.String, "rotation": pl.Int64, "repeat": pl.Int64,
    "answer": pl.String, "choice": pl.String, "expected": pl.String, "correct": pl.Float64, "status": pl.String,
    "rule": pl.String, "position": pl.Int64, "chosen": pl.Int64, "conflict": pl.Boolean,
}  # fmt: skip
ANSWERS = ("benchmark", "model", "case", "answer", "choice", "expected", "correct", "status")
MIN_PAIR = 5  # questions that two models must share for a test


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
    """

    name: str
    cases: pl.DataFrame
    tree: list[str]
    nodes: pl.DataFrame
    clustered: bool
    models: dict[str, Any]


@dataclass
class Judged:
    """Everything that was read from one or several runs.

    Attributes:
        benchmarks: by name.
        rows: one row an asking that was answered; columns are `ROWS`.
        metrics: `benchmark, model, case, rotation, repeat, metric, value`.
        accounts: `benchmark, model, prompt_tokens, tokens, cost, seconds, retried`.
        folders: the runs.
        notes: sentences about what is to be known.
    """

    benchmarks: dict[str, Benchmark]
    rows: pl.DataFrame
    metrics: pl.DataFrame
    accounts: pl.DataFrame
    folders: list[Path]
    notes: list[str] = field(default_factory=list)

    def models(self, benchmark: str) -> list[str]:
        """Models that answered something of it, in the order asked."""
        rows = self.rows.filter(pl.col("benchmark") == benchmark)
        return rows["model"].unique(maintain_order=True).to_list()


def judge_runs(
    folders: Sequence[Path], *, select: str | None = None, tree: Sequence[str] = (), cluster: str | None = None
) -> Judged:
    """Reads runs afresh from their kept answers.

    Args:
        folders: runs; the same benchmark may be in several, under different models.
        select: condition on the questions' metadata.
        tree: levels to use instead of the benchmark's own.
        cluster: column that says which questions belong together.

    Raises:
        VesaliusError: no run, nothing answered, two runs disagree about a benchmark or a model.
    """
    benchmarks: dict[str, Benchmark] = {}
    rows: list[dict[str, Any]] = []
    metrics: list[tuple] = []
    accounts: list[dict[str, Any]] = []
    notes: list[str] = []
    seen: set[tuple[str, str]] = set()
    digests: dict[str, str] = {}
    for folder in folders:
        with Store(folder) as store:
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
                    notes += _collect(store, name, model, kept, rows, metrics, accounts)
    frame = pl.DataFrame(rows, schema=ROWS, orient="row")
    if frame.is_empty():
        raise VesaliusError(
            "nothing is answered yet", file=folders[0], remedy="run `vesalius bench run` first", code="empty"
        )
    names = ("benchmark", "model", "case", "rotation", "repeat", "metric", "value")
    kinds = (pl.String, pl.String, pl.String, pl.Int64, pl.Int64, pl.String, pl.Float64)
    long = pl.DataFrame(metrics, schema=dict(zip(names, kinds, strict=True)), orient="row")
    return Judged(benchmarks, frame, long, pl.DataFrame(accounts), list(folders), notes)


def _collect(
    store: Store, name: str, model: str, kept: set[str], rows: list, metrics: list, accounts: list
) -> list[str]:
    """Reads one model's answers into the lists; gives back notes."""
    total: dict[str, Any] = dict.fromkeys(("prompt_tokens", "tokens", "retried", "cut_off"), 0) | {
        "cost": 0.0,
        "seconds": 0.0,
    }
    waiting = conflicts = 0
    for result in store.results(name, model):
        if result.sample.question.id not in kept:
            continue
        row = read(result)
        if row is None or result.answer is None:
            waiting += 1
            continue
        conflicts += row.conflict
        rows.append(
            {"benchmark": name, "model": model} | {k: getattr(row, k) for k in ROWS if k not in ("benchmark", "model")}
        )
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
    if waiting:
        notes.append(f"{name} · {model}: {waiting:,} questions are not answered yet; the same `bench run` goes on")
    if conflicts:
        notes.append(
            f"{name} · {model}: in {conflicts:,} answers the words after the letter are another option's; the letter counts"
        )
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
    return Benchmark(name, cases, grown, nodes(frame, grown, others), len(codes) < frame.height, models)


def scored(judged: Judged, benchmark: str) -> pl.DataFrame:
    """`model, case, correct, status, choice`: one row a case, the mean over repeats of the first rotation."""
    rows = judged.rows.filter((pl.col("benchmark") == benchmark) & (pl.col("rotation") == 0))
    return rows.group_by("model", "case", maintain_order=True).agg(
        pl.col("correct").mean(), pl.col("status").first(), pl.col("choice").first()
    )


def accuracy(judged: Judged) -> pl.DataFrame:
    """Every node of every benchmark, a model at a time.

    Returns:
        `benchmark, model, node, n, accuracy, ci_low, ci_high, answered, unparsed, chance, majority, longest`: strict
        accuracy over the n questions that have a truth and were asked; `answered` could be read, `unparsed` gave
        words from which nothing could be. `chance`, `majority` and `longest` are those of the same n questions.
    """
    out = []
    for name, benchmark in judged.benchmarks.items():
        results = scored(judged, name).drop_nulls("correct")
        facts = benchmark.cases.select("id", "cluster", "chance", "longest", "truth", "type")
        joined = benchmark.nodes.join(results, left_on="id", right_on="case").join(facts, on="id")
        for (node, model), part in joined.group_by("node", "model", maintain_order=True):
            clusters = np.unique(part["cluster"].to_numpy(), return_inverse=True)[1]
            mean, low, high = share(part["correct"].to_numpy(), clusters)
            out.append(
                {
                    "benchmark": name, "model": model, "node": node, "n": part.height, "accuracy": mean,
                    "ci_low": low, "ci_high": high, "answered": int((part["choice"] != "").sum()),
                    "unparsed": int((part["status"] == "unparsed").sum()), "chance": _mean(part["chance"]),
                    "majority": _majority(part), "longest": _mean(part["longest"]),
                }
            )  # fmt: skip
    order = {
        node: i for i, node in enumerate(dict.fromkeys(n for b in judged.benchmarks.values() for n in b.nodes["node"]))
    }
    return pl.DataFrame(sorted(out, key=lambda row: (row["benchmark"], order[row["node"]], row["model"])), schema={
        "benchmark": pl.String, "model": pl.String, "node": pl.String, "n": pl.Int64, "accuracy": pl.Float64,
        "ci_low": pl.Float64, "ci_high": pl.Float64, "answered": pl.Int64, "unparsed": pl.Int64, "chance": pl.Float64,
        "majority": pl.Float64, "longest": pl.Float64,
    })  # fmt: skip


def _mean(cells: pl.Series) -> float | None:
    """The mean where every question has a value: chance of a part of the questions would mislead."""
    return None if cells.null_count() else cells.mean()  # type: ignore[return-value]


def _majority(part: pl.DataFrame) -> float | None:
    """Share of the commonest truth of each type."""
    counts = part.group_by("type", "truth").len().group_by("type").agg(pl.col("len").max())
    return float(counts["len"].sum() / part.height) if part.height else None


def pairwise(judged: Judged, alpha: float = ALPHA) -> pl.DataFrame:
    """Every pair of models on the questions that both were asked, at every node.

    Returns:
        `benchmark, node, better, worse, n, only_better, only_worse, difference, ci_low, ci_high, p, p_holm,
        significant, detectable`: see `stats.proportions.paired`; Holm runs over the pairs of a node.
    """
    out = []
    for name, benchmark in judged.benchmarks.items():
        results = scored(judged, name).drop_nulls("correct")
        wide = results.pivot("model", index="case", values="correct")
        models = [model for model in judged.models(name) if model in wide.columns]
        joined = benchmark.nodes.join(wide, left_on="id", right_on="case")
        joined = joined.join(benchmark.cases.select("id", "cluster"), on="id")
        for (node,), part in joined.group_by("node", maintain_order=True):
            tests = []
            for a, b in combinations(models, 2):
                both = part.drop_nulls([a, b])
                if both.height < MIN_PAIR:
                    continue
                clusters = np.unique(both["cluster"].to_numpy(), return_inverse=True)[1]
                found = paired(both[a].to_numpy(), both[b].to_numpy(), clusters)
                if found["difference"] < 0:
                    a, b = b, a
                    found = paired(both[a].to_numpy(), both[b].to_numpy(), clusters)
                found["only_better"], found["only_worse"] = found.pop("only_first"), found.pop("only_second")
                tests.append({"benchmark": name, "node": node, "better": a, "worse": b, **found})
            adjusted = holm(np.array([test["p"] for test in tests]))
            out += [
                t | {"p_holm": float(p), "significant": bool(p < alpha)} for t, p in zip(tests, adjusted, strict=True)
            ]
    kinds: dict[str, Any] = {
        "benchmark": pl.String, "node": pl.String, "better": pl.String, "worse": pl.String, "n": pl.Int64,
        "only_better": pl.Int64, "only_worse": pl.Int64, "difference": pl.Float64, "ci_low": pl.Float64,
        "ci_high": pl.Float64, "p": pl.Float64, "p_holm": pl.Float64, "significant": pl.Boolean, "detectable": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(out, schema=kinds).fill_nan(None)


def positions(judged: Judged) -> pl.DataFrame:
    """Position bias of single choices, over all rotations and repeats.

    Returns:
        `benchmark, model, position, truths, right, recall, chosen, share`: how often the truth stood at a place and how
        often it was found there; how often the model named that place, and the share of all it named.
    """
    rows = judged.rows.filter(pl.col("position").is_not_null())
    keys = ["benchmark", "model"]
    truths = rows.group_by(*keys, "position").agg(pl.len().alias("truths"), pl.col("correct").sum().alias("right"))
    chosen = rows.drop_nulls("chosen").group_by(*keys, pl.col("chosen").alias("position")).agg(pl.len().alias("chosen"))
    both = truths.join(chosen, on=[*keys, "position"], how="full", coalesce=True).fill_null(0)
    total = both.group_by(keys).agg(pl.col("chosen").sum().alias("all"))
    return both.join(total, on=keys).select(
        *keys, "position", "truths", pl.col("right").cast(pl.Int64),
        pl.when(pl.col("truths") > 0).then(pl.col("right") / pl.col("truths")).alias("recall"), "chosen",
        pl.when(pl.col("all") > 0).then(pl.col("chosen") / pl.col("all")).alias("share"),
    ).sort(*keys, "position")  # fmt: skip


def rotations(judged: Judged) -> pl.DataFrame:
    """Circular evaluation, of questions that were asked in all their rotations.

    Returns:
        `benchmark, model, n, accuracy, circular, consistent, recall_sd`: mean accuracy over rotations; share of
        questions right in every rotation (VLMEvalKit's circular accuracy); share that got the same option each time;
        standard deviation of recall over positions (RStd, Zheng et al. 2024). Empty where nothing was rotated.
    """
    out = []
    for name, benchmark in judged.benchmarks.items():
        full = benchmark.cases.select("id", "n_options")
        rows = judged.rows.filter(
            (pl.col("benchmark") == name) & (pl.col("repeat") == 0) & pl.col("correct").is_not_null()
        )
        for model in judged.models(name):
            mine = rows.filter(pl.col("model") == model).join(full, left_on="case", right_on="id")
            cases = mine.group_by("case").agg(
                pl.len().alias("turns"), pl.col("n_options").first(), pl.col("correct").mean().alias("mean"),
                (pl.col("correct") == 1).all().alias("all"),
                ((pl.col("choice").n_unique() == 1) & (pl.col("choice").first() != "")).alias("same"),
            ).filter((pl.col("turns") == pl.col("n_options")) & (pl.col("turns") > 1))  # fmt: skip
            if cases.height:
                turned = mine.filter(pl.col("case").is_in(cases["case"].implode()) & pl.col("position").is_not_null())
                recalls = turned.group_by("position").agg(pl.col("correct").mean())["correct"]
                out.append({"benchmark": name, "model": model, "n": cases.height, "accuracy": cases["mean"].mean(),
                            "circular": cases["all"].mean(), "consistent": cases["same"].mean(),
                            "recall_sd": recalls.std(ddof=0)})  # fmt: skip
    kinds: dict[str, Any] = {"benchmark": pl.String, "model": pl.String, "n": pl.Int64, "accuracy": pl.Float64,
                             "circular": pl.Float64, "consistent": pl.Float64, "recall_sd": pl.Float64}  # fmt: skip
    return pl.DataFrame(out, schema=kinds)


def statuses(judged: Judged) -> pl.DataFrame:
    """`benchmark, model, status, n`: every asking by what became of it."""
    keys = ["benchmark", "model", "status"]
    return judged.rows.group_by(keys, maintain_order=True).len("n").sort(keys)


def metric_means(judged: Judged) -> pl.DataFrame:
    """`benchmark, model, node, metric, n, mean, ci_low, ci_high` of what is not right or wrong (F1, recall, BLEU, …)."""
    out = []
    for name, benchmark in judged.benchmarks.items():
        mine = judged.metrics.filter((pl.col("benchmark") == name) & (pl.col("rotation") == 0))
        cases = mine.group_by("model", "case", "metric", maintain_order=True).agg(pl.col("value").mean())
        joined = benchmark.nodes.join(cases, left_on="id", right_on="case")
        joined = joined.join(benchmark.cases.select("id", "cluster"), on="id")
        for (node, model, metric), part in joined.group_by("node", "model", "metric", maintain_order=True):
            clusters = np.unique(part["cluster"].to_numpy(), return_inverse=True)[1]
            mean, low, high = share(part["value"].to_numpy(), clusters)
            out.append((name, model, node, metric, part.height, mean, low, high))
    names = ("benchmark", "model", "node", "metric", "n", "mean", "ci_low", "ci_high")
    kinds = (*[pl.String] * 4, pl.Int64, *[pl.Float64] * 3)
    return pl.DataFrame(out, schema=dict(zip(names, kinds, strict=True)), orient="row")


def answers(judged: Judged) -> pl.DataFrame:
    """The columns of `answers.csv`: first rotation and repeat, `correct` 1, 0, or empty where no truth is known."""
    rows = judged.rows.filter((pl.col("rotation") == 0) & (pl.col("repeat") == 0))
    return rows.select(ANSWERS).with_columns(pl.col("correct").cast(pl.Int64))


def score_table(judged: Judged) -> pl.DataFrame:
    """The same as the one long Score table, so that all that judges segmentation judges this, too."""
    first = judged.rows.filter((pl.col("rotation") == 0) & (pl.col("repeat") == 0))
    correct = first.select("benchmark", "model", "case", pl.lit("accuracy").alias("metric"), pl.col("correct").alias("value"),
                           pl.col("status").alias("reason"))  # fmt: skip
    more = judged.metrics.filter((pl.col("rotation") == 0) & (pl.col("repeat") == 0)).select(
        "benchmark", "model", "case", "metric", "value", pl.lit(None, pl.String).alias("reason")
    )
    return pl.concat([correct.drop_nulls("value"), more])
