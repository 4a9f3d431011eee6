"""The folder of a report: what may stand in it, and how an earlier report gives way to a new one.

Knows the names of the files of both kinds of report, of scores and of questions, so that either takes the other's place
whole. Leaves what stands in the files to their writers.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vesalius.errors import VesaliusError

PAGE = "report.html"
_FILES = {
    "report.json",
    *(f"{name}.csv" for name in (
        "summary", "pairwise", "ranking", "groups", "group_means", "gap", "stability", "rule_ranks", "rule_agreement",
        "forgetting", "forgetting_seeds",
        "accuracy", "answers", "statuses", "metrics", "positions", "rotations", "error_classes",
    )),
}  # fmt: skip
# Beside `run.json` the table of scores is a report's; alone it may be the one that is to be reported.
_OF_QUESTIONS = {"run.json", "scores.parquet"}
# Folders of ours, and what in them is ours.
_FOLDERS = {
    "figures": re.compile(r".+_.+\.(png|svg)"),
    "browser": re.compile(r"(words-)?\d{4,}\.js"),
    "browser/media": re.compile(r"[0-9a-f]{32}\.jpg"),
}


@contextmanager
def writable(out: Path) -> Iterator[None]:
    """Says in one line what cannot be written."""
    try:
        yield
    except OSError as error:
        problem, remedy = f"cannot be written ({error.strerror or error})", "choose another --out"
        raise VesaliusError(problem, file=out, remedy=remedy, code="output") from error


def clear(out: Path, keep: str = "") -> None:
    """Makes the folder, and takes away what an earlier report left there: the page first, so that none stands half.

    Args:
        out: the folder.
        keep: a folder of ours whose files stay, because the writer uses them again.

    Raises:
        VesaliusError: the folder holds something else than a report.
    """
    out.mkdir(parents=True, exist_ok=True)
    found = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    files = {*_FILES, *(_OF_QUESTIONS if found >= _OF_QUESTIONS else ())}
    ours = {PAGE, *files, "figures", "browser"}
    if found - ours and not found & {PAGE, "report.json"} and not found >= _OF_QUESTIONS:
        some = ", ".join(sorted(found - ours)[:3])
        remedy = "name an empty or new folder with --out"
        raise VesaliusError(f"holds something else than a report ({some})", file=out, remedy=remedy, code="output")
    for path in (out / PAGE, *(out / name for name in sorted(files)), *_drawn(out, keep)):
        path.unlink(missing_ok=True)


def _drawn(out: Path, keep: str) -> Iterator[Path]:
    for name, pattern in _FOLDERS.items():
        if name != keep:
            yield from [path for path in (out / name).glob("*") if path.is_file() and pattern.fullmatch(path.name)]
