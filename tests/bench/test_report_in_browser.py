"""The report in a real browser: no request, no error, nothing cut off on a phone or a desktop, and it works."""

import shutil

import numpy as np
import pytest

from vesalius.bench.report import Settings, analyse, write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    for model, level in (("good", 0.9), ("fair", 0.7), ("a_model_with_quite_a_long_name_as_they_have", 0.5)):
        (folder / "scores" / model).mkdir(parents=True)
        for metric in ("dsc", "nsd"):
            values = np.clip(level + rng.normal(0, 0.08, (60, 2)), 0, 1)
            rows = [f"case{c},{liver},{spleen}\n" for c, (liver, spleen) in enumerate(values)]
            (folder / "scores" / model / f"{metric}.csv").write_text("name,liver,spleen\n" + "".join(rows))
    sites = [f"case{c},{'AB'[c % 2]},{30 + c}\n" for c in range(60)]
    (folder / "cases.csv").write_text("id,site,age\n" + "".join(sites))
    settings = Settings(metadata=folder / "cases.csv", groups="site,age:10", in_distribution="site=A", replicates=200)
    write(analyse([folder / "scores"], settings), folder / "out", "A small world")
    return folder / "out" / "report.html"


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as p:
        started = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser, report):
    """Opens the report; afterwards nothing was requested and nothing went wrong."""
    complaints, contexts = [], []

    def open_(width, scheme="light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on(
            "request", lambda r: complaints.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None
        )
        page.goto(report.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_every_chart_is_drawn(open_page, width, scheme):
    page = open_page(width, scheme)
    for chart in page.query_selector_all(".chart"):
        if chart.is_visible():
            chart.scroll_into_view_if_needed()
            page.wait_for_function("e => e.querySelector('svg')", arg=chart)
            box = chart.query_selector("svg").bounding_box()
            assert box["width"] > 200 and box["x"] + box["width"] <= width + 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_leaderboard_sorts_and_the_metric_can_be_chosen(open_page):
    page = open_page(1440)
    table = page.locator("table").first
    first = lambda: table.locator("tbody tr:visible").first.inner_text().split()[0]  # noqa: E731
    assert first() == "good"
    seen = []
    for _ in range(2):
        table.locator("th", has_text="mean").first.click()
        seen.append(first())
    assert sorted(seen) == ["a_model_with_quite_a_long_name_as_they_have", "good"]
    select = page.locator("select").first
    before = page.locator("main, body").first.inner_text()
    select.select_option(index=1)
    page.wait_for_function("t => document.body.innerText !== t", arg=before)


def test_the_theme_can_be_switched(open_page):
    page = open_page(1440)
    colour = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(colour)
    page.locator("header button, button").first.click()
    assert page.evaluate(colour) != before
