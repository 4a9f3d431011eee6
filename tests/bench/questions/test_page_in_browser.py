"""The report of questions in a real browser: filters, single questions, classes by hand, hostile text, phones."""

import csv
import shutil
from urllib.parse import quote

import polars as pl
import pytest
from page_world import Says, ask, knows, plain, questions
from PIL import Image

from vesalius.bench.questions.files import compute, read_classes
from vesalius.bench.questions.page import write
from vesalius.bench.questions.runner import Settings
from vesalius.bench.questions.runs import judge_runs

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ODD = 'odd/#&"id" é%20'
HOSTILE = (
    "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'><!--<script> \u202eevil\u202c "
    "\x1b[31mred\x07 שלום &amp; {{7*7}} ${7*7}"
)
LONG = "word " * 20_000 + "the very end"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def rows():
    made = plain(60)
    for i, row in enumerate(made):
        row["image"] = f"{i // 2}.png"
    made[5] |= {"id": ODD, "question": f"{HOSTILE} in a question?", "department": HOSTILE}
    made[5]["options"] = ["right " + HOSTILE, *(f"{HOSTILE} {k}" for k in range(3))]
    made[5]["answer"] = "A"
    return made


def poor(question):
    if question.id == ODD:
        return HOSTILE
    n = int(question.id[1:])
    if n == 7:
        return LONG
    return {0: "I'm sorry, I cannot answer that.", 1: "A or B", 2: "", 3: None}.get(n % 12, knows(0.3)(question))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    for k in range(30):
        if k != 9:
            Image.new("RGB", (640, 300), (k * 8, 40, 90)).save(folder / f"{k}.png")
    models = [Says("good", knows(0.8)), Says("poor_with_quite_a_long_name_as_they_have", poor)]
    first = ask(folder / "run", questions(folder / "set.jsonl", rows()), models, name="pictures")
    turned = Settings(rotations=0, repeats=2)
    words = [Says("good", knows(0.6)), Says("third", knows(0.5))]
    second = ask(folder / "turned", questions(folder / "b.jsonl", plain(24)), words, turned, name="words")
    return [first, second]


@pytest.fixture(scope="module")
def report(runs):
    judged = judge_runs(runs)
    frames = compute(judged)
    out = runs[0].parent / "report"
    write(judged, frames, out, "A small world", figures=False)
    return out / "report.html", judged, frames


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as p:
        started = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser, report):
    """Opens a report; afterwards nothing was requested from a network and nothing went wrong."""
    complaints, contexts = [], []

    def open_(width=1280, scheme="light", fragment="", path=report[0]):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on(
            "request", lambda r: complaints.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None
        )
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector(".question .answer-of")
        return page

    yield open_
    for context in contexts:
        for page in context.pages:
            assert page.evaluate("window.pwned") is None
        context.close()
    assert complaints == []


def count(page):
    page.wait_for_function("!document.getElementById('count').textContent.startsWith('Loading')")
    return int(page.inner_text("#count").split()[0].replace(",", ""))


def choose(page, **values):
    for name, value in values.items():
        page.select_option(f"select[name={name}]", value)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_every_chart_is_drawn(open_page, width, scheme):
    page = open_page(width, scheme)
    for chart in page.query_selector_all(".chart"):
        chart.scroll_into_view_if_needed()
        page.wait_for_function("e => e.querySelector('svg')", arg=chart)
        box = chart.query_selector("svg").bounding_box()
        assert box["width"] > 200 and box["x"] + box["width"] <= width + 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_filters_show_as_many_questions_as_the_tables_count(open_page, report):
    page, judged = open_page(), report[1]
    rows = judged.rows.filter(pl.col("benchmark") == "pictures")
    wide = rows.pivot("model", index="case", values="correct")
    assert count(page) == 60
    choose(page, show="wrong")
    assert count(page) == rows.filter((pl.col("model") == "good") & (pl.col("correct") == 0)).height
    choose(page, whom="any")
    assert count(page) == wide.filter(pl.any_horizontal(pl.col(judged.models("pictures")) == 0)).height
    choose(page, whom="all")
    assert count(page) == wide.filter(pl.all_horizontal(pl.col(judged.models("pictures")) == 0)).height
    choose(page, whom="any", show="unparsed")
    assert count(page) == rows.filter(pl.col("status") == "unparsed").height > 0
    choose(page, show="no_medium")
    assert count(page) == 2
    choose(page, show="all")
    page.check("input[name=differ]")
    seen = rows.filter(pl.col("status") != "no_medium").group_by("case").agg(pl.col("choice").n_unique())
    assert count(page) == seen.filter(pl.col("choice") > 1).height
    page.uncheck("input[name=differ]")
    choose(page, node="department=urology/task=task 1")
    nodes = judged.benchmarks["pictures"].nodes
    assert count(page) == nodes.filter(pl.col("node") == "department=urology/task=task 1").height


def test_words_are_found_in_questions_options_and_answers(open_page):
    page = open_page()
    page.fill("input[name=words]", "NUMBER 17")
    page.wait_for_function("document.getElementById('count').textContent.startsWith('1 of')")
    page.fill("input[name=words]", "cannot answer that")
    page.wait_for_function("document.getElementById('count').textContent.startsWith('5 of')")
    page.fill("input[name=words]", "nobody said this")
    page.wait_for_function("document.getElementById('count').textContent.startsWith('0 of')")
    assert "No question meets this choice" in page.inner_text(".question")


def test_a_link_opens_its_question_whatever_its_id(open_page):
    page = open_page(fragment=f"#q=pictures/{quote(ODD, safe='')}")
    page.wait_for_function("document.querySelector('.question .head').textContent.includes('odd/#&')")
    page.evaluate("location.hash = '#q=words/q3'")
    page.wait_for_function("document.querySelector('.question .head').textContent.includes('words / q3')")
    assert page.eval_on_selector("select[name=benchmark]", "e => e.value") == "words"


def test_keys_move_from_question_to_question(open_page):
    page = open_page()
    page.locator("#browser").scroll_into_view_if_needed()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.wait_for_function("document.querySelector('.question .head').textContent.includes('pictures / q2')")
    page.keyboard.press("k")
    page.wait_for_function("document.querySelector('.question .head').textContent.includes('pictures / q1')")
    page.focus(".list")
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('.question .head').textContent.includes('pictures / q59')")
    assert page.evaluate("decodeURIComponent(location.hash)") == "#q=pictures/q59"


def test_hostile_text_is_shown_as_text_and_steers_nothing(open_page):
    page = open_page(fragment=f"#q=pictures/{quote(ODD, safe='')}")
    page.wait_for_function("document.querySelector('.question .head').textContent.includes('odd/#&')")
    text = page.inner_text(".question")
    assert "</script><script>window.pwned = 1</script>" in text and "<img src=x onerror=" in text
    assert "[U+202E]evil[U+202C]" in text and "␛[31mred␇" in text and "{{7*7}}" in text
    assert page.locator(".question img").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_a_long_answer_is_folded_and_opens_whole(open_page):
    page = open_page(fragment="#q=pictures/q7")
    page.wait_for_function("document.querySelector('.question .head').textContent.includes('q7')")
    assert len(page.inner_text(".question")) < 10_000
    page.click("text=Show all 100,012 characters")
    text = page.inner_text(".question")
    assert len(text) > 90_000 and "[the first 100,000 of 100,012 characters]" in text


def test_what_is_shown_of_a_question(open_page):
    page = open_page(fragment="#q=pictures/q12")
    page.wait_for_function("document.querySelector('.question .head').textContent.includes('q12')")
    assert page.locator(".options li.truth").count() == 1
    assert "right answer" in page.inner_text(".options li.truth")
    image = page.locator(".question img")
    page.wait_for_function("document.querySelector('.question img').naturalWidth === 512")
    assert image.get_attribute("alt") == "Image 1 of question q12"
    poor = page.locator("section[aria-label^='Answer of poor']")
    assert "refused, counted as wrong" in poor.inner_text() and "I'm sorry, I cannot answer that." in poor.inner_text()
    page.click("summary:has-text('Exact prompt')")
    assert "Please select the correct answer" in page.inner_text(".question")
    missing = open_page(fragment="#q=pictures/q18")
    missing.wait_for_selector("text=The image 9.png is not there.")


def test_other_orders_and_repeats_unfold(open_page):
    page = open_page(fragment="#q=words/q3")
    page.wait_for_function("document.querySelector('.question .head').textContent.includes('words / q3')")
    page.locator("summary:has-text('7 more askings')").first.click()
    assert page.locator(".askings").first.locator("tbody tr").count() == 7
    assert page.locator("#repeats table tbody tr").count() == 2


def test_classes_by_hand_stay_are_saved_and_are_read_back_into_the_tables(open_page, report, runs, tmp_path):
    page = open_page()
    choose(page, model="poor_with_quite_a_long_name_as_they_have", show="unparsed")
    first = page.locator("section[aria-label^='Answer of poor']")
    first.locator("button:has-text('irrelevant')").click()
    first.locator("button:has-text('misread')").click()
    page.click("[data-case='13']")
    page.wait_for_function("document.querySelector('.question .head').textContent.includes('q13')")
    first.locator("button:has-text('knowledge')").click()
    page.reload()
    page.wait_for_selector(".question .answer-of")
    with page.expect_download() as download:
        page.click("#classes .save-classes")
    assert download.value.suggested_filename == "classes.csv"
    download.value.save_as(tmp_path / "classes.csv")
    saved = list(csv.DictReader((tmp_path / "classes.csv").read_text().splitlines()))
    name = "poor_with_quite_a_long_name_as_they_have"
    assert saved == [
        {"benchmark": "pictures", "model": name, "case": "q1", "class": "misread"},
        {"benchmark": "pictures", "model": name, "case": "q13", "class": "knowledge"},
    ]
    judged = judge_runs(runs, classes_by_hand=read_classes(tmp_path / "classes.csv"))
    frames = compute(judged)
    write(judged, frames, tmp_path / "out", "Classed", figures=False)
    again = open_page(path=tmp_path / "out" / "report.html")
    choose(again, model=name)
    counts = frames["error_classes"].filter((pl.col("model") == name) & (pl.col("benchmark") == "pictures"))
    for node in ("all", "department=hematology"):
        choose(again, node=node)
        cells = again.locator("#class-tables table").first.locator("tr", has_text=name).locator("td").all_inner_texts()
        names = ["misread", "perception", "knowledge", "irrelevant", "refusal", "not classed"]
        expected = dict(counts.filter(pl.col("node") == node).select("class", "n").iter_rows())
        assert [int(cell) for cell in cells] == [sum(expected.values()), *(expected.get(n, 0) for n in names)]
    choose(again, node="all", show="misread")
    assert count(again) == 1 and "by hand" in again.inner_text(".question")


def test_a_click_on_the_tree_takes_the_part_as_the_choice(open_page):
    page = open_page()
    page.wait_for_selector("#tree svg")
    page.locator("#tree").scroll_into_view_if_needed()
    page.locator("#tree svg text:text-is('urology')").first.click()
    page.wait_for_function("document.querySelector('select[name=node]').value === 'department=urology'")
    assert count(page) == 30 or count(page) == 29
    assert "department: urology" in page.inner_text("#leaderboard")


def test_benchmark_model_and_part_switch_the_whole_page(open_page):
    page = open_page()
    choose(page, benchmark="words")
    assert count(page) == 24
    options = page.eval_on_selector_all("select[name=model] option:not([hidden])", "all => all.map(o => o.value)")
    assert sorted(options) == ["good", "third"]
    assert "third" in page.inner_text("#leaderboard") and "third" in page.inner_text("#pairs")
    assert "right in every order" in page.inner_text("#positions")
