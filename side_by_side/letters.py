"""Reading options from answers side by side: our rules and VLMEvalKit's, on the same answers, case by case.

    .venv/bin/python side_by_side/letters.py --peer VLMEVALKIT [--run RUN ...] [--out side_by_side/letters.md]

Answers are those of tests/bench/questions/letters.tsv, where what is right was decided by hand, and those kept in runs
of `vesalius bench run`, where it was not. VLMEvalKit's own functions are called, from a checkout, in an environment of
their own (side_by_side/.venv/questions, made on the first run from peers_questions.txt). It reads one option; questions
with several right options are left out. Also prints how long our rules take on long, hostile answers.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from vesalius.bench.questions.letters import read_choice
from vesalius.models.prompt import LETTERS

HERE = Path(__file__).parent
TABLE = HERE.parent / "tests" / "bench" / "questions"
LONG = ("A is ", "((((", "\\boxed{", "answer is ", "选", "[[", "<think>", "_", " ", "not ")
KINDS = {  # what the two say → what it means
    "same": "both read the same option",
    "neither": "neither reads one",
    "differ": "different options",
    "only theirs": "only theirs reads one",
    "only ours": "only ours reads one (theirs leaves it to a judge, or takes it for a refusal)",
}


def environment() -> Path:
    """The peers' Python; made if it is not there."""
    folder = HERE / ".venv" / "questions"
    python = folder / "bin" / "python"
    if not (folder / ".made").exists():
        print("making the peers' environment ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "peers_questions.txt"], check=True)
        (folder / ".made").touch()
    return python


def theirs(rows: list[dict], peer: Path) -> list[str]:
    """The letter that VLMEvalKit reads from each answer, "refused" or "judge"."""
    command = [environment(), HERE / "letters_peer.py", peer.resolve()]
    done = subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"VLMEvalKit failed:\n{done.stderr[-2000:]}")
    return [{"Z": "refused", False: "judge"}.get(said, said) for said in json.loads(done.stdout.splitlines()[-1])]


def ours(rows: list[dict]) -> list[str]:
    """The letter that we read from each answer, or the status; notes in the row where letter and words disagree."""
    out = []
    for row in rows:
        found = read_choice(row["answer"], row["options"], cut_off=row.get("cut", False))
        row["conflict"] = found.conflict
        out.append(LETTERS[found.places[0]] if found.places else found.status)
    return out


def why(row: dict, mine: str, other: str) -> str:
    """What makes the two differ on an answer of a run."""
    if row["conflict"]:
        then = (
            "the words" if len(other) == 1 else "neither: it wants the letter among the last five words, and one text"
        )
        return f"letter and words are two options': ours takes the letter (and counts the conflict), theirs {then}"
    if len(mine) == 1 and len(other) != 1:
        return "theirs takes a letter only among the last five words, and words only where one option's stand there"
    return "other"


def tabled() -> list[dict]:
    """The hand-made table's answers to questions with one right option."""
    options = json.loads((TABLE / "letters_options.json").read_text())
    with open(TABLE / "letters.tsv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        {
            "answer": row["answer"].replace("\\n", "\n"), "options": options[row["options"]],
            "cut": row["flags"] == "cut", "expected": row["expected"], "note": row["note"],
        }
        for row in rows if row["flags"] != "several"
    ]  # fmt: skip


def kept(run: Path) -> list[dict]:
    """The answers of a run to choices, read beside whoever is writing it."""
    import sqlite3

    from vesalius.records import Answer, Sample

    query = """SELECT plan.model, samples.sample, plan.places, units.payload FROM plan
        JOIN samples ON samples.benchmark = plan.benchmark AND samples.id = plan.id
        JOIN units ON units.key = plan.unit"""
    rows = []
    with sqlite3.connect(f"file:{run / 'run.sqlite'}?mode=ro", uri=True) as connection:
        for model, sample, places, payload in connection.execute(query):
            asked, answer = Sample.from_json(json.loads(sample)), Answer.from_json(json.loads(payload))
            question = asked.question
            if question.type == "choice" and answer.status in ("answered", "cut_off") and not answer.likelihoods:
                order = json.loads(places)
                truth = LETTERS[order.index(LETTERS.index(asked.truth))] if asked.truth else ""
                options = [question.options[place] for place in order]
                row = {"answer": answer.text, "options": options, "model": model, "truth": truth}
                rows.append(row | {"cut": answer.status == "cut_off"})
    return rows


def kind(a: str, b: str) -> str:
    """What it means that ours says `a` and theirs says `b`; see `KINDS`."""
    letters = (len(a) == 1, len(b) == 1)
    if all(letters):
        return "same" if a == b else "differ"
    return {(False, False): "neither", (False, True): "only theirs", (True, False): "only ours"}[letters]


def right(said: str, expected: str) -> bool:
    """Whether what was read is what was decided by hand: all that names no option is the same here."""
    return said == expected if len(expected) == 1 else len(said) != 1


def cell(text: str, width: int = 110) -> str:
    """A text as a cell of a Markdown table."""
    text = text.replace("\n", "⏎").replace("|", "\\|").replace("`", "'")
    return f"`{text if len(text) <= width else text[: width - 1] + '…'}`" if text.strip() else "(nothing)"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows])


def counts(pairs: list[tuple[str, str]]) -> str:
    """How often which of `KINDS`."""
    found = Counter(kind(a, b) for a, b in pairs)
    return table(["", "answers"], [[words, str(found[name])] for name, words in KINDS.items()])


def case_by_case(rows: list[dict], mine: list[str], other: list[str]) -> str:
    """Every difference: who is right, and why."""
    lines = []
    for row, a, b in zip(rows, mine, other, strict=True):
        if kind(a, b) in ("same", "neither"):
            continue
        who = {(True, True): "both", (True, False): "ours", (False, True): "theirs", (False, False): "neither"}
        verdict = who[right(a, row["expected"]), right(b, row["expected"])]
        lines.append(
            [cell(row["answer"]), cell(" / ".join(row["options"]), 60), a, b, row["expected"], verdict, row["note"]]
        )
    return table(["answer", "options", "ours", "theirs", "by hand", "right", "why"], sorted(lines, key=lambda x: x[5]))


def times() -> str:
    """Seconds for a hostile answer of 10,000 and of 100,000 characters."""
    rows = []
    for piece in LONG:
        seconds = []
        for size in (10_000, 100_000):
            text = (piece * (size // len(piece) + 1))[:size]
            start = time.process_time()
            read_choice(text, ["Liver", "Spleen", "Left kidney", "Right kidney", "Stomach"])
            seconds.append(time.process_time() - start)
        rows.append([cell(piece) if piece.strip() else "blanks", *(f"{s:.2f} s" for s in seconds)])
    return table(["repeated", "10,000 characters", "100,000"], rows)


def main() -> None:
    """Runs everything and prints Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", type=Path, required=True, help="a checkout of VLMEvalKit")
    parser.add_argument("--run", type=Path, action="append", default=[], help="a folder of `vesalius bench run`")
    parser.add_argument("--out", type=Path, help="where every difference is written")
    arguments = parser.parse_args()

    rows = tabled()
    mine, other = ours(rows), theirs(rows, arguments.peer)
    print(f"The table: {len(rows)} answers, one option right.\n")
    print(counts(list(zip(mine, other, strict=True))))
    good = [(right(a, r["expected"]), right(b, r["expected"])) for r, a, b in zip(rows, mine, other, strict=True)]
    guessed = sum(len(b) == 1 and len(r["expected"]) != 1 for r, b in zip(rows, other, strict=True))
    wrong = sum(kind(r["expected"], b) == "differ" for r, b in zip(rows, other, strict=True))
    unread = sum(len(b) != 1 and len(r["expected"]) == 1 for r, b in zip(rows, other, strict=True))
    print(f"\nAs decided by hand: ours {sum(a for a, _ in good)}, theirs {sum(b for _, b in good)} of {len(rows)}.")
    print(f"Theirs reads an option where none is named {guessed} times, another option {wrong} times,")
    print(f"and leaves {unread} to a judge.\n")
    if arguments.out:
        head = (
            "# Options read from answers, case by case\n\nWritten by `letters.py`: where VLMEvalKit's rules and ours "
        )
        head += "differ.\n«By hand» is what stands in tests/bench/questions/letters.tsv.\n"
        arguments.out.write_text(f"{head}\n{case_by_case(rows, mine, other)}\n")

    for run in arguments.run:
        rows = kept(run)
        if not rows:
            continue
        mine, other = ours(rows), theirs(rows, arguments.peer)
        models = ", ".join(sorted({row["model"] for row in rows}))
        print(f"A run: {len(rows)} answers of {models}.\n")
        print(counts(list(zip(mine, other, strict=True))))
        read_apart = ("differ", "only theirs", "only ours")
        differing = [x for x in zip(rows, mine, other, strict=True) if kind(x[1], x[2]) in read_apart]
        reasons: dict[str, list] = {}
        for row, a, b in differing:
            reasons.setdefault(why(row, a, b), []).append((row, a, b))
        print()
        for reason, found in sorted(reasons.items(), key=lambda item: -len(item[1])):
            print(f"- {len(found)}: {reason}")
        print()
        shown = [one for found in reasons.values() for one in found[:4]]
        lines = [[cell(r["answer"]), cell(" / ".join(r["options"])), a, b] for r, a, b in shown]
        print(table(["answer", "options", "ours", "theirs"], lines))
        for name, read in (("ours", mine), ("theirs", other)):
            hits = sum(a == r["truth"] for r, a in zip(rows, read, strict=True))
            print(f"\nAccuracy as {name} reads them: {hits / len(rows):.1%}")
        print()
    print("Our rules on long, hostile answers:\n")
    print(times())


if __name__ == "__main__":
    main()
