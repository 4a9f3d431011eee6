"""Charts in one look: Altair specifications for the page, the same ones as SVG and PNG files.

Knows the colours, the theme and how a chart becomes a file. Leaves which data a chart shows to its callers. Marks take
their colour from named styles (`ink`, `muted`, `accent`, `contrast`), so that the page can redraw them in the dark.
"""

from pathlib import Path
from typing import Any

from vesalius.run import replacing

# Blue and orange of Okabe and Ito stay apart for every kind of colour blindness; the ramps stay so light (or dark) that
# ink on them can be read.
LIGHT = {
    "ink": "#1b2430", "muted": "#6a7280", "line": "#dedad0", "paper": "#ffffff", "accent": "#0b62a4",
    "contrast": "#c2410c", "ramp": ["#f4f1ea", "#d5e4f1", "#8fbfe6"],
}  # fmt: skip
DARK = {
    "ink": "#e8ecf2", "muted": "#98a3b3", "line": "#313a47", "paper": "#171c24", "accent": "#6cb6f5",
    "contrast": "#f59e5b", "ramp": ["#20262f", "#204467", "#2a6fae"],
}  # fmt: skip
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
FIGURE_WIDTH = 640  # px of a chart saved as a file; on the page it takes the width there is


def theme(colours: dict[str, Any], font: str = FONT) -> dict[str, Any]:
    """A Vega-Lite `config` in these colours."""
    axis = {
        "labelColor": colours["ink"], "titleColor": colours["muted"], "gridColor": colours["line"], "tickColor": colours["line"],
        "domainColor": colours["line"], "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 240,
    }  # fmt: skip
    legend = {key: axis[key] for key in ("labelColor", "titleColor", "labelFontSize", "titleFontSize", "titleFontWeight")}
    styles = {key: {"color": colours[key], "fill": colours[key], "stroke": colours[key]} for key in ("ink", "muted", "accent", "contrast")}
    return {
        "font": font,
        "background": "transparent",
        "view": {"stroke": None},
        "axis": axis,
        "axisY": {"domain": False, "ticks": False, "labelPadding": 8, "grid": False},
        "legend": legend | {"orient": "top", "titleOrient": "left", "offset": 4},
        "title": {"color": colours["ink"], "fontSize": 14, "anchor": "start", "subtitleColor": colours["muted"]},
        "range": {"heatmap": colours["ramp"], "ramp": colours["ramp"], "category": [colours["accent"], colours["contrast"]]},
        "rect": {"stroke": colours["paper"], "strokeWidth": 1.5},
        "style": {
            **{key: {"fill": style["fill"], "stroke": style["stroke"]} for key, style in styles.items()},
            "text-ink": {"fill": colours["ink"], "stroke": None},
            "cell": {"fill": colours["ink"], "stroke": None, "fontSize": 11},
            "frame": {"stroke": colours["contrast"], "strokeWidth": 2, "fillOpacity": 0},
            "open": {"fill": colours["paper"], "stroke": colours["contrast"], "strokeWidth": 2},
        },
    }


def specification(chart: Any, columns: int = 0) -> dict[str, Any]:
    """An Altair chart as plain data for the page: no address of a schema in it, nothing that would be fetched.

    Args:
        chart: an Altair chart of one view (layers may lie on it).
        columns: number of columns whose cells hold text, so that the page can fit its size; 0 if none.
    """
    spec = chart.to_dict()
    spec.pop("$schema", None)
    spec.pop("config", None)
    spec["usermeta"] = {"columns": columns}
    return spec


def save(spec: dict[str, Any], path: Path, title: str) -> None:
    """Write `path` with the endings .svg and .png (twofold resolution), on white, with a title.

    Each file appears whole or not at all.
    """
    import vl_convert

    full = {**spec, "title": title, "config": theme(LIGHT, "Liberation Sans, Arial, Helvetica, sans-serif") | {"background": "#ffffff"}}
    full["padding"] = 16
    svg = vl_convert.vegalite_to_svg(full)
    for ending, content in ((".svg", svg.encode()), (".png", vl_convert.svg_to_png(svg, scale=2))):
        with replacing(path.with_name(path.name + ending)) as part:
            part.write_bytes(content)


def javascript() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that needs nothing else."""
    import vl_convert

    # A `</script>` inside a string of the bundle would end the element that holds it.
    return vl_convert.javascript_bundle().replace("</script", "<\\/script")

