"""`vesalius demo`: the whole of it on phantom hospitals, and the commands to do the same with one's own."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for hospitals, predictions and report.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(help="Another seed, other hospitals' patients.", min=0)] = 0,
    open_: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open", help="Open the report; by default where there is a screen.", show_default=False
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; by default one a core.", min=1, show_default=False)
    ] = None,
) -> None:
    """Which of four segmenters holds up in hospitals it has never seen? Built, fitted, judged and shown offline.

    Five synthetic hospitals scan their patients; four classical segmenters learn from A, B and C and are judged there
    and in D and E. Nothing is scripted: another seed may give another verdict. Killed, the same command goes on; again,
    it takes seconds.
    """
    import sklearn  # noqa: F401  (the forest's; better missed now than by a worker after a minute)
    from rich.console import Console

    from vesalius.cli.demo_steps import Demo

    console, begin = Console(highlight=False, soft_wrap=True), time.monotonic()
    job = Demo(out, seed, workers)
    for number, (title, why, do, yours) in enumerate(_steps(job), 1):
        console.print(f"\n[bold]{number}. {title}[/bold]\n   {why}")
        start = time.monotonic()
        said = do()
        console.print(f"   [green]{said}[/green] [dim]({time.monotonic() - start:.0f} s)[/dim]")
        if yours:
            console.print(f"   With your own data: [cyan]{yours}[/cyan]")
    _show(console, job)
    page = (job.report / "report.html").resolve()
    console.print(f"\n[bold]Report:[/bold] {page}   [dim]({time.monotonic() - begin:.0f} s in all)[/dim]")
    if open_ or (open_ is None and _has_screen()):
        import webbrowser

        webbrowser.open(page.as_uri())


def _steps(job: Any) -> list[tuple[str, str, Any, str]]:
    """Title, explanation, what to do (returns what to say), and what a user would type."""
    from vesalius.cli.demo_steps import GROUPS, IN_DISTRIBUTION, METRICS

    test = [p for p in job.plans if p.split == "test"]
    training = len(job.plans) - len(test)
    return [
        (
            "Hospitals",
            f"Five hospitals scan {len(job.plans)} patients: scanners, doses, contrast phases and patients differ.",
            lambda: _made(job.make_hospitals(), len(job.plans), "scans"),
            "images and labels as nnU-Net lays them out, and a table of patients (patients.csv)",
        ),
        (
            "Segmenters",
            f"windows, atlas, walker and forest learn from {training} cases of A, B and C.",
            lambda: _made(job.fit_models(), 4, "models"),
            "any model, trained anywhere",
        ),
        (
            "Predictions",
            f"Each segments {len(test)} cases that it has not seen, of A, B, C, and of D and E.",
            lambda: _made(job.predict(), len(test), "cases"),
            "a folder of masks a model: predictions/<model>/<case>.nii.gz",
        ),
        (
            "Scores",
            "Every mask is held against its reference.",
            lambda: job.score().last_line(),
            f"vesalius bench score {job.predictions} {job.out / 'labelsTs'} --models --metrics {','.join(METRICS)} "
            f"--out {job.scores}",
        ),
        (
            "Report",
            "Intervals, tests, rank stability, groups, and the worst cases as pictures.",
            lambda: "written" if job.write_report() else "stands already",
            f"vesalius bench report {job.scores} --metadata {job.out / 'patients.csv'} "
            f'--in-distribution "{IN_DISTRIBUTION}" '
            f"--groups {GROUPS} --images {job.out / 'imagesTs'} --references {job.out / 'labelsTs'} "
            f"--predictions {job.predictions} --out {job.report}",
        ),
    ]


def _made(new: int, total: int, what: str) -> str:
    return f"{total} {what}" + ("" if new else ", all done before")


def _show(console: Any, job: Any) -> None:
    """The verdict in words, and DSC at home and away."""
    from rich.table import Table

    found = job.verdict()
    verdict = found["verdict"]
    table = Table(title="Mean DSC (%)", title_justify="left", box=None)
    table.add_column("model")
    for name in ("hospitals A–C", "D and E, unseen", "lost", "95 % interval"):
        table.add_column(name, justify="right")
    rows = [r for r in found["tables"]["gap"] if (r["metric"], r["target"]) == (verdict["metric"], verdict["target"])]
    for row in sorted(rows, key=lambda r: -(r["mean_out"] or 0)):
        numbers = [row[key] for key in ("mean_in", "mean_out", "gap")]
        shown = ["–" if n is None else f"{100 * n:.1f}" for n in numbers]
        table.add_row(row["model"], *shown, f"{100 * row['ci_low']:.1f} to {100 * row['ci_high']:.1f}")
    console.print()
    console.print(table)
    console.print(f"\n[bold]{verdict['headline']}[/bold]")
    for point in verdict["points"]:
        console.print(f"• {point}", markup=False)


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or any(os.environ.get(v) for v in ("DISPLAY", "WAYLAND_DISPLAY"))
