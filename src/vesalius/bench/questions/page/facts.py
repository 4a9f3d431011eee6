"""What the page shows of one benchmark: its models in order, its nodes with their conditions, accuracy of the answered,
baselines against the models, repeats.

Knows what `tables` does not need but a reader does. Leaves formulas to `bench/stats`, words and looks to the others.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from vesalius.bench.questions.runs import Benchmark, Judged
from vesalius.bench.questions.tables import scored
from vesalius.bench.stats.proportions import mean_difference, share
from vesalius.taxonomy import ROOT

BASELINES = {"chance": "chance", "majority": "always the commonest answer", "longest": "always the longest option"}
MIN_VERDICT = 20  # questions below which nothing is said about a model, or a part of a benchmark


@dataclass(frozen=True)
class Node:
    """A node of the tree, or a value of a column beside it.

    Attributes:
        name: as in the tables.
        label: for a person.
        conditions: (column, value), all of which its questions meet.
        n: questions that were asked.
        in_tree: whether it is a path of the tree, from the root on.
    """

    name: str
    label: str
    conditions: tuple[tuple[str, str], ...]
    n: int
    in_tree: bool


@dataclass(frozen=True)
class Facts:
    """One benchmark of a report.

    Attributes:
        name: of the benchmark.
        benchmark: as it stands in the runs.
        models: best first; those without any right or wrong last.
        nodes: the root first, then the tree level by level, then other columns.
        frames: the tables of the report, of this benchmark alone.
        answered: `model, n, accuracy, ci_low, ci_high` over the answers that could be read.
        against: `model, baseline, difference, ci_low, ci_high` at the root.
        repeats: `model, repeats, lowest, highest, sd, same` where something was asked repeatedly.
        blind: models that were asked without media.
        cases: ids of the questions that were asked, in the file's order.
    """

    name: str
    benchmark: Benchmark
    models: list[str]
    nodes: list[Node]
    frames: dict[str, pl.DataFrame]
    answered: pl.DataFrame
    against: pl.DataFrame
    repeats: pl.DataFrame
    blind: set[str]
    cases: list[str]

    def root(self, table: str) -> pl.DataFrame:
        """A table's rows of the whole benchmark."""
        return self.at(table, ROOT)

    def at(self, table: str, node: str) -> pl.DataFrame:
        """A table's rows of a node."""
        return self.frames[table].filter(pl.col("node") == node)

    def best(self, node: str = ROOT) -> dict[str, Any] | None:
        """The model with the highest accuracy."""
        rows = self.at("accuracy", node).sort("accuracy", "model", descending=[True, False])
        return rows.row(0, named=True) if rows.height else None


def gather(judged: Judged, frames: dict[str, pl.DataFrame], name: str) -> Facts:
    """The facts of one benchmark."""
    own = {key: frame.filter(pl.col("benchmark") == name) for key, frame in frames.items()}
    benchmark = judged.benchmarks[name]
    rows = judged.rows.filter(pl.col("benchmark") == name)
    asked = set(rows["case"].unique())
    order = own["accuracy"].filter(pl.col("node") == ROOT).sort("accuracy", descending=True)["model"].to_list()
    models = [*order, *(model for model in judged.models(name) if model not in order)]
    blind = {m for m, said in benchmark.models.items() if said.get("settings", {}).get("blind")}
    return Facts(
        name, benchmark, models, _nodes(benchmark, asked), own, _answered(rows, benchmark), _against(judged, benchmark),
        _repeats(rows), blind & set(models), [id for id in benchmark.cases["id"] if id in asked],
    )  # fmt: skip


def _nodes(benchmark: Benchmark, asked: set[str]) -> list[Node]:
    """Nodes with the conditions that their names stand for, read off the first question under each."""
    found = (
        benchmark.nodes.filter(pl.col("id").is_in(list(asked)))
        .group_by("node", maintain_order=True)
        .agg(pl.col("depth").first(), pl.col("id").first(), pl.len().alias("n"))
    )
    columns = [c for c in benchmark.cases.columns if c != "id"]
    cases = benchmark.cases.select("id", *columns)
    out = []
    for row in found.join(cases, on="id", maintain_order="left").iter_rows(named=True):
        path = "/".join(f"{column}={row[column]}" for column in benchmark.tree[: row["depth"]])
        in_tree = row["node"] in (path, ROOT)
        names = benchmark.tree[: row["depth"]] if in_tree else [row["node"].partition("=")[0]]
        conditions = tuple((column, str(row[column])) for column in names)
        out.append(Node(row["node"], label(conditions), conditions, row["n"], in_tree))
    return out


def label(conditions: tuple[tuple[str, str], ...]) -> str:
    """«department: urology › modality: CT», for a person."""
    said = [f"{column.replace('_', ' ')}: {value}" for column, value in conditions]
    return " › ".join(said) or "all questions"


def _answered(rows: pl.DataFrame, benchmark: Benchmark) -> pl.DataFrame:
    read = rows.filter((pl.col("rotation") == 0) & (pl.col("choice") != "")).drop_nulls("correct")
    cases = read.group_by("model", "case", maintain_order=True).agg(pl.col("correct").mean())
    joined = cases.join(benchmark.cases.select("id", "cluster"), left_on="case", right_on="id")
    out = []
    for (model,), part in joined.group_by("model", maintain_order=True):
        out.append((model, part.height, *share(part["correct"].to_numpy(), codes(part["cluster"]))))
    names = {"model": pl.String, "n": pl.Int64, "accuracy": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64}
    return pl.DataFrame(out, schema=names, orient="row")


def _against(judged: Judged, benchmark: Benchmark) -> pl.DataFrame:
    """Each model minus what a baseline gets on the same questions, question by question."""
    results = scored(judged, benchmark.name).drop_nulls("correct")
    joined = results.join(
        benchmark.cases.select("id", "type", "truth", "cluster", "chance", "longest"), left_on="case", right_on="id"
    )
    out = []
    for (model,), part in joined.group_by("model", maintain_order=True):
        commonest = part.group_by("type", "truth").len().sort("len", descending=True).group_by("type").first()
        part = part.join(commonest.select("type", pl.col("truth").alias("usual")), on="type")
        guesses = part.with_columns((pl.col("truth") == pl.col("usual")).cast(pl.Float64).alias("majority"))
        for baseline in BASELINES:
            if guesses[baseline].null_count() == 0:
                difference = (guesses["correct"] - guesses[baseline]).to_numpy()
                out.append((model, baseline, *mean_difference(difference, codes(guesses["cluster"]))))
    names = {"model": pl.String, "baseline": pl.String, "difference": pl.Float64, "ci_low": pl.Float64,
             "ci_high": pl.Float64}  # fmt: skip
    return pl.DataFrame(out, schema=names, orient="row").fill_nan(None)


def _repeats(rows: pl.DataFrame) -> pl.DataFrame:
    """How much the accuracy moves from one asking of everything to the next."""
    first = rows.filter(pl.col("rotation") == 0)
    names = {"model": pl.String, "repeats": pl.Int64, "lowest": pl.Float64, "highest": pl.Float64, "sd": pl.Float64,
             "same": pl.Float64}  # fmt: skip
    out = []
    for (model,), part in first.group_by("model", maintain_order=True):
        if part["repeat"].n_unique() < 2:
            continue
        means = part.drop_nulls("correct").group_by("repeat").agg(pl.col("correct").mean())["correct"]
        same = part.group_by("case").agg((pl.col("choice").n_unique() == 1).alias("same"))["same"].mean()
        out.append((model, part["repeat"].n_unique(), means.min(), means.max(), means.std(), same))
    return pl.DataFrame(out, schema=names, orient="row")


def codes(clusters: pl.Series) -> np.ndarray:
    """Clusters as 0, 1, …"""
    return np.unique(clusters.to_numpy(), return_inverse=True)[1]
