"""From Scores to a verdict on one page: `analysis` computes, `verdict` says it in words, `write` lays the files down."""

from vesalius.bench.report.analysis import Analysis, Settings, analyse
from vesalius.bench.report.write import write

__all__ = ["Analysis", "Settings", "analyse", "write"]
