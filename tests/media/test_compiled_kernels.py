"""Kernels as numba keeps them."""

import os
import subprocess
import sys
from pathlib import Path

KERNEL = """
import constants
from vesalius.media.kernels import made_with, njit

@made_with(constants)
@njit(cache=True)
def answer():
    return constants.NUMBER

if __name__ == "__main__":
    print(answer(), *answer.stats.cache_hits.values())
"""


def test_a_kernel_is_compiled_again_when_a_module_changes_that_it_is_made_with(tmp_path: Path) -> None:
    """numba alone would say 1 for ever."""
    (tmp_path / "kernel.py").write_text(KERNEL)

    def said() -> str:
        env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "kernel.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    (tmp_path / "constants.py").write_text("NUMBER = 1\n")
    assert said() == "1" and said() == "1 1"  # found in the cache the second time
    (tmp_path / "constants.py").write_text("NUMBER = 22\n")
    assert said() == "22"
