"""The command line as a whole: contents, versions, errors in one line, exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest

VESALIUS = Path(sys.executable).with_name("vesalius")


def run(*arguments, **options):
    return subprocess.run([VESALIUS, *arguments], capture_output=True, text=True, **options)


def test_help_is_a_table_of_contents_and_says_the_exit_codes():
    said = run("--help").stdout
    for word in ("bench", "demo", "score", "report", "Exit codes", "130"):
        assert word in said
    assert run().stdout.split() == said.split()


@pytest.mark.parametrize("command", [("bench",), ("bench", "score"), ("bench", "report"), ("demo",)])
def test_every_command_has_help(command):
    done = run(*command, "--help")
    assert done.returncode == 0 and "Usage: vesalius " + " ".join(command) in done.stdout


def test_help_loads_no_heavy_library():
    code = "import sys, vesalius.cli; print([m for m in ('numpy', 'polars', 'numba', 'altair') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_the_version_is_printed():
    assert run("--version").stdout.startswith("vesalius 0.")


def test_completion_can_be_shown():
    assert "_VESALIUS_COMPLETE" in run("--show-completion", env={"SHELL": "/bin/bash", "PATH": "/bin:/usr/bin"}).stdout


def test_a_library_that_is_not_installed_is_one_line(tmp_path):
    code = "import sys; sys.modules['numba'] = None; sys.argv = ['vesalius', 'bench', 'score', 'a', 'b']\n"
    code += "from vesalius.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: numba is not installed — pip install 'vesalius[bench,demo]'\n")


def test_an_unknown_option_is_exit_code_2():
    done = run("bench", "score", "--tolerence", "3")
    assert done.returncode == 2 and "--tolerance" in done.stderr
