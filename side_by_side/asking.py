"""Asking an endpoint side by side: ours, a bare asyncio + httpx loop, Inspect and VLMEvalKit, on one stub in one run.

    .venv/bin/python side_by_side/asking.py [--peer VLMEVALKIT] [--n 2000] [--repeats 5] [--memory]

Questions with JPEGs of about 40 kB each; a stub that answers at once, so that what is measured is the client. Clients
take turns, in another order each round; each is a process of its own. *Asking* is the time from the first question to
the last kept answer, *command* that of the whole process with its imports, its reading of the file and its tables.
Only ratios within a round mean something; the median over rounds and its spread are printed. On a busy machine the
processor's seconds of the whole process are the steadier figure. Peers but Inspect live in
side_by_side/.venv/questions (peers_questions.txt).
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from letters import environment, table

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
_PEAK = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
SLOW = ("Inspect", "VLMEvalKit")  # a minute or more each: only in the first round


def make(folder: Path, n: int, images: int = 2000) -> Path:
    """A benchmark of n questions whose JPEGs have about 40 kB."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    pictures = folder / "pictures"
    if not pictures.exists():
        pictures.mkdir()
        for i in range(images):
            coarse = rng.integers(0, 255, (56, 56, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((448, 448), Image.Resampling.BICUBIC)
            noisy = np.asarray(picture).astype(np.int16) + rng.integers(-9, 9, (448, 448, 3), dtype=np.int16)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(pictures / f"{i}.jpg", quality=70)
    rows = [
        {
            "id": f"q{i}", "question": f"Which of these is shown in picture number {i}?",
            "options": ["Normal", "Pneumonia", "Pneumothorax", "Pleural effusion"], "answer": "ABCD"[i % 4],
            "image": str(pictures / f"{i % images}.jpg"),
        }
        for i in range(n)
    ]  # fmt: skip
    file = folder / f"questions{n}.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


@dataclass
class Took:
    """What one client took: seconds of the asking, of the whole process, and of the processor."""

    asking: float
    command: float
    processor: float


def timed(command: list, **more) -> tuple[Took, str]:
    """What a whole process took, and what it printed."""
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **more)
    seconds, after = time.perf_counter() - start, os.times()
    used = sum(getattr(after, k) - getattr(before, k) for k in ("children_user", "children_system"))
    if done.returncode:
        sys.exit(f"{command[1:3]} failed:\n{done.stderr[-2000:]}")
    return Took(float("nan"), seconds, used), done.stdout


def client(who: str, python: Path, file: Path, url: str, concurrency: int, out: Path, *more: str) -> Took:
    """One client of asking_peers.py."""
    took, printed = timed([python, HERE / "asking_peers.py", who, file, url, concurrency, out, *more])
    said = json.loads(printed.splitlines()[-1])
    expected = len(file.read_text().splitlines())
    if said["answers"] != expected:
        sys.exit(f"{who} has {said['answers']} answers to {expected} questions")
    took.asking = said["seconds"]
    return took


def inspect(file: Path, url: str, concurrency: int, out: Path) -> Took:
    """Inspect's command on our task, through its entry point; its log says when the asking began and ended."""
    command = [BIN / "inspect", "eval", "vesalius/questions", "-T", f"file={file}", "--model", "openai-api/stub/stub"]
    command += ["--max-connections", concurrency, "--max-samples", concurrency, "--display", "none", "--log-dir", out]
    given = {"STUB_API_KEY": "x", "STUB_BASE_URL": url, "XDG_CACHE_HOME": str(out / "cache")}
    took, _ = timed(command, env=os.environ | given)
    from inspect_ai.log import read_eval_log

    log = read_eval_log(str(next(out.glob("*.eval"))), header_only=True)
    if log.status != "success":
        sys.exit(f"Inspect: {log.status}")
    begun, ended = (datetime.fromisoformat(t) for t in (log.stats.started_at, log.stats.completed_at))
    took.asking = (ended - begun).total_seconds()
    return took


def command(file: Path, url: str, concurrency: int, out: Path) -> Took:
    """The whole of `vesalius bench run`; the asking in it is measured by the client «ours»."""
    name = f"m=openai:stub@{url}?concurrency={concurrency}"
    return timed([BIN / "vesalius", "bench", "run", file, "-m", name, "-o", out])[0]


def memory(folder: Path, url: str, sizes: tuple[int, ...]) -> list[list[str]]:
    """Peak memory of `vesalius bench run` on n questions, and on the same again, when all is answered."""
    rows = []
    for n in sizes:
        file = make(folder, n)
        peaks = []
        for _ in range(2):
            name = f"m=openai:stub@{url}?concurrency=32"
            words = [str(BIN / "vesalius"), "bench", "run", str(file), "-m", name, "-o", str(folder / f"memory{n}")]
            # Through a small process: a child's peak begins with the size of whoever started it.
            started = [sys.executable, "-c", _PEAK, *words]
            done = subprocess.run(started, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
            peaks.append(int(done.stdout.splitlines()[-1]) / 1024)
        rows.append([f"{n:,}", *(f"{peak:.0f} MB" for peak in peaks)])
    return rows


def spread(values: list[float], digits: int = 2) -> str:
    """Median, and the range."""
    middle = sorted(values)[len(values) // 2]
    return f"{middle:.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def main() -> None:
    """Runs everything and prints Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", type=Path, help="a checkout of VLMEvalKit")
    parser.add_argument("--n", type=int, default=2000, help="questions")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--only", nargs="+", help="clients")
    parser.add_argument("--memory", action="store_true", help="peak memory at 2,000, 8,000 and 32,000 questions, too")
    arguments = parser.parse_args()
    python = environment()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = make(folder, arguments.n)
        size = sum(f.stat().st_size for f in (folder / "pictures").iterdir()) / 2_000_000
        server = subprocess.Popen(
            [sys.executable, HERE / "asking_peers.py", "serve"], stdout=subprocess.PIPE, text=True
        )
        try:
            url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"  # type: ignore[union-attr]
            print(f"{arguments.n:,} questions, JPEGs of {size:.0f} kB on average; {machine()}\n")
            if arguments.repeats:
                compare(arguments, folder, file, url, python)
            if arguments.memory:
                print("\nPeak memory of `vesalius bench run`, and of the same command when all is answered:\n")
                print(table(["questions", "asking", "again"], memory(folder, url, (2000, 8000, 32000))))
        finally:
            server.kill()
            server.wait()


def compare(arguments: argparse.Namespace, folder: Path, file: Path, url: str, python: Path) -> None:
    """Rounds of all clients in changing order, at each concurrency."""
    rng = random.Random(0)
    for concurrency in arguments.concurrency:
        clients = {
            "bare httpx": lambda out, c=concurrency: client("httpx", python, file, url, c, out),
            "bare aiohttp": lambda out, c=concurrency: client("aiohttp", Path(sys.executable), file, url, c, out),
            "ours": lambda out, c=concurrency: client("ours", Path(sys.executable), file, url, c, out),
            "vesalius bench run": lambda out, c=concurrency: command(file, url, c, out),
            "Inspect": lambda out, c=concurrency: inspect(file, url, c, out),
        }
        if arguments.peer:
            where = str(arguments.peer.resolve())
            kit = partial(client, "vlmevalkit", python, file, url, concurrency)
            clients["VLMEvalKit"] = lambda out, kit=kit, where=where: kit(out, where)
            clients["VLMEvalKit, its pause taken out"] = lambda out, kit=kit, where=where: kit(out, where, "--no-pause")
        if arguments.only:
            clients = {name: ask for name, ask in clients.items() if name in arguments.only or name == "bare httpx"}
        rounds: list[dict[str, Took]] = []
        for i in range(arguments.repeats):
            names = [name for name in clients if not (i and name in SLOW)]
            rng.shuffle(names)
            found = {}
            for name in names:
                suffix = ".pkl" if name.startswith("VLM") else ""
                found[name] = clients[name](folder / f"{name.replace(' ', '_')}-{concurrency}-{i}{suffix}")
                print(f"{concurrency} {i} {name}: {found[name]}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
            rounds.append(found)
        print(f"{concurrency} in flight; median (range) over {arguments.repeats} rounds, {' and '.join(SLOW)} once:\n")
        lines = []
        for name in clients:
            both = [(r[name], r["bare httpx"]) for r in rounds if name in r]
            known = name != "vesalius bench run"
            lines.append(
                [
                    name,
                    spread([arguments.n / mine.asking for mine, _ in both], 0) if known else "",
                    spread([bare.asking / mine.asking for mine, bare in both]) if known else "",
                    spread([mine.command for mine, _ in both], 1),
                    spread([bare.command / mine.command for mine, bare in both]),
                    spread([mine.processor for mine, _ in both], 1),
                ]
            )
        header = [
            "",
            "asking: questions a second",
            "÷ bare httpx",
            "command: seconds",
            "throughput ÷ bare httpx",
            "processor: s",
        ]
        print(table(header, lines) + "\n")


def machine() -> str:
    """The processor, without the machine's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    words = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    return f"{words[0] if words else platform.machine()}, {cores} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
