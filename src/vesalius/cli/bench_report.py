"""`vesalius bench report`: from tables of scores to statistics, figures and one page."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vesalius.errors import VesaliusError


class RankBy(StrEnum):
    """What models are ranked by."""

    mean = "mean"
    median = "median"


class Missing(StrEnum):
    """What a failed or absent prediction counts as."""

    ignore = "ignore"
    worst = "worst"


def report(
    scores: Annotated[list[Path], typer.Argument(
        help="Runs of `vesalius bench run`; or score tables (.parquet, .csv, .jsonl: as `vesalius bench score` writes "
        "them) and folders of <algorithm>/<metric>.csv. Several are put together.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for report.html, the CSVs, report.json and "
    "figures/.")] = Path("report"),
    metadata: Annotated[Path | None, typer.Option(
        help="A table with one row a case (age, sex, site, ...). Delimiter and encoding are found by "
        "themselves.")] = None,
    id: Annotated[str | None, typer.Option(
        "--id", help="Column of --metadata that names the cases; by default the one that fits best.")] = None,
    select: Annotated[str | None, typer.Option(
        help='Keep cases that meet a condition, such as "split=test and age>=60".')] = None,
    in_distribution: Annotated[str | None, typer.Option(
        help='Condition that the cases like the training data meet, such as "site=training"; shows what is lost '
        'elsewhere.')] = None,
    groups: Annotated[str | None, typer.Option(
        help="Columns to group by, with commas between; a number bins: gender,age:10,scanner.")] = None,
    cluster: Annotated[str | None, typer.Option(
        help="Column that names the patient, where several scans are of one: the bootstrap draws patients.")] = None,
    forgetting: Annotated[Path | None, typer.Option(
        help="A study: which model is the generalist, which are experts of which classes, which is joined; says class "
        "by class what is gained, kept and forgotten, in and out of distribution. YAML, see below.",
        show_default=False)] = None,
    rank_by: Annotated[RankBy, typer.Option(help="What the leaderboard and the heat maps are ordered "
    "by.")] = RankBy.mean,
    missing: Annotated[Missing | None, typer.Option(
        help="A failed or absent prediction is left out, or counts with the worst value. Default: worst for "
        "tables with "
        "statuses, ignore for plain tables.", show_default=False)] = None,
    metric: Annotated[list[str] | None, typer.Option(
        help="Metrics to report (may be repeated); default: all in the tables.", show_default=False)] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images, for pictures of the worst cases.")] = None,
    references: Annotated[Path | None, typer.Option(help="Folder of the reference masks, for the pictures.")] = None,
    predictions: Annotated[Path | None, typer.Option(
        help="One model's folder of masks, or a folder of such folders, for the pictures.")] = None,
    labels: Annotated[Path | None, typer.Option(
        help="Names of ids in the masks, as for `bench score`, for the pictures.", show_default=False)] = None,
    pattern: Annotated[str | None, typer.Option(
        help="How file names hold the case, as for `bench score`, for the pictures.", show_default=False)] = None,
    worst: Annotated[int, typer.Option(help="How many of its worst cases to show for each model.", min=1)] = 2,
    replicates: Annotated[int, typer.Option(help="Bootstrap replicates.", min=100)] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap; the same seed gives the same report.", min=0)] = 0,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Which model holds up?",
    tree: Annotated[str | None, typer.Option(
        help="Of runs of questions: levels of the tree from the root on, with commas between; by default the "
        "benchmark's own.", show_default=False)] = None,
    classes: Annotated[Path | None, typer.Option(
        help="Of runs of questions: why wrong answers are wrong, as the page's browser saves it.",
        show_default=False)] = None,
    figures: Annotated[bool, typer.Option(help="Save every chart as SVG and PNG, too (most of the time).")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict and the leaderboard as JSON.")] = False,
) -> None:  # fmt: skip
    """Judge models by their scores or answers: intervals, tests, stability, groups, and a page that needs no network.

    Of runs of questions: report.html with a browser of single questions, accuracy.csv, pairwise.csv, answers.csv, and
    tables of statuses, metrics, positions, rotations and classes of errors. Answers are scored afresh each time.

    Of scores: report.html, summary.csv, pairwise.csv, ranking.csv, stability.csv, rule_ranks.csv, rule_agreement.csv
    (and groups.csv, group_means.csv, gap.csv where asked for), report.json, and figures/ as SVG and PNG.

    A study for --forgetting is a YAML file: `generalist: general`, `experts: {expert_liver: liver}` and, where there
    are, `fine_tuned:` (like experts), `joined: joined`, `continued: longer` (the generalist trained on for as many
    steps), `metric: dsc@5`, `margin: 0.02` (differences below it do not matter; set it before looking), `seed:` (the
    column of --metadata that tells runs apart, or how case names do: `s{seed}_*`). Names of models may hold `{seed}`.

    Example: vesalius bench report scores.parquet --metadata patients.csv --in-distribution "site=training"
    """
    if out.exists() and not out.is_dir():
        raise VesaliusError("is a file", file=out, remedy="name a folder with --out")
    from vesalius.bench.questions.store import holds_questions

    runs = [path for path in scores if holds_questions(path)]
    # A challenge of masks has its Score table in the folder of its run.
    scores = [
        path / "scores.parquet" if (path / "run.sqlite").is_file() and path not in runs else path for path in scores
    ]
    if runs:
        from vesalius.cli.bench_report_questions import report_questions

        foreign = {"--metadata": metadata, "--in-distribution": in_distribution, "--groups": groups, "--metric": metric,
                   "--references": references, "--forgetting": forgetting,
                   "a table of scores": [p for p in scores if p not in runs]}  # fmt: skip
        if wrong := next((name for name, value in foreign.items() if value), None):
            remedy = "report runs of questions alone; their questions' metadata are in them (--select, --tree)"
            raise VesaliusError(f"{wrong} does not go with runs", file=runs[0], remedy=remedy, code="usage")
        report_questions(runs, out, select, tree, cluster, classes, title, as_json, figures)
        return
    from vesalius.bench.report import Settings, analyse, write
    from vesalius.bench.report.worst import Pictures

    if (references is None) != (predictions is None) or (images is not None and references is None):
        raise VesaliusError(
            "pictures need --references and --predictions", remedy="give both, and --images where there are some"
        )
    settings = Settings(
        metadata=metadata, id=id, select=select, in_distribution=in_distribution, groups=groups, cluster=cluster,
        rank_by=rank_by.value, missing=missing.value if missing else None, metrics=tuple(metric or ()),
        replicates=replicates, seed=seed, forgetting=forgetting,
    )  # fmt: skip
    pictures = Pictures(references, predictions, images, worst, labels, pattern) if references and predictions else None
    console = _console(stderr=True)
    with console.status("reading and computing") as status:
        analysis = analyse(scores, settings)
        said = write(analysis, out, title, pictures, figures, lambda step: status.update(f"writing {step}"))
    for note in analysis.notes:
        console.print(f"• {note}", highlight=False, markup=False)
    page = out / "report.html"
    if as_json:
        typer.echo(json.dumps(_machine(analysis, said, page), ensure_ascii=False))
        return
    _show(analysis, said, page)


def _console(stderr: bool = False) -> Any:
    from rich.console import Console

    return Console(stderr=stderr)


def _rows(analysis: Any, said: Any) -> list[dict]:
    """The leaderboard of the verdict's metric and target."""
    import polars as pl

    where = (pl.col("metric") == said.metric) & (pl.col("target") == said.target)
    joined = analysis.frames["ranking"].filter(where).join(
        analysis.frames["summary"].filter(where), on=["metric", "target", "model"]
    )  # fmt: skip
    return joined.sort("rank", "model", nulls_last=True).to_dicts()


def _machine(analysis: Any, said: Any, page: Path) -> dict:
    from vesalius.bench.report.files import forgetting as study

    return {
        "report": str(page),
        "headline": said.headline,
        "points": list(said.points),
        "metric": said.metric,
        "target": said.target,
        "leaderboard": _rows(analysis, said),
        **({"forgetting": study(analysis.comparison)} if analysis.comparison else {}),
        "notes": list(analysis.notes),
    }


def _show(analysis: Any, said: Any, page: Path) -> None:
    from rich.table import Table

    from vesalius.bench.report.verdict import show

    console = _console()
    table = Table(title=f"{analysis.cubes[said.metric].metric.title}, {said.target}", title_justify="left", box=None)
    table.add_column("rank", justify="right")
    table.add_column("model", overflow="fold")
    for name in ("mean", "95 % interval", "median", "n", "missing", "failed"):
        table.add_column(name, justify="right")
    for row in _rows(analysis, said):
        mean, low, high, median = (
            show(analysis, said.metric, row[key]) for key in ("mean", "ci_low", "ci_high", "median")
        )
        rank = "–" if row["rank"] is None else f"{row['rank']:g}"
        table.add_row(
            rank, row["model"], mean, f"{low} – {high}", median, *(str(row[k]) for k in ("n", "missing", "n_failed"))
        )
    console.print(table)
    console.print(said.headline, style="bold", highlight=False, markup=False)
    if analysis.comparison:
        from vesalius.bench.report.forgetting import headline, sentences

        console.print(headline(analysis.comparison), style="bold", highlight=False, markup=False)
        for sentence in sentences(analysis.comparison):
            console.print(f"• {sentence}", highlight=False, markup=False)
    console.print(f"Report: {page}", highlight=False, markup=False, soft_wrap=True)
