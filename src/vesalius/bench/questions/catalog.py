"""The benchmarks that are known by name: what they are, where their files come from, and how a name becomes a file.

Knows names, hub places and figures to compare with. A name is looked for as a file first, then on the hub (or its
cache: `HF_HUB_OFFLINE=1` asks nobody). Leaves reading to `formats/questions`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from vesalius.errors import VesaliusError


@dataclass(frozen=True)
class Known:
    """A published benchmark.

    Attributes:
        name: as the command line takes it.
        title: as its paper calls it.
        questions: how many, of which kind.
        hub: data set on the Hugging Face hub, "" for none.
        file: its file there.
        source: the paper.
        reference: figures of the paper, to compare with.
    """

    name: str
    title: str
    questions: str
    hub: str
    file: str
    source: str
    reference: str = ""


KNOWN = (
    Known("gmai-mmbench", "GMAI-MMBench (validation)", "4,550 choices with images", "OpenGVLab/GMAI-MMBench",
          "GMAI_mm_bench_VAL.tsv", "arXiv 2408.03361", "random 25.7, GPT-4o 53.5, InternVL-Chat-V1.5 38.9"),
    Known("slidebench-tcga", "SlideBench-VQA (TCGA)", "7,827 choices on slides", "General-Medical-AI/SlideChat",
          "SlideBench-VQA-TCGA.csv", "arXiv 2410.11761", "SlideChat 81.2"),
    Known("slidebench-bcnb", "SlideBench-VQA (BCNB)", "7,247 choices on slides", "General-Medical-AI/SlideChat",
          "SlideBench-VQA-BCNB.csv", "arXiv 2410.11761", "SlideChat 54.1"),
    Known("proteinlmbench", "ProteinLMBench", "944 choices of six, text", "tsynbio/ProteinLMBench",
          "ProteinLMBench.json", "arXiv 2406.05540", "InternLM2-protein 62.2"),
    Known("vqa-rad", "VQA-RAD", "yes/no and open questions on radiology images", "", "", "Lau et al. 2018"),
)  # fmt: skip


def locate(name_or_file: str) -> tuple[Path, str]:
    """A benchmark's file and its name in tables: a path, a name of `KNOWN`, or `hub:OWNER/NAME/FILE`.

    Raises:
        VesaliusError: there is no such file, name, or no way to the hub.
    """
    path = Path(name_or_file)
    if path.is_file():
        return path, _plain(path.stem)
    if name_or_file.startswith("hub:"):
        owner, _, rest = name_or_file.removeprefix("hub:").partition("/")
        data, _, file = rest.partition("/")
        if owner and data and file:
            return _download(f"{owner}/{data}", file), _plain(Path(file).stem)
    for known in KNOWN:
        if known.name == name_or_file:
            if not known.hub:
                problem, remedy = f"{known.title} has no place on a hub", "download it and name its JSON file"
                raise VesaliusError(problem, remedy=remedy, code="benchmark")
            return _download(known.hub, known.file), known.name
    remedy = f"name a file, hub:OWNER/NAME/FILE, or one of {', '.join(known.name for known in KNOWN)}"
    raise VesaliusError(f"«{name_or_file}» is no file and no benchmark", remedy=remedy, code="benchmark")


def _plain(stem: str) -> str:
    """A file's name as a benchmark's: it stands in tables, keys and links."""
    return re.sub(r"\W+", "-", stem).strip("-") or "questions"


def _download(hub: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(hub, file, repo_type="dataset"))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        problem = f"{hub} · {file} cannot be had from the hub ({str(error).splitlines()[0][:200]})"
        remedy = "download the file where there is a network, and name it instead"
        raise VesaliusError(problem, remedy=remedy, code="hub") from None
