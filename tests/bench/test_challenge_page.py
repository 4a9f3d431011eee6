"""The examples in docs/challenge.md run as they stand there, and its table of keys is the schema's."""

import csv
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pytest

from vesalius import sandbox
from vesalius.bench.challenge import Challenge, read_answers, run_challenge
from vesalius.bench.challenge.schema import ChallengeLimits
from vesalius.errors import VesaliusError
from vesalius.sandbox import Limits

TEXT = (Path(__file__).parents[2] / "docs/challenge.md").read_text()


def _refusal() -> str | None:
    try:
        sandbox.check(Limits(5, 64, 8, 16))
    except VesaliusError as error:
        return str(error)
    return None


REFUSAL = _refusal()
runs = pytest.mark.skipif(REFUSAL is not None, reason=f"programs cannot be limited here: {REFUSAL}")


def block(language: str, after: str) -> str:
    """The first code block of a language below a heading."""
    found = re.search(rf"```{language}\n(.*?)```", TEXT[TEXT.index(after) :], re.DOTALL)
    assert found
    return found[1]


def program(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    file.parent.chmod(0o755)


@runs
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="there is no /usr/bin/python3 on this system")
def test_the_example_of_masks_runs(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for case in ("one", "two"):
        label = np.zeros((10, 10, 6), np.uint8)
        label[2:7, 3:8, 1:5] = 1
        image = (label * 150 + rng.integers(-20, 50, label.shape)).astype(np.int16)
        nib.save(nib.Nifti1Image(image, np.eye(4)), tmp_path / f"images/{case}.nii.gz")
        nib.save(nib.Nifti1Image(label, np.eye(4)), tmp_path / f"labels/{case}.nii.gz")
    (tmp_path / "challenge.yaml").write_text(block("yaml", "## Example: masks"))
    program(tmp_path / "team_a/run", block("python", "## Example: masks"))
    url = f"a=command:{tmp_path / 'team_a'}"
    summary = run_challenge(tmp_path / "challenge.yaml", [url], tmp_path / "run", workers=1)
    assert summary.last_line() == "answered 2 of 2"
    scores = pl.read_parquet(tmp_path / "run/scores.parquet")
    assert scores["value"].to_list() == [1.0] * 4 and set(scores["metric"]) == {"dsc", "nsd"}


@runs
def test_the_example_of_questions_runs(tmp_path):
    (tmp_path / "quiz.yaml").write_text(block("yaml", "## Example: questions"))
    (tmp_path / "questions.csv").write_text(block("csv", "## Example: questions"))
    program(tmp_path / "team_b.sh", block("sh", "## Example: questions"))
    url = f"b=command:{tmp_path / 'team_b.sh'}"
    summary = run_challenge(tmp_path / "quiz.yaml", [url], tmp_path / "run")
    assert summary.statuses == {"b": {"answered": 1, "refused": 1}}
    answers = read_answers(tmp_path / "quiz.yaml", tmp_path / "run")
    assert {sample.question.id: answer.text for _, sample, answer in answers} == {"1": "B", "2": ""}
    with open(tmp_path / "run/cases.csv", newline="") as file:
        listed = {row["case"]: row for row in csv.DictReader(file)}
    assert listed["2"]["status"] == "refused" and "no question of the liver" in listed["2"]["reason"]


def test_the_page_names_every_key_and_no_other():
    table = TEXT[TEXT.index("## challenge.yaml") : TEXT.index("Paths are relative")]
    told = {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split(" | ")[0])}
    assert told == set(Challenge.model_fields) - {"file"}
    row = next(line for line in table.splitlines() if line.startswith("| `limits`"))
    assert set(re.findall(r"`(\w+)`", row)) - {"limits"} == set(ChallengeLimits.model_fields)
    defaults = [field.default for field in ChallengeLimits.model_fields.values()]
    assert row.endswith(f"| {', '.join('all' if d is None else f'{d:g}' for d in defaults)} |")
