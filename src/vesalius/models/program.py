"""Somebody else's program as a model: questions laid out as files, one call, files read as answers.

The contract with third parties stands in docs/challenge.md: `/input/question.json`, `/output/answer.json` or
`/output/mask.nii.gz`, exit code 0 for an answer and 3 for a refusal. Whatever else happens becomes an Answer that is
`failed`, with its reason. Leaves how a program is held to its limits to `command.py` and `container.py`.
"""

import contextlib
import hashlib
import json
import math
import os
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

from pydantic import Field

from vesalius.models.mounts import Unreadable, clear, lay_out
from vesalius.models.prompt import LETTERS
from vesalius.models.protocol import Generation
from vesalius.records import MEDIA, Answer, Message, Part, Question
from vesalius.sandbox import Limits, Outcome

REFUSES = 3  # the exit code of a program that will not or cannot answer
_LONGEST = 1 << 20  # bytes of answer.json
_MASKS = (".nii.gz", ".nii")
_ROOM = 8  # bytes of a mask for each voxel of the largest volume asked about: more is a trap for whoever reads it
_LABELS = 4096  # names of a mask at most, of so many letters at most


class ProgramOptions(Generation):
    """Limits of a call and what the program is given; settings of generation are taken and ignored."""

    seconds: float = Field(Limits.seconds, gt=0, description="Of wall clock, of one call.")
    memory_mb: int = Field(Limits.memory_mb, ge=16, description="Of all its processes and of what they write.")
    disk_mb: int = Field(Limits.disk_mb, ge=1, description="In /output, in /tmp, and printed.")
    processes: int = Field(Limits.processes, ge=4, description="Alive at once; threads count.")
    cpus: float | None = Field(None, gt=0, description="Cores' worth of processor time; all by default.")
    gpus: Literal["", "all"] = Field("", description="all: opens the machine's NVIDIA devices to the program.")
    batch: int = Field(1, ge=1, description="Questions a call; more than one share time, memory and fate.")
    keep: str = Field("", description="Folder that keeps masks; by default they vanish when the model is closed.")

    @property
    def limits(self) -> Limits:
        """As the sandbox takes them."""
        return Limits(self.seconds, self.memory_mb, self.disk_mb, self.processes, self.cpus)


class Runner(Protocol):
    """How a program is called."""

    @property
    def exposes(self) -> tuple[Path, ...]:
        """Files and folders of this machine that the program can read."""

    def identity(self) -> dict[str, Any]:
        """What the program is: hashes of its files, or of its image."""

    def check(self) -> str:
        """As `Model.check`."""

    def call(self, given: Path, out: Path) -> Outcome:
        """One call with `given` as /input; what it wrote to /output stands in `out` where it ended well."""


class Program:
    """A model that is a program; see the module.

    Attributes:
        outcomes: what became of the last call, by the ids of its questions, for whoever wants to know more than an
            Answer says.
        exposes: see `Runner`.
    """

    media = frozenset(MEDIA)

    def __init__(self, name: str, runner: Runner, options: ProgramOptions):
        self.name, self.runner, self.options = name, runner, options
        self.outcomes: dict[str, Outcome] = {}
        self.exposes = runner.exposes
        self._own = None if options.keep else tempfile.TemporaryDirectory(prefix=_prefix())
        self.keep = Path(options.keep or self._own.name)  # type: ignore[union-attr]

    def identity(self) -> dict[str, Any]:
        """The program, its limits (they decide what fails) and how many questions share a call."""
        limits = asdict(self.options.limits)
        return {**self.runner.identity(), "limits": limits, "batch": self.options.batch, "gpus": self.options.gpus}

    def check(self) -> str:
        """Whether the limits can be enforced here, with a call that does nothing."""
        return self.runner.check()

    def answer(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """One call a question, or a batch; see `Model.answer`."""
        _sweep()
        questions = iter(questions)
        while some := list(islice(questions, self.options.batch)):
            yield from self._answer(some)

    def _answer(self, questions: list[Question]) -> Iterator[Answer]:
        batch = self.options.batch > 1
        with tempfile.TemporaryDirectory(prefix=_prefix()) as temporary:
            given, out = Path(temporary) / "input", Path(temporary) / "output"
            given.mkdir()
            try:
                lay_out(questions, given, batch)
                outcome = self.runner.call(given, out)
            except Unreadable as error:
                for question in questions:
                    reason = str(error) if len(questions) == 1 else f"its batch cannot be laid out: {error}"
                    yield Answer(question.id, status="failed", reason=reason)
                return
            finally:
                clear(given)
            self.outcomes = {question.id: outcome for question in questions}
            for number, question in enumerate(questions):
                yield self._read(question, outcome, out / str(number) if batch else out, len(questions))

    def _read(self, question: Question, outcome: Outcome, out: Path, together: int) -> Answer:
        # what a batch took is shared evenly; memory is what all of it needed
        seconds = None if outcome.seconds is None else outcome.seconds / together
        took: dict[str, Any] = {"seconds": seconds, "memory_mb": outcome.memory_mb}
        if outcome.exit_code == REFUSES:
            return Answer(question.id, status="refused", reason=_with_words("refuses", outcome), **took)
        if outcome.status != "ok":
            return Answer(question.id, status="failed", reason=_with_words(said(outcome), outcome), **took)
        try:
            message = self._message(question, out)
        except _Garbage as error:
            return Answer(question.id, status="failed", reason=_with_words(str(error), outcome), **took)
        if message is None:
            reason = _with_words("ended well and wrote no answer", outcome)
            return Answer(question.id, status="empty", reason=reason, **took)
        return Answer(question.id, message, **took)

    def _message(self, question: Question, out: Path) -> Message | None:
        file, whole = out / "answer.json", out / "mask.nii.gz"
        given: Any = {"mask": whole.name} if whole.is_file() else {}
        if file.is_file():
            given = _json(file)
        if question.type == "mask":
            return self._mask(question, given, out) if given else None
        choice = given.get("choice", given.get("text"))
        if isinstance(choice, list) and all(isinstance(one, str) for one in choice):
            choice = ", ".join(choice)
        if choice is None and not given:
            return None
        if not isinstance(choice, str):
            raise _Garbage('answer.json holds neither "text" nor "choice" with words')
        if "choice" in given and question.options:
            known = {*LETTERS[: len(question.options)], *question.options}
            if wrong := [one for one in _listed(given["choice"]) if one not in known]:
                raise _Garbage(f"answer.json chooses {ascii(wrong[0])[:80]}, which is no option")
        return Message("assistant", (Part.of_text(choice),)) if choice.strip() else None

    def _mask(self, question: Question, given: dict[str, Any], out: Path) -> Message:
        name, labels = given.get("mask"), given.get("labels")
        if not isinstance(name, str) or not name.lower().endswith(_MASKS):
            raise _Garbage(f'answer.json names no "mask" that ends with {" or ".join(_MASKS)}')
        inside = PurePosixPath(name.removeprefix("/output/"))
        path = out / inside
        if inside.is_absolute() or ".." in inside.parts or not path.is_file():
            raise _Garbage(f"answer.json names a mask that is not in /output: {ascii(name)[:80]}")
        names = _labels(labels)
        _check_size(path, question)
        suffix = next(s for s in _MASKS if name.lower().endswith(s))
        self.keep.mkdir(parents=True, exist_ok=True)
        kept = self.keep / f"{hashlib.sha256(question.id.encode()).hexdigest()[:24]}{suffix}"
        shutil.move(path, kept)
        return Message("assistant", (Part.of("mask", kept, labels=names),))

    def close(self) -> None:
        """Removes masks that nobody asked to keep."""
        if self._own:
            self._own.cleanup()


def _prefix() -> str:
    return f"vesalius-{socket.gethostname()}-{os.getpid()}-"


def _sweep() -> None:
    """Removes copies of cases that a driver on this host left when it was killed: they may be of patients."""
    ours = f"vesalius-{socket.gethostname()}-"
    for old in Path(tempfile.gettempdir()).glob(f"{ours}[0-9]*-*"):
        pid = old.name.removeprefix(ours).partition("-")[0]
        with contextlib.suppress(OSError):  # somebody else is at it
            if old.lstat().st_uid == os.geteuid() and old.is_dir() and not Path("/proc", pid).exists():
                clear(old)


class _Garbage(Exception):
    """What a program wrote is no answer."""


def said(outcome: Outcome) -> str:
    """What became of a call, in a clause."""
    return outcome.reason or outcome.status if outcome.status == "crashed" else f"{outcome.status}: {outcome.reason}"


def _with_words(reason: str, outcome: Outcome) -> str:
    """With the last that the program said, on one line."""
    words = " | ".join(line.strip() for line in outcome.stderr.splitlines() if line.strip())[-300:]
    return f"{reason}; it said: {words}" if words else reason


def _json(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _LONGEST:
        raise _Garbage(f"answer.json has more than {_LONGEST >> 20} MB")
    try:
        given = json.loads(file.read_bytes().decode())
    except (ValueError, RecursionError) as error:
        raise _Garbage(f"answer.json is no JSON ({str(error)[:80]})") from None
    if not isinstance(given, dict):
        raise _Garbage("answer.json holds no JSON object")
    return given


def _listed(choice: Any) -> list[str]:
    return choice if isinstance(choice, list) else [choice]


def _labels(given: Any) -> dict[int, str] | None:
    """{id: name}, as JSON writes it: ids are texts there. Names are shown to people, and so have to be printable."""
    if given is None:
        return None
    wrong = _Garbage('"labels" of answer.json are not {"id": "name"}')
    if not isinstance(given, dict) or len(given) > _LABELS:
        raise wrong
    for number, name in given.items():
        if not (number.isdecimal() and len(number) < 10 and isinstance(name, str)):
            raise wrong
        if not (name.strip() and name.isprintable() and len(name) < _LABELS):
            raise wrong
    return {int(number): name for number, name in given.items()}


def _check_size(mask: Path, question: Question) -> None:
    """A few bytes can claim voxels without number."""
    from vesalius.media.volume import read_header

    asked = [Path(part.path) for part in question.media if part.type == "volume" and part.path]
    try:
        header = read_header(mask)
        most = max((math.prod(read_header(path).shape) for path in asked), default=1 << 28)
    except Exception:  # whatever a hostile header makes a reader raise; the scoring says what is wrong
        return
    if math.prod(header.shape) * header.dtype.itemsize > _ROOM * most:
        shape = "x".join(map(str, header.shape))
        raise _Garbage(f"its mask claims {shape} voxels of type {header.dtype}, the image has {most:,}")
