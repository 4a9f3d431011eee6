"""Challenges: programs asked hidden cases; what they can see of them; what their failures become."""

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pytest

from vesalius import sandbox
from vesalius.bench.challenge import read_answers, read_challenge, run_challenge
from vesalius.bench.questions.runs import judge_runs
from vesalius.bench.questions.store import holds_questions
from vesalius.errors import VesaliusError
from vesalius.models import open_model
from vesalius.records import Message, Part, Question, Sample, write_samples
from vesalius.sandbox import Limits

LIMITS = "limits: {seconds: 5, memory_mb: 128, disk_mb: 16, processes: 32}\n"
SECRET = "tumour-of-mrs-meyer"
CASES = ("site-b_patient_3", "site-a_patient_1", "site-c_patient_2")


def _refusal() -> str | None:
    try:
        sandbox.check(Limits(5, 128, 16, 32))
    except VesaliusError as error:
        return str(error)
    return None


REFUSAL = _refusal()
runs = pytest.mark.skipif(REFUSAL is not None, reason=f"programs cannot be limited here: {REFUSAL}")


def organ(seed: int) -> np.ndarray:
    data = np.zeros((12, 12, 8), np.uint8)
    data[2 + seed : 8 + seed, 3:9, 2:6] = 1
    return data


def save(path: Path, data: np.ndarray, name: str = "") -> None:
    """With the name in the gzip header, as gzip itself writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as raw, gzip.GzipFile(name or path.name, "wb", fileobj=raw) as stream:
        stream.write(nib.Nifti1Image(data, np.eye(4)).to_bytes())


@pytest.fixture
def challenge(tmp_path):
    """Three cases; an image is its label plus 100, so that a program can be right."""
    place = tmp_path / "challenge"
    for number, name in enumerate(CASES):
        save(place / f"images/{name}_0000.nii.gz", (organ(number) + 100).astype(np.uint8), f"{SECRET}.nii")
        save(place / f"labels/{name}.nii.gz", organ(number))
    (place / "cases.csv").write_text("case,sex,diagnosis\n" + "".join(f"{name},F,{SECRET}\n" for name in CASES))
    file = place / "challenge.yaml"
    file.write_text(
        "name: organs\nimages: images\nlabels: labels\nstructures: {organ: 1}\nmetrics: [dsc]\n"
        f"metadata: cases.csv\nreveal: [sex]\n{LIMITS}"
    )
    return file


@pytest.fixture
def team(tmp_path):
    def make(name: str, script: str) -> str:
        folder = tmp_path / "teams" / name
        folder.mkdir(parents=True, exist_ok=True)
        for path in (tmp_path, folder.parent, folder):
            path.chmod(0o755)
        (folder / "run").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "run").chmod(0o755)
        return f"{name}=command:{folder}"

    return make


PYTHON = "/usr/bin/python3"
# Subtracts 100 from the voxels, with what /usr/bin/python3 has.
RIGHT = f"""exec {PYTHON} - <<'END'
import gzip
data = bytearray(gzip.open("/input/media/0.nii.gz").read())
data[352:] = bytes(v - 100 for v in data[352:])
gzip.open("/output/mask.nii.gz", "wb").write(data)
END"""
with_python = pytest.mark.skipif(not Path(PYTHON).exists(), reason=f"there is no {PYTHON} on this system")


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / "cases.csv", newline="") as file:
        return list(csv.DictReader(file))


@runs
@with_python
def test_programs_are_asked_scored_and_accounted_for(challenge, team, tmp_path):
    out = tmp_path / "run"
    models = [team("right", RIGHT), team("copies", "cp /input/media/0.nii.gz /output/mask.nii.gz")]
    summary = run_challenge(challenge, models, out, workers=1)
    scores = pl.read_parquet(out / "scores.parquet")
    assert scores.filter(model="right")["value"].to_list() == [1.0] * 3
    assert set(scores["case"]) == set(CASES) and set(scores["benchmark"]) == {"organs"}
    assert scores["seconds"].is_not_null().all()
    listed = rows(out)
    assert [(r["model"], r["case"]) for r in listed] == [(m, c) for m in ("copies", "right") for c in sorted(CASES)]
    assert all(r["status"] == "answered" and r["exit_code"] == "0" and float(r["memory_mb"]) > 0 for r in listed)
    assert sorted(p.name for p in (out / "predictions/right").iterdir()) == sorted(f"{c}.nii.gz" for c in CASES)
    assert summary.last_line() == "answered 6 of 6" and summary.asked_now == 6 and summary.failed == 0


@runs
@with_python
def test_a_program_that_looks_for_the_labels_cannot_find_them(challenge, team, tmp_path):
    """It walks all that it can see, /proc included, for names, bytes and times that tell (written backwards in it)."""
    script = f"""exec {PYTHON} - <<'END'
import gzip, json, os, shutil
told = dict(files=[], where=[], env=dict(os.environ), mounts=open("/proc/self/mountinfo").read(), times=[], input=[])
needles = [n[::-1] for n in (b"-etis", b"_tneitap", b"reyem", b"/slebal", b"lmay.egnellahc", b"vsc.sesac")]
for top, folders, files in os.walk("/"):
    if top.startswith(("/usr", "/lib", "/bin", "/sbin", "/proc/sys", "/proc/irq")):
        folders[:] = []
        continue
    for name in folders + files:
        path = os.path.join(top, name)
        told["files"].append(path)
        if top.startswith("/input"):
            told["input"].append(path)
            told["times"].append(os.lstat(path).st_mtime)
        try:
            link = os.readlink(path) if os.path.islink(path) else ""
            with open(path, "rb") as file:
                data = b"" if path.startswith("/dev/") else file.read(1 << 20)
            if path.endswith(".gz"):
                data += gzip.decompress(data)
        except OSError:
            data = b""
        for needle in needles:
            if needle in data or needle in path.encode() or needle in link.encode():
                told["where"].append([path, needle.decode()])
for pid in (p for p in os.listdir("/proc") if p.isdigit()):
    for name in ("root", "cwd"):
        try:
            for place in ("../" * 30, "tmp", "root", "home"):
                told["files"] += os.listdir(f"/proc/{{pid}}/{{name}}/{{place}}")
        except OSError:
            pass
for guess in ({str(challenge.parent)!r}, "/root", "/home", "/mnt", "/var", "/srv"):
    told["where"] += [[guess, "is there"]] if os.path.exists(guess) else []
with open("/output/answer.json", "w") as file:
    json.dump({{"mask": "mask.nii.gz"}}, file)
shutil.copy("/input/media/0.nii.gz", "/output/mask.nii.gz")
print(json.dumps(told["where"] + told["input"] + sorted(set(told["times"]))), told["mounts"].count("challenge"))
END"""
    model = open_model(team("spy", script), seconds=20, memory_mb=256, disk_mb=16, processes=32)
    seen = []
    real = model.runner.call
    model.runner.call = lambda given, out: seen.append(real(given, out)) or seen[-1]
    run_challenge(challenge, [model], tmp_path / "run", workers=1)
    assert [outcome.status for outcome in seen] == ["ok"] * 3, seen[0]
    # the same for each case, and nothing but the documented files with one time that says nothing
    expected = ["/input/media", "/input/question.json", "/input/media/0.nii.gz"]
    for outcome in seen:
        told, mounts = outcome.stdout.rsplit(" ", 1)
        assert sorted(map(str, json.loads(told))) == sorted([*expected, "315532800.0"])
        assert int(mounts) == 0


@runs
def test_what_is_told_of_a_case_is_what_the_file_reveals(challenge, team, tmp_path):
    model = open_model(team("reader", "cat /input/question.json; exit 3"), seconds=5, memory_mb=128, disk_mb=16)
    seen = []
    real = model.runner.call
    model.runner.call = lambda given, out: seen.append(real(given, out)) or seen[-1]
    run_challenge(challenge, [model], tmp_path / "run", workers=1)
    asked = [json.loads(outcome.stdout) for outcome in seen]
    assert {question["id"] for question in asked} == {"0"}
    text = asked[0]["messages"][0]["content"][-1]["text"]
    assert text == (
        "Segment organ (1). Answer with one label volume on the grid of the first volume."
        '\nKnown of the case: {"sex": "F"}'
    )


@runs
def test_a_failure_is_a_row_with_its_reason_and_never_a_silent_miss(challenge, team, tmp_path):
    out = tmp_path / "run"
    models = [
        team("crashes", "echo no licence >&2; exit 9"),
        team("refuses", "echo too blurred >&2; exit 3"),
        team("hangs", "tail /dev/zero"),
        team("silent", "exit 0"),
        team("garbage", "echo garbage > /output/mask.nii.gz"),
    ]
    summary = run_challenge(challenge, models, out, workers=1)
    scores = pl.read_parquet(out / "scores.parquet")
    assert set(scores["status"]) == {"failed"} and scores.height == 15
    said = {model: scores.filter(model=model)["reason"][0] for model in scores["model"].unique()}
    assert "exit code 9" in said["crashes"] and "no licence" in said["crashes"]
    assert "refuses" in said["refuses"] and "too blurred" in said["refuses"]
    assert "memory: needs more than 128 MB" in said["hangs"]
    assert "wrote no answer" in said["silent"]
    assert "garbage" not in said["crashes"] and said["garbage"]
    by_model = {row["model"]: row for row in rows(out)}
    assert by_model["crashes"]["status"] == "failed" and by_model["crashes"]["exit_code"] == "9"
    assert by_model["refuses"]["status"] == "refused" and by_model["hangs"]["exit_code"] == ""
    assert summary.failed == 12 and summary.scores.failed == 15


@runs
def test_a_rerun_asks_nothing_again_and_changes_nothing(challenge, team, tmp_path):
    out = tmp_path / "run"
    models = [team("a", "cp /input/media/0.nii.gz /output/mask.nii.gz"), team("b", "exit 1")]
    assert run_challenge(challenge, models, out, workers=1).asked_now == 6
    first, cases = pl.read_parquet(out / "scores.parquet"), (out / "cases.csv").read_bytes()
    again = run_challenge(challenge, models, out, workers=1)
    assert again.asked_now == 0
    assert pl.read_parquet(out / "scores.parquet").equals(first, null_equal=True)
    assert (out / "cases.csv").read_bytes() == cases


@runs
def test_a_changed_program_or_limit_is_asked_again_and_others_are_not(challenge, team, tmp_path):
    out = tmp_path / "run"
    stays = team("stays", "exit 1")
    run_challenge(challenge, [stays, team("changes", "exit 1")], out, workers=1)
    changed = [stays, team("changes", "cp /input/media/0.nii.gz /output/mask.nii.gz")]
    assert run_challenge(challenge, changed, out, workers=1).asked_now == 3
    scores = pl.read_parquet(out / "scores.parquet")
    assert "failed" not in set(scores.filter(model="changes")["status"])
    run_challenge(challenge, [stays, team("changes", "echo later >&2; exit 4")], out, workers=1)
    reasons = pl.read_parquet(out / "scores.parquet").filter(model="changes")["reason"]
    assert all("exit code 4" in reason and "later" in reason for reason in reasons)
    assert not list((out / "predictions/changes").iterdir())
    challenge.write_text(challenge.read_text().replace("memory_mb: 128", "memory_mb: 160"))
    assert run_challenge(challenge, [stays], out, workers=1).asked_now == 3


@runs
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_killed_goes_on_where_it_was(challenge, team, tmp_path, blow):
    out = tmp_path / "run"
    url = team("slow", "sleep 0.7; cp /input/media/0.nii.gz /output/mask.nii.gz")
    script = "from vesalius.bench.challenge import run_challenge\n"
    script += f"run_challenge({str(challenge)!r}, [{url!r}], {str(out)!r})"
    driver = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not list(out.glob("predictions/slow/site*")) and time.monotonic() < end:
        time.sleep(0.02)
    driver.send_signal(blow)
    driver.wait()
    kept = len(list(out.glob("predictions/slow/site*")))
    assert 1 <= kept < 3
    summary = run_challenge(challenge, [url], out, workers=1)
    assert summary.asked_now in (3 - kept, 4 - kept)  # the mask of the last may lie there, and not yet be recorded
    assert summary.last_line() == "answered 3 of 3"
    assert not list(Path(tempfile.gettempdir()).glob(f"vesalius-*-{driver.pid}-*")), "copies of cases are left"


@runs
def test_a_program_whose_folder_holds_what_is_hidden_is_refused(challenge, tmp_path):
    place = challenge.parent
    (place / "run").write_text("#!/bin/sh\nexit 1\n")
    (place / "run").chmod(0o755)
    with pytest.raises(VesaliusError, match=r"would see .*hidden from it.*keep the two in folders apart"):
        run_challenge(challenge, [f"command:{place}"], tmp_path / "run")
    (place / "labels/run.sh").write_text("exit 1")
    with pytest.raises(VesaliusError, match="would see"):
        run_challenge(challenge, [f"command:sh {place / 'labels/run.sh'}"], tmp_path / "run")
    with pytest.raises(VesaliusError, match="would see"):
        run_challenge(challenge, [f"command:sh -c true?read={tmp_path}"], tmp_path / "run")
    # a file alone is given alone, wherever it lies beside
    assert run_challenge(challenge, [f"a=command:{place / 'run'}"], tmp_path / "run", workers=1).failed == 3


@runs
def test_a_container_without_an_engine_is_reported_as_not_run_and_not_as_a_miss(challenge, team, tmp_path, monkeypatch):
    from vesalius.models import container

    monkeypatch.setattr(container, "ENGINES", {"no-such-engine": ("version",)})
    summary = run_challenge(challenge, [team("a", "exit 1"), "box=container:team/box"], tmp_path / "run", workers=1)
    assert "no-such-engine is not installed" in summary.not_run["box"] and "not run: box" in summary.last_line()
    assert set(pl.read_parquet(tmp_path / "run/scores.parquet")["model"]) == {"a"}
    assert {r["status"] for r in rows(tmp_path / "run") if r["model"] == "box"} == {"not_run"}
    with pytest.raises(VesaliusError, match="not run: no container engine answers"):
        run_challenge(challenge, ["box=container:team/box"], tmp_path / "other")


@runs
def test_names_of_a_programs_own_are_brought_together_with_the_references(challenge, team, tmp_path):
    script = f"""{RIGHT.removeprefix("exec ").replace("v - 100", "(v - 100) * 7")}
echo '{{"mask": "mask.nii.gz", "labels": {{"7": "Organ"}}}}' > /output/answer.json"""
    run_challenge(challenge, [team("own", script)], tmp_path / "run", workers=1)
    assert pl.read_parquet(tmp_path / "run/scores.parquet")["value"].to_list() == [1.0] * 3


def test_masks_that_were_sent_in_are_judged_beside_programs(challenge, tmp_path):
    run_challenge(challenge, [f"sent=files:{challenge.parent / 'labels'}"], tmp_path / "run", workers=1)
    assert pl.read_parquet(tmp_path / "run/scores.parquet")["value"].to_list() == [1.0] * 3


@pytest.fixture
def quiz(tmp_path):
    place = tmp_path / "quiz"
    place.mkdir()
    samples = [
        Sample(
            Question(f"liver-{n}", (Message("user", (Part.of_text(f"Where is {n}?"),)),), ("left", "right"), "choice"),
            Message("assistant", (Part.of_text("AB"[n % 2]),)),
            {"site": "a", "diagnosis": SECRET},
        )
        for n in range(4)
    ]
    write_samples(samples, place / "questions.parquet")
    (place / "quiz.yaml").write_text(f"name: quiz\nquestions: questions.parquet\nreveal: [site]\n{LIMITS}")
    return place / "quiz.yaml"


@runs
def test_questions_go_through_the_same_door(quiz, team, tmp_path):
    out = tmp_path / "run"
    url = team("always-b", 'grep -q meyer -r /input && exit 9; echo \'{"choice": "B"}\' > /output/answer.json')
    summary = run_challenge(quiz, [url, "chance=random:1", team("broken", "exit 1")], out)
    assert summary.table == str(out / "scores.parquet")
    table = pl.read_parquet(out / "scores.parquet")
    assert table.filter(model="always-b")["value"].mean() == 0.5
    assert set(table.filter(model="broken")["status"]) == {"failed"}
    assert holds_questions(out) and judge_runs([out]).models("quiz") == ["always-b", "chance", "broken"]
    assert {r["reason"] for r in rows(out) if r["model"] == "broken"} == {"ended with exit code 1"}
    assert {(m, s.question.id): a.text for m, s, a in read_answers(quiz, out)}["always-b", "liver-3"] == "B"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("name: organs", "nmae: organs"), r"has no key nmae.*keys are: name, images"),
        (("name: organs", "seed: 1"), "lacks the key name"),
        (("labels: labels", "seed: 1"), "labels"),
        (("labels: labels", "labels: lables"), r"key labels: there is no such folder: lables"),
        (("metrics: [dsc]", "metrics: [dice]"), r"key metrics: no metric is called dice.*dsc"),
        (("metrics: [dsc]", "metrics: dsc"), "key metrics"),
        (("seconds: 5", "secnds: 5"), r"has no key limits\.secnds.*seconds, memory_mb"),
        (("seconds: 5", "seconds: -1"), r"key limits\.seconds: .*greater than 0"),
        (("memory_mb: 128", "memory_mb: lots"), r"key limits\.memory_mb: .*integer"),
        (("reveal: [sex]", "reveal: [gender]"), r"key reveal: there is no gender.*sex, diagnosis"),
        (("images: images", "questions: cases.csv"), "no meaning beside `questions`"),
        (("name: organs", "name: [organs"), "is no YAML"),
    ],
)
def test_a_wrong_challenge_file_is_said_by_file_key_and_remedy(challenge, tmp_path, change, words):
    challenge.write_text(challenge.read_text().replace(*change))
    with pytest.raises(VesaliusError, match=words) as caught:
        run_challenge(challenge, ["random:1"], tmp_path / "run")
    assert caught.value.file == str(challenge) and caught.value.remedy
    assert not (tmp_path / "run/run.sqlite").exists()


def test_images_without_labels_and_the_other_way_round_are_said(challenge, tmp_path):
    (challenge.parent / f"labels/{CASES[0]}.nii.gz").rename(challenge.parent / "labels/other.nii.gz")
    with pytest.raises(VesaliusError, match=f"1 of its images have no label: {CASES[0]}"):
        run_challenge(challenge, ["random:1"], tmp_path / "run")


def test_limits_are_the_challenges_and_not_a_teams(challenge, tmp_path):
    with pytest.raises(VesaliusError, match="sets memory_mb, which the challenge sets for all"):
        run_challenge(challenge, ["command:sh -c true?memory_mb=64000"], tmp_path / "run")
    assert read_challenge(challenge).limits.memory_mb == 128


def test_two_models_of_one_name_are_refused(challenge, tmp_path):
    with pytest.raises(VesaliusError, match="two models are called"):
        run_challenge(challenge, ["random:1", "random:1"], tmp_path / "run")


def test_cases_are_asked_under_numbers_in_an_order_of_the_seed(challenge, tmp_path):
    from vesalius.bench.challenge.cases import find_hidden_cases

    def order(seed):
        text = re.sub(r"seed: .*\n", "", challenge.read_text())
        challenge.write_text(f"{text}seed: {seed}\n")
        cases = find_hidden_cases(read_challenge(challenge), tmp_path)
        assert [case.question.id for case in cases] == ["1", "2", "3"]
        return [case.name for case in cases]

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(8)}) > 1
    assert os.path.exists(challenge)


def test_all_channels_of_a_case_are_given(challenge, tmp_path):
    from vesalius.bench.challenge.cases import find_hidden_cases

    save(challenge.parent / f"images/{CASES[1]}_0001.nii.gz", organ(0))
    cases = {case.name: case.question for case in find_hidden_cases(read_challenge(challenge), tmp_path)}
    assert [Path(p.path).name for p in cases[CASES[1]].media] == [f"{CASES[1]}_{n:04}.nii.gz" for n in range(2)]
    assert len(cases[CASES[0]].media) == 1
