"""The click protocol: a simulator that sees the truth clicks, a model that never does answers, answers are scored."""

from vesalius.bench.clicks.protocol import Protocol, run_case
from vesalius.bench.clicks.runner import run
from vesalius.bench.clicks.simulator import next_click

__all__ = ["Protocol", "next_click", "run", "run_case"]
