"""`vesalius bench run`: models answer the questions of benchmarks, or the cases of a challenge."""

import json
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vesalius.cli.options import Ray
from vesalius.errors import VesaliusError


class By(StrEnum):
    """How examples are chosen."""

    random = "random"
    similar = "similar"


def run(
    benchmarks: Annotated[list[str], typer.Argument(
        metavar="BENCHMARK...", help="Names (see `vesalius bench list`), files of questions (TSV, CSV, JSON, JSON "
        "Lines, Parquet), or a challenge.yaml.", show_default=False)],
    model: Annotated[list[str], typer.Option(
        "--model", "-m", help="Who answers (may be repeated): hf:PATH, openai:MODEL@URL, files:PATH, command:PROGRAM, "
        "container:IMAGE, monai:BUNDLE, command:nnunet?model=DIR, command:totalsegmentator (docs/frameworks.md), "
        "random:SEED. NAME= in front names it, ?option=value behind sets what is its own: "
        "small=hf:out/?batch=8", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; the same one goes on.")] = Path("run"),
    select: Annotated[str | None, typer.Option(
        help="Only questions that meet a condition: \"modality=CT and department like 'pulm%'\".",
        show_default=False)] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many questions of each.", min=1,
                                              show_default=False)] = None,
    shuffle_seed: Annotated[int | None, typer.Option(
        help="Ask in a random order of this seed, so that a part is a fair sample.", show_default=False)] = None,
    media: Annotated[list[Path] | None, typer.Option(
        help="Where images and slides lie that a file names (may be repeated); its own folder is searched first.",
        show_default=False)] = None,
    circular: Annotated[bool, typer.Option("--circular", help="Ask with every rotation of the options, and show the "
                                           "position bias.")] = False,
    option_seed: Annotated[int | None, typer.Option(help="Shuffle each question's options by this seed.",
                                                    show_default=False)] = None,
    repeats: Annotated[int, typer.Option(help="Ask everything so often.", min=1)] = 1,
    blind: Annotated[bool, typer.Option("--blind", help="Ask without images: what do words alone give?")] = False,
    shots: Annotated[int, typer.Option(help="Solved examples before each question.", min=0)] = 0,
    shots_from: Annotated[str | None, typer.Option(
        help="Split, or condition, that examples come from; default: all others. Never the same image or patient.",
        show_default=False)] = None,
    shots_by: Annotated[By, typer.Option(help="Random examples, or those with the most similar words.")] = By.random,
    system: Annotated[str, typer.Option(help="System message.", show_default=False)] = "",
    request: Annotated[str | None, typer.Option(
        help="What is asked for after the options, instead of our own words.", show_default=False)] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Tokens of an answer at most; default 512.", min=1,
                                                   show_default=False)] = None,
    temperature: Annotated[float | None, typer.Option(help="Default 0: greedy.", min=0, show_default=False)] = None,
    concurrency: Annotated[int | None, typer.Option(help="Questions in flight at an endpoint; default 8.", min=1,
                                                    show_default=False)] = None,
    ray: Ray = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check files, images and models; ask nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the accounts as JSON.")] = False,
) -> None:  # fmt: skip
    """Ask models the questions of benchmarks. Killed at any moment, the same command goes on and asks nothing twice.

    Answers lie in RUN/run.sqlite as they come; `vesalius bench report RUN` judges them. A question that fails is asked
    again, then recorded. Asked with other settings, earlier answers stay in the run, but are never mixed in.

    Example: vesalius bench run proteinlmbench.jsonl -m small=hf:out/ -m random:0 --out run
    """
    from vesalius.models import open_model

    if any(name.endswith((".yaml", ".yml")) for name in benchmarks):
        if ray is not None:
            raise VesaliusError("a challenge runs on one machine", remedy="leave out --ray", code="usage")
        _challenge(benchmarks, model, out, dry_run)
        return
    from vesalius.bench.questions.runner import Settings
    from vesalius.models.prompt import Prompt

    settings = Settings(
        select, limit, shuffle_seed, 0 if circular else 1, option_seed, repeats, blind, Prompt(system, request), shots,
        shots_from, shots_by.value,
    )  # fmt: skip
    given = {"max_tokens": max_tokens, "temperature": temperature, "concurrency": concurrency}
    if ray is None:
        models: list[Any] = [(url, open_model(url, **given)) for url in model]
    else:
        from vesalius.models.on_ray import RayModel

        models = [(url, RayModel(url, ray, given)) for url in model]
    names = [opened.name for _, opened in models]
    if twice := next((name for name in names if names.count(name) > 1), None):
        remedy = "name them: a=… b=…"
        raise VesaliusError(f"two models are called {twice}", remedy=remedy, code="usage")
    if dry_run:
        with tempfile.TemporaryDirectory() as folder:
            _dry(benchmarks, models, Path(folder), settings, media or [])
        return
    _run(benchmarks, models, out, settings, media or [], as_json)


def _run(benchmarks: list[str], models: list, out: Path, settings: Any, folders: list[Path], as_json: bool) -> None:
    from vesalius.bench.questions.runner import open_benchmark, run
    from vesalius.bench.questions.store import Store

    lost = 0
    rows: list[dict[str, Any]] = []
    with Store(out, create=True) as store:
        names = []
        for given in benchmarks:
            name, file = open_benchmark(given, store.media, folders)
            if name in names:
                remedy = "rename one of the files"
                raise VesaliusError(f"two benchmarks are called {name}", file=given, remedy=remedy, code="usage")
            store.ingest(name, file)
            names.append(name)
        for url, opened in models:  # one after the other, so that only one is in memory
            for name in names:
                if store.asked_otherwise(name, opened, settings.depends()):
                    said = "asked under other settings before: those answers stay in the run, but are not reported"
                    typer.secho(f"{name} · {opened.name}: {said}", fg="yellow", err=True)
                account = run(store, name, opened, url, settings)
                lost += account.failed
                rows.append({"benchmark": name, "model": opened.name, **vars(account)})
            opened.close()
    if as_json:
        typer.echo(json.dumps({"run": str(out), "accounts": rows}, ensure_ascii=False))
    else:
        _show(rows, out)
    if lost:
        raise typer.Exit(1)


def _show(rows: list[dict[str, Any]], out: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("benchmark", "model"):
        table.add_column(name, overflow="fold")
    costs = any(row["cost"] for row in rows)
    for name in ("answers", "asked now", "failed", "tokens read", "written", *(["cost"] if costs else [])):
        table.add_column(name, justify="right")
    for row in rows:
        numbers = (sum(row["statuses"].values()), row["asked"], row["failed"], row["prompt_tokens"], row["tokens"])
        cells = [f"{n:,}" for n in numbers] + ([f"{row['cost']:.4g}"] if costs else [])
        table.add_row(escape(row["benchmark"]), escape(row["model"]), *cells)
    console = Console(highlight=False)
    console.print(table)
    for row in rows:
        odd = {k: n for k, n in row["statuses"].items() if k != "answered"}
        if odd:
            counts = ", ".join(f"{n:,} {status.replace('_', ' ')}" for status, n in sorted(odd.items()))
            console.print(f"[yellow]{escape(row['benchmark'])} · {escape(row['model'])}: {counts}", soft_wrap=True)
    console.print(f"Judge them: vesalius bench report {out}", markup=False, soft_wrap=True)


def _dry(benchmarks: list[str], models: list, folder: Path, settings: Any, folders: list[Path]) -> None:
    """Reads every file, looks for every medium and every model, and says what would be asked."""
    from rich.console import Console

    from vesalius.bench.questions.runner import ids, open_benchmark
    from vesalius.bench.questions.store import Store

    console = Console(highlight=False, markup=False, soft_wrap=True)
    problems = 0
    with Store(folder / "dry", create=True) as store:
        for given in benchmarks:
            name, file = open_benchmark(given, store.media, folders)
            store.ingest(name, file)
            chosen = ids(store, name, settings)
            absent, broken, wrong, media = 0, 0, 0, 0
            kinds: dict[str, int] = {}
            for sample in store.samples(name, chosen):
                kinds[sample.question.type] = kinds.get(sample.question.type, 0) + 1
                paths = [part.path for part in sample.question.media if part.path]
                media += len(paths)
                absent += sum(not Path(path).exists() for path in paths)
                broken += sum(not _opens(part) for part in sample.question.media)
                wrong += "problem" in sample.metadata
            said = ", ".join(f"{n:,} {kind}" for kind, n in kinds.items())
            console.print(f"{name} ({file.layout}): {len(chosen):,} questions ({said}), {media:,} media")
            if absent and not settings.blind:
                console.print(f"  {absent:,} media are not there: status no_medium (--media FOLDER, or --blind)")
            if broken and not settings.blind:
                console.print(f"  {broken:,} images cannot be opened")
            if wrong:
                console.print(f"  {wrong:,} questions have a problem, in their metadata")
    for _, opened in models:
        try:
            console.print(f"{opened.name}: {opened.check()}")
        except VesaliusError as error:
            problems += 1
            console.print(f"{opened.name}: {error}", style="red")
    if problems:
        raise typer.Exit(2)


def _opens(part: Any) -> bool:
    """Whether an image that is there begins like one."""
    from PIL import Image

    if part.type != "image" or not Path(part.path).is_file():
        return True
    try:
        with Image.open(part.path):
            return True
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _challenge(benchmarks: list[str], model: list[str], out: Path, dry_run: bool) -> None:
    """Programs on hidden cases; see docs/challenge.md."""
    from rich.console import Console
    from rich.markup import escape

    from vesalius.bench.challenge import read_challenge, run_challenge
    from vesalius.models import open_model

    if len(benchmarks) > 1:
        raise VesaliusError("a challenge is run alone", remedy="name one challenge.yaml", code="usage")
    console = Console(highlight=False, soft_wrap=True)
    if dry_run:
        challenge = read_challenge(benchmarks[0])
        console.print(f"{escape(challenge.name)}: a challenge of {challenge.kind}")
        for url in model:
            opened = open_model(url, **challenge.limits.model_dump())
            console.print(f"{escape(opened.name)}: {escape(opened.check())}")
        return
    summary = run_challenge(benchmarks[0], model, out)
    for name, counts in summary.statuses.items():
        said = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
        console.print(f"{escape(name)}: {said}")
    for name, reason in summary.not_run.items():
        console.print(f"[yellow]{escape(name)}: {escape(reason)}")
    console.print(f"{escape(summary.name)}: {summary.last_line()}, in {escape(str(out / 'cases.csv'))}")
    console.print(f"Judge them: vesalius bench report {out}", markup=False)
    unscored = summary.scores.failed + summary.scores.unscorable if summary.scores else 0
    if summary.failed or summary.not_run or unscored:
        raise typer.Exit(1)
