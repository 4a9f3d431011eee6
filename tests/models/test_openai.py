"""Endpoints: what is sent, what is read, and what happens when a server misbehaves. Against a real local server."""

import gc
import json

import pytest

from vesalius.errors import VesaliusError
from vesalius.models import open_model
from vesalius.records import Answer, Message, Part, Question

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cfc0f01f0005"
    "00017f3b5c1f0a0000000049454e44ae426082"
)


def ask(words: str, id: str = "q", *media: Part) -> Question:
    return Question(id, (Message("user", (*media, Part.of_text(words))),))


def one(stub, words: str, options: str = ""):
    return next(iter(open_model(f"openai:stub@{stub.url}?timeout=5&{options}").answer([ask(words)])))


def test_an_answer_has_its_tokens_cost_and_who_served_it(stub):
    answer = one(stub, "Which?", "price=1,10")
    assert (answer.text, answer.status, answer.attempts) == ("B", "answered", 1)
    assert (answer.prompt_tokens, answer.tokens) == (10, 2)
    assert answer.cost == pytest.approx((10 * 1 + 2 * 10) / 1e6)
    assert answer.served_by == "stub-1/fp_0"


def test_images_go_as_data_urls_in_their_place_and_text_alone_as_plain_text(stub, tmp_path):
    image = tmp_path / "benign.png"
    image.write_bytes(PNG)
    model = open_model(f"openai:stub@{stub.url}?detail=low")
    body = json.loads(model._body(ask("What?", "q", Part.of("image", image))))
    picture, words = body["messages"][0]["content"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert picture["image_url"]["detail"] == "low"
    assert words == {"type": "text", "text": "What?"}
    assert "benign" not in json.dumps(body)
    assert json.loads(model._body(ask("What?")))["messages"][0]["content"] == "What?"


@pytest.mark.parametrize("trouble", ["@429", "@500", "@drop"])
def test_a_busy_or_broken_server_is_asked_again_and_the_attempts_are_counted(stub, trouble):
    answer = one(stub, f"Which? {trouble}", "retries=4")
    assert (answer.text, answer.status) == ("B", "answered")
    assert answer.attempts == (2 if trouble == "@drop" else 3)
    assert len(stub.asked) == answer.attempts


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("@always500", "broken for good"),
        ("@400", "image too large"),
        ("@garbage", "no JSON"),
        ("@nochoices", "no answer"),
    ],
)
def test_what_cannot_be_answered_is_a_failed_answer_with_its_reason(stub, trouble, reason):
    answer = one(stub, trouble, "retries=1")
    assert answer.status == "failed"
    assert reason in answer.reason


def test_a_server_that_hangs_is_given_up_after_its_time(stub):
    answer = next(iter(open_model(f"openai:stub@{stub.url}?timeout=0.3&retries=1").answer([ask("@hang")])))
    assert (answer.status, answer.attempts) == ("failed", 2)
    assert "no reply within 0.3 s" in answer.reason


@pytest.mark.parametrize(
    ("words", "status"),
    [("@refuse", "refused"), ("@filter", "refused"), ("@cut", "cut_off"), ("@empty", "empty"), ("fine", "answered")],
)
def test_refusals_cut_off_and_empty_answers_keep_their_status(stub, words, status):
    assert one(stub, words).status == status


def test_a_wrong_key_stops_at_once_and_is_said(stub):
    with pytest.raises(VesaliusError, match=r"HTTP 401: bad key .* key"):
        one(stub, "@401")


def test_a_server_that_is_not_there_is_said_once_and_not_waited_for(caplog):
    model = open_model("openai:m@http://127.0.0.1:9/v1?retries=0")
    with pytest.raises(VesaliusError, match="cannot be reached"):
        model.check()
    with pytest.raises(VesaliusError, match="cannot be reached"):
        list(model.answer(ask("?", str(i)) for i in range(100)))
    gc.collect()  # asyncio tells of errors that nobody looked at when their tasks are thrown away
    assert not caplog.records


def test_answers_that_come_together_with_the_error_that_stops_a_run_are_kept(monkeypatch):
    model = open_model("openai:m@http://localhost:1/v1?concurrency=32")

    async def one(question):
        if question.id == "7":
            raise VesaliusError("bad key")
        return Answer.of_text(question.id, "B")

    monkeypatch.setattr(model, "_one", one)
    kept = []
    with pytest.raises(VesaliusError, match="bad key"):
        kept.extend(answer.id for answer in model.answer(ask("?", str(i)) for i in range(32)))
    assert len(kept) == 31


def test_a_model_that_the_server_lacks_is_named_with_those_it_has(stub):
    with pytest.raises(VesaliusError, match=r"has no model other — it has: stub"):
        open_model(f"openai:other@{stub.url}").check()
    assert "has stub" in open_model(f"openai:stub@{stub.url}").check()


def test_newer_names_of_the_token_limit_are_found_out(stub):
    answer = one(stub, "@newname", "max_tokens=7")
    assert answer.text == "B"
    assert stub.asked[-1]["body"]["max_completion_tokens"] == 7


def test_no_more_questions_are_in_flight_than_asked_for(stub):
    import urllib.request

    model = open_model(f"openai:stub@{stub.url}?concurrency=5")
    answers = list(model.answer(ask("@slow", str(i)) for i in range(40)))
    assert sorted(int(answer.id) for answer in answers) == list(range(40))
    with urllib.request.urlopen(stub.url.replace("/v1", "/statistics")) as reply:
        assert json.load(reply)["most_in_flight"] == 5


def test_a_rate_limit_spaces_requests_evenly(monkeypatch):
    import asyncio

    model = open_model("openai:m@http://localhost:1/v1?rate=60")
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)

    async def turns():
        for _ in range(4):
            await model._turn()

    asyncio.run(turns())
    assert slept == pytest.approx([0, 1, 2, 3], abs=0.1)


def test_other_media_are_refused_with_a_remedy(stub, tmp_path):
    model = open_model(f"openai:stub@{stub.url}")
    answer = next(iter(model.answer([ask("?", "q", Part.of("slide", tmp_path / "a.svs"))])))
    assert answer.status == "failed"
    assert "takes no slide" in answer.reason
    assert "--blind" in answer.reason


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("openai:gpt", "names no endpoint"),
        ("openai:m@http://x/v1?price=cheap", "is no price"),
        ("openai:m@http://x/v1?extra=[1]", "is no JSON object"),
        ("openai:m@http://x/v1?speed=9", "has no option speed — options are: concurrency"),
        ("openai:m@http://x/v1?concurrency=0", "option concurrency"),
    ],
)
def test_a_wrong_url_is_explained(url, said):
    with pytest.raises(VesaliusError, match=said):
        open_model(url)


def test_a_proxy_of_the_environment_is_used_unless_the_host_is_excepted(stub, monkeypatch):
    monkeypatch.setenv("http_proxy", stub.url.removesuffix("/v1"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert one(stub, "Which?").text == "B"
    elsewhere = open_model("openai:stub@http://model.invalid/v1?retries=0&timeout=5")
    assert next(iter(elsewhere.answer([ask("through a proxy")]))).text == "B"
    assert stub.asked[-1]["words"] == "through a proxy"


def test_answers_that_come_together_are_yielded_before_another_question_is_taken(stub):
    taken, given, lead = 0, 0, []

    def questions():
        nonlocal taken
        for i in range(60):
            lead.append(taken - given)
            taken += 1
            yield ask("Which?", str(i))

    for _ in open_model(f"openai:stub@{stub.url}?concurrency=6").answer(questions()):
        given += 1
    assert given == 60
    assert max(lead) == 5
