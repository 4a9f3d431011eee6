"""What workers of the demo need, imported once by the server that they are forked from.

Torch, MONAI and transformers take some ten seconds in each process that imports them. Not here is what starts threads
as it is imported (polars): a fork would copy their locks.
"""

import gc

gc.set_threshold(50_000, 50, 100)  # before what follows: it makes a million objects that stay

import monai.losses  # noqa: E402, F401
import numpy as np  # noqa: E402
import peft  # noqa: E402, F401
import sklearn.ensemble  # noqa: E402, F401
import transformers.trainer  # noqa: E402, F401

from vesalius.media.counts import label_counts  # noqa: E402

label_counts(np.zeros(8, np.uint8))  # numba makes tables of its own at the first kernel
