"""`vesalius bench judge`, `bench diff` and `bench export`: what else can be done with a run of answers."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vesalius.errors import VesaliusError


class What(StrEnum):
    """What is judged."""

    match = "match"
    open = "open"
    caption = "caption"
    errors = "errors"


def judge(
    run: Annotated[Path, typer.Argument(help="A run of `vesalius bench run`.", show_default=False)],
    by: Annotated[str, typer.Option("--by", help="The judge: a model's URL, as for `bench run`.", show_default=False)],
    task: Annotated[list[What], typer.Option(
        "--task", "-t", help="match: the option that an answer means from which rules read none; open: whether an open "
        "answer is right; caption: how good a caption is; errors: why wrong answers are wrong. May be repeated.")] =
        [What.match, What.open, What.caption],  # noqa: B006
) -> None:  # fmt: skip
    """Let a model judge answers. Verdicts stay in the run; only what failed is judged again; reports show them.

    The judge first has to give two known verdicts. What is no clear verdict counts as none.

    Example: vesalius bench judge run/ --by openai:gpt-4o@https://api.openai.com/v1 --task match --task errors
    """
    from rich.console import Console

    from vesalius.bench.questions.judge import judge as judge_answers
    from vesalius.bench.questions.judge import preflight
    from vesalius.bench.questions.store import Store
    from vesalius.models import open_model

    console = Console(highlight=False, markup=False, soft_wrap=True)
    model = open_model(by, max_tokens=256)
    lost = 0
    with Store(run) as store:
        for one in task:
            preflight(model, one.value)
            for key in store.models:
                benchmark, _, name = key.partition("/")
                account, wanted = judge_answers(store, benchmark, name, model, one.value)
                if wanted:
                    lost += account.failed
                    judged = wanted - account.failed
                    console.print(f"{one.value}: {benchmark} · {name}: judged {judged:,} of {wanted:,}")
    if lost:
        raise typer.Exit(1)


def diff(
    before: Annotated[Path, typer.Argument(help="A run.", show_default=False)],
    after: Annotated[Path, typer.Argument(help="Another run.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Also write every question whose result differs, as CSV.",
                                             show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:  # fmt: skip
    """Compare two runs: what was asked otherwise, which answers changed, and whether that is more than chance.

    Example: vesalius bench diff run-monday/ run-friday/ --out changed.csv
    """
    from vesalius.bench.questions.diff import compare

    found, changed = compare(before, after)
    if out:
        from vesalius.run import replacing

        with replacing(out) as temporary:
            changed.write_csv(temporary)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    for row in found:
        console.print(f"{row['benchmark']} · {row['model']}: {row['said']}")
        for line in row["asked_otherwise"]:
            console.print(f"  {line}")


def export(
    run: Annotated[Path, typer.Argument(help="A run of `vesalius bench run`.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for MODEL/MODEL_BENCHMARK.xlsx.")] = Path("export"),
) -> None:
    """Write predictions as VLMEvalKit does: its scoring, and whatever reads its files, works on them.

    Example: vesalius bench export run/ --out outputs/
    """
    from vesalius.bench.questions.store import Store
    from vesalius.formats.vlmevalkit import write_predictions

    with Store(run, read_only=True) as store:
        for key in store.models:
            benchmark, _, model = key.partition("/")
            path = write_predictions(out, model, benchmark, (
                (result.sample, result.answer) for result in store.results(benchmark, model)
                if result.rotation == 0 and result.repeat == 0 and result.answer is not None
            ))  # fmt: skip
            typer.echo(str(path))
    if not out.exists():
        raise VesaliusError("nothing is answered yet", file=run, remedy="run `vesalius bench run` first", code="empty")
