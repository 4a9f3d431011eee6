"""`vesalius demo`: the whole of it on phantom hospitals, and the commands to do the same with one's own."""

import os
import sys
import time
from collections.abc import Mapping
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
    """Which of four segmenters, and which of three networks that are clicked, holds up in hospitals it has never seen?

    Five synthetic hospitals scan their patients; four classical segmenters and a small SAM-Med3D learn from A, B and C
    and are judged there and in D and E. The network is fine-tuned on two new structures, and given an expert for each
    and a gate. Nothing is scripted: another seed may give another verdict. Killed, the same command goes on; again, it
    takes seconds.
    """
    from vesalius.run import preload

    preload("vesalius.cli.demo_workers")  # beside what this process imports
    import peft  # noqa: F401  (better missed now than by a worker after a minute)
    import sklearn  # noqa: F401
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
    page, clicks = ((folder / "report.html").resolve() for folder in (job.report, job.clicks_report))
    console.print(f"\n[bold]Report:[/bold] {page}\n[bold]Clicks:[/bold] {clicks}")
    console.print(f"[dim]({time.monotonic() - begin:.0f} s in all)[/dim]")
    if open_ or (open_ is None and _has_screen()):
        import webbrowser

        webbrowser.open(page.as_uri())


def _steps(job: Any) -> list[tuple[str, str, Any, str]]:
    """Title, explanation, what to do (returns what to say), and what a user would type."""
    from vesalius.cli.demo_network import clicked
    from vesalius.cli.demo_steps import GROUPS, IN_DISTRIBUTION, METRICS

    training, test = (sum(p.split == split for p in job.plans) for split in ("training", "test"))
    return [
        (
            "Hospitals",
            "Five hospitals differ in scanners, doses, contrast phases and patients. "
            f"A, B and C scan {training} patients to learn from.",
            lambda: _made(job.make_hospitals(), training, "scans"),
            "images and labels as nnU-Net lays them out, and a table of patients (patients.csv)",
        ),
        (
            "Models",
            f"windows, atlas, walker and forest learn from these and segment {test} others, which A, B, C, and D and E "
            "scan meanwhile. Beside them a small SAM-Med3D learns to be clicked, in three forms: "
            "a generalist; fine-tuned in A on pancreas and gall bladder; joined with an expert for each.",
            lambda: _made(job.learn_and_segment(), 4 + 6 + 2 * test, "trainings, scans and segmented cases"),
            "vesalius train recipes/sam3d/warmup.yaml, pretrain.yaml, expert.yaml, gate.yaml; masks of any other "
            "model, a folder each: predictions/<model>/<case>.nii.gz",
        ),
        (
            "Scores",
            "Every mask is held against its reference.",
            lambda: job.score().last_line(),
            f"vesalius bench score {job.predictions} {job.out / 'labelsTs'} --models --metrics {','.join(METRICS)} "
            f"--out {job.scores}",
        ),
        (
            "Clicks",
            f"Networks and region growing are clicked through {len(clicked(job.plans))} of these cases.",
            lambda: f"{job.click()}",
            f"vesalius bench clicks {job.out / 'imagesTs'} {job.out / 'labelsTs'} "
            f"-m sam3d:{job.out / 'networks' / 'joined'} -m seeds: --after 1,3 --out clicks.parquet",
        ),
        (
            "Reports",
            "Intervals, tests, rank stability, groups, the worst cases as pictures; what was learned and forgotten.",
            lambda: "written" if job.write_reports() else "stand already",
            f"vesalius bench report {job.scores} --metadata {job.out / 'patients.csv'} "
            f'--in-distribution "{IN_DISTRIBUTION}" '
            f"--groups {GROUPS} --images {job.out / 'imagesTs'} --references {job.out / 'labelsTs'} "
            f"--predictions {job.predictions} --out {job.report}; the same on {job.out / 'clicks.parquet'} with "
            f"--forgetting {job.out / 'forgetting.yaml'}",
        ),
    ]


def _made(new: int, total: int, what: str) -> str:
    return f"{total} {what}" + ("" if new else ", all done before")


def _show(console: Any, job: Any) -> None:
    """Both verdicts in words, and DSC at home and away."""
    found = job.said(job.report)
    _table(console, found, found["verdict"]["metric"], "Mean DSC (%)")
    console.print(f"\n[bold]{found['verdict']['headline']}[/bold]")
    for point in found["verdict"]["points"]:
        console.print(f"• {point}", markup=False)
    found = job.said(job.clicks_report)
    asked = found["forgetting"]
    clicks = asked["metric"].partition("@")[2]
    _table(console, found, asked["metric"], f"Mean DSC (%) after {clicks} clicks; the four above take none")
    console.print(f"\n[bold]{asked['headline']}[/bold]")
    for answer in asked["answers"]:
        if answer["side"] == "in":
            console.print(f"• {answer['text']} At home, {answer['said']}.", markup=False)


def _table(console: Any, found: Mapping[str, Any], metric: str, title: str) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None)
    table.add_column("model")
    for name in ("hospitals A–C", "D and E, unseen", "lost", "95 % interval"):
        table.add_column(name, justify="right")
    target = found["verdict"]["target"]
    rows = [r for r in found["tables"]["gap"] if (r["metric"], r["target"]) == (metric, target)]
    for row in sorted(rows, key=lambda r: -(r["mean_out"] or 0)):
        if row["model"].startswith("expert "):  # they answer for one structure each
            continue
        numbers = [row[key] for key in ("mean_in", "mean_out", "gap")]
        shown = ["–" if n is None else f"{100 * n:.1f}" for n in numbers]
        table.add_row(row["model"], *shown, f"{100 * row['ci_low']:.1f} to {100 * row['ci_high']:.1f}")
    console.print()
    console.print(table)


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or any(os.environ.get(v) for v in ("DISPLAY", "WAYLAND_DISPLAY"))
