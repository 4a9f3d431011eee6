"""A page holds all it needs, and what it shows cannot break it."""

import json
import re

from vesalius.pages import charts
from vesalius.pages.pictures import Strip, strips
from vesalius.pages.shell import Control, Section, chart, page, table


def test_a_page_fetches_nothing_and_escapes_what_it_is_given():
    spec = {
        "mark": "bar",
        "data": {"values": [{"a": "</script><b>"}]},
        "usermeta": {"columns": 0, "label": 0, "cell": 4},
    }
    control = Control("metric", "Metric", [("a<b", "A")])
    section = Section("one", "A & B", views={"a<b": chart("x", "a chart")})
    html = page("T <1>", "sub", "", [section], [control], {"x": spec})
    assert "T &lt;1&gt;" in html and "A &amp; B" in html and "</script><b>" not in html
    outside = re.sub(r"<script>.*?</script>", "", html, flags=re.S)
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", outside) and "@import" not in html and "url(http" not in html
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert json.loads(data.group(1))["specs"]["x"] == spec
    assert html.count("<script") == html.count("</script>")


def test_tables_have_scopes_and_sort_keys():
    html = table([("model", "text"), ("n", "number")], [[("a", "a"), ("–", None)], [("b", "b"), ("2", 2)]], "Cap")
    assert html.count('scope="col"') == 2 and html.count('scope="row"') == 2
    assert 'data-sort="2"' in html and "<caption>Cap</caption>" in html


def test_pictures_lie_in_the_page():
    html = strips([Strip("case", {"image": b"\x89PNG..", "error": b"RIFF"}, "liver")])
    assert 'src="data:image/png;base64,' in html and 'src="data:image/webp' in html and 'alt="image: liver"' in html


def test_charts_become_files(tmp_path):
    import altair as alt

    drawn = alt.Chart(alt.NamedData("rows")).mark_bar(style="accent").encode(x="x:Q", y=alt.Y("y:N", sort=["@order"]))
    spec = charts.fill(charts.design(drawn), {"rows": [{"x": 1, "y": "b"}]}, {"order": ["a", "b"]})
    assert spec["encoding"]["y"]["sort"] == ["a", "b"]
    assert "$schema" not in spec
    charts.save_all({tmp_path / "a": ("A title", spec)})
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "a.svg").read_text()
    assert "A title" in svg and charts.LIGHT["accent"] in svg
