"""`command:PROGRAM`: a program on this machine, held by bubblewrap and cgroups.

    command:team_a/                 the file `run` in the folder; the program sees the folder as /program
    command:./team_b.sh             a file; it sees that file alone, as /program/team_b.sh, never the folder around it
    command:python3 ./predict.py    an interpreter of the system, and a file
    command:/opt/algorithm/run?root=image/     a program of an unpacked image, which stands as `/`

`read=/opt/conda|/data/weights` lets it read folders under their own paths. Leaves the contract with the program to
`program.py`, and limits to `vesalius.sandbox`.
"""

import hashlib
import os
import shlex
import shutil
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from vesalius import sandbox
from vesalius.errors import VesaliusError
from vesalius.models.program import Program, ProgramOptions
from vesalius.run import file_hash, file_stamp, fingerprint
from vesalius.sandbox import Outcome
from vesalius.sandbox.world import SYSTEM

PROGRAM = "/program"


def _listed(value: Any) -> Any:
    return tuple(value.split("|")) if isinstance(value, str) else value


class Options(ProgramOptions):
    """What a program of this machine needs besides."""

    root: str = Field("", description="Folder of an unpacked image that stands as `/`, read-only.")
    read: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="Folders that it may read, under their own paths; | between."
    )


class Command:
    """A program and the folders that it may read.

    Attributes:
        argv: as the program is called, by paths inside.
        given: what it may read, by where it finds it.
    """

    def __init__(self, target: str, options: Options):
        self.target, self.options = target, options
        self.root = _folder(options.root, target) if options.root else None
        self.given: dict[Path, str] = {}
        for name in options.read:
            path = _folder(name, target)
            self.given[path] = str(path)
        words = [target] if Path(target).exists() else shlex.split(target)
        self.argv = [self._word(word, first=n == 0) for n, word in enumerate(words)]
        self.devices = _nvidia_devices() if options.gpus else ()
        if options.gpus and not self.devices:
            raise VesaliusError("this machine has no NVIDIA devices", file=target, remedy="drop gpus=", code="model")

    @property
    def exposes(self) -> tuple[Path, ...]:
        """All that the program can read of this machine."""
        system = [self.root] if self.root else [Path("/", name) for name in SYSTEM if Path("/", name).exists()]
        return tuple(path.resolve() for path in [*self.given, *system])

    def _word(self, word: str, first: bool) -> str:
        """A word of the command as the program is to see it; a file or folder that it names is given to it."""
        path = Path(word)
        if self.root and word.startswith("/") and os.path.lexists(self.root / word[1:]):
            return word
        if not path.exists():
            if first and ("/" in word or not (self.root or shutil.which(word))):
                raise VesaliusError("there is no such program", file=word, remedy="check the path", code="model")
            return word
        path = path.resolve()
        if any(path.is_relative_to(folder) for folder in self.given):
            return str(path)
        if not self.root and any(path.is_relative_to(f"/{name}") for name in SYSTEM):
            return str(path)
        if first and path.is_dir():
            self.given[path] = PROGRAM
            return self._executable(path / "run", f"{PROGRAM}/run")
        inside = f"{PROGRAM}/{path.name}"
        if inside in self.given.values():
            problem = f"two of its files are called {path.name}"
            raise VesaliusError(
                problem, file=self.target, remedy="put all into a folder with a file `run`", code="model"
            )
        self.given[path] = inside
        return self._executable(path, inside) if first else inside

    def _executable(self, path: Path, inside: str) -> str:
        if not path.is_file():
            remedy = "add it: an executable file that reads /input and writes /output"
            raise VesaliusError("there is no such program", file=path, remedy=remedy, code="model")
        if not path.stat().st_mode & 0o111:
            raise VesaliusError("is not executable", file=path, remedy=f"chmod +x {path.name}", code="model")
        return inside

    @cached_property
    def _hash(self) -> str:
        """Of the bytes of its files; of sizes and times in what it may read besides."""
        own = [path for path, inside in self.given.items() if inside.startswith(PROGRAM)]
        besides = [path for path in [*self.given, *([self.root] if self.root else [])] if path not in own]
        stamps = [hashlib.sha256(repr(file_stamp(path)).encode()).hexdigest() for path in besides]
        return fingerprint([_content(path) for path in own], stamps)

    def identity(self) -> dict[str, Any]:
        """The words of the command and a hash of its files."""
        return {"backend": "command", "argv": self.argv, "files": self._hash}

    def check(self) -> str:
        """Runs a program that does nothing under the limits, and looks whether its files can be read."""
        if os.geteuid() == 0:
            for path in self.given:
                _check_readable(path)
        found = sandbox.check(self.options.limits, self.root)
        opened = f"; opens {', '.join(map(str, self.devices))}" if self.devices else ""
        return f"{' '.join(self.argv)} under {found}{opened}"

    def call(self, given: Path, out: Path) -> Outcome:
        """See `Runner.call`."""
        folders = {**self.given, given: "/input"}
        env = environment(self.options)
        return sandbox.run(
            self.argv,
            out,
            self.options.limits,
            read_only=folders,
            env=env,
            root=self.root,
            devices=self.devices,
        )


def environment(options: ProgramOptions) -> dict[str, str]:
    """The variables of the contract."""
    told = {"SECONDS": options.seconds, "MEMORY_MB": options.memory_mb, "DISK_MB": options.disk_mb}
    told |= {"PROCESSES": options.processes, "BATCH": options.batch}
    env = {f"VESALIUS_{name}": f"{value:.12g}" for name, value in told.items()}
    env |= {"VESALIUS_INPUT": "/input", "VESALIUS_OUTPUT": "/output"}
    if options.cpus is not None:
        env |= {"VESALIUS_CPUS": f"{options.cpus:g}", "OMP_NUM_THREADS": str(max(1, round(options.cpus)))}
    return env


def _nvidia_devices() -> tuple[Path, ...]:
    return tuple(sorted(path for path in Path("/dev").glob("nvidia*") if not path.is_dir()))


def _folder(name: str, target: str) -> Path:
    path = Path(name).resolve()
    if not path.is_dir():
        raise VesaliusError(f"there is no folder {name}", file=target, remedy="check the path", code="model")
    return path


def _content(path: Path) -> list[Any]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [
        [str(f.relative_to(path)), os.readlink(f) if f.is_symlink() else file_hash(f), f.lstat().st_mode & 0o111]
        for f in files
        if f.is_symlink() or f.is_file()
    ]


def _check_readable(path: Path) -> None:
    """Root runs programs as nobody, who must be able to read them."""
    for file in [path, *(path.rglob("*") if path.is_dir() else ())]:
        if file.is_symlink():
            continue
        needed = 0o005 if file.is_dir() else 0o004
        if file.stat().st_mode & needed != needed:
            problem = "cannot be read by others, and root runs programs as nobody"
            raise VesaliusError(problem, file=file, remedy=f"chmod -R a+rX {path}", code="model")


def connect(target: str, name: str, options: Options) -> Program:
    """`command:PROGRAM`, see the module.

    Raises:
        VesaliusError: there is no such program or folder, or it is not executable.
    """
    return Program(name, Command(target, options), options)
