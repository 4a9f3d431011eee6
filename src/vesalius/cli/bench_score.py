"""`vesalius bench score`: masks and references to the one long Score table."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vesalius.cli.options import Ray
from vesalius.errors import VesaliusError


class Empty(StrEnum):
    """Policies for empty masks."""

    present = "present"
    strict = "strict"
    nan = "nan"


def score(
    predictions: Annotated[
        Path | None,
        typer.Argument(
            help="One model's folder of masks; with --models a folder of such folders. NIfTI, NRRD, MetaImage, "
            "DICOM-SEG or RTSTRUCT; one file a case, or a folder a case with one file an organ.",
            show_default=False,
        ),
    ] = None,
    references: Annotated[Path | None, typer.Argument(help="Folder of reference masks.", show_default=False)] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The Score table: .parquet, .csv or .jsonl.")] = Path(
        "scores.parquet"
    ),
    models: Annotated[bool, typer.Option("--models", help="PREDICTIONS holds a folder a model.")] = False,
    model: Annotated[
        str | None, typer.Option(help="Name of the one model; by default its folder's.", show_default=False)
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="Metrics with commas between; `list` shows all and what they mean.")
    ] = "dsc,nsd,hd95,volume_difference",
    tolerance: Annotated[str, typer.Option(help="Of NSD, in mm; or one a target: liver=3,default=2.")] = "2",
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Names of ids: nnU-Net dataset.json or YAML (liver: 1). By default what lies beside the masks.",
            show_default=False,
        ),
    ] = None,
    prediction_labels: Annotated[
        Path | None, typer.Option(help="Names of ids in the predictions, where they differ.", show_default=False)
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            help='How file names hold the case: "{case}_pred", "seg_{case}|{case}_gt", or a regular expression '
            "with (?P<case>...).",
            show_default=False,
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="CSV with columns case, reference, prediction and perhaps model, instead of the folders.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images, whose grid RTSTRUCT needs.", show_default=False)
    ] = None,
    empty: Annotated[
        Empty,
        typer.Option(
            help="What empty masks give. present: an absent structure has no value, a hallucinated one has none and "
            "is counted, a missed one gets the worst; strict: absent is best, hallucinated and missed are worst; "
            "nan: no values."
        ),
    ] = Empty.present,
    resample: Annotated[
        bool, typer.Option("--resample", help="Bring predictions on another grid onto the reference's (recorded).")
    ] = False,
    lesions: Annotated[
        Path | None, typer.Option(help="Also write every connected component and its match there.", show_default=False)
    ] = None,
    size_bins: Annotated[
        str, typer.Option(help="Edges in ml, with commas between, for instance_recall by lesion size.")
    ] = "",
    instance_iou: Annotated[float, typer.Option(help="Least IoU of a matched pair of components.", min=0, max=1)] = 0.5,
    connectivity: Annotated[int, typer.Option(help="Of components: 6, 18 or 26 neighbours.")] = 26,
    boundary_width: Annotated[float, typer.Option(help="Of boundary IoU's bands, in mm.", min=0)] = 2.0,
    benchmark: Annotated[
        str | None, typer.Option(help="Name in the table; by default the reference folder's.", show_default=False)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; by default one a core.", min=1, show_default=False)
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds a case may take before it counts as failed.", min=1)] = 900,
    ray: Ray = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Score masks against references: one row a model, case, metric and structure.

    A missing, unreadable or mis-shaped prediction, or one on another grid, is a row with its reason and the value an
    empty prediction would get. Killed at any moment, the same command goes on; `OUT.cases.csv` shows what was paired
    with what and everything odd about it.

    Example: vesalius bench score predictions/ references/ --models --out scores.parquet
    """
    if metrics == "list":
        _list_metrics()
        return
    from vesalius.bench import score as scoring
    from vesalius.bench.metrics.segmentation import Settings
    from vesalius.bench.score_case import Case
    from vesalius.formats.labels import read_label_map

    settings = Settings(
        tuple(m.strip() for m in metrics.split(",") if m.strip()),
        _tolerance(tolerance),
        empty.value,
        boundary_width,
        connectivity,
        instance_iou,
        tuple(_numbers(size_bins, "--size-bins")),
    )
    template = Case(
        "",
        "",
        None,
        None,
        reference_labels=read_label_map(labels) if labels else None,
        prediction_labels=read_label_map(prediction_labels) if prediction_labels else None,
        settings=settings,
        resample=resample,
        lesions=lesions is not None,
    )
    pairings = scoring.plan(predictions, references, models=models, model=model, pattern=pattern, pairs=pairs)
    cases = scoring.jobs(pairings, template, references, images)
    name = benchmark or (references.resolve().name if references else pairs.stem if pairs else "cases")
    summary = scoring.run(
        pairings, cases, out, benchmark=name, lesions=lesions, workers=workers, timeout=timeout, ray=ray
    )
    if as_json:
        print(json.dumps(vars(summary), ensure_ascii=False))
    else:
        _say(summary)
    if summary.failed + summary.unscorable:
        raise typer.Exit(1)


def _say(summary) -> None:
    import polars as pl
    from rich.console import Console
    from rich.markup import escape

    from vesalius.bench.score import failures, read_table

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for side, by_model in (
        ("predictions without a reference", summary.unmatched_predictions),
        ("references without a prediction", summary.unmatched_references),
    ):
        for model, cases in by_model.items():
            console.print(f"[yellow]{escape(model)}: {len(cases)} {side}: {escape(_listed(cases))}")
    for warning in summary.warnings[:10]:
        console.print(f"[yellow]{escape(warning)}")
    if len(summary.warnings) > 10:
        console.print(f"[yellow]and {len(summary.warnings) - 10} more warnings, in {escape(_cases_file(summary))}")
    lost = failures(read_table(summary.table)) if summary.failed + summary.unscorable else pl.DataFrame()
    for row in lost.head(10).iter_rows(named=True):
        console.print(f"[red]{escape(row['model'])}/{escape(row['case'])}: {row['status']}: {escape(row['reason'])}")
    if lost.height > 10:
        console.print(f"[red]and {lost.height - 10} more, in {escape(_cases_file(summary))}")
    print(f"{summary.table}: {summary.last_line()}")


def _cases_file(summary) -> str:
    path = Path(summary.table)
    return str(path.with_name(f"{path.stem}.cases.csv"))


def _listed(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _list_metrics() -> None:
    from rich.console import Console
    from rich.table import Table

    from vesalius.bench.metrics import DEFAULT_METRICS, METRICS

    table = Table("metric", "unit", "better", "definition", box=None, pad_edge=False)
    for known in METRICS.values():
        name = f"{known.name} *" if known.name in DEFAULT_METRICS else known.name
        table.add_row(name, known.unit or "0-1", known.better, known.definition)
    Console().print(table)
    print("* in the default set")


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        remedy = "write numbers with commas between"
        raise VesaliusError(f"{option} {text} holds what is no number", remedy=remedy, code="usage") from None


def _tolerance(text: str) -> float | dict[str, float]:
    if "=" not in text:
        values = _numbers(text, "--tolerance")
        if len(values) != 1:
            remedy = "write 2, or liver=3,default=2"
            raise VesaliusError(f"--tolerance {text} is not one number", remedy=remedy, code="usage")
        return values[0]
    items = [word.partition("=") for word in text.split(",") if word.strip()]
    return {name.strip(): _numbers(value, "--tolerance")[0] for name, _, value in items}
