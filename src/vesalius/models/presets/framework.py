"""A framework's own command, run as any program is: sandboxed, without a network, under limits.

Knows how a question becomes files in a framework's naming, how its environment (a venv, a conda environment) becomes
readable inside, and how its mask becomes an answer with names. Leaves the command line and the label map to the file of
each framework, limits to `command.py`, and what an answer is worth to `program.py`.

The framework sees `/input/N_0000.nii.gz` (N counts the questions of a call, the second number its channels) and writes
to `/output`; formats that it does not read (DICOM, NRRD, …) are converted before, outside.
"""

import json
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from vesalius import sandbox
from vesalius.errors import VesaliusError
from vesalius.media.volume import WRITERS, read_header, read_labels, read_volume, write_volume
from vesalius.models.command import Command, environment
from vesalius.models.command import Options as CommandOptions
from vesalius.models.mounts import Unreadable
from vesalius.models.program import ProgramOptions
from vesalius.run import fingerprint
from vesalius.sandbox import Outcome
from vesalius.sandbox.world import SYSTEM

MASK = "mask.nii.gz"


def listed(value: Any) -> Any:
    """`a|b` of a URL as a tuple."""
    return tuple(value.split("|")) if isinstance(value, str) else value


class FrameworkOptions(ProgramOptions):
    """Where a framework is installed; `gpus=all` runs it on the GPU."""

    env: str = Field("", description="Folder of its environment, with bin/ in it; by default as the PATH finds it.")
    read: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        (), description="Further folders that it may read, under their own paths; | between."
    )
    ids: Literal["", "challenge"] = Field("", description="challenge: its ids mean what the challenge's mean.")


class Framework(Command, ABC):
    """A framework's command and all that it may read.

    Attributes:
        tool: the command's name in the environment's bin/.
        ending: of the images that it reads and the masks that it writes.
        channels: names of what it takes, a volume each.
        together: whether one call answers several questions.
        before: a command that starts it.
    """

    tool: str
    ending = ".nii.gz"
    channels: tuple[str, ...] = ("image",)
    together = False
    before: tuple[str, ...] = ()

    def __init__(self, options: FrameworkOptions, needs: list[Path]):
        if options.batch > 1 and not self.together:
            problem = "takes one case a call"
            raise VesaliusError(problem, file=self.tool, remedy="leave batch= out", code="model")
        program, env = _find(self.tool, options.env)
        self.places = [*([env, *_interpreter(env)] if env else []), *(path.resolve() for path in needs)]
        given = options.model_dump(exclude_unset=True, exclude={"env", "ids", "read"} | self._own(options))
        read = (*dict.fromkeys(map(str, self.places)), *options.read)
        super().__init__(str(program), CommandOptions(**given, read=read))
        self.env, self.ids = env, options.ids
        self.device = bool(options.gpus)

    @staticmethod
    def _own(options: FrameworkOptions) -> set[str]:
        """Options that a program has not."""
        return set(type(options).model_fields) - set(CommandOptions.model_fields)

    @abstractmethod
    def arguments(self) -> list[str]:
        """What stands behind the command."""

    def variables(self) -> dict[str, str]:
        """Of its environment, besides the contract's."""
        return {}

    def prepare(self, folder: Path) -> None:
        """Further files for its /input."""

    @abstractmethod
    def written(self, out: Path, number: int) -> Path:
        """Where it leaves the mask of a question."""

    @abstractmethod
    def names(self, mask: Path) -> dict[int, str] | None:
        """Id → name in a mask; None where its ids are the challenge's."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What its answers depend on besides its environment: hashes of the weights, options."""

    def identity(self) -> dict[str, Any]:
        """Settings, the command line, and sizes and times of the environment's files."""
        stamps = [_stamp(path) for path in ([self.env] if self.env else [Path(self.argv[0])])]
        line = [word for word in [self.tool, *self.arguments()] if not word.startswith("/")]
        return {"backend": "command", "preset": self.tool, "line": line, "env": fingerprint(stamps), **self.settings()}

    def call(self, given: Path, out: Path) -> Outcome:
        """See `Runner.call`."""
        questions = list(_questions(given))
        with tempfile.TemporaryDirectory(prefix="vesalius-framework-") as temporary:
            staged = Path(temporary) / "input"
            staged.mkdir()
            images = [self._stage(folder, staged, number) for number, folder in enumerate(questions)]
            self.prepare(staged)
            for path in [staged, *staged.iterdir()]:
                path.chmod(0o755 if path.is_dir() else 0o644)
            outcome = sandbox.run(
                [*self.before, *self.argv, *self.arguments()],
                out,
                self.options.limits,
                read_only={**self.given, staged: "/input"},
                env=environment(self.options) | self.variables(),
                root=self.root,
                devices=self.devices,
            )
            if outcome.status != "ok":
                return outcome
            try:
                for number, (folder, image) in enumerate(zip(questions, images, strict=True)):
                    self._collect(self.written(out, number), out / folder.relative_to(given), image)
            except VesaliusError as error:
                return replace(outcome, status="output", reason=f"its mask is not taken: {error.problem}")
        return outcome

    def _stage(self, question: Path, folder: Path, number: int) -> Path:
        """Puts a question's volumes where the framework looks for them; returns the first."""
        sources = _volumes(question)
        if len(sources) != len(self.channels):
            takes = f"{len(self.channels)} ({', '.join(self.channels)})"
            problem = f"{len(sources)} volumes are asked about, and the model takes {takes}"
            raise Unreadable(problem, remedy="give each channel as a volume (case_0000, case_0001, …)", code="channels")
        for channel, source in enumerate(sources):
            target = folder / f"{number}_{channel:04}{self.ending}"
            try:
                read_header(source)
                if source.name.endswith(self.ending):
                    shutil.copyfile(source, target)
                else:
                    write_volume(target, read_volume(source))
            except VesaliusError as error:
                raise Unreadable(error.problem, remedy=error.remedy, code=error.code) from None
        return folder / f"{number}_0000{self.ending}"

    def _collect(self, mask: Path, place: Path, image: Path) -> None:
        """Makes an answer of what the framework wrote, if it wrote one."""
        if not mask.is_file():
            return
        place.mkdir(exist_ok=True)
        try:
            shapes = read_header(mask).shape, read_header(image).shape
        except VesaliusError:
            raise
        except Exception as error:  # whatever a broken header makes a reader raise
            raise VesaliusError(f"its header cannot be read ({type(error).__name__})") from None
        if shapes[0] != shapes[1]:  # before the voxels are read: a few bytes can claim any number of them
            raise VesaliusError(f"its shape is {shapes[0]}, the image's {shapes[1]}")
        labels = self.names(mask)
        if mask.name.endswith(MASK[4:]):
            mask.rename(place / MASK)
        else:
            write_volume(place / MASK, read_labels(mask))
        said = {"mask": MASK} | ({} if labels is None else {"labels": {str(i): name for i, name in labels.items()}})
        (place / "answer.json").write_text(json.dumps(said, ensure_ascii=False))


def check_ending(ending: str, file: Path) -> None:
    """Refuses a format that cannot be written for a framework.

    Raises:
        VesaliusError: code `format`.
    """
    if ending not in WRITERS:
        remedy = f"it has to be one of {', '.join(WRITERS)}"
        raise VesaliusError(
            f"takes {ending} files, which are not written here", file=file, remedy=remedy, code="format"
        )


def _find(tool: str, env: str) -> tuple[Path, Path | None]:
    """The command and its environment's folder; None for one of the system."""
    if env:
        folder = Path(env).resolve()
        program = next((p for p in (folder / "bin" / tool, folder / tool) if p.is_file()), None)
        if program is None:
            remedy = f"name the environment's folder, in whose bin/ {tool} lies: env=FOLDER"
            raise VesaliusError(f"there is no {tool} in it", file=env, remedy=remedy, code="model")
        return program, folder.parent if folder.name == "bin" and program.parent == folder else folder
    found = shutil.which(tool)
    if found is None:
        remedy = "name its environment: env=FOLDER, with bin/ in it"
        raise VesaliusError(f"{tool} is not installed", remedy=remedy, code="model")
    program = Path(found).resolve()
    return program, None if _of_the_system(program) else program.parent.parent


def _interpreter(env: Path) -> list[Path]:
    """Where the Python of a venv lies, if outside of it and of the system."""
    python = (env / "bin" / "python").resolve()
    outside = python.is_file() and not python.is_relative_to(env) and not _of_the_system(python)
    return [python.parent.parent] if outside else []


def _of_the_system(path: Path) -> bool:
    return any(path.is_relative_to(f"/{name}") for name in SYSTEM)


def _stamp(path: Path) -> list[Any]:
    """Sizes and times of files by their names within it; what Python compiles by itself is left out."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    kept = (f for f in files if "__pycache__" not in f.parts and f.is_file())
    return [[str(f.relative_to(path)), s.st_size, s.st_mtime_ns] for f in kept if (s := f.stat())]


def _questions(given: Path) -> Iterator[Path]:
    """The folders of the questions of a call, in order; see `mounts.lay_out`."""
    if (given / "question.json").is_file():
        yield given
    else:
        yield from sorted((child for child in given.iterdir() if child.is_dir()), key=lambda child: int(child.name))


def _volumes(question: Path) -> list[Path]:
    """The volumes of a question, in its order."""
    asked = json.loads((question / "question.json").read_text())
    parts = [part for message in asked["messages"] for part in message["content"]]
    return [question / "media" / Path(part["path"]).name for part in parts if part["type"] == "volume"]
