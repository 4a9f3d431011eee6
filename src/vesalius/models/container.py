"""`container:IMAGE`: an image that Docker or Podman runs, on machines where their engine answers.

Knows the engine's command line (`docker run`, the same in Podman) and is the one place that does. It is used only when
the daemon answers; where none does, the model is reported as not run, never run without its limits. `command:` with
`?root=` runs an unpacked image without an engine.

The engine keeps memory, processes and processor time. /output is a folder of limited size that root mounts, since no
engine limits what a bound folder takes. Time is kept here, by killing the container by its name.
"""

import contextlib
import itertools
import os
import re
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from vesalius.errors import VesaliusError
from vesalius.models.command import environment
from vesalius.models.program import Program, ProgramOptions
from vesalius.sandbox.harvest import Unacceptable, harvest
from vesalius.sandbox.limits import MB, Outcome
from vesalius.sandbox.started import TAIL, text_of

ENGINES = {  # what asks the daemon, not the client
    "docker": ("version", "--format", "{{.Server.Version}}"),
    "podman": ("info", "--format", "{{.Version.Version}}"),
}
NOBODY = "65534:65534"
_NUMBER = itertools.count()


class Options(ProgramOptions):
    """Limits of a call; nothing besides."""


def find_engine() -> tuple[str, str]:
    """(engine, version) of the first whose daemon answers.

    Raises:
        VesaliusError: code `no_engine`; none does.
    """
    tried = []
    for engine, question in ENGINES.items():
        if shutil.which(engine) is None:
            tried.append(f"{engine} is not installed")
            continue
        try:
            asked = subprocess.run([engine, *question], capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            tried.append(f"{engine} does not answer ({type(error).__name__})")
            continue
        if asked.returncode == 0 and asked.stdout.strip():
            return engine, asked.stdout.strip()
        tried.append(f"{engine}: {(asked.stderr.strip().splitlines() or ['no word'])[-1]}")
    problem = f"not run: no container engine answers ({'; '.join(tried)})"
    remedy = "start the engine, or unpack the image (docker export) and use command:PROGRAM?root=FOLDER"
    raise VesaliusError(problem, remedy=remedy, code="no_engine")


class Container:
    """An image and the engine that runs it."""

    exposes: tuple[Path, ...] = ()

    def __init__(self, image: str, options: Options):
        self.image, self.options = image, options

    @cached_property
    def engine(self) -> str:
        """The engine's command; see `find_engine`."""
        return find_engine()[0]

    @cached_property
    def digest(self) -> str:
        """The image's id.

        Raises:
            VesaliusError: no engine answers, or it has no such image; nothing is pulled from anywhere.
        """
        asked = self._engine("image", "inspect", "--format", "{{.Id}}", self.image)
        if asked.returncode:
            remedy = f"{self.engine} load or {self.engine} pull it first"
            raise VesaliusError("there is no such image here", file=self.image, remedy=remedy, code="model")
        return asked.stdout.strip()

    def identity(self) -> dict[str, Any]:
        """The image by its id, whatever it is called."""
        return {"backend": "container", "image": self.digest}

    def check(self) -> str:
        """Whether an engine answers, has the image, and the size of /output can be limited."""
        engine, version = find_engine()
        with tempfile.TemporaryDirectory() as place, self._output(Path(place)):
            return f"{self.image} ({self.digest[:19]}) by {engine} {version}"

    def call(self, given: Path, out: Path) -> Outcome:
        """See `Runner.call`."""
        engine, name = self.engine, f"vesalius-{os.getpid()}-{next(_NUMBER)}"
        with tempfile.TemporaryDirectory() as place, self._output(Path(place)) as output:
            try:
                stopped, seconds, tails, client = self._watch([engine, *self.arguments(name, given, output)], name)
                code, killed = self._state(name)
            finally:
                self._engine("rm", "--force", name)
            status, reason = stopped or ("ok", None)
            if killed:
                status, reason = "memory", f"needs more than {self.options.memory_mb} MB of memory"
            elif client == 125 or (code is None and not stopped):  # of the engine, not of the program
                words = (text_of(tails[1]).strip().splitlines() or ["no word"])[-1]
                remedy = "is every limit supported by this engine?"
                raise VesaliusError(
                    f"the engine does not run it ({words})", file=self.image, remedy=remedy, code="limit"
                )
            elif not stopped and os.statvfs(output).f_bfree == 0:
                status, reason = "disk", f"fills /output with {self.options.disk_mb} MB"
            elif not stopped and code:
                status, reason = "crashed", f"ended with exit code {code}"
            if status == "ok":
                opened = os.open(output, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    harvest(opened, out, self.options.limits)
                except (Unacceptable, OSError) as error:
                    shutil.rmtree(out, ignore_errors=True)
                    status, reason = "output", f"its output is not taken: {error}"
                finally:
                    os.close(opened)
        told = code if status in ("ok", "crashed") else None
        return Outcome(status, reason, told, seconds, stdout=text_of(tails[0]), stderr=text_of(tails[1]))

    def arguments(self, name: str, given: Path, output: Path) -> list[str]:
        """The engine's arguments for one call; no `--rm`, since its state says how it ended."""
        limits = self.options.limits
        size, memory = limits.disk_mb * MB, f"{limits.memory_mb}m"
        args = ["run", "--name", name, "--pull", "never", "--log-driver", "none", "--network", "none", "--read-only"]
        args += ["--memory", memory, "--memory-swap", memory, "--pids-limit", str(limits.processes)]
        args += [
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
            "--user",
            NOBODY,
            "--hostname",
            "localhost",
        ]
        args += ["--tmpfs", f"/tmp:rw,nosuid,nodev,size={size},mode=1777", "--shm-size", str(size), "--workdir", "/tmp"]
        args += ["--ulimit", f"fsize={size}:{size}", "--ulimit", "core=0:0"]
        args += ["--mount", f"type=bind,source={given},target=/input,readonly"]
        args += ["--mount", f"type=bind,source={output},target=/output"]
        if limits.cpus is not None:
            args += ["--cpus", f"{limits.cpus:g}"]
        if self.options.gpus:
            args += ["--gpus", self.options.gpus]
        for key, value in {"HOME": "/tmp", "TMPDIR": "/tmp", **environment(self.options)}.items():
            args += ["--env", f"{key}={value}"]
        return [*args, self.image]

    @contextlib.contextmanager
    def _output(self, place: Path) -> Iterator[Path]:
        """A folder of limited size that anybody may write."""
        limits = self.options.limits
        if os.geteuid() != 0:
            problem = (
                f"the disk limit of {limits.disk_mb} MB cannot be enforced: only root mounts a folder of limited size"
            )
            remedy = "run as root, or unpack the image (docker export) and use command:PROGRAM?root=FOLDER"
            raise VesaliusError(problem, file=self.image, remedy=remedy, code="limit")
        output = place / "output"
        output.mkdir()
        options = f"size={limits.disk_mb}m,nr_inodes={limits.files},mode=1777,nosuid,nodev,noexec"
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(output)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            problem = f"the disk limit of {limits.disk_mb} MB cannot be enforced ({made.stderr.strip()})"
            raise VesaliusError(problem, file=self.image, remedy="run where root may mount", code="limit")
        try:
            yield output
        finally:
            subprocess.run(["umount", "--lazy", str(output)], capture_output=True, check=False)

    def _watch(self, command: list[str], name: str) -> tuple[tuple[str, str] | None, float, list[bytes], int]:
        """Runs the client until it ends or has to be killed: what stopped it, seconds, tails, exit code."""
        limits, tails, printed, stopped = self.options.limits, [b"", b""], 0, None
        began = time.monotonic()
        with (
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as client,
            selectors.DefaultSelector() as selector,
        ):
            for number, stream in enumerate((client.stdout, client.stderr)):
                assert stream is not None
                selector.register(stream, selectors.EVENT_READ, number)
            while selector.get_map():
                for key, _ in selector.select(0.05):
                    more = os.read(key.fd, 1 << 16)
                    if not more:
                        selector.unregister(key.fileobj)
                    printed += len(more)
                    tails[key.data] = (tails[key.data] + more)[-TAIL:]
                if time.monotonic() - began > limits.seconds:
                    stopped = "timeout", f"took longer than {limits.seconds:g} s"
                elif printed > limits.disk_mb * MB:
                    stopped = "disk", f"prints more than {limits.disk_mb} MB"
                if stopped:
                    self._engine("kill", name)
                    client.kill()
                    break
            return stopped, time.monotonic() - began, tails, client.wait()

    def _state(self, name: str) -> tuple[int | None, bool]:
        """(exit code, whether it was killed for want of memory); no code where there is no such container."""
        asked = self._engine("inspect", "--format", "{{.State.ExitCode}} {{.State.OOMKilled}}", name)
        code, _, killed = asked.stdout.strip().partition(" ")
        return (int(code), killed == "true") if asked.returncode == 0 and code.isdecimal() else (None, False)

    def _engine(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run([self.engine, *arguments], capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            problem = f"{self.engine} {arguments[0]} does not come back"
            raise VesaliusError(problem, file=self.image, remedy="restart the engine", code="no_engine") from None


def connect(target: str, name: str, options: Options) -> Program:
    """`container:IMAGE`; the engine is asked when it is needed.

    Raises:
        VesaliusError: this is no image's name (an option of the engine, for one).
    """
    if not re.fullmatch(r"[\w][\w.:/@+-]*", target):
        raise VesaliusError(f"«{target}» names no image", remedy="write container:NAME:TAG", code="model")
    return Program(name, Container(target, options), options)
