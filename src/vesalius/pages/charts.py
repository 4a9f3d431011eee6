"""Charts in one look: Altair specifications for the page, the same ones as SVG and PNG files.

Knows the colours, the theme and how a chart becomes a file. Leaves which data a chart shows to its callers. Marks take
their colour from named styles (`ink`, `muted`, `accent`, `contrast`), so that the page can redraw them in the dark.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vesalius.run import cores, replacing

# Blue and orange of Okabe and Ito stay apart for every kind of colour blindness; the ramps stay so light (or dark) that
# ink on them can be read.
LIGHT = {
    "ink": "#1b2430", "muted": "#6a7280", "line": "#dedad0", "paper": "#ffffff", "accent": "#0b62a4",
    "contrast": "#c2410c", "ramp": ["#f1f3f6", "#cfe1f1", "#86bae4"],
    "diverging": ["#ef9d6b", "#f0efea", "#79b2e2"],
    "more": ["#0f8a6a", "#a34d93", "#a37c00", "#4d9fce", "#6a7280", "#1b2430"],
}  # fmt: skip
DARK = {
    "ink": "#e8ecf2", "muted": "#98a3b3", "line": "#313a47", "paper": "#171c24", "accent": "#6cb6f5",
    "contrast": "#f59e5b", "ramp": ["#20262f", "#204467", "#2a6fae"],
    "diverging": ["#a04c1c", "#2a313c", "#2a6fae"],
    "more": ["#3fc39c", "#d58fc7", "#d9b64a", "#a4d4f0", "#98a3b3", "#e8ecf2"],
}  # fmt: skip
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
FIGURE_WIDTH = 640  # px of a chart saved as a file; on the page it takes the width there is


def theme(colours: dict[str, Any], font: str = FONT) -> dict[str, Any]:
    """A Vega-Lite `config` in these colours."""
    ink, muted, line = colours["ink"], colours["muted"], colours["line"]
    labels = {
        "labelColor": ink,
        "titleColor": muted,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    }
    return {
        "font": font,
        "background": "transparent",
        "view": {"stroke": None},
        "axis": labels | {"gridColor": line, "tickColor": line, "domainColor": line, "labelLimit": 240, "tickCount": 8},
        "axisX": {"labelAngle": 0},
        "axisY": {"domain": False, "ticks": False, "labelPadding": 8, "grid": False},
        "legend": labels | {"orient": "top", "titleOrient": "left", "offset": 4},
        "title": {"color": ink, "fontSize": 14, "anchor": "start", "subtitleColor": muted},
        "range": {
            "heatmap": colours["ramp"],
            "ramp": colours["ramp"],
            "diverging": colours["diverging"],
            "category": [colours["accent"], colours["contrast"], *colours["more"]],
        },
        "rect": {"stroke": colours["paper"], "strokeWidth": 1.5},
        "style": {
            **{key: {"color": colours[key]} for key in ("ink", "muted", "accent", "contrast")},
            "value": {"color": ink, "fontSize": 11},
        },
    }


def design(chart: Any) -> str:
    """An Altair chart over named data as text to `fill`: no address of a schema in it, nothing that would be fetched.

    A list such as `["@order"]` in it (the order of an axis) stands for what `fill` is given under that name. Altair
    takes tens of milliseconds a chart and filling takes less than one, which counts where a report has thousands.
    """
    # Checking against the schema takes longer than all else; the tests draw every chart.
    spec = chart.to_dict(validate=False)
    spec.pop("$schema", None)
    spec.pop("config", None)
    return json.dumps(spec, ensure_ascii=False)


def fill(
    text: str, data: dict[str, list[dict]], lists: dict[str, list[str]], columns: list[str] | None = None, cell: int = 4
) -> dict[str, Any]:
    """A specification for the page from a `design`.

    Args:
        text: the design.
        data: rows by the name under which the design knows them.
        lists: what stands for `["@name"]`.
        columns: labels of the columns of a table-like chart, so that text in cells and labels can be fitted.
        cell: characters in a cell of such a chart.
    """
    for name, items in lists.items():
        text = text.replace(f'["@{name}"]', json.dumps(items, ensure_ascii=False))
    labels = columns or []
    meta = {"columns": len(labels), "label": max(map(len, labels), default=0), "cell": cell}
    return json.loads(text) | {"datasets": data, "usermeta": meta}


def save(spec: dict[str, Any], path: Path, title: str) -> None:
    """Write `path` with the endings .svg and .png (twofold resolution), on white, with a title.

    Each file appears whole or not at all.
    """
    import vl_convert

    config = theme(LIGHT, "Liberation Sans, Arial, Helvetica, sans-serif") | {"background": "#ffffff"}
    meta = spec["usermeta"]
    if meta["columns"] and meta["label"] * 7 > (FIGURE_WIDTH - 20) / meta["columns"]:
        config["axisX"] = {"labelAngle": -45}
    svg = vl_convert.vegalite_to_svg({**spec, "title": title, "config": config, "padding": 16})
    for ending, content in ((".svg", svg.encode()), (".png", vl_convert.svg_to_png(svg, scale=2))):
        with replacing(path.with_name(path.name + ending)) as part:
            part.write_bytes(content)


def save_all(figures: dict[Path, tuple[str, dict[str, Any]]]) -> None:
    """`save` for many: path → (title, specification), on all cores.

    vl_convert draws one chart at a time in a process, so each core gets a process of its own.
    """
    jobs = [(str(path), title, spec) for path, (title, spec) in figures.items()]
    workers = min(cores(), max(1, len(jobs) // 8))
    command = [sys.executable, "-c", "from vesalius.pages.charts import _save_from_stdin; _save_from_stdin()"]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(workers)]
    try:
        with ThreadPoolExecutor(workers) as pool:
            parts = [json.dumps(jobs[i::workers]).encode() for i in range(workers)]
            said = [error for _, error in pool.map(lambda p, part: p.communicate(part), running, parts)]
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
    for process, error in zip(running, said, strict=True):
        if process.returncode:
            raise RuntimeError(f"a figure could not be drawn:\n{error.decode(errors='replace')}")


def _save_from_stdin() -> None:
    for path, title, spec in json.load(sys.stdin.buffer):
        save(spec, Path(path), title)


def javascript() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that needs nothing else."""
    import vl_convert

    snippet = "window.vegaEmbed = vegaEmbed;"
    # A block of its own keeps its names out of the page's; a `</script>` in one of its strings would end the element.
    return "{" + vl_convert.javascript_bundle(snippet).replace("</script", "<\\/script") + "}"
