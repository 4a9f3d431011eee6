"""Models of the Hugging Face ecosystem: `hf:NAME_OR_PATH`, image-text-to-text or text, GGUF files too, on any device.

Knows chat templates, batches, greedy and sampled generation, and the likelihood of options: with `likelihood=letter`
that of each letter after the prompt, with `text` that of each option's words, with `text_norm` the same by character.
The prompt is read once, whatever the number of options. Leaves what is asked to callers.

Greedy answers move a little with the batch size, so it is part of the model's identity.
"""

import copy
import inspect
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from vesalius.errors import VesaliusError
from vesalius.models.media import picture
from vesalius.models.prompt import LETTERS
from vesalius.models.protocol import Generation
from vesalius.records import Answer, Question, to_chat
from vesalius.run import file_stamp


class Options(Generation):
    """Options of a local model."""

    device: str = Field("auto", description="cuda, cuda:1, mps, cpu, or auto; device_map=auto spreads over GPUs.")
    dtype: str = Field("auto", description="bfloat16, float16, float32; auto: the checkpoint's, float32 on a CPU.")
    batch: int = Field(1, ge=1, description="Questions at once.")
    revision: str = Field("main", description="Branch, tag or commit of a model on a hub.")
    template: str = Field("", description="File with another chat template.")
    likelihood: Literal["", "letter", "text", "text_norm"] = Field(  # type: ignore[assignment]
        "", description="Score options instead of generating: by letter, text, or text by character."
    )
    trust_remote_code: bool = Field(False, description="Run code that a checkpoint brings.")


class Local:
    """See the module."""

    def __init__(self, target: str, name: str, options: Options):
        self.target = target
        self.name = name
        self.options = options
        self._loaded: tuple[Any, Any] | None = None
        self.sees = False
        self._gguf: dict[str, Any] = {}  # functions of the library that remember what they gave

    @property
    def media(self) -> frozenset[str]:
        """Images where the checkpoint is image-text-to-text."""
        return frozenset({"image"} if self.sees else ())

    def identity(self) -> dict[str, Any]:
        """The checkpoint (its commit, or its files' sizes and times), and every setting."""
        settings = self.options.model_dump(exclude={"device", "trust_remote_code", "template"})
        template = Path(self.options.template).read_text() if self.options.template else ""
        return {"backend": "hf", "model": self.target, "weights": self._weights(), "template": template, **settings}

    def _weights(self) -> Any:
        path = Path(self.target)
        if path.exists():
            return [[Path(name).name, size, time_ns] for name, size, time_ns in file_stamp(path)]
        return getattr(self.config, "_commit_hash", None) or self.options.revision

    def _where(self) -> dict[str, Any]:
        """What transformers' `from_pretrained` is told, GGUF files included."""
        path = Path(self.target)
        more = {"trust_remote_code": self.options.trust_remote_code}
        if path.suffix == ".gguf":
            return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, **more}
        return {"pretrained_model_name_or_path": self.target, "revision": self.options.revision, **more}

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Reads a GGUF file once. transformers reads it for configuration, weights and tokenizer anew, and asks for the
        names of its tensors once a module, which together is more than half of its time.
        """
        if Path(self.target).suffix != ".gguf" or find_spec("gguf") is None:
            yield
            return
        import gguf

        own: dict[str, Any] = {
            "GGUFReader": gguf.gguf_reader.GGUFReader,
            "get_tensor_name_map": gguf.tensor_mapping.get_tensor_name_map,
        }
        self._gguf = self._gguf or {name: cache(function) for name, function in own.items()}
        vars(gguf).update(self._gguf)
        try:
            yield
        finally:
            vars(gguf).update(own)

    @cached_property
    def config(self) -> Any:
        """The checkpoint's configuration; a GGUF file takes seconds to give it.

        Raises:
            VesaliusError: there is no such model.
        """
        from transformers import AutoConfig

        try:
            with self._reading():
                return AutoConfig.from_pretrained(**self._where())
        except (OSError, ValueError, KeyError) as error:
            remedy = "name a folder, a .gguf file, or a model on a hub that can be reached"
            problem = f"cannot be opened as a model ({str(error).splitlines()[0]})"
            raise VesaliusError(problem, file=self.target, remedy=remedy, code="model") from None

    def check(self) -> str:
        """Reads the configuration, not the weights."""
        kind = "image-text-to-text" if self._is_image_text() else "text"
        return f"{kind} model of type {self.config.model_type}"

    def _is_image_text(self) -> bool:
        from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as NAMES

        return self.config.model_type in NAMES

    def load(self) -> tuple[Any, Any]:
        """The model and its processor (a tokenizer, for text models).

        Raises:
            VesaliusError: files are missing or broken, no chat template, not enough memory.
        """
        if self._loaded is None:
            import torch
            from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

            self.sees = self._is_image_text()
            kind = AutoModelForImageTextToText if self.sees else AutoModelForCausalLM
            device = self.options.device
            if device == "auto":
                device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
            dtype: Any = self.options.dtype
            if dtype == "auto" and device == "cpu":
                dtype = "float32"
            spread = device == "device_map=auto"
            try:
                with self._reading():
                    model = kind.from_pretrained(
                        **self._where(), config=self.config, dtype=dtype if dtype == "auto" else getattr(torch, dtype),
                        **({"device_map": "auto"} if spread else {}),
                    )  # fmt: skip
                    processor = (AutoProcessor if self.sees else AutoTokenizer).from_pretrained(**self._where())
            except (OSError, ValueError, KeyError, ImportError, AttributeError, RuntimeError) as error:
                problem = f"cannot be loaded ({str(error).strip().splitlines()[0]})"
                remedy = "are all files there, and its libraries installed?"
                raise VesaliusError(problem, file=self.target, remedy=remedy, code="model") from None
            if not spread:
                model.to(device)  # type: ignore[arg-type]
            model.eval()
            self._gguf = {}
            self._loaded = (model, self._ready(processor))
        return self._loaded

    def _ready(self, processor: Any) -> Any:
        tokenizer = getattr(processor, "tokenizer", processor)
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        if self.options.template:
            processor.chat_template = Path(self.options.template).read_text()
        if not getattr(processor, "chat_template", None) and not tokenizer.chat_template:
            remedy = "give one: ?template=FILE.jinja"
            raise VesaliusError("has no chat template", file=self.target, remedy=remedy, code="model")
        return processor

    def answer(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """Batches of answers; a batch that fails is asked one by one."""
        self.load()
        if self.options.temperature > 0:
            import torch

            torch.manual_seed(self.options.seed)
        questions = iter(questions)
        while batch := list(islice(questions, self.options.batch)):
            yield from self._batch(batch)

    def _batch(self, batch: Sequence[Question]) -> list[Answer]:
        start = time.perf_counter()
        work = self._likely if self.options.likelihood else self._generate
        try:
            answers = work(batch)
        except (RuntimeError, ValueError, IndexError, VesaliusError, MemoryError) as error:  # torch's memory errors too
            if len(batch) > 1:
                return [answer for question in batch for answer in self._batch([question])]
            return [
                Answer(
                    batch[0].id, status="failed", reason=str(error).splitlines()[0][:300] if str(error) else "failed"
                )
            ]
        seconds = (time.perf_counter() - start) / len(batch)
        return [replace(answer, seconds=seconds) for answer in answers]

    def _inputs(self, batch: Sequence[Question]) -> Any:
        """Tokens (and pixels) of the prompts: batch × longest prompt, padded on the left."""
        model, processor = self.load()
        chats = [to_chat(question.messages, self.media) for question in batch]
        if self.sees:  # the processor puts images where its model wants them
            for part in (part for chat in chats for message in chat for part in message["content"]):
                if part["type"] == "image":
                    part["image"] = picture(part.pop("path"))
        else:
            chats = [[m | {"content": "".join(p["text"] for p in m["content"])} for m in chat] for chat in chats]
        how: dict[str, Any] = {"padding": True, "return_tensors": "pt"}
        if self.sees:
            how = {"processor_kwargs": how}
        inputs = processor.apply_chat_template(
            chats, add_generation_prompt=True, tokenize=True, return_dict=True, **how
        )
        return inputs.to(model.device, model.dtype) if self.sees else inputs.to(model.device)

    def _generate(self, batch: Sequence[Question]) -> list[Answer]:
        import torch

        model, processor = self.load()
        tokenizer = getattr(processor, "tokenizer", processor)
        inputs = self._inputs(batch)
        o = self.options
        how: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if o.temperature > 0:
            how = {"do_sample": True, "temperature": o.temperature, "top_p": o.top_p, "top_k": 0}
        if o.stop:
            how |= {"stop_strings": list(o.stop), "tokenizer": tokenizer}
        with torch.inference_mode():
            made = model.generate(**inputs, max_new_tokens=o.max_tokens, pad_token_id=tokenizer.pad_token_id, **how)
        width = inputs["input_ids"].shape[1]
        ends = model.generation_config.eos_token_id
        ends = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}
        answers = []
        for question, mask, row in zip(batch, inputs["attention_mask"], made[:, width:].tolist(), strict=True):
            length = next((i for i, token in enumerate(row) if token in ends), len(row))
            text = tokenizer.decode(row[:length], skip_special_tokens=True)
            for stop in o.stop:
                text = text.split(stop)[0]
            cut = length == o.max_tokens and not any(text.endswith(stop) for stop in o.stop)
            more: dict[str, Any] = {"prompt_tokens": int(mask.sum()), "tokens": length}
            if cut:
                more |= {"status": "cut_off", "reason": f"cut off at {o.max_tokens} tokens"}
            answers.append(Answer.of_text(question.id, text, **more))
        return answers

    def _likely(self, batch: Sequence[Question]) -> list[Answer]:
        return [self._likely_one(question) for question in batch]

    def _likely_one(self, question: Question) -> Answer:
        """Log-likelihood of every option after the prompt; the answer's text is the letter of the likeliest."""
        options = question.options or (("Yes", "No") if question.type == "yes_no" else ())
        if not options:
            return Answer(question.id, status="failed", reason="has no options whose likelihood could be compared")
        by_letter = self.options.likelihood == "letter" and question.options
        words = list(LETTERS[: len(options)]) if by_letter else list(options)
        inputs = self._inputs([question])
        sums, lengths = self._continuations(inputs, words)
        per = [1] * len(words) if self.options.likelihood != "text_norm" else lengths
        values = tuple(s / n for s, n in zip(sums, per, strict=True))
        best = max(range(len(values)), key=values.__getitem__)
        text = LETTERS[best] if question.options else words[best]
        tokens = int(inputs["attention_mask"].sum())
        return Answer.of_text(question.id, text, likelihoods=values, prompt_tokens=tokens, tokens=0)

    def _continuations(self, inputs: Any, words: Sequence[str]) -> tuple[list[float], list[int]]:
        """Sum of log-likelihoods of each continuation, and its length in characters; the prompt is read once."""
        import torch

        model, processor = self.load()
        tokenizer = getattr(processor, "tokenizer", processor)
        tokens = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
        with torch.inference_mode():
            read = model(**inputs, use_cache=True, logits_to_keep=1)
            # transformers 5.24 renames the cache, for some models before others.
            name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
            first = torch.log_softmax(read.logits[0, -1].float(), -1)
            sums = [float(first[row[0]]) for row in tokens]
            longest = max(map(len, tokens))
            if longest > 1:
                cache = copy.deepcopy(read.get(name) or read.past_key_values)
                cache.batch_repeat_interleave(len(tokens))
                ids = torch.tensor([row + [0] * (longest - len(row)) for row in tokens], device=first.device)
                seen = inputs["attention_mask"].repeat(len(tokens), 1)
                mask = torch.cat([seen, torch.ones_like(ids[:, :-1])], 1)
                logits = model(input_ids=ids[:, :-1], attention_mask=mask, **{name: cache}).logits
                after = torch.log_softmax(logits.float(), -1)
                for i, row in enumerate(tokens):
                    sums[i] += sum(float(after[i, t, token]) for t, token in enumerate(row[1:]))
        return sums, [len(word) for word in words]

    def close(self) -> None:
        """Frees the weights."""
        self._loaded = None


def connect(target: str, name: str, options: Options) -> Local:
    """`hf:NAME_OR_PATH`; nothing is loaded before the first question."""
    return Local(target, name, options)
