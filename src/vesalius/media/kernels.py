"""numba's compiler for our kernels, and where what it compiled is kept.

numba keeps it beside the source or in the user's home; where neither can be written (an installation of root's, a
container without a home), it would refuse to compile, so it gets a folder of temporary files.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from numba import config, njit

settings: Any = config
if not settings.CACHE_DIR and not any(os.access(p, os.W_OK) for p in (Path(__file__).parent, Path.home())):
    settings.CACHE_DIR = str(Path(tempfile.gettempdir()) / f"vesalius-numba-{os.getuid()}")

__all__ = ["njit"]
