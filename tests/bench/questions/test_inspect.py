"""Benchmarks as Inspect tasks, run by Inspect's own command through the entry point."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("inspect_ai")


def test_inspect_evaluates_a_benchmark_by_the_entry_point_and_scores_as_we_do(tmp_path, stub):
    rows = [{"id": i, "question": f"Which {i}?", "options": ["a", "b"], "answer": "AB"[i % 2]} for i in range(6)]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, rows)))
    command = [
        Path(sys.executable).with_name("inspect"),
        "eval",
        "vesalius/questions",
        "-T",
        f"file={tmp_path}/set.jsonl",
    ]
    command += [
        "--model",
        "openai-api/stub/stub",
        "--display",
        "plain",
        "--log-dir",
        tmp_path / "logs",
        "--log-format",
        "json",
    ]
    given = {"STUB_API_KEY": "x", "STUB_BASE_URL": stub.url, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run(command, env=os.environ | given, check=True, capture_output=True, timeout=120)
    log = json.loads(next((tmp_path / "logs").glob("*.json")).read_text())
    assert log["status"] == "success"
    assert log["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 0.5
    scores = [sample["scores"]["as_vesalius"] for sample in log["samples"]]
    assert {(score["answer"], score["metadata"]["status"]) for score in scores} == {("B", "answered")}
    assert len(stub.asked) == 6
