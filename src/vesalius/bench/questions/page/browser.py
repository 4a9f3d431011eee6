"""What the browser of single questions loads: an index inside the page, and scripts and pictures beside it.

    index                   in the page: ids, first words, types, nodes, right or wrong and status of every model
    browser/0001.js, …      question, options, pictures, prompts and all answers of some 200 questions, loaded when one
                            of them is opened (a page from disk may load scripts, but not fetch)
    browser/words-0001.js   words to search in, loaded by the first search
    browser/media/HASH.jpg  pictures (`thumbnails`)

Knows their form, which `assets/browser.js` reads. Everything streams a chunk of questions at a time; nothing here is
HTML, so that nothing has to be escaped but what JSON escapes.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from vesalius.bench.questions.judge import CLASSES
from vesalius.bench.questions.page.facts import Facts
from vesalius.bench.questions.page.thumbnails import Thumbnails
from vesalius.bench.questions.page.words import STATUSES
from vesalius.bench.questions.runs import Judged
from vesalius.bench.questions.store import Store
from vesalius.bench.questions.tables import scored
from vesalius.records import Message, Sample
from vesalius.run import fingerprint, replacing

_CHUNK = 200  # questions read at once, and at most in a script
_BYTES = 1_500_000  # at which a script is full
_WORDS = 2000  # questions in a script of words
FIRST_WORDS = 110  # characters of a question in the list
MOST = 100_000  # characters of an answer that are shown
_SEARCHED = 400  # characters of an answer that are searched

# A state is one character for a model and question: 4 × status + correctness, from "0" on.
_STATES = [*STATUSES, "not_asked"]
_WRONG, _RIGHT, _PARTLY, _UNKNOWN = range(4)


@dataclass
class Scripts:
    """Numbered scripts in a folder; each calls `vesalius.NAME(number, items)`."""

    folder: Path
    prefix: str
    call: str
    written: int = 0
    items: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, item: Any) -> None:
        """Puts an item into the script that is being filled."""
        text = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
        self.items.append(text)
        self.size += len(text)

    def flush(self) -> None:
        """Writes what there is as the next script."""
        if not self.items:
            return
        self.written += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        body = f"vesalius.{self.call}({self.written},[{','.join(self.items)}]);\n"
        with replacing(self.folder / f"{self.prefix}{self.written:04d}.js") as part:
            part.write_bytes(body.encode("utf-8", "replace"))
        self.items, self.size = [], 0


def write_browser(
    judged: Judged, every: Sequence[Facts], out: Path, tell: Callable[[str], None] = lambda step: None
) -> dict[str, Any]:
    """Writes the scripts and pictures; returns the index for the page.

    Args:
        judged: the runs.
        every: facts of all benchmarks.
        out: the report's folder.
        tell: is told how far it is.
    """
    details, words = Scripts(out / "browser", "", "details"), Scripts(out / "browser", "words-", "words")
    pictures = Thumbnails(out / "browser" / "media")
    benchmarks = []
    for facts in every:
        index = _index(judged, facts)
        index["shards"], index["words"], index["text"] = [], [], []
        for number, (sample, detail) in enumerate(_details(judged, facts, pictures)):
            if number % _CHUNK == 0:
                tell(f"browser: {number:,} of {len(facts.cases):,} questions of {facts.name}")
            if not details.items:
                index["shards"].append([details.written + 1, number])
            if not words.items:
                index["words"].append([words.written + 1, number])
            index["text"].append(_first_words(detail["q"]))
            words.add(_searchable(sample, detail))
            details.add(detail)
            if len(details.items) >= _CHUNK or details.size >= _BYTES:
                details.flush()
            if len(words.items) >= _WORDS:
                words.flush()
        details.flush()
        words.flush()
        benchmarks.append(index)
    pictures.prune()
    return {"benchmarks": benchmarks, "statuses": _STATES, "classes": CLASSES}


def _first_words(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= FIRST_WORDS else f"{line[: FIRST_WORDS - 1]}…"


def _searchable(sample: Sample, detail: dict[str, Any]) -> str:
    answers = dict.fromkeys(asking["answer"][:_SEARCHED] for one in detail["models"] for asking in one["askings"][:1])
    return "\n".join([detail["id"], detail["q"], *sample.question.options, detail["truth"] or "", *answers])


# --- the index


def _index(judged: Judged, facts: Facts) -> dict[str, Any]:
    """What filters need of every question, column by column."""
    cases = pl.DataFrame({"id": facts.cases}).join(facts.benchmark.cases, on="id", maintain_order="left")
    types, type_codes = _codes(cases["type"])
    columns = list(dict.fromkeys(column for node in facts.nodes for column, _ in node.conditions))
    coded = {column: _codes(cases[column]) for column in columns}
    place = {column: i for i, column in enumerate(columns)}
    nodes = [
        {"name": node.name, "label": node.label, "n": node.n, "tree": node.in_tree,
         "where": [[place[column], coded[column][0].index(value)] for column, value in node.conditions]}
        for node in facts.nodes
    ]  # fmt: skip
    results = scored(judged, facts.name)
    number = {id: i for i, id in enumerate(facts.cases)}
    models = facts.benchmark.models
    return {
        "name": facts.name, "ids": facts.cases, "types": types, "type": type_codes, "models": facts.models,
        "columns": columns, "codes": [coded[column][1] for column in columns], "nodes": nodes,
        "states": [_states(results.filter(pl.col("model") == model), number) for model in facts.models],
        "differ": _differ(results, number),
        # Classes given by hand stay in the browser under a name that changes with questions and with what was asked.
        "stores": [f"{facts.name}|{model}|" + fingerprint(facts.benchmark.entry["sha256"], models[model].get("depends"))
                   for model in facts.models],
        "given": _given(judged, facts, number),
    }  # fmt: skip


def _codes(series: pl.Series) -> tuple[list[str], list[int]]:
    """Distinct values and each cell's place among them; −1 where there is none."""
    texts = series.cast(pl.String).to_list()
    values = list(dict.fromkeys(text for text in texts if text is not None))
    place = {value: i for i, value in enumerate(values)}
    return values, [-1 if text is None else place[text] for text in texts]


def _states(results: pl.DataFrame, number: dict[str, int]) -> str:
    states = [4 * _STATES.index("not_asked") + _UNKNOWN] * len(number)
    for case, correct, status in results.select("case", "correct", "status").iter_rows():
        worth = _UNKNOWN if correct is None else _RIGHT if correct == 1 else _WRONG if correct == 0 else _PARTLY
        states[number[case]] = 4 * _STATES.index(status) + worth
    return "".join(chr(ord("0") + state) for state in states)


def _differ(results: pl.DataFrame, number: dict[str, int]) -> str:
    """ "1" for each question on which models named different things."""
    choices = results.filter(pl.col("status") != "no_medium").group_by("case")
    several = choices.agg(pl.col("choice").str.to_lowercase().n_unique().alias("n")).filter(pl.col("n") > 1)
    out = ["0"] * len(number)
    for case in several["case"]:
        out[number[case]] = "1"
    return "".join(out)


def _given(judged: Judged, facts: Facts, number: dict[str, int]) -> dict[int, dict[int, list[str]]]:
    """Model → question → class and by whom, as far as known when the report was made."""
    place = {model: i for i, model in enumerate(facts.models)}
    out: dict[int, dict[int, list[str]]] = {}
    mine = judged.classes.filter(pl.col("benchmark") == facts.name)
    for model, case, kind, by in mine.select("model", "case", "class", "by").iter_rows():
        if model in place and case in number:
            out.setdefault(place[model], {})[number[case]] = [kind, by]
    return out


# --- single questions


def _details(judged: Judged, facts: Facts, pictures: Thumbnails) -> Iterator[tuple[Sample, dict[str, Any]]]:
    """Each question with everything that the browser shows of it."""
    order = pl.DataFrame({"case": facts.cases}).with_row_index("number")
    rows = judged.rows.filter(pl.col("benchmark") == facts.name).join(order, on="case")
    rows = rows.sort("number", "rotation", "repeat", maintain_order=True)
    starts = rows["number"].to_numpy()
    with ExitStack() as opened:
        stores = [opened.enter_context(Store(folder, read_only=True)) for folder in judged.folders]
        stores = [store for store in stores if facts.name in store.benchmarks]
        for first in range(0, len(facts.cases), _CHUNK):
            ids = facts.cases[first : first + _CHUNK]
            samples = list(stores[0].samples(facts.name, ids))  # the same in all
            prompts = _prompts(stores, facts, ids)
            pictures.make(part.path for s in samples for part in s.question.media if part.type == "image" and part.path)
            low, high = np.searchsorted(starts, [first, first + len(ids)])
            answers: dict[str, dict[str, list[dict[str, Any]]]] = {}
            for row in rows.slice(low, high - low).iter_rows(named=True):
                answers.setdefault(row["case"], {}).setdefault(row["model"], []).append(row)
            for sample in samples:
                yield sample, _detail(sample, answers[sample.question.id], facts, prompts, pictures)


def _detail(
    sample: Sample, answers: dict[str, list[dict[str, Any]]], facts: Facts,
    prompts: dict[str, dict[str, str]], pictures: Thumbnails,
) -> dict[str, Any]:  # fmt: skip
    question = sample.question
    asked = {model: prompts[model][question.id] for model in answers if question.id in prompts.get(model, ())}
    different = list(dict.fromkeys(asked.values()))
    models = [
        {"model": i, "prompt": different.index(asked[model]) if model in asked else None,
         "askings": [_asking(row) for row in answers[model]]}
        for i, model in enumerate(facts.models) if model in answers
    ]  # fmt: skip
    text = "".join(part.text or "" for part in question.messages[-1].parts if part.type == "text").strip()
    return {
        "id": question.id, "type": question.type, "q": text, "options": list(question.options), "truth": sample.truth,
        "media": [_medium(part, pictures) for part in question.media], "models": models, "prompts": different,
        "metadata": {key: str(value) for key, value in sample.metadata.items() if value is not None},
    }  # fmt: skip


def _asking(row: dict[str, Any]) -> dict[str, Any]:
    """One answer; what is usual is left out."""
    answer = row["answer"]
    out = {"answer": answer[:MOST], "choice": row["choice"][:1000], "correct": row["correct"], "status": row["status"],
           "rule": row["rule"]}  # fmt: skip
    if len(answer) > MOST:
        out["length"] = len(answer)
    usual = {"rotation": 0, "repeat": 0, "attempts": 1, "conflict": False, "seconds": None, "tokens": None}
    return out | {key: row[key] for key, value in usual.items() if row[key] != value}


def _medium(part: Any, pictures: Thumbnails) -> dict[str, Any]:
    if part.type == "image" and part.path:
        found = pictures.made[part.path]
        return {"said": found.said} if found.said else {"src": found.name, "width": found.width, "height": found.height}
    name = Path(part.path).name if part.path else ""
    return {"said": f"A {part.type} is not shown here{f': {name}' if name else ''}."}


def _prompts(stores: Sequence[Store], facts: Facts, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Model → id → the prompt as it was sent; a challenge keeps none."""
    out = {}
    for store in stores:
        for model in facts.models:
            if f"{facts.name}/{model}" in store.models:
                kept = store.prompts(facts.name, model, ids)
                out[model] = {id: as_text(messages) for id, messages in kept.items()}
    return out


def as_text(messages: Sequence[Message]) -> str:
    """Messages as text, with a sign where a medium stands."""
    lines = []
    for message in messages:
        parts = [part.text or "" if part.type == "text" else f"[{part.type}]\n" for part in message.parts]
        lines.append(f"{message.role}:\n{''.join(parts)}")
    return "\n\n".join(lines)
