"""Containers: the engine's arguments against its own documentation, and the engine played by a script.

No test here needs a daemon. What is played: `docker` as a program that writes down what it is asked.
"""

import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from vesalius.errors import VesaliusError
from vesalius.models.container import Container, Options
from vesalius.models.protocol import open_model
from vesalius.records import Message, Part, Question

LIMITS = {"seconds": 2, "memory_mb": 128, "disk_mb": 16, "processes": 32}
QUESTION = Question("q", (Message("user", (Part.of_text("Which organ?"),)),))
mounts = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0,
    reason="nothing can be mounted here",
)


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """A `docker` that answers like the daemon's client and "runs" a shell script with /output replaced."""

    def make(program: str = "exit 0", version: str = "echo 28.2.2", killed: str = "false") -> Path:
        log, tools = tmp_path / "asked.txt", tmp_path / "tools"
        tools.mkdir()
        (tools / "docker").write_text(f"""#!/bin/bash
echo "$@" >> {log}
case "$1" in
version) {version} ;;
image) echo sha256:0123456789abcdef ;;
run)
  for word in "$@"; do case "$word" in
    type=bind,source=*,target=/output) output=${{word#type=bind,source=}}; output=${{output%,target=/output}} ;;
    type=bind,source=*,target=/input,readonly) input=${{word#type=bind,source=}}; input=${{input%,target=*}} ;;
  esac; done
  cd "$output"; ( {program} ) & echo $! > {tmp_path}/pid
  wait $!; code=$?; echo $code > {tmp_path}/code; exit $code ;;
kill) touch {tmp_path}/killed; kill -9 $(cat {tmp_path}/pid) ;;
inspect) [ -e {tmp_path}/killed ] && echo "137 {killed}" || echo "$(cat {tmp_path}/code) {killed}" ;;
esac
""")
        (tools / "docker").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin:/usr/sbin:/sbin")
        return log

    return make


def one(**options):
    model = open_model("team=container:team/image:1", **LIMITS | options)
    (answer,) = model.answer([QUESTION])
    model.close()
    return answer


def test_without_an_engine_it_is_reported_as_not_run_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    model = open_model("container:team/image:1")
    for asking in (model.check, model.identity, lambda: list(model.answer([QUESTION]))):
        with pytest.raises(
            VesaliusError, match=r"not run: .*docker is not installed.*command:PROGRAM\?root="
        ) as caught:
            asking()
        assert caught.value.code == "no_engine"


def test_a_client_whose_daemon_does_not_answer_is_not_used(engine):
    log = engine(version="echo Cannot connect to the Docker daemon >&2; exit 1")
    with pytest.raises(VesaliusError, match=r"not run: .*Cannot connect to the Docker daemon"):
        open_model("container:team/image:1").check()
    assert all(line.startswith("version") for line in log.read_text().splitlines())


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker client is installed")
def test_every_argument_is_one_that_the_engine_documents():
    text = subprocess.run(["docker", "run", "--help"], capture_output=True, text=True, check=True).stdout
    known = dict(re.findall(r"(--[a-z-]+)(?: ([a-z0-9-]+))?", text))
    options = Options(**LIMITS, cpus=1.5, gpus="all")
    arguments = Container("team/image:1", options).arguments("name", Path("/given"), Path("/out"))
    flags = [word for word in arguments if word.startswith("--")]
    assert set(flags) <= set(known)
    for flag, value in pairwise(arguments):  # those that take a value have one
        if flag in known:
            assert bool(known[flag]) == (not value.startswith("--")) or value == arguments[-1]


def test_every_limit_stands_in_the_arguments():
    options = Options(**LIMITS, cpus=1.5)
    line = " ".join(Container("team/image:1", options).arguments("name", Path("/given"), Path("/out")))
    for words in (
        "--network none", "--read-only", "--memory 128m --memory-swap 128m", "--pids-limit 32", "--cap-drop ALL",
        "--security-opt no-new-privileges", "--user 65534:65534", "--pull never", "--cpus 1.5",
        "--tmpfs /tmp:rw,nosuid,nodev,size=16777216,mode=1777", "--ulimit fsize=16777216:16777216",
        "--mount type=bind,source=/given,target=/input,readonly", "--mount type=bind,source=/out,target=/output",
    ):  # fmt: skip
        assert words in line
    assert line.endswith(" team/image:1") and "--privileged" not in line and "--gpus" not in line


@mounts
def test_a_played_engine_brings_the_answer_and_the_container_is_removed(engine):
    log = engine('grep -q organ $input/question.json && echo \'{"text": "spleen"}\' > answer.json')
    answer = one()
    assert (answer.status, answer.text) == ("answered", "spleen")
    asked = [line.split()[0] for line in log.read_text().splitlines()]
    assert asked == ["version", "run", "inspect", "rm"]


@mounts
@pytest.mark.parametrize(
    ("program", "killed", "words"),
    [
        ("echo no weights >&2; exit 1", "false", "exit code 1"),
        ("exit 137", "true", "memory: needs more than 128 MB"),
        ("cat /dev/zero > x", "false", "disk: fills /output"),
        ("exec yes", "false", "disk: prints more"),
        ("exec sleep 30", "false", "timeout: took longer than 2 s"),
        ("ln -s /etc/passwd answer.json", "false", "output: "),
    ],
)
def test_what_goes_wrong_in_a_container_is_a_failed_case(engine, tmp_path, program, killed, words):
    log = engine(program, killed=killed)
    answer = one()
    assert answer.status == "failed" and words in answer.reason
    assert log.read_text().splitlines()[-1].startswith("rm --force vesalius-")
    assert "vesalius-masks" not in Path("/proc/mounts").read_text()


@mounts
def test_an_engine_that_does_not_take_a_limit_is_an_error_and_no_answer(engine):
    engine("echo docker: your kernel does not support pids limit >&2; exit 125")
    with pytest.raises(
        VesaliusError, match=r"engine does not run it \(docker: your kernel does not support pids limit"
    ):
        one()


def test_the_disk_limit_is_refused_where_nobody_can_mount(engine, monkeypatch):
    engine()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(VesaliusError, match=r"disk limit of 16 MB cannot be enforced: only root mounts"):
        one()


@pytest.mark.parametrize("target", ["--privileged", "-v=/:/host", "image --network=host", "a b"])
def test_an_option_of_the_engine_is_no_image(target):
    with pytest.raises(VesaliusError, match="names no image"):
        open_model(f"container:{target}")
