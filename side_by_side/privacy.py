"""Recall and precision of `vesalius.privacy`, by kind, beside Presidio's own recognisers on the same model.

    .venv/bin/python side_by_side/privacy.py [--data FOLDER] [--notes FILE.jsonl ...] [--model MODEL] [--presidio]

Sets: made-up notes (tests/privacy/phi_made_up.py), the annotated sentences of ../shared/data/phi, and each FILE of
lines {"text": …, "spans": [{"begin" or "start", "end", "label"}]}, such as `meddeid-data sample --output FILE` writes.
A title at a span's start is left out of it. A span is found where all of its letters and digits are gone, under
whatever name. Then what is found in bibliographies, author lists and bodies of the JATS articles, where nothing should
be, and characters a second. `--presidio` does the same with AnalyzerEngine and its default recognisers (which ask for a
list of domains on the network), `--missed` prints what was missed.
"""

import argparse
import json
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import ClassVar

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests/privacy"))

from phi_made_up import notes  # noqa: E402
from phi_scores import articles, presidio, score  # noqa: E402

from vesalius.privacy import MODEL, Finding, Scrubbed, Scrubber  # noqa: E402


class Presidio:
    """Presidio with its default recognisers for English; findings of all entities that our kinds have."""

    entities: ClassVar = {
        "PERSON": "name", "PHONE_NUMBER": "phone", "EMAIL_ADDRESS": "email", "US_SSN": "id number",
        "IP_ADDRESS": "ip address",
        "CREDIT_CARD": "account", "IBAN_CODE": "account", "UK_NHS": "record number", "MEDICAL_LICENSE": "id number",
        "US_DRIVER_LICENSE": "id number", "US_PASSPORT": "id number", "US_BANK_NUMBER": "account",
    }  # fmt: skip

    def __init__(self, model: str):
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import SpacyNlpEngine

        engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": model}])
        self.analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])

    def scrub_many(self, texts):
        for text in texts:
            results = self.analyzer.analyze(text, "en", entities=list(self.entities), score_threshold=0.4)
            found = [Finding(self.entities[r.entity_type], r.start, r.end, r.score, "presidio") for r in results]
            yield Scrubbed(text, tuple(found))


def jsonl(path: Path) -> list:
    made = []
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        spans = []
        for span in row["spans"]:
            start, end = span.get("begin", span.get("start")), span["end"]
            title = re.match(r"(?:Dr|Prof|Mrs?|Ms|Miss)\.? ", row["text"][start:end])
            spans.append((start + (title.end() if title else 0), end, span["label"]))
        made.append((row["text"], spans))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared/data")
    parser.add_argument("--notes", type=Path, nargs="*", default=[])
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--presidio", action="store_true")
    parser.add_argument("--missed", action="store_true", help="print what was missed")
    options = parser.parse_args()
    scrubber = Presidio(options.model) if options.presidio else Scrubber(model=options.model)
    sets = {split: list(notes(split, 2, 600)) for split in ("development", "held out")}
    for name in ("presidio_synth_dataset_v2", "presidio_generated_small"):
        if (path := options.data / f"phi/{name}.json").exists():
            sets[name] = presidio(path)
    sets |= {path.name: jsonl(path) for path in options.notes}
    for name, made in sets.items():
        start = time.perf_counter()
        scores = score(made, scrubber.scrub_many(text for text, _ in made))
        speed = sum(len(text) for text, _ in made) / (time.perf_counter() - start)
        print(f"\n{name}: {len(made)} texts, {speed:,.0f} characters/s")
        for kind in sorted(scores.spans | scores.findings):
            hits, spans, right, findings = (c[kind] for c in (scores.hits, scores.spans, scores.right, scores.findings))
            recall = f"{hits / spans:6.3f} {hits:5}/{spans:<5}" if spans else " " * 18
            print(f"  {kind:28} {recall} {f'{right / findings:6.3f} {right:5}/{findings}' if findings else ''}")
        for kind, text in scores.missed if options.missed else ():
            print(f"    missed {kind}: {text!r}")
    if (options.data / "corpus/jats").exists():
        for name, texts in articles(options.data / "corpus/jats").items():
            start = time.perf_counter()
            found = [one for made in scrubber.scrub_many(texts) for one in made.findings]
            speed = sum(map(len, texts)) / (time.perf_counter() - start)
            words = sum(len(text.split()) for text in texts)
            counts = dict(Counter(one.kind for one in found))
            print(
                f"\n{name}: {len(texts)} texts, {words:,} words, {speed:,.0f} characters/s: found {counts or 'nothing'}"
            )


if __name__ == "__main__":
    main()
