"""Statistics on Scores: what the numbers support, and what they do not.

Everything works on one `Cube` a metric (models × cases × targets); each file answers one question:
`table` which numbers count, `summary` how good, `pairwise` who beats whom, `ranking` in which order and how surely,
`groups` for whom it fails, `gap` what is lost out of distribution, `resample` how the bootstrap draws.
"""

from vesalius.bench.stats.gap import gap
from vesalius.bench.stats.groups import Factor, factors, group_means, groups
from vesalius.bench.stats.pairwise import holm, pairwise, wilcoxon_greater
from vesalius.bench.stats.ranking import RULES, agreement, ranking
from vesalius.bench.stats.resample import Bootstrap
from vesalius.bench.stats.summary import summary
from vesalius.bench.stats.table import AVERAGE, Cube, cubes

__all__ = [
    "AVERAGE", "RULES", "Bootstrap", "Cube", "Factor", "agreement", "cubes", "factors", "gap", "group_means", "groups",
    "holm", "pairwise", "ranking", "summary", "wilcoxon_greater",
]  # fmt: skip
