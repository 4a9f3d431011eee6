"""From Scores to a verdict on one page: `analysis` computes, `verdict` says it in words, `files` lays it down."""

from vesalius.bench.report.analysis import Analysis, Settings, analyse
from vesalius.bench.report.files import write

__all__ = ["Analysis", "Settings", "analyse", "write"]
