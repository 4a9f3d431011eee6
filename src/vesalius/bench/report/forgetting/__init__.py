"""The forgetting study: generalist, fine-tuned and joined models, class by class.

`study` which model is which, `compare` the questions and their numbers, `words` the answers, `section` how they look.
"""

from vesalius.bench.report.forgetting.compare import Comparison, compare
from vesalius.bench.report.forgetting.study import Study, read_study
from vesalius.bench.report.forgetting.words import answers, headline, rule, sentences

__all__ = ["Comparison", "Study", "answers", "compare", "headline", "read_study", "rule", "sentences"]
