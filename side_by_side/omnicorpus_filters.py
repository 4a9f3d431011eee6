"""OmniCorpus' text filters side by side: our rules and the public code's, on the same paragraphs, rule by rule.

    .venv/bin/python side_by_side/omnicorpus_filters.py --peer OMNICORPUS.git [--python PYTHON] [--data FOLDER]

Paragraphs are those that trafilatura extracts from the pages of the article-extraction benchmark, and of the JATS
articles. Each public function is called alone on the XML that it expects, and each of our rules alone, once; a
paragraph counts as taken where it is dropped or changed. The rules for documents get the same texts. Prints tables,
examples of what only one of the two took, and the time of the whole filters, and that of the preliminary heuristics
against datatrove's on words split at white space. PYTHON has trafilatura, nltk, lxml and datatrove
(side_by_side/.venv/corpus is made where none is given); NLTK's word tokenizer is used without its sentence splitter,
whose data it would fetch.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from corpus_pipeline import environment

HERE = Path(__file__).parent
PAIRS = {  # the public function → our rules, by class
    "newlines_discard": ["Newlines"],
    "underlines_split": ["Underlines"],
    "video_field_discard": ["Video"],
    "fulltext_discard": ["FullText"],
    "filter_download_links": ["DownloadLinks"],
    "filter_source_references": ["SourceReferences"],
    "uppercase_discard": ["Uppercase"],
    "numerical_discard": ["Numerical"],
    "social_media_counter_discard": ["SocialMediaCounter"],
    "one_word_discard": ["TooShort(1)"],
    "short_discard": ["Short"],
    "porn_discard": ["Adult"],
    "comments_discard": ["Comments"],
    "header_footer_discard": ["HeaderFooter", "Contact"],
    "heads_discard": ["Heads"],
    "readme_discard": ["ReadMore"],
    "url_discard": ["Url"],
    "image_caption_discard": ["ImageCaption"],
    "advertisement_discard": ["Advertisement"],
    "re_short_long_paragraphs": ["TooShort(2)"],
    "tooshort_discard": ["TooShort"],
    "aberrant_item_discard": ["AberrantItem"],
    "cite_discard": ["SquareBrackets", "References", "Contact", "Dateline", "Url", "LastBracket"],
    "square_brackets_discard": ["SquareBrackets"],
    "reference_sponsore_discard": ["References"],
    "time_person_email_phonenum_url_discard": ["Contact", "Dateline", "Url"],
    "last_bracket_parag_discard": ["LastBracket"],
    "social_media_discard": ["SocialMedia"],
    "phonenum_author_time_discard": ["Contact", "Dateline", "Byline"],
}
WHOLE = {  # of documents
    "words_discard": "Words",
    "char_discard": "Letters",
    "stop_word_discard": "StopWords",
    "document_porn_discard": "AdultShare",
    "img_txt_ratio_discard": "WordsPerImage",
    "check_paragraph_lengths": "ParagraphLengths",
}
ORDER = (
    "newlines_discard underlines_split video_field_discard fulltext_discard filter_download_links "
    "filter_source_references uppercase_discard numerical_discard social_media_counter_discard "
    "one_word_discard short_discard porn_discard comments_discard header_footer_discard heads_discard "
    "readme_discard url_discard image_caption_discard advertisement_discard re_short_long_paragraphs "
    "tooshort_discard aberrant_item_discard cite_discard social_media_discard phonenum_author_time_discard "
)
IMMUNE = ("uppercase_discard", "numerical_discard", "one_word_discard")


# What runs in the peers' Python: no vesalius there.


def extracted(pages: str) -> list:
    """Each page as [kind, text] in order."""
    import gzip

    import trafilatura
    from lxml import etree

    def own(node) -> bool:
        line = node.tag in ("p", "item") or (node.tag == "quote" and not len(node))
        return line and node.getparent().tag not in ("item", "cell", "p")

    found = []
    for page in sorted(Path(pages).glob("*.html.gz")):
        xml = trafilatura.extract(
            gzip.decompress(page.read_bytes()),
            include_comments=False,
            include_images=True,
            output_format="xml",
            fast=True,
        )
        parts: list = []
        for node in etree.fromstring(xml).iter() if xml else ():
            text = " ".join("".join(node.itertext()).split())
            if node.tag == "graphic":
                parts.append(["graphic", node.get("src", "")])
            elif text and node.tag == "row":
                parts.append(["row", " | ".join(" ".join("".join(cell.itertext()).split()) for cell in node)])
            elif text and node.tag == "head":
                parts.append([node.get("rend", "h2"), text])
            elif text and own(node):
                parts.append(["item" if node.tag == "item" else "p", text])
        found.append(parts)
    return found


def tree(parts: list):
    """The XML that the public code expects; `n` says which part a node is."""
    from lxml import etree

    root = etree.Element("doc")
    main = etree.SubElement(root, "main")
    etree.SubElement(root, "comments")
    for n, (kind, text) in enumerate(parts):
        if kind == "graphic":
            etree.SubElement(main, "graphic", src=text, n=str(n))
        elif kind == "row":
            row = etree.SubElement(etree.SubElement(main, "table"), "row", n=str(n))
            for cell in text.split(" | "):
                etree.SubElement(row, "cell").text = cell
        elif kind == "item":
            etree.SubElement(etree.SubElement(main, "list"), "item", n=str(n)).text = text
        elif kind == "p":
            etree.SubElement(main, "p", n=str(n)).text = text
        else:
            etree.SubElement(main, "head", rend=kind, n=str(n)).text = text
    # They read line numbers, so the tree is parsed again, as they would.
    return etree.fromstring(etree.tostring(root))


def public(peer: str):
    """The public module, from a checkout that has no files; jieba is for Chinese."""
    import tempfile
    import types

    folder = Path(tempfile.mkdtemp()) / "text_filter"
    folder.mkdir()
    for name in ("filters.py", "filtering_utils.py"):
        shown = ["git", "-C", peer, "show", f"HEAD:human_feedback_textfiltering/text_filter/{name}"]
        (folder / name).write_bytes(subprocess.run(shown, check=True, capture_output=True).stdout)
    (folder / "__init__.py").touch()
    sys.path.insert(0, str(folder.parent))
    sys.modules["jieba"] = types.ModuleType("jieba")
    import nltk

    nltk.word_tokenize = nltk.tokenize.NLTKWordTokenizer().tokenize
    from text_filter import filters

    return filters


def peers(ask: dict) -> dict:
    """What each public function took, by document; and times."""
    filters = public(ask["peer"])
    documents = ask["documents"]
    taken: dict[str, list] = {}
    for name in PAIRS:
        taken[name] = []
        for parts in documents:
            try:
                left, _ = getattr(filters, name)(tree(parts), **({"immutable": True} if name in IMMUNE else {}))
            except Exception as error:
                taken[name].append({"failed": repr(error)})
                continue
            now = {node.get("n"): "".join(node.itertext()) for node in left.iter() if node.get("n")}
            before = {str(n): _flat(kind, text) for n, (kind, text) in enumerate(parts) if kind != "graphic"}
            taken[name].append([int(n) for n, text in before.items() if now.get(n, "").strip() != text.strip()])
    whole: dict[str, list] = {name: [] for name in WHOLE}
    for parts in documents:
        text = "\n".join(_flat(kind, text) for kind, text in parts if kind != "graphic")
        images = sum(kind == "graphic" for kind, _ in parts)
        for name in WHOLE if text else ():
            more = (images,) if name == "img_txt_ratio_discard" else ()
            given = tree(parts) if name == "check_paragraph_lengths" else text
            whole[name].append(bool(getattr(filters, name)(given, *more)))
    trees = [tree(parts) for parts in documents]
    start = time.perf_counter()
    for xml in trees:
        for name in ORDER.split():
            xml, _ = getattr(filters, name)(xml, **({"immutable": True} if name in IMMUNE else {}))
    seconds = time.perf_counter() - start
    return {"taken": taken, "whole": whole, "seconds": seconds, "heuristics": datatrove(documents)}


def _flat(kind: str, text: str) -> str:
    return text.replace(" | ", "") if kind == "row" else text


def datatrove(documents: list) -> list:
    """Verdicts of datatrove's filters, and the time they took."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter

    modules = (gopher_quality_filter, gopher_repetition_filter, fineweb_quality_filter)
    for module in modules:
        module.split_into_words = lambda text, language: text.split()
    blocks = [
        gopher_quality_filter.GopherQualityFilter(),
        gopher_repetition_filter.GopherRepetitionFilter(),
        fineweb_quality_filter.FineWebQualityFilter(),
    ]
    texts = ["\n".join(text for kind, text in parts if kind != "graphic") for parts in documents]
    start = time.perf_counter()
    verdicts = [[block.filter(Document(text=text, id="")) is True for block in blocks] for text in texts if text]
    return [verdicts, time.perf_counter() - start]


# What runs in ours.


def asked(python: str, role: str, value) -> dict:
    """The answer of this file in the peers' Python."""
    done = subprocess.run([python, __file__, "--role", role], input=json.dumps(value), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the peers failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def document(parts: list):
    """Ours of [kind, text]."""
    from vesalius.corpus.document import Document, Heading, Image

    made = []
    for kind, text in parts:
        if kind == "graphic":
            made.append(Image(text))
        elif kind in ("p", "item", "row"):
            made.append(f"- {text}" if kind == "item" else text)
        else:
            made.append(Heading(text, int(kind[1:]) if kind[1:].isdigit() else 2))
    return Document("", tuple(made))


def articles(folder: Path) -> list:
    """The JATS articles as [kind, text]."""
    from vesalius.corpus.document import Heading, Image
    from vesalius.corpus.read.jats import read

    def kind(part) -> list:
        if isinstance(part, Image):
            return ["graphic", part.url]
        if isinstance(part, Heading):
            return [f"h{part.level}", str(part)]
        if part.startswith("- "):
            return ["item", part[2:]]
        return ["row" if " | " in part else "p", part]

    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".xml", ".nxml"))
    return [[kind(part) for part in each.parts] for path in paths for each in read(path)]


def compare(name: str, documents: list, python: str, peer: str, examples: int) -> None:
    from vesalius.corpus.filters import Page, feedback, feedback_shape
    from vesalius.corpus.filters.heuristics import PRELIMINARY
    from vesalius.corpus.filters.statistics import Statistics

    theirs = asked(python, "peers", {"peer": peer, "documents": documents})
    made = [document(parts) for parts in documents]
    rules = {type(rule).__name__: rule for rule in feedback.RULES}
    rules |= {f"TooShort({most})": feedback_shape.TooShort(most) for most in (1, 2)}
    total = sum(len(each.texts) for each in made)
    print(f"\n## {name}: {len(made)} documents, {total} paragraphs\n")
    print("| public function | ours | both | only theirs | only ours | failed | agreement |\n|" + "---|" * 7)
    shown = []
    for function, names in PAIRS.items():
        counts, failed = [0, 0, 0], 0
        for each, taken in zip(made, theirs["taken"][function], strict=True):
            if isinstance(taken, dict):
                failed += 1
                continue
            own = {
                p.at
                for p in Page(each.parts).paragraphs()
                for rule in names
                if p.kind in rules[rule].kinds and rules[rule].judge(p) not in (None, p.text)
            }
            counts[0] += len(own & set(taken))
            counts[1] += len(set(taken) - own)
            counts[2] += len(own - set(taken))
            shown += [("theirs", function, each.parts[at]) for at in set(taken) - own]
            shown += [("ours", function, each.parts[at]) for at in own - set(taken)]
        agreement = 1 - (counts[1] + counts[2]) / total
        print(f"| {function} | {' '.join(names)} | {' | '.join(map(str, counts))} | {failed} | {agreement:.4f} |")
    for side in ("theirs", "ours"):
        for function in PAIRS:
            lines = [text for who, of, text in shown if (who, of) == (side, function)]
            for line in lines[:: max(1, len(lines) // examples)][:examples]:
                print(f"only {side} {function}: {line[:160]!r}")
    print("\n| public function | ours | both drop | only theirs | only ours |\n|" + "---|" * 5)
    for function, rule in WHOLE.items():
        each_rule = next(r for r in feedback.DOCUMENT_RULES if type(r).__name__ == rule)
        own = [each_rule.judge(each) is None for each in made if each.text]
        counts = [
            sum(1 for a, b in zip(theirs["whole"][function], own, strict=True) if (a, b) == verdicts)
            for verdicts in ((False, False), (False, True), (True, False))
        ]
        print(f"| {function} | {rule} | {' | '.join(map(str, counts))} |")
    start = time.perf_counter()
    filtered = [feedback.clean(each) for each in made]
    spent = time.perf_counter() - start
    passes = sum(each.passes for each in filtered) / len(filtered)
    print(f"\nfilters: theirs one pass {theirs['seconds']:.2f} s, ours to the end ({passes:.1f} passes) {spent:.2f} s")
    own, start = [], time.perf_counter()
    for each in made:
        numbers = Statistics(each)
        if numbers.text:
            own.append([rule.weigh(each, numbers) is None for rule in PRELIMINARY])
    spent = time.perf_counter() - start
    verdicts, seconds = theirs["heuristics"]
    same = sum(a == b for one, two in zip(own, verdicts, strict=True) for a, b in zip(one, two, strict=True))
    print(f"heuristics: datatrove {seconds:.2f} s, ours {spent:.2f} s; {same} of {3 * len(own)} verdicts the same")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="a git directory of OpenGVLab/OmniCorpus")
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data" / "corpus")
    parser.add_argument("--python", help="of an environment with the peers")
    parser.add_argument("--examples", type=int, default=3)
    parser.add_argument("--role", choices=("pages", "peers"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        value = json.load(sys.stdin)
        print("\n" + json.dumps(extracted(value) if options.role == "pages" else peers(value)))
        return
    python = options.python or environment()
    pages = asked(python, "pages", str(options.data / "scrapinghub" / "html"))
    compare("pages", pages, python, options.peer, options.examples)
    compare("articles", articles(options.data / "jats"), python, options.peer, options.examples)


if __name__ == "__main__":
    main()
