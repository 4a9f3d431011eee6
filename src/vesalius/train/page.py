"""The data page: what a batch looks like before hours are spent on it."""

from base64 import b64encode
from collections import Counter
from html import escape
from pathlib import Path
from typing import Any

from vesalius.pages import shell
from vesalius.run import replacing
from vesalius.train.job import Job
from vesalius.train.recipe import Recipe

_SHOWN = 12
_STYLE = """
.crops{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr));gap:1rem}
.crops figure{margin:0}.crops img{width:100%;border-radius:6px;display:block;image-rendering:auto}
.crops figcaption{font-size:.85rem;margin-top:.3rem}
"""


def write_data_page(path: Path, recipe: Recipe, job: Job) -> Path:
    """Writes the page of a job's first samples and of what its data are; returns its path."""
    items = [job.dataset[i] for i in range(_SHOWN)]
    figures = "".join(
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{b64encode(image).decode()}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, image in job.picture(items)
    )
    count = Counter(name for item in items for name in item["target"])
    lead = f"The first {_SHOWN} samples as the network gets them: three planes through the target, its truth outlined."
    sections = [
        shell.Section("batch", "What a batch looks like", lead, f'<div class="crops">{figures}</div>'),
        shell.Section("data", "The data", html=_facts(job.facts)),
    ]
    hero = f"<p>{', '.join(f'{escape(name)} {n}' for name, n in count.items())}</p>"
    title, under = f"Data of {job.title or recipe.task}", f"{recipe.task}, seed {recipe.seed}"
    with replacing(path) as part:
        part.write_text(shell.page(title, under, hero, sections, [], {}, style=_STYLE), "utf-8")
    return path


def _facts(facts: dict[str, Any]) -> str:
    rows = []
    for key, value in facts.items():
        if isinstance(value, dict) and "names" in value:
            names = value["names"]
            value = f"{value['cases']} cases: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}"
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value)) or "none"
        rows.append(f"<tr><th>{escape(str(key))}</th><td>{escape(str(value))}</td></tr>")
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'
