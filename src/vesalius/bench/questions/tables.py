"""A run's answers as tables: accuracy at every node of the tree, pairs of models, positions, metrics, statuses.

Knows which numbers a report of questions has, and on which questions each stands. Leaves reading to `reading`, the
numbers' formulas to `bench/stats/proportions`, and pages to `report`.

Two accuracies: *strict* counts every question that was asked (what could not be read is wrong), and that of the
answered counts what could be read. Questions without a known truth, or whose medium was not there, count in neither.
"""

from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from vesalius.bench.questions.runs import Judged
from vesalius.bench.questions.words import corpus_bleu
from vesalius.bench.stats.pairwise import ALPHA, holm
from vesalius.bench.stats.proportions import paired, share
from vesalius.records import SCORE_SCHEMA

ANSWERS = ("benchmark", "model", "case", "answer", "choice", "expected", "correct", "status")
MIN_PAIR = 5  # questions that two models must share for a test


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
        "ci_high": pl.Float64, "p": pl.Float64, "p_holm": pl.Float64, "significant": pl.Boolean,
        "detectable": pl.Float64,
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
    """`benchmark, model, node, metric, n, mean, ci_low, ci_high` of F1, recall, BLEU, …

    Beside the means of captions' smoothed BLEU stands that of the whole set (`corpus_bleu_4`), as papers report it.
    """
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
        out += _corpus_bleu(judged, name, benchmark.nodes)
    names = ("benchmark", "model", "node", "metric", "n", "mean", "ci_low", "ci_high")
    kinds = (*[pl.String] * 4, pl.Int64, *[pl.Float64] * 3)
    return pl.DataFrame(out, schema=dict(zip(names, kinds, strict=True)), orient="row")


def _corpus_bleu(judged: Judged, name: str, nodes: pl.DataFrame) -> list[tuple]:
    """Rows of `metric_means` for captions; a whole set has no interval here."""
    captions = judged.benchmarks[name].cases.filter(pl.col("type") == "caption").select("id")
    rows = judged.rows.filter(
        (pl.col("benchmark") == name) & (pl.col("rotation") == 0) & (pl.col("repeat") == 0) & (pl.col("expected") != "")
    )
    joined = nodes.join(captions, on="id").join(rows, left_on="id", right_on="case")
    out = []
    for (node, model), part in joined.group_by("node", "model", maintain_order=True):
        said = [text if status == "answered" else "" for text, status in part.select("answer", "status").iter_rows()]
        for n in range(1, 5):
            value = corpus_bleu(said, part["expected"].to_list(), n)
            out.append((name, model, node, f"corpus_bleu_{n}", part.height, value, None, None))
    return out


def answers(judged: Judged) -> pl.DataFrame:
    """The columns of `answers.csv`: first rotation and repeat, `correct` 1, 0, or empty where no truth is known."""
    rows = judged.rows.filter((pl.col("rotation") == 0) & (pl.col("repeat") == 0))
    return rows.select(ANSWERS).with_columns(pl.col("correct").cast(pl.Int64))


def score_table(judged: Judged) -> pl.DataFrame:
    """The same as the one long Score table, so that all that judges segmentation judges this, too.

    `target` is the question's type; an answer from which nothing could be read scores 0, with its status as reason.
    """
    first = judged.rows.filter((pl.col("rotation") == 0) & (pl.col("repeat") == 0))
    keys = ["benchmark", "model", "case"]
    types = pl.concat(
        b.cases.select(pl.lit(name).alias("benchmark"), case="id", target="type")
        for name, b in judged.benchmarks.items()
    )
    facts = first.select(
        *keys,
        pl.when(pl.col("status") == "failed").then(pl.lit("failed")).otherwise(pl.lit("ok")).alias("status"),
        pl.when(pl.col("status") != "answered").then(pl.col("status")).alias("reason"),
    )
    values = pl.concat([
        first.drop_nulls("correct").select(*keys, pl.lit("accuracy").alias("metric"), pl.col("correct").alias("value")),
        judged.metrics.filter((pl.col("rotation") == 0) & (pl.col("repeat") == 0)).select(*keys, "metric", "value"),
    ])  # fmt: skip
    joined = values.join(facts, on=keys).join(types, on=["benchmark", "case"], maintain_order="left")
    return (
        joined.with_columns(pl.lit(None, pl.Float64).alias("seconds")).select(SCORE_SCHEMA.names()).cast(SCORE_SCHEMA)
    )


def class_counts(judged: Judged) -> pl.DataFrame:
    """`benchmark, model, node, class, n`: why wrong answers are wrong; «not classed» where nobody said."""
    parts = []
    for name, benchmark in judged.benchmarks.items():
        wrong = scored(judged, name).filter(pl.col("correct") < 1).select("model", "case")
        given = judged.classes.filter(pl.col("benchmark") == name).select("model", "case", "class")
        classed = wrong.join(given, on=["model", "case"], how="left").fill_null("not classed")
        joined = benchmark.nodes.join(classed, left_on="id", right_on="case")
        counts = joined.group_by("model", "node", "class", maintain_order=True).len("n")
        parts.append(counts.select(pl.lit(name).alias("benchmark"), "model", "node", "class", "n"))
    return pl.concat(parts)
