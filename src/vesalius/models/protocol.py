"""Who answers: the protocol that every model keeps, and how a short URL names one.

    hf:NAME_OR_PATH   openai:MODEL@BASE_URL   files:PATH   command:PROGRAM   container:IMAGE   random:SEED
    monai:BUNDLE   command:nnunet?model=FOLDER   command:totalsegmentator
    sam3d:FOLDER   seeds:      (prompted by clicks: promptable.py)

A URL may carry a name in front (`mine=hf:out/`) and options behind (`hf:out/?device=cuda&batch=8`). Each backend is a
file of its own, imported when it is named. Leaves asking durably (what is done, retries, accounts) to `asking.py`, and
how options become a prompt to `prompt.py`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Annotated, Any, Protocol
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from vesalius.errors import VesaliusError
from vesalius.records import Answer, Question

# Where each backend lives: a module with a function `connect(target: str, name: str, options: …) -> Model`, and the
# pydantic class of its options, `Options`.
BACKENDS = {
    "hf": "vesalius.models.hf",
    "openai": "vesalius.models.openai",
    "files": "vesalius.models.files",
    "command": "vesalius.models.command",
    "container": "vesalius.models.container",
    "monai": "vesalius.models.monai",
    "random": "vesalius.models.random",
    "sam3d": "vesalius.models.sam3d",
    "seeds": "vesalius.models.seeds",
}
_NO_TARGET = ("seeds",)  # it opens nothing: `seeds:` is the whole URL
# Programs that `command:` knows by name: their folders, label maps and command lines.
PRESETS = {
    "nnunet": "vesalius.models.presets.nnunet",
    "totalsegmentator": "vesalius.models.presets.totalsegmentator",
}
_URL = re.compile(rf"(?:(?P<name>[^=:/?&]+)=)?(?P<backend>{'|'.join(BACKENDS)}):(?P<rest>.*)", re.DOTALL)
_OPTIONS = re.compile(r"\?(?=[a-z_]+=[^?]*$)")  # a Windows path or a glob may hold a question mark of its own


def _listed(value: Any) -> Any:
    return tuple(value.split("|")) if isinstance(value, str) else value


class Generation(BaseModel):
    """How an answer is made; options that every backend understands, and part of what an answer depends on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: int = Field(512, ge=1, description="Tokens generated at most.")
    temperature: float = Field(0.0, ge=0, description="0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling.")
    seed: int = Field(0, description="Of sampling.")
    stop: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field((), description="Ends an answer; | between.")
    likelihood: bool = Field(False, description="Score the options instead of generating (local models).")


class Model(Protocol):
    """Anything that answers questions.

    Attributes:
        name: how tables call it.
        media: the kinds of parts it takes besides text.

    A model whose answers exist already may have `sent_in = True`: nobody needs the media, and its cases have their
    owner's names.
    """

    name: str
    media: frozenset[str]

    def identity(self) -> dict[str, Any]:
        """All that an answer depends on besides the question: backend, model, revision, endpoint, settings.

        It is hashed into the key under which an answer is kept; what is left out makes old answers pass for new ones.
        What only changes speed (concurrency, time limits) stays out.
        """

    def check(self) -> str:
        """Tries cheaply whether the model can answer (files, endpoint, weights) and says what was found, in a line.

        Raises:
            VesaliusError: it cannot.
        """

    def answer(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """Answers, in any order, each with its question's id; exactly one for each question.

        Questions are taken one by one, as many as are worked on at once; each `next` on them may write what came so
        far to disk. What goes wrong with one question becomes an Answer with status "failed", never an exception;
        an exception means that no question can be answered (no endpoint, no memory).
        """

    def close(self) -> None:
        """Gives back what it holds."""


@dataclass(frozen=True)
class ModelUrl:
    """A model's URL, taken apart.

    Attributes:
        name: as given, or the URL without its options.
        backend: one of `BACKENDS`.
        target: what the backend opens.
        options: as text.
    """

    name: str
    backend: str
    target: str
    options: dict[str, str] = field(default_factory=dict)


def parse_url(url: str) -> ModelUrl:
    """Takes a model's URL apart.

    Raises:
        VesaliusError: there is no such backend.

    >>> parse_url("small=hf:out/checkpoint?device=cpu&batch=4")
    ModelUrl(name='small', backend='hf', target='out/checkpoint', options={'device': 'cpu', 'batch': '4'})
    """
    found = _URL.fullmatch(url.strip())
    if not found or not (found["rest"] or found["backend"] in _NO_TARGET):
        remedy = f"write one of {', '.join(f'{b}:…' for b in BACKENDS)}; a name may stand in front: mine=hf:out/"
        raise VesaliusError(f"«{url}» names no model", remedy=remedy, code="model")
    target, *options = _OPTIONS.split(found["rest"], maxsplit=1)
    given = dict(parse_qsl(options[0], keep_blank_values=True)) if options else {}
    name = found["name"] or (f"{found['backend']}:{target}" if target else found["backend"])
    return ModelUrl(name, found["backend"], target, given)


def open_model(url: str, **defaults: Any) -> Model:
    """The model that a URL names, not yet loaded.

    Args:
        url: see `parse_url`.
        defaults: generation settings and backend options for what the URL leaves open; those that the backend does
            not know are dropped.

    Raises:
        VesaliusError: no such backend, an unknown or wrong option, a library that is not installed.
    """
    parsed = parse_url(url)
    preset = PRESETS.get(parsed.target) if parsed.backend == "command" else None
    module = import_module(preset or BACKENDS[parsed.backend])
    known = module.Options.model_fields
    given = {k: v for k, v in defaults.items() if k in known and v is not None} | parsed.options
    try:
        options = module.Options(**given)
    except ValidationError as error:
        raise bad_option(url, error, known) from None
    return module.connect(parsed.target, parsed.name, options)


def bad_option(url: str, error: ValidationError, known: dict[str, Any]) -> VesaliusError:
    """What pydantic said of a URL's options, for a person."""
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        remedy = f"options are: {', '.join(sorted(known))}"
        return VesaliusError(f"has no option {name}", file=url, remedy=remedy, code="model")
    return VesaliusError(f"option {name}: {first['msg'].lower()}", file=url, remedy="correct it", code="model")
