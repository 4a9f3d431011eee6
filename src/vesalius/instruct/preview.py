"""A page to look at what was made: each kind of question with some of its images, options and answers.

Knows which questions are shown and how small their pictures may be. Leaves the page itself to `pages`.
"""

import html
import random
from collections import defaultdict
from pathlib import Path

from vesalius.formats.gmai import LETTERS
from vesalius.instruct.blind import STRATEGIES, Blind
from vesalius.instruct.build import Built, Planned, paint
from vesalius.pages import shell
from vesalius.pages.pictures import Strip, strips
from vesalius.run import replacing

SHOWN = 6  # questions of each template
SIDE = 360  # pixels: the page holds all its pictures


def write_preview(built: Built, path: str | Path, seed: int = 0) -> None:
    """The page, as one HTML file. It shows the answers: it is for whoever made the benchmark.

    Args:
        built: as `build` gave it.
        path: the file; written under a temporary name first.
        seed: of the build, and of the questions that are shown.
    """
    by_template: dict[str, list[Planned]] = defaultdict(list)
    for planned in built.planned:
        by_template[planned.template.id].append(planned)
    sections = [shell.Section("counts", "What was made", html=_table(built.by_template(), by_template))]
    for number, (name, questions) in enumerate(sorted(by_template.items())):
        chosen = random.Random(f"{seed}/{name}/preview").sample(questions, min(SHOWN, len(questions)))
        lead = f"{len(chosen)} of {len(questions)} questions, drawn at random."
        sections.append(shell.Section(f"t{number}", name, lead, strips([_strip(p, seed) for p in chosen])))
    notes = "".join(f"<li>{html.escape(line)}</li>" for line in [*built.warnings, *map(str, built.problems[:100])])
    if notes:
        sections.append(shell.Section("notes", "Warnings and problems", html=f"<ul>{notes}</ul>"))
    subtitle = f"{len(built.planned):,} questions on {sum(built.images.values()):,} labelled images"
    page = shell.page("A benchmark, looked at", subtitle, "", sections, [], {})
    with replacing(path) as temporary:
        Path(temporary).write_text(page, "utf-8")


def _strip(planned: Planned, seed: int) -> Strip:
    lines = [f"<b>{html.escape(planned.sentence)}</b>"]
    for i, option in enumerate(planned.options):
        text = f"{LETTERS[i]}. {html.escape(option)}"
        lines.append(f"<mark>{text} ✓</mark>" if i == planned.answer else text)
    lines.append(f"<small>{html.escape(planned.side)}</small>")
    return Strip("<br>".join(lines), {planned.template.granularity: _small(paint(planned, seed))}, planned.sentence)


def _small(data: bytes) -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.thumbnail((SIDE, SIDE))
        image.convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _table(blind: dict[str, Blind], by_template: dict[str, list[Planned]]) -> str:
    columns = [("template", "text"), ("questions", "number"), ("images", "number"), ("chance", "number")]
    columns += [(name, "number") for name in STRATEGIES]
    rows = []
    for name, figures in blind.items():
        images = len({planned.image.name for planned in by_template[name]})
        values = [figures.chance, *(figures.accuracy[strategy] for strategy in STRATEGIES)]
        cells = [(str(n), n) for n in (figures.n, images)] + [(f"{value:.0%}", value) for value in values]
        rows.append([(html.escape(name), name), *cells])
    return shell.table(columns, rows, "Kinds of questions, and what can be had without looking at the image")
