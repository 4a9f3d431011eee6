"""The example in docs/add_a_metric.md runs as it stands there."""

import re
from pathlib import Path

from vesalius.bench.metrics import METRICS
from vesalius.bench.metrics.segmentation import COMPUTERS

PAGE = Path(__file__).parents[2] / "docs" / "add_a_metric.md"


def test_the_example_of_the_page_runs_and_prints_what_it_says(capsys):
    page = PAGE.read_text()
    try:
        for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
            exec(block, {})
        assert f"# {capsys.readouterr().out.strip()}\n" in page
    finally:
        METRICS.pop("sensitivity", None)
        COMPUTERS.pop("sensitivity", None)
