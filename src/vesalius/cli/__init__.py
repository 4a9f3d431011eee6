"""The command line: a table of contents; one file a command.

Command files import only what their help needs and load the rest when they are called, so that help is instant.

Exit codes: 0 all went well; 1 done, but some cases failed (the last line says how many); 2 wrong input or usage (one
line says what, where and the remedy); 130 stopped by Ctrl-C or SIGTERM (the same command goes on).
"""

import gc
import sys
from typing import Annotated

import typer

from vesalius import __version__
from vesalius.cli.bench_build import build
from vesalius.cli.bench_clicks import clicks
from vesalius.cli.bench_judge import diff, export, judge
from vesalius.cli.bench_report import report
from vesalius.cli.bench_run import run
from vesalius.cli.bench_score import score
from vesalius.cli.bench_tree import list_benchmarks, tree
from vesalius.cli.corpus import corpus
from vesalius.cli.demo import demo
from vesalius.cli.study import study
from vesalius.cli.train import train
from vesalius.cli.view import view
from vesalius.errors import VesaliusError

app = typer.Typer(
    help="Vesalius: medical AI, judged in hospitals it has never seen.",
    epilog="Exit codes: 0 well; 1 done, but some cases failed; 2 wrong input; 130 stopped, the same command goes on.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(short_help="Five phantom hospitals, four segmenters, one verdict: see it all work.")(demo)
app.command(short_help="A volume in the browser: click, see the mask, correct it, save it.")(view)
app.command(short_help="A recipe in YAML to trained weights with a card.")(train)
app.command(short_help="Does a mixture of experts forget? Over seeds, on phantoms.")(study)
app.add_typer(corpus, name="corpus")
bench = typer.Typer(help="Judge: `score` masks, then `report` on the scores.", no_args_is_help=True)
bench.command("list", short_help="Benchmarks that are known by name.")(list_benchmarks)
bench.command(short_help="The lexical tree of a benchmark, with counts.")(tree)
bench.command(short_help="Models answer the questions of benchmarks.")(run)
bench.command(short_help="Labelled images to a benchmark of questions (GMAI-MMBench's file).")(build)
bench.command(short_help="Masks and references to the one long Score table.")(score)
bench.command(short_help="Models that take clicks, clicked by a simulator.")(clicks)
bench.command(short_help="Score tables to statistics, figures and a page.")(report)
bench.command(short_help="A model judges answers: what was meant, what is right, why wrong.")(judge)
bench.command(short_help="Two runs side by side.")(diff)
bench.command(short_help="Predictions in VLMEvalKit's layout.")(export)
app.add_typer(bench, name="bench")


def _version(asked: bool) -> None:
    if asked:
        print(f"vesalius {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the `vesalius` script."""
    # Importing torch and its like makes millions of objects that stay; looking through them is a fifth of the time.
    gc.set_threshold(50_000, 50, 100)
    try:
        app()
    except VesaliusError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk, a folder not to be written, a file that went away
        if error.filename is None:
            raise
        typer.secho(f"error: {error.filename}: {error.strerror}", fg="red", err=True)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("vesalius"):
            raise
        typer.secho(f"error: {error.name} is not installed — pip install 'vesalius[bench,demo]'", fg="red", err=True)
        sys.exit(2)
