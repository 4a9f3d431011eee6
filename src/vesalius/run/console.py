"""Progress on the terminal of whoever waits."""

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from typing import Any


def console() -> Any:
    """Where progress is shown: standard error, and nowhere in worker processes, whose driver has a bar of its own."""
    from rich.console import Console

    return Console(stderr=True, quiet=multiprocessing.parent_process() is not None)


@contextlib.contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[..., None]]:
    """A bar on standard error with count, rate, failures and remaining time.

    Yields `advance(failures, by=1, kept=0, things="")`: how many failed so far, how many are done now, how many were
    done by an earlier run, which tell nothing about the rate, and what else there is to say.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[things]}"),
        TextColumn("[red]{task.fields[failed]}"),
    )
    start, done, before = time.monotonic(), 0, 0
    with Progress(*columns, console=console()) as bar:
        task = bar.add_task(label, total=total, rate="", left="", things="", failed="")

        def advance(failures: int, by: int = 1, kept: int = 0, things: str = "") -> None:
            nonlocal done, before
            done += by
            before += kept
            rate = done / max(time.monotonic() - start, 1e-9)
            speed = f"{rate:.1f}/s" if rate >= 1 or not done else f"{1 / rate:.1f} s each"
            remaining = _clock((total - done - before) / rate) if total and done else ""
            failed = f"{failures:,} failed" if failures else ""
            shown: dict[str, Any] = {"left": remaining, "things": things, "failed": failed}
            bar.update(task, advance=by + kept, rate=speed if done else "", **shown)

        yield advance


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} left" if hours else f"{minutes}:{rest:02d} left"
