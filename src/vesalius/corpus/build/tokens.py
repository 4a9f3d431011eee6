"""How many tokens a document has for a language model, where the recipe names one.

Knows tokenizers as Hugging Face keeps them (`tokenizer.json`).
"""

from functools import lru_cache
from pathlib import Path

from vesalius.corpus.document import Document
from vesalius.errors import VesaliusError
from vesalius.run import file_stamp, fingerprint


def stamp(name: str) -> str:
    """Of the tokenizer; loads it, so that a wrong one is told before hours are spent.

    Raises:
        VesaliusError: code `model`, there is none; `packages`.
    """
    _loaded(name)
    return fingerprint(name, file_stamp(_file(name)) if Path(name).exists() else "")


def tokens(document: Document, name: str) -> int:
    """Of its paragraphs, a line break between two, without special tokens.

    Args:
        document: any.
        name: a folder with `tokenizer.json`, such a file, or a name on a hub.
    """
    return len(_loaded(name).encode(document.text, add_special_tokens=False).ids)


def _file(name: str) -> Path:
    path = Path(name)
    return path / "tokenizer.json" if path.is_dir() else path


@lru_cache(maxsize=1)
def _loaded(name: str):
    try:
        from tokenizers import Tokenizer
    except ImportError:
        remedy = "pip install tokenizers"
        raise VesaliusError("counting tokens needs the package tokenizers", remedy=remedy, code="packages") from None
    try:
        found = Tokenizer.from_file(str(_file(name))) if Path(name).exists() else Tokenizer.from_pretrained(name)
    except Exception as error:  # tokenizers has no errors of its own
        problem = f"cannot be loaded as a tokenizer ({str(error).splitlines()[0][:200]})"
        remedy = "give a folder with tokenizer.json, or a name on a hub that can be reached"
        raise VesaliusError(problem, file=name, remedy=remedy, code="model") from None
    found.no_truncation()
    found.no_padding()
    return found
