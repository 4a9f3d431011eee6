"""Somebody else's program under limits: bubblewrap for what it sees, cgroups for what it takes.

    limits.py       how much, and what became of it
    bubblewrap.py   a program run, watched, and what became of it
    world.py        what it sees
    started.py      a process that stands ready, goes, and is killed with all that it started
    cgroups.py      memory, processes and processor time, by the kernel (cgroup v1 and v2)
    syscalls.py     calls that a program has no need of
    harvest.py      what it wrote, brought out safely

A limit that cannot be enforced on this machine is a VesaliusError before anything runs. Leaves what a program is asked,
and what its files mean, to `models/`.
"""

from vesalius.sandbox.bubblewrap import check, run
from vesalius.sandbox.limits import Limits, Outcome

__all__ = ["Limits", "Outcome", "check", "run"]
