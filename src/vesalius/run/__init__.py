"""One way to run: what of a long job is done (SQLite), a map over what is left, progress, files that appear whole.

Workers are processes that may die or hang and cost one unit each: on this machine, or on a Ray cluster.
"""

from vesalius.run.console import console, progress
from vesalius.run.files import cores, file_hash, file_stamp, fingerprint, provenance, replacing
from vesalius.run.pools import preload
from vesalius.run.state import Interrupted, Run, Unit
from vesalius.run.work import opened, sigterm_as_interrupt, work

__all__ = [
    "Interrupted",
    "Run",
    "Unit",
    "console",
    "cores",
    "file_hash",
    "file_stamp",
    "fingerprint",
    "opened",
    "preload",
    "progress",
    "provenance",
    "replacing",
    "sigterm_as_interrupt",
    "work",
]
