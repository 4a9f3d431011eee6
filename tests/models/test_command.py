"""Programs as models: the contract with third parties, and what a hostile one can do about it."""

import gzip
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vesalius import sandbox
from vesalius.errors import VesaliusError
from vesalius.models.protocol import open_model
from vesalius.records import Message, Part, Question
from vesalius.sandbox import Limits

LIMITS = {"seconds": 5, "memory_mb": 128, "disk_mb": 16, "processes": 32}


def _refusal() -> str | None:
    try:
        sandbox.check(Limits(5, 128, 16, 32))
    except VesaliusError as error:
        return str(error)
    return None


REFUSAL = _refusal()
pytestmark = pytest.mark.skipif(REFUSAL is not None, reason=f"programs cannot be limited here: {REFUSAL}")


@pytest.fixture
def program(tmp_path):
    """Writes a shell program and opens it as a model."""
    opened = []

    def make(script: str, **options):
        folder = tmp_path / "team"
        folder.mkdir(exist_ok=True)
        file = folder / "run"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        for path in (tmp_path, folder):
            path.chmod(0o755)
        opened.append(open_model(f"team=command:{folder}", **LIMITS | {"keep": str(tmp_path / "kept")} | options))
        return opened[-1]

    yield make
    for model in opened:
        model.close()


def asked(id: str = "patient-17", type: str = "choice", media: Path | None = None, **more) -> Question:
    parts = [Part.of_text("Which organ?")]
    if media:
        parts.insert(0, Part.of("volume", media))
    options = ("liver", "spleen", "kidney") if type == "choice" else ()
    return Question(id, (Message("user", tuple(parts)),), options, type, **more)


def one(model, question: Question):
    (answer,) = model.answer([question])
    assert answer.id == question.id
    return answer


@pytest.mark.parametrize(
    ("written", "text"),
    [('{"choice": "B"}', "B"), ('{"text": "the spleen"}', "the spleen"), ('{"choice": ["A", "C"]}', "A, C")],
)
def test_an_answer_in_words_comes_back_with_what_it_took(program, written, text):
    answer = one(program(f"echo '{written}' > /output/answer.json"), asked())
    assert (answer.status, answer.text) == ("answered", text)
    assert answer.seconds > 0 and answer.memory_mb > 0 and answer.reason is None


def test_a_program_sees_the_question_as_it_is_documented(program, tmp_path):
    image = tmp_path / "site-a_liver_tumour_017_0000.nii.gz"
    image.write_bytes(gzip.compress(b"voxels"))
    model = program('cat /input/question.json; ls -l /input/media; echo \'{"text": "x"}\' > /output/answer.json')
    one(model, asked(media=image))
    seen = model.outcomes["patient-17"].stdout
    question = json.loads(seen[: seen.rindex("}") + 1])
    assert question == {
        "id": "0",
        "type": "choice",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "volume", "path": "/input/media/0.nii.gz"},
                    {"type": "text", "text": "Which organ?"},
                ],
            }
        ],
        "options": ["liver", "spleen", "kidney"],
    }
    assert "patient" not in seen and "site-a" not in seen and "1980" in seen


def test_names_and_times_inside_gzip_are_taken_out_and_the_bytes_stay(program, tmp_path):
    image = tmp_path / "case.nii.gz"
    with open(image, "wb") as raw, gzip.GzipFile("patient_meyer_cirrhosis.nii", "wb", fileobj=raw) as stream:
        stream.write(b"voxels" * 100)
    assert b"meyer" in image.read_bytes()
    script = "cp /input/media/0.nii.gz /output/mask.nii.gz; grep -c meyer /input/media/0.nii.gz"
    model = program(script + "; od -An -tx1 -N10 /input/media/0.nii.gz; exit 0")
    answer = one(model, asked(type="mask", media=image))
    assert gzip.decompress(Path(answer.message.parts[0].path).read_bytes()) == b"voxels" * 100
    assert " ".join(model.outcomes["patient-17"].stdout.split()) == "0 1f 8b 08 00 00 00 00 00 00 ff"


def test_a_mask_is_kept_with_its_names(program, tmp_path):
    script = """printf voxels > /output/m.nii.gz
echo '{"mask": "m.nii.gz", "labels": {"1": "liver"}}' > /output/answer.json"""
    (part,) = one(program(script), asked(type="mask")).message.parts
    assert part.type == "mask" and part.labels == {1: "liver"}
    assert Path(part.path).parent == tmp_path / "kept" and Path(part.path).read_bytes() == b"voxels"


def test_exit_code_3_refuses_and_any_other_fails_with_what_it_said(program):
    refused = one(program("echo no contrast phase >&2; exit 3"), asked())
    assert refused.status == "refused" and "no contrast phase" in refused.reason
    failed = one(program("echo CUDA is missing >&2; exit 1"), asked())
    assert failed.status == "failed" and "exit code 1" in failed.reason and "CUDA is missing" in failed.reason


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("sleep 60", "timeout: took longer than 1 s"),
        ("tail /dev/zero", "memory: "),
        ("cat /dev/zero > /output/x", "disk: fills /output"),
        ("cat /dev/zero > /tmp/x", "disk: fills /tmp"),
        ("yes", "disk: prints more"),
        ("f() { f | f & }; f; sleep 60", "processes: "),
        ("ln -s /etc/passwd /output/answer.json", "output: "),
        ("mkfifo /output/answer.json", "output: "),
        ("head -c 1000 /dev/urandom > /output/answer.json", "no JSON"),
        ("echo '[[[[' > /output/answer.json", "no JSON"),
        ("yes [ | head -c 60000 | tr -d '\\n' > /output/answer.json", "no JSON"),
        ("echo '[1]' > /output/answer.json", "no JSON object"),
        ('echo \'{"choice": "Q"}\' > /output/answer.json', "no option"),
        ("echo '{\"choice\": 7}' > /output/answer.json", "neither"),
        ("head -c 2000000 /dev/zero > /output/answer.json", "more than 1 MB"),
        ("kill -SEGV $$", "SIGSEGV"),
    ],
)
def test_a_hostile_program_is_a_failed_case_and_the_next_question_is_asked(program, script, words):
    fine = 'echo \'{"text": "ok"}\' > /output/answer.json'
    model = program(f"if grep -q second /input/question.json; then {fine}; else {script}; fi", seconds=1)
    second = Question("second", (Message("user", (Part.of_text("second"),)),))
    first, after = model.answer([asked(), second])
    assert first.status == "failed" and words in first.reason
    assert (after.status, after.text) == ("answered", "ok")


def test_nothing_written_is_empty_and_no_answer(program):
    answer = one(program("exit 0"), asked())
    assert answer.status == "empty" and "wrote no answer" in answer.reason


@pytest.mark.parametrize(
    "answer", ["/etc/passwd.nii.gz", "../../kept/x.nii.gz", "absent.nii.gz", "/input/media/0.nii.gz", "x.txt", ""]
)
def test_a_mask_outside_of_output_is_not_taken(program, tmp_path, answer):
    script = f"echo '{json.dumps({'mask': answer})}' > /output/answer.json"
    got = one(program(script), asked(type="mask"))
    assert got.status == "failed" and ('"mask"' in got.reason or "not in /output" in got.reason)
    assert not (tmp_path / "kept").exists()


def test_a_mask_that_claims_more_voxels_than_there_can_be_is_not_taken(program, tmp_path):
    import nibabel as nib
    import numpy as np

    image = tmp_path / "image.nii"
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), image)
    header = nib.Nifti1Image(np.zeros((1, 1, 1), np.uint8), np.eye(4)).header
    header.set_data_shape((20000, 20000, 20000))
    (tmp_path / "team").mkdir()
    (tmp_path / "team/bomb.nii.gz").write_bytes(gzip.compress(header.binaryblock + b"\0" * 100))
    (tmp_path / "team/bomb.nii.gz").chmod(0o644)
    answer = one(program("cp /program/bomb.nii.gz /output/mask.nii.gz"), asked(type="mask", media=image))
    assert answer.status == "failed" and "20000x20000x20000" in answer.reason


@pytest.mark.parametrize(
    "labels",
    [
        [1],
        {"one": "liver"},
        {"-1": "liver"},
        {"9" * 30: "liver"},
        {"1": ""},
        {"1": 7},
        {"1": "\x1b[2Jliver"},
        {"1": "x" * 9999},
    ],
)
def test_names_of_labels_that_are_none_are_not_taken(program, labels):
    script = (
        f"echo > /output/m.nii; printf '%s' '{json.dumps({'mask': 'm.nii', 'labels': labels})}' > /output/answer.json"
    )
    answer = one(program(script), asked(type="mask"))
    assert answer.status == "failed" and '"labels"' in answer.reason


def test_headers_of_noise_cost_their_case_and_nothing_else(program, tmp_path):
    import nibabel as nib
    import numpy as np

    image = tmp_path / "image.nii"
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), image)
    rng, whole = np.random.default_rng(0), image.read_bytes()
    (tmp_path / "team").mkdir()
    for n in range(8):
        noise = bytearray(whole)
        for place in rng.integers(0, 352, 40):
            noise[place] = rng.integers(0, 256)
        (tmp_path / f"team/{n}.nii").write_bytes(noise)
        (tmp_path / f"team/{n}.nii").chmod(0o644)
    script = """for i in 0 1 2 3 4 5 6 7; do mkdir /output/$i; cp /program/$i.nii /output/$i/m.nii
echo '{"mask": "m.nii"}' > /output/$i/answer.json; done"""
    questions = [asked(str(n), type="mask", media=image) for n in range(8)]
    answers = list(program(script, batch=8).answer(questions))
    assert {a.status for a in answers} <= {"answered", "failed"} and len(answers) == 8


def test_a_batch_shares_a_call_and_its_time(program):
    script = """for i in 0 1 2; do mkdir /output/$i; [ -e /input/$i/question.json ] || exit 5; done
echo '{"choice": "A"}' > /output/0/answer.json; echo '{"choice": "C"}' > /output/2/answer.json"""
    answers = list(program(script, batch=3).answer([asked("a"), asked("b"), asked("c")]))
    assert [(a.id, a.status, a.text) for a in answers] == [
        ("a", "answered", "A"), ("b", "empty", ""), ("c", "answered", "C"),
    ]  # fmt: skip
    assert answers[0].seconds == answers[2].seconds


def test_a_medium_that_is_not_there_costs_its_own_question(program, tmp_path):
    model = program('echo \'{"text": "x"}\' > /output/answer.json')
    lost, found = model.answer([asked("a", media=tmp_path / "gone.nii.gz"), asked("b")])
    assert lost.status == "failed" and "gone.nii.gz" in lost.reason and found.status == "answered"


def test_a_program_given_as_a_file_never_sees_the_folder_around_it(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/secret").write_text("truth")
    file = tmp_path / "team_b.sh"
    file.write_text("#!/bin/sh\nls -R /program >&2; cat /program/labels/secret; exit 1\n")
    file.chmod(0o755)
    model = open_model(f"command:{file}", **LIMITS)
    one(model, asked())
    outcome = model.outcomes["patient-17"]
    assert "team_b.sh" in outcome.stderr and "labels:" not in outcome.stderr and "truth" not in outcome.stdout
    assert model.exposes[0] == file


def test_an_interpreter_and_a_file_are_a_program_too(tmp_path):
    file = tmp_path / "predict.sh"
    file.write_text("echo '{\"text\": \"'$1'\"}' > /output/answer.json\n")
    file.chmod(0o644)
    assert one(open_model(f"command:sh {file} spleen", **LIMITS), asked(type="open")).text == "spleen"


def test_a_program_of_an_unpacked_image_runs_with_nothing_of_this_system(tmp_path):
    """The image is a shell, `cp`, and the libraries that they are linked with."""
    image = tmp_path / "image"
    (image / "app").mkdir(parents=True)
    tools = [os.path.realpath(shutil.which(tool)) for tool in ("sh", "cp")]
    linked = subprocess.run(["ldd", *tools], capture_output=True, text=True, check=True).stdout
    for file in {*tools, *re.findall(r"(/\S+\.so\S*)", linked)}:
        (image / file[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, image / file[1:])
    (image / "app/answer.json").write_text('{"text": "from the image"}')
    shell = Path(tools[0])
    (image / "app/run").write_text(
        f"#!{shell}\n{tools[1]} /app/answer.json /output/answer.json && ! [ -e /usr/bin/env ]\n"
    )
    (image / "app/run").chmod(0o755)
    model = open_model(f"command:/app/run?root={image}", **LIMITS)
    assert "/app/run" in model.check()
    assert one(model, asked(type="open")).text == "from the image"


def test_the_environment_is_the_documented_one(program):
    model = program("env; exit 1", cpus=2)
    one(model, asked())
    names = {line.partition("=")[0] for line in model.outcomes["patient-17"].stdout.splitlines()}
    limits = {f"VESALIUS_{n}" for n in ("INPUT", "OUTPUT", "SECONDS", "MEMORY_MB", "DISK_MB", "PROCESSES", "BATCH")}
    assert names == limits | {"PATH", "HOME", "TMPDIR", "LANG", "PWD", "VESALIUS_CPUS", "OMP_NUM_THREADS"}


def test_the_identity_is_the_programs_bytes_and_limits(program):
    first = program("exit 0").identity()
    assert program("exit 0").identity() == first
    assert program("exit 1").identity() != first
    assert program("exit 0", memory_mb=256).identity() != first


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("{folder}/gone.sh", "no such program"),
        ("{folder}", "no such program"),
        ("{folder}/plain", "chmod"),
        ("{folder}/plain?gpus=some", "gpus"),
        ("sh {folder}/plain?read={folder}/gone", "no folder"),
        ("sh {folder}/plain?seconds=0", "seconds"),
    ],
)
def test_a_wrong_command_is_said_before_anything_runs(tmp_path, target, words):
    (tmp_path / "plain").write_text("exit 0")
    with pytest.raises(VesaliusError, match=words):
        open_model(f"command:{target.format(folder=tmp_path)}")


def test_gpus_are_closed_unless_they_are_asked_for_and_then_it_is_said(program, monkeypatch):
    from vesalius.models import command

    monkeypatch.setattr(command, "_nvidia_devices", lambda: ())
    with pytest.raises(VesaliusError, match="no NVIDIA devices"):
        program("exit 0", gpus="all")
    monkeypatch.setattr(command, "_nvidia_devices", lambda: (Path("/dev/null"), Path("/dev/zero")))
    assert "opens /dev/null, /dev/zero" in program("exit 0", gpus="all").check()
    assert "opens" not in program("exit 0").check()


def test_check_tries_the_limits_and_says_whose_files_nobody_can_read(program, tmp_path):
    model = program("exit 0")
    assert "16" not in model.check() and "128 MB" in model.check()
    if os.geteuid() == 0:
        (tmp_path / "team/weights").write_text("x")
        (tmp_path / "team/weights").chmod(0o600)
        with pytest.raises(VesaliusError, match=r"weights: cannot be read by others.*chmod -R a\+rX"):
            model.check()


def test_a_limit_that_cannot_be_enforced_is_an_error_and_no_answer(program, monkeypatch):
    from vesalius.sandbox import cgroups

    ran = program('echo \'{"text": "ran"}\' > /output/answer.json')
    monkeypatch.setattr(cgroups, "_mounts", lambda: {})
    with pytest.raises(VesaliusError, match="memory limit of 128 MB cannot be enforced"):
        ran.check()
    with pytest.raises(VesaliusError, match="memory limit of 128 MB cannot be enforced"):
        list(ran.answer([asked()]))
