"""The page of a report of questions: verdict first, then what it rests on, then the questions themselves.

Knows the order in which a reader wants things, and which section follows which of the three choices (benchmark, model,
node). Leaves the frame to `pages.shell` and the pieces to its neighbours.
"""

from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

import polars as pl

from vesalius.bench.questions.judge import CLASSES
from vesalius.bench.questions.page import charts, tables
from vesalius.bench.questions.page.facts import Facts, Node
from vesalius.bench.questions.page.verdict import Verdict
from vesalius.bench.questions.page.words import STATUSES, number, percent, span
from vesalius.bench.questions.runs import Judged
from vesalius.pages.shell import Control, Section, chart, embedded, page

MOST_CHOICES = 400  # nodes to choose from, of one benchmark
B, M, N = "benchmark", "model", "node"


@dataclass(frozen=True)
class Part:
    """One benchmark of the page: what is known, what it says, and its charts by name → (title, specification)."""

    facts: Facts
    said: Verdict
    charts: dict[str, tuple[str, dict[str, Any]]]

    @property
    def choices(self) -> list[Node]:
        """Nodes that can be chosen: the root, and the largest."""
        nodes = self.facts.nodes
        if len(nodes) <= MOST_CHOICES:
            return nodes
        largest = {n.name for n in sorted(nodes, key=lambda n: -n.n)[:MOST_CHOICES]}
        return [node for node in nodes if node.name in largest]


def draw(facts: Facts) -> dict[str, tuple[str, dict[str, Any]]]:
    """All charts of a benchmark: name → (title, specification)."""
    name = facts.name
    made: dict[str, tuple[str, dict[str, Any] | None]] = {
        f"statuses|{name}": (f"{name}: what became of every asking", charts.statuses(facts)),
        **{f"groups|{name}|{column}": (f"{name}: accuracy by {column.replace('_', ' ')}", spec)
           for column, spec in charts.groups(facts).items()},
    }  # fmt: skip
    choices = Part(facts, Verdict(""), {}).choices
    for model in facts.models:
        for node in choices:
            # Deeper parts are drawn within these, so that the page stays small.
            if node.in_tree and len(node.conditions) < 2:
                what = f"{name}: accuracy of {model} down the tree, {node.label}"
                made[f"icicle|{name}|{model}|{node.name}"] = (what, charts.icicle(facts, model, node.name))
        made[f"positions|{name}|{model}"] = (f"{name}: places that {model} names", charts.positions(facts, model))
    for node in choices:
        made[f"leaderboard|{name}|{node.name}"] = (f"{name}: {node.label}", charts.leaderboard(facts, node.name))
    return {key: (title, spec) for key, (title, spec) in made.items() if spec is not None}


def document(judged: Judged, parts: list[Part], index: dict[str, Any], origin: dict[str, Any], title: str) -> str:
    """The page as HTML.

    Args:
        judged: the runs.
        parts: benchmarks in their order.
        index: of the browser, see `browser.write_browser`.
        origin: provenance.
        title: heading of the page.
    """
    sections = [
        *([_verdicts(parts)] if len(parts) > 1 else []),
        _leaderboard(parts), _tree(parts), _groups(parts), _nodes(parts), _pairs(parts), _statuses(parts),
        _positions(parts), *_repeats(parts), *_metrics(parts), _browser(), _classes(), _accounts(judged, parts),
        _provenance(judged, parts, origin),
    ]  # fmt: skip
    every = [part.facts for part in parts]
    models = list(dict.fromkeys(model for facts in every for model in facts.models))
    nodes = {node.name: node for part in parts for node in part.choices}
    controls = [
        Control(B, "Benchmark", [(facts.name, facts.name) for facts in every]),
        Control(M, "Model", [(model, model) for model in models], {f.name: f.models for f in every}),
        Control(N, "Part", [(name, _indented(node)) for name, node in nodes.items()],
                {part.facts.name: [node.name for node in part.choices] for part in parts}),
    ]  # fmt: skip
    counts = [number(len(models), "model"), number(sum(len(facts.cases) for facts in every), "question")]
    if len(parts) > 1:
        counts.append(number(len(parts), "benchmark"))
    made = f"Made with Vesalius {escape(origin['versions']['vesalius'])} on {escape(origin['time'])}"
    footer = (
        f"{made}. No network is needed; the folder «browser» beside this file holds questions, answers and pictures."
    )
    assets = files("vesalius.bench.questions.page") / "assets"
    specs = {key: spec for part in parts for key, (_, spec) in part.charts.items()}
    html = page(
        title, ", ".join(counts), _hero(parts), sections, controls, specs, footer,
        (assets / "browser.css").read_text("utf-8"), (assets / "browser.js").read_text("utf-8"),
    )  # fmt: skip
    return html.replace("<noscript>", embedded("questions", index) + "<noscript>", 1)


def _indented(node: Node) -> str:
    if not node.conditions:
        return node.label
    column, value = node.conditions[-1]
    return f"{'  ' * (len(node.conditions) - 1)}{column.replace('_', ' ')}: {value} ({node.n:,})"


# --- what it says


def _hero(parts: list[Part]) -> str:
    if len(parts) == 1:
        return _said(parts[0])
    return tables.overview([part.facts for part in parts], {part.facts.name: part.said.headline for part in parts})


def _verdicts(parts: list[Part]) -> Section:
    return Section("verdict", "The verdict", views={part.facts.name: _said(part) for part in parts}, by=(B,))


def _said(part: Part) -> str:
    points = "".join(f"<li>{_sentence(point)}</li>" for point in part.said.points)
    warnings = "".join(f"<li>{_sentence(text)}</li>" for text in part.said.warnings)
    warned = f'<ul class="warnings" aria-label="Warnings">{warnings}</ul>' if warnings else ""
    headline = f'<p class="headline">{_sentence(part.said.headline)}</p>'
    return (
        f'<div class="verdict" role="group" aria-label="Verdict">{headline}'
        f"<ul>{points}</ul>{warned}{_tiles(part.facts)}</div>"
    )


def _sentence(text: str) -> str:
    """As HTML; a percent sign stays with its number."""
    return escape(text).replace(" %", "&nbsp;%")


def _tiles(facts: Facts) -> str:
    """A few figures about the best model."""
    best = facts.best()
    if best is None:
        return ""
    items = [
        (f"Accuracy of {best['model']}", percent(best["accuracy"]), f"95 %: {span(best['ci_low'], best['ci_high'])}")
    ]
    blind = {key: best[key] for key in ("chance", "majority", "longest") if best[key] is not None}
    if blind:
        key = max(blind, key=lambda k: blind[k])
        words = {"chance": "chance", "majority": "the commonest answer", "longest": "the longest option"}
        items.append(("Without looking or knowing", percent(blind[key]), f"by {words[key]}"))
    tests = facts.root("pairwise").filter(pl.col("better") == best["model"])
    if len(facts.models) > 1:
        items.append(
            ("Better for sure than", f"{tests['significant'].sum()} of {len(facts.models) - 1}", "other models")
        )
    rows = facts.frames["statuses"].filter((pl.col("model") == best["model"]) & (pl.col("status") != "no_medium"))
    every, lost = int(rows["n"].sum()), int(rows.filter(pl.col("status") != "answered")["n"].sum())
    items.append(("Not read", percent(lost / every if every else None), f"of {every:,} answers"))
    tiles = "".join(
        f"<div><dt>{escape(a)}</dt><dd>{escape(b)}<small>{escape(c)}</small></dd></div>" for a, b, c in items
    )
    return f'<dl class="tiles">{tiles}</dl>'


# --- sections


def _chart(part: Part, kind: str, *keys: str, caption: bool = True) -> str:
    """A chart with its caption, or nothing."""
    name = "|".join((kind, part.facts.name, *keys))
    if name not in part.charts:
        return ""
    below = escape(charts.captions(part.facts)[kind]) if caption else ""
    return chart(name, part.charts[name][0], below)


def _by_node(parts: list[Part], make: Any) -> dict[str, str]:
    return {f"{part.facts.name}|{node.name}": make(part, node) for part in parts for node in part.choices}


def _by_model(parts: list[Part], make: Any) -> dict[str, str]:
    return {f"{part.facts.name}|{model}": make(part, model) for part in parts for model in part.facts.models}


def _leaderboard(parts: list[Part]) -> Section:
    lead = (
        "Share of right answers. What could not be read is wrong; questions without a known answer, or whose image was "
        "not there, count nowhere. ▲ the interval lies above the baseline, ▼ below, ≈ it holds it."
    )
    views = _by_node(
        parts,
        lambda part, node: (
            _chart(part, "leaderboard", node.name) + tables.leaderboard(part.facts, node.name, node.label)
        ),
    )
    return Section("leaderboard", "Models, and what needs no model", lead, views=views, short="Leaderboard", by=(B, N))


def _tree(parts: list[Part]) -> Section:
    none = '<p class="quiet">Nothing to draw: the questions have no tree, or no answer that is right or wrong.</p>'
    views = {}
    for part in parts:
        names = {node.conditions: node.name for node in part.facts.nodes if node.in_tree}
        for model in part.facts.models:
            for node in part.choices:
                # A deep part, a leaf, and a part beside the tree stand within the nearest node that has a chart.
                paths = [node.conditions[:k] for k in range(len(node.conditions), -1, -1)]
                drawn = (_chart(part, "icicle", model, names[path]) for path in paths if path in names)
                views[f"{part.facts.name}|{model}|{node.name}"] = next(filter(None, drawn), none)
    return Section("tree", "The tree, coloured by score", views=views, short="Tree", by=(B, M, N))


def _groups(parts: list[Part]) -> Section:
    views = {}
    for part in parts:
        prefix = f"groups|{part.facts.name}|"
        columns = [key.removeprefix(prefix) for key in part.charts if key.startswith(prefix)]
        made = [f"<h3>By {escape(c.replace('_', ' '))}</h3>{_chart(part, 'groups', c, caption=False)}" for c in columns]
        views[part.facts.name] = "".join(made) or '<p class="quiet">The questions carry no classes.</p>'
    lead = charts.captions(parts[0].facts)["groups"]
    return Section("groups", "Where models know more, and where less", lead, views=views, short="Parts", by=(B,))


def _nodes(parts: list[Part]) -> Section:
    lead = "A click on a part takes it as the page's choice and shows its questions."
    views = {part.facts.name: tables.nodes(part.facts) for part in parts}
    return Section("nodes", "Every node of the tree", lead, views=views, short="Nodes", by=(B,))


def _pairs(parts: list[Part]) -> Section:
    lead = (
        "On the questions that both were asked. McNemar's exact test, or changes of sign of whole clusters where "
        "questions share an image or patient; Holm over the pairs of a part. <em>Detectable</em>: the smallest true "
        "difference, in points, that such a test finds four times in five."
    )
    views = _by_node(parts, lambda part, node: tables.pairs(part.facts, node.name, node.label))
    return Section("pairs", "Which models can be told apart", lead, views=views, short="Pairs", by=(B, N))


def _statuses(parts: list[Part]) -> Section:
    meaning = "; ".join(f"<em>{status.replace('_', ' ')}</em>: {what}" for status, what in STATUSES.items())
    lead = f"{meaning}. Answers are read afresh for every report, so better rules need no new answers."
    views = {part.facts.name: _chart(part, "statuses") + tables.statuses(part.facts) for part in parts}
    return Section("statuses", "What could be read", lead, views=views, short="Statuses", by=(B,))


def _positions(parts: list[Part]) -> Section:
    none = '<p class="quiet">No single choices were asked.</p>'

    def view(part: Part, model: str) -> str:
        return (_chart(part, "positions", model) or none) + tables.rotations(part.facts)

    lead = (
        "Whether the place of an option decides. Asked in every order (<code>--circular</code>), each option stands "
        "everywhere."
    )
    return Section("positions", "Places of the options", lead, views=_by_model(parts, view), short="Places", by=(B, M))


def _repeats(parts: list[Part]) -> list[Section]:
    if all(part.facts.repeats.is_empty() for part in parts):
        return []
    none = '<p class="quiet">Asked once.</p>'
    views = {part.facts.name: tables.repeats(part.facts) or none for part in parts}
    return [Section("repeats", "How much repeats differ", views=views, short="Repeats", by=(B,))]


def _metrics(parts: list[Part]) -> list[Section]:
    if all(part.facts.frames["metrics"].is_empty() for part in parts):
        return []
    lead = "Of open answers, captions and several right options: 100 % is what is expected, word for word or in sense."
    views = _by_node(parts, lambda part, node: tables.metrics(part.facts, node.name, node.label))
    return [Section("metrics", "What is not just right or wrong", lead, views=views, short="Metrics", by=(B, N))]


def _browser() -> Section:
    statuses = [(status, status.replace("_", " ")) for status in [*STATUSES, "not_asked"] if status != "answered"]
    kinds = [(name, f"wrong: {name}") for name in CLASSES]
    show = [
        ("all", "all"),
        ("right", "right"),
        ("wrong", "wrong"),
        *statuses,
        ("unclassed", "wrong, not classed"),
        *kinds,
    ]
    whom = [("chosen", "the chosen model"), ("any", "any model"), ("all", "all models")]

    def select(name: str, label: str, options: list[tuple[str, str]]) -> str:
        inner = "".join(f'<option value="{value}">{escape(text)}</option>' for value, text in options)
        return f'<label><span>{label}</span><select name="{name}">{inner}</select></label>'

    html = (
        '<form class="filters" role="search" aria-label="Which questions to show">'
        + select("show", "Show", show) + select("whom", "of", whom) + select("type", "Type", [("", "all")])
        + '<label class="check"><input type="checkbox" name="differ"> models disagree</label>'
        '<label class="grow"><span>Search in questions, options and answers</span><input type="search" name="words" '
        'autocomplete="off"></label></form>'
        '<p class="count"><span id="count" role="status" aria-live="polite"></span><span class="hint"><kbd>j</kbd> '
        'next, <kbd>k</kbd> previous</span><button type="button" '
        'class="plain save-classes">Save classes.csv</button></p>'
        '<div class="desk"><div class="list" role="listbox" tabindex="0" aria-label="Questions"><div class="all" '
        'role="presentation"></div></div><article class="question" tabindex="-1"></article></div>'
    )  # fmt: skip
    lead = "Every question as it was asked, with all answers. Benchmark, model and part are the page's choices above."
    return Section("browser", "Single questions", lead, html, short="Browser")


def _classes() -> Section:
    kinds = "; ".join(f"<em>{name}</em>: {escape(what)}" for name, what in CLASSES.items())
    lead = (
        f"{kinds}. A judge gives classes with <code>vesalius bench judge</code>; by hand they are given in the browser "
        "above, stay in this browser, and go into the tables of the next report with "
        "<code>vesalius bench report RUN --classes classes.csv</code>."
    )
    html = (
        '<p><button type="button" class="plain save-classes">Save classes.csv</button></p><div id="class-tables"></div>'
    )
    return Section("classes", "Why wrong answers are wrong", lead, html, short="Errors")


def _accounts(judged: Judged, parts: list[Part]) -> Section:
    views = {part.facts.name: tables.accounts(part.facts, judged.accounts) for part in parts}
    return Section("accounts", "What asking took", views=views, short="Cost", by=(B,))


def _provenance(judged: Judged, parts: list[Part], origin: dict[str, Any]) -> Section:
    notes = "".join(f"<li>{escape(note)}</li>" for note in judged.notes)
    versions = ", ".join(f"{name} {version}" for name, version in origin["versions"].items())
    of_report = [
        ("Command", f"<code>{escape(origin['command'])}</code>"),
        ("Runs", "<br>".join(f"<code>{escape(str(folder))}</code>" for folder in judged.folders)),
        ("Versions", escape(f"{versions}; Python {origin['python']}; {origin['platform']}")),
        ("Time", escape(origin["time"])),
    ]
    html = f'<ul class="notes">{notes}</ul>' if notes else ""
    html += f"<h3>This report</h3>{tables.facts_list(of_report)}"
    lead = "The exact prompt of every question, and each raw answer, stand in the browser."
    views = {part.facts.name: _origin(part.facts) for part in parts}
    return Section("provenance", "Notes and provenance", lead, html, views, by=(B,))


def _origin(facts: Facts) -> str:
    entry, benchmark = facts.benchmark.entry, facts.benchmark
    clusters = "share images, slides or patients" if benchmark.clustered else "are independent"
    clusters += f" ({entry['cluster']})" if entry.get("cluster") else ""
    of_file = [
        ("File", f"<code>{escape(entry['path'])}</code> ({escape(entry['layout'])}, {number(entry['n'], 'question')}, "
         f"{len(facts.cases):,} asked)"),
        ("SHA-256", f"<code>{escape(entry['sha256'])}</code>"),
        ("Tree", escape(" › ".join(benchmark.tree) or "none")),
        ("Clusters", escape(f"Questions {clusters}.")),
    ]  # fmt: skip
    made = [f"<h3>{escape(facts.name)}</h3>{tables.facts_list(of_file)}"]
    for model in facts.models:
        said = benchmark.models.get(model, {})
        settings = dict(said.get("settings", {}))
        prompt = settings.pop("prompt", {})
        request = prompt.get("request")
        provenance = said.get("provenance", {})
        items = [
            ("URL", f"<code>{escape(str(said.get('url', '')))}</code>"),
            ("Identity", _pairs_of(said.get("identity", {}))),
            ("Settings", _pairs_of({k: v for k, v in settings.items() if v is not None})),
            ("System message", escape(prompt.get("system") or "none")),
            ("Request", escape("that of the question's type" if request is None else request)),
            ("Versions", _pairs_of(provenance.get("versions", {}))),
            ("Command", f"<code>{escape(provenance.get('command', ''))}</code>"),
            ("Time", escape(provenance.get("time", ""))),
        ]  # fmt: skip
        made.append(f"<h3>{escape(model)}</h3>{tables.facts_list(items)}")
    return "".join(made)


def _pairs_of(values: dict[str, Any]) -> str:
    return escape(", ".join(f"{key} = {value}" for key, value in values.items()) or "not known")
