"""numba's compiler for our kernels, and where what it compiled is kept.

numba keeps it beside the source or in the user's home; where neither can be written (an installation of root's, a
container without a home), it would refuse to compile, so it gets a folder of temporary files.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from numba import config, njit

settings: Any = config
if not settings.CACHE_DIR and not any(os.access(p, os.W_OK) for p in (Path(__file__).parent, Path.home())):
    settings.CACHE_DIR = str(Path(tempfile.gettempdir()) / f"vesalius-numba-{os.getuid()}")

__all__ = ["made_with", "njit"]


def made_with(*modules: ModuleType) -> Callable[[Any], Any]:
    """For a kernel (`njit(cache=True)`) that other modules' constants and kernels are compiled into.

    numba compiles again when the kernel's own file has changed, and would go on with what others were. Kernels of those
    are not to be kept (`cache=True`) themselves.
    """

    def stamped(kernel: Any) -> Any:
        kept = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
        if kept is not None:  # it is where numba is told to compile nothing
            files = [Path(str(module.__file__)).stat() for module in modules]
            kept._source_stamp = (kept._source_stamp, *((file.st_mtime, file.st_size) for file in files))
        return kernel

    return stamped
