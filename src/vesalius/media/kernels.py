"""numba's compiler for our kernels, and where what it compiled is kept.

numba keeps it beside the source or in the user's home; where neither can be written (an installation of root's, a
container without a home), it would refuse to compile, so it gets a folder of temporary files.
"""

import os
import tempfile
from pathlib import Path

if "NUMBA_CACHE_DIR" not in os.environ:
    places = (Path(__file__).parent, Path.home())
    if not any(os.access(place, os.W_OK) for place in places):
        os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / f"vesalius-numba-{os.getuid()}")

from numba import njit

__all__ = ["njit"]
