"""Which option an answer in words names, by rules; nothing is ever guessed.

Knows how models write: markdown, `\\boxed{}`, thinking, «Option 3», the option's own words, refusals, English and
Chinese. The last explicit answer counts; what names several options where one is asked for, or none, is not read, and
says so. Leaves how options were ordered to its callers: places are those in the order asked.

The order of the rules: what stands in `\\boxed{}` or `<answer>`, then statements («the answer is …»), then an answer that
is a letter and little else, then an option's own words, then the one letter that stands alone in a short answer.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from vesalius.models.prompt import LETTERS


@dataclass(frozen=True)
class Reading:
    """What was read.

    Attributes:
        places: options named, as places in the order asked; empty where none could be read.
        status: "answered", "unparsed", "refused", "empty" or "cut_off".
        rule: which rule read it, or why none did.
        conflict: a letter and the words after it name different options; the letter, which was asked for, counts.
    """

    places: tuple[int, ...]
    status: str
    rule: str
    conflict: bool = False


_THINK = re.compile(r"<(think|thinking|thought|reasoning|analysis)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_OPEN = re.compile(r"<(think|thinking|thought|reasoning|analysis)>", re.IGNORECASE)
_CLOSE = re.compile(r"</(think|thinking|thought|reasoning|analysis)>", re.IGNORECASE)
_TAG = re.compile(r"<(answer|final_answer|final|option|choice)>(.*?)(?:</\1>|$)", re.DOTALL | re.IGNORECASE)
_WRAP = re.compile(r"\\(?:text|textbf|mathbf|mathrm|mathbb|textit|rm|bf)\s*\{([^{}]*)\}")
_REFUSES = re.compile(
    r"\b(i(?:['’]m| am) (?:sorry|unable|not able)|i can(?:not|['’]t|not) (?:provide|answer|determine|assist|help|view|see|"
    r"give|diagnose|make|identify|interpret|tell)|i (?:do not|don['’]t) (?:know|have (?:access|enough|the ability))|"
    r"as an ai\b|unable to (?:answer|determine|provide|view|see|analy[sz]e|access)|"
    r"(?:cannot|can['’]t|could not) be (?:determined|answered)|no image (?:is |was |has been )?(?:provided|attached)|"
    r"consult (?:a|your) (?:doctor|physician|healthcare|medical))"
    r"|抱歉|对不起|无法(?:回答|确定|判断|查看|提供|看到)|我不能|不能(?:回答|确定|判断)|我不知道",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"(?:\b(?:not|isn['’]t|never|neither|nor|rather than|instead of|except|excluding|unlike|incorrect(?:ly)?|wrong|"
    r"rule[sd]? out|eliminate[sd]?|exclude[sd]?)\b|不是|不选|排除|并非)[^.;。；\n]{0,12}$",
    re.IGNORECASE,
)
_WRONG_AFTER = re.compile(
    r"^[\s)\].:,，、]*(?:(?:is|are|was|were|would be|seems?|can be|could be)\s+(?:also\s+|both\s+)?(?:not\b|in(?:correct|accurate)|"
    r"wrong|false|unlikely|ruled out|excluded|eliminated|less likely)|isn['’]t|aren['’]t|不正确|不对|错误|是错)",
    re.IGNORECASE,
)
_STATEMENT = re.compile(
    r"(?:(?:final|correct|right|best|most (?:likely|appropriate|suitable|accurate|probable)|my|the|an)\s+){0,4}"
    r"(?:answers?|options?|choices?|selections?|responses?)\s*(?:(?:letter|option|number|to this question)\s*)?"
    r"(?:here\s*)?(?:is|are|was|would be|should be|must be|will be|seems to be|appears to be|=|:|：|->|→)+\s*"
    r"|\b(?:i(?:['’]d| would| will| shall|['’]ll)?\s+(?:choose|select|pick|go (?:with|for)|opt for|say|answer|vote for)|"
    r"(?:we|you)\s+(?:should\s+)?(?:choose|select|pick)|choose|select|therefore|thus|hence|so),?\s*(?:is\s+)?:?\s*"
    r"|(?:(?:最终|正确|最佳)?(?:的)?(?:答案|选项)|应该?选|故选|所以选|因此选|选择|我选|本题选|选)\s*(?:应该是|应为|应该为|就是|是|为|：|:)?\s*",
    re.IGNORECASE,
)
_IS_RIGHT = (
    r"[\s)\].,*]*(?:\([^()]*\)\s*)?(?:is|are|seems?|would be|appears to be|looks|must be|should be)\s+"
    r"(?:(?:also|both|all|most likely|probably|clearly|definitely)\s+)?(?:the\s+)?(?:(?:most|best|only)\s+)?"
    r"(?:correct|right|true|accurate|appropriate|answer|likely|best|consistent)"
    r"|[\s)\].]*(?:正确|是正确|对)"
)
_FILLER = re.compile(
    r"^(?:[\s\"'“”‘’*_`#>:：\-–—]|(?:clearly|probably|likely|definitely|most likely|therefore|thus|that|the|indeed|simply|just|"
    r"actually|either|both|option|choice|letter|answer|number|are|is|选项|选择|答案)\b[\s:：]*(?!$)|选项|选择|答案)*",
    re.IGNORECASE,
)


def read_choice(text: str, options: Sequence[str], *, several: bool = False, cut_off: bool = False) -> Reading:
    """The option (or options) that an answer names.

    Args:
        text: the answer as it came.
        options: texts in the order asked.
        several: whether several may be right.
        cut_off: the model stopped at its token limit; what can be read is read all the same.

    Returns:
        The reading; one place where `several` is false.

    >>> read_choice("**Answer: (B)** because of the opacity", ["Normal", "Pneumonia"]).places
    (1,)
    >>> read_choice("It is either A or B.", ["Normal", "Pneumonia"]).status
    'unparsed'
    """
    if not text.strip():
        return Reading((), "cut_off" if cut_off else "empty", "nothing was said")
    words, thinking = _without_thinking(text)
    if thinking:
        return Reading((), "cut_off", "thinking never ended")
    words = _plain(words)
    if not words.strip():
        return Reading((), "cut_off" if cut_off else "empty", "nothing but thinking")
    reader = _Reader(options, several)
    for rule in (reader.boxed, reader.tagged, reader.stated, reader.bare, reader.own_words, reader.alone):
        found = rule(words)
        if found is None:
            continue
        weak = rule in (reader.own_words, reader.alone)
        if weak and _REFUSES.search(words):
            break
        if isinstance(found, str):
            return Reading((), "unparsed", found)
        return Reading(found, "answered", rule.__name__.replace("_", " "), reader.conflict)
    if _REFUSES.search(words):
        return Reading((), "refused", "refuses")
    return Reading((), "cut_off" if cut_off else "unparsed", "names no option")


def read_yes_no(text: str, *, cut_off: bool = False) -> Reading:
    """Yes (place 0) or no (place 1), in English or Chinese.

    >>> read_yes_no("No, there is no pneumothorax.").places
    (1,)
    """
    if not text.strip():
        return Reading((), "cut_off" if cut_off else "empty", "nothing was said")
    words, thinking = _without_thinking(text)
    if thinking:
        return Reading((), "cut_off", "thinking never ended")
    words = _plain(words).strip()
    for pattern, rule in (
        (r"\[\[(yes|no)\]\]", "boxed"),
        (r"(?:final |correct )?answers?\s*(?:is|:|would be|should be)\s*[\"'“(]*(yes|no)\b", "stated"),
        (r"^[\W_]*(yes|no)\b", "bare"),
        (r"^[\W_]*(是的?|有|对|存在|不是|没有|否|不存在|无)(?:[\W_]|$)", "bare"),
        (r"\b(yes|no)[\W_]*$", "last word"),
    ):
        found = re.findall(pattern, words, re.IGNORECASE)
        if found:
            word = found[-1].lower()
            return Reading((1 if word in ("no", "不是", "没有", "否", "不存在", "无") else 0,), "answered", rule)
    said = {word.lower() for word in re.findall(r"\b(yes)\b", words, re.IGNORECASE)}
    if len(said) == 1 and not re.search(r"\bno\b", words, re.IGNORECASE):
        return Reading((0,), "answered", "alone")
    if _REFUSES.search(words):
        return Reading((), "refused", "refuses")
    return Reading((), "cut_off" if cut_off else "unparsed", "says neither yes nor no")


def _without_thinking(text: str) -> tuple[str, bool]:
    """The text after all thinking, and whether thinking never ended."""
    text = text.replace("◁think▷", "<think>").replace("◁/think▷", "</think>")
    text = _THINK.sub(" ", text)
    if closed := list(_CLOSE.finditer(text)):  # templates open it in the prompt
        text = text[closed[-1].end() :]
    if opened := _OPEN.search(text):
        return text[: opened.start()], not text[: opened.start()].strip()
    return text, False


def _plain(text: str) -> str:
    """Full-width forms, markdown and LaTeX's wrappers gone; `\\boxed{x}` becomes `[[x]]`."""
    text = unicodedata.normalize("NFKC", text)
    for _ in range(3):
        text = _WRAP.sub(r"\1", text)
    text = re.sub(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}", r"[[\1]]", text)
    text = re.sub(r"\\boxed\s+(\w)", r"[[\1]]", text)
    text = re.sub(r"\\[()\[\]]|\$+", " ", text)
    text = re.sub(r"\*+|(?<!\w)_+|_+(?!\w)|`+|^#+\s*", "", text, flags=re.MULTILINE)
    return text


def _normal(text: str) -> str:
    """For comparing words: case, punctuation at the ends and blanks do not matter."""
    text = re.sub(r"\s+", " ", _plain(text)).strip().casefold()
    return text.strip(" .,;:!?\"'“”‘’()[]{}。，；：！？、")


class _Reader:
    """The rules over one set of options; each gives places, a sentence why it must not be read, or None."""

    def __init__(self, options: Sequence[str], several: bool):
        self.options = [_normal(option) for option in options]
        self.several = several
        self.last = LETTERS[len(options) - 1]
        self.conflict = False
        self.letter = rf"[A-{self.last}a-{self.last.lower()}]"
        self.numeric = any(re.fullmatch(r"[\d.,]+%?", option) for option in self.options)

    def boxed(self, text: str):
        found = re.findall(r"\[\[(.*?)\]\]", text, re.DOTALL)
        return self._whole(found[-1], explicit=True) if found else None

    def tagged(self, text: str):
        found = _TAG.findall(text)
        return self._whole(found[-1][1], explicit=True) if found else None

    def stated(self, text: str):
        """The last statement that names an option and is not denied."""
        best: tuple[int, tuple[int, ...] | str] | None = None
        for match in _STATEMENT.finditer(text):
            if _NOT.search(text[: match.start()]) and not re.search(r"[.\n]\s*$", text[: match.start()]):
                continue
            found = self._target(text[match.end() :], strong=":" in match[0] or "：" in match[0] or "=" in match[0])
            if found is not None:
                best = (match.start(), found)
        pattern = rf"(?<![\w'’])\(?(?:option|choice|answer|选项)?\s*\(?({self.letter})\)?(?:{_IS_RIGHT})"
        for match in re.finditer(pattern, text, re.IGNORECASE):
            if match[1] == "a" or _NOT.search(text[: match.start()]) or _WRONG_AFTER.search(text[match.end(1) :]):
                continue
            if match[1] == "A" and not re.search(
                r"option|choice|answer|选项|^\W*$|[.\n:]\s*\(?$", text[: match.end(1) - 1][-12:]
            ):
                continue
            if best is None or match.start() > best[0]:
                best = (match.start(), (LETTERS.index(match[1].upper()),))
        return best[1] if best else None

    def bare(self, text: str):
        """The whole answer, its first line or its last line is a letter with its option's words, or without."""
        lines = [line for line in text.strip().splitlines() if line.strip()]
        if len(self._listed(lines)) > 1 and not self.several:
            return None if len(self._listed(lines)) >= len(self.options) else "lists several options"
        for part in (text, lines[0], lines[-1]):
            found = self._whole(part)
            if found is not None:
                return found
        match = re.match(rf"\s*[(\[]?({self.letter})\s*(?:[)\].:、,，]|[-–—]\s|$)\s*(.*)", lines[0], re.DOTALL)
        if match and (match[1].isupper() or lines[0].strip()[1:2] in ").:"):
            return self._checked(match[1], match[2])
        match = re.match(
            rf"\s*(?:option|choice|选项)\s*[(\[]?({self.letter}|\d+)\b[)\].:,]*\s*(.*)",
            lines[0],
            re.IGNORECASE | re.DOTALL,
        )
        if match and not _WRONG_AFTER.search(match[2]):
            return self._named(match[1], ordinal=True)
        return None

    def own_words(self, text: str):
        """The one option whose words stand in the answer, not denied, and not inside another option's words."""
        words = _normal(text)
        spans = []
        for place, option in enumerate(self.options):
            if not option or (len(option) < 2 and not option.isdigit()):
                continue
            for match in re.finditer(rf"(?<!\w){re.escape(option)}(?!\w)", words):
                denied = _NOT.search(words[: match.start()]) or _WRONG_AFTER.search(words[match.end() :])
                spans.append((match.start(), match.end(), place, bool(denied)))
        kept = {
            place
            for start, end, place, denied in spans
            if not denied and not any(s <= start and end <= e and (e - s) > (end - start) for s, e, _, _ in spans)
        }
        return self._one(kept, "its words fit several options") if kept else None

    def alone(self, text: str):
        """A capital letter that stands alone in a short answer; «A» and «I» are words, too."""
        if len(text.split()) > 25:
            return None
        found = set()
        for match in re.finditer(rf"(?<![\w'’&/-])([A-{self.last}])(?![\w'’&/-])", text):
            article = match[1] in "AI" and re.match(r"\s+(?!(?:or|and|is|vs)\b)[a-z]", text[match.end() :])
            if not article and not _NOT.search(text[: match.start()]) and not _WRONG_AFTER.search(text[match.end() :]):
                found.add(LETTERS.index(match[1]))
        return self._one(found, "several letters") if found else None

    def _one(self, places: set[int], why: str):
        if len(places) == 1 or (self.several and places):
            return tuple(sorted(places))
        return why

    def _listed(self, lines: Sequence[str]) -> set[str]:
        """Letters that begin lines: an answer that repeats the options names none by that."""
        found = (re.match(rf"\s*[-•]?\s*[(\[]?([A-{self.last}])\s*[)\].:、]\s*\S", line) for line in lines)
        return {match[1] for match in found if match}

    def _named(self, word: str, ordinal: bool = False):
        """A letter, or a number where options are counted."""
        if word.isdigit():
            if self.numeric:
                return "a number that may be a place or an option"
            place = int(word) - 1
            return (place,) if 0 <= place < len(self.options) else f"there is no option {word}"
        place = LETTERS.find(word.upper())
        return (place,) if 0 <= place < len(self.options) else f"there is no option {word}"

    def _checked(self, letter: str, rest: str):
        """A letter and the words after it; another option's own words there are a conflict."""
        place = LETTERS.index(letter.upper())
        words = _normal(rest)
        others = [i for i, option in enumerate(self.options) if option and words.startswith(option) and i != place]
        if others and not words.startswith(self.options[place]):
            self.conflict = True
        if _WRONG_AFTER.search(rest):
            return None
        return (place,)

    def _whole(self, text: str, explicit: bool = False):
        """A text that is nothing but an answer: a letter, letters, «option 3», an option's own words."""
        words = _normal(text)
        if not words:
            return None
        same = [place for place, option in enumerate(self.options) if option == words]
        if len(same) == 1 and (len(words) > 1 or words.isdigit()):
            return (same[0],)
        if len(same) > 1 and len(words) > 1:
            return "its words fit several options"
        plain = re.sub(
            r"^(?:the\s+)?(?:(?:correct|right|final|best)\s+)?(?:options?|choices?|answers?|letters?|选项?|答案)\s*(?:is|are|:|是|为)?\s*",
            "",
            words,
        )
        if re.fullmatch(r"[a-z]", plain) and (plain <= self.last.lower()):
            if plain == "a" and re.search(r"(?<!\w)a$", text.strip()) and len(words) > 1 and "option" not in words:
                return None
            return self._named(plain)
        if re.fullmatch(r"[a-z]", plain):
            return f"there is no option {plain.upper()}"
        if re.fullmatch(r"\d{1,2}", plain):
            if not self.numeric and (explicit or plain != words or text.strip().rstrip(".)").isdigit()):
                return self._named(plain)
            return None if not self.numeric else "a number that may be a place or an option"
        listed = re.fullmatch(
            r"\(?([a-z])\)?(?:\s*(?:,|;|/|&|\+|and|or|和|、|，)\s*(?:and\s+)?(?:option\s+)?\(?([a-z])\)?)+", plain
        )
        letters = re.findall(r"(?<![a-z])[a-z](?![a-z])", plain) if listed else []
        if (explicit and self.several and re.fullmatch(rf"[a-{self.last.lower()}]{{2,}}", plain)) or (
            self.several and re.fullmatch(rf"[A-{self.last}]{{2,}}", text.strip(" .()[]"))
        ):
            letters = list(plain)
        if letters:
            if any(letter > self.last.lower() for letter in letters):
                return "names what is no option"
            return self._one({LETTERS.index(letter.upper()) for letter in letters}, "several letters")
        match = re.match(rf"\s*[(\[]?({self.letter})\s*[)\].:、]\s*(.+)$", text.strip(), re.DOTALL)
        if match and (match[1].isupper() or explicit) and _normal(match[2]) in self.options:
            return self._checked(match[1], match[2])
        return None

    def _target(self, text: str, strong: bool):
        """What follows «the answer is»: a letter, letters, «option 3», or an option's own words."""
        text = text[:400]
        rest = text[_FILLER.match(text).end() :]  # type: ignore[union-attr]
        if re.match(r"(?:not|neither|none|unknown|unclear|uncertain|不)\b", rest, re.IGNORECASE):
            return None
        line = re.split(r"\n", rest, maxsplit=1)[0]
        clause = re.split(
            r"(?<=[^A-Z\s(])[.;。；](?:\s|$)|\n|\bbecause\b|\bsince\b|，因为|,\s*(?:as|because|since|which|not|but)\b",
            rest,
            maxsplit=1,
        )[0]
        whole = self._whole(clause, explicit=True)
        if whole is not None:
            return whole
        several = re.match(
            rf"[(\[]?({self.letter})[)\]]?(?:\s*(?:,|/|&|\+|and|or|和|或|、)\s*(?:and\s+|or\s+)?(?:option\s+)?[(\[]?({self.letter})[)\]]?(?![\w'’]))+",
            line,
        )
        if several and several[0] != several[0].lower():
            found = {LETTERS.index(x) for x in re.findall(rf"(?<![\w'’])[A-{self.last}](?![\w'’])", several[0])}
            if len(found) > 1:
                return self._one(found, "several letters")
        match = re.match(rf"[(\[]*({self.letter})(?![\w'’])\s*[)\]]*\s*[.:、,，)-]*\s*(.*)", line, re.DOTALL)
        if match and self._is_letter(match, line, strong):
            return self._checked(match[1], match[2])
        match = re.match(r"(\d{1,2})(?![\w.%])", line)
        if match and re.search(r"(?:option|choice|answer|选项|答案)\W*$", text[: len(text) - len(rest)], re.IGNORECASE):
            return self._named(match[1], ordinal=True)
        words = _normal(clause)
        starts = [
            place
            for place, option in enumerate(self.options)
            if option and re.match(rf"{re.escape(option)}(?!\w)", words)
        ]
        if starts:
            longest = max(len(self.options[place]) for place in starts)
            return self._one({p for p in starts if len(self.options[p]) == longest}, "its words fit several options")
        return None

    def _is_letter(self, match: re.Match, line: str, strong: bool) -> bool:
        """Whether a letter after a statement is meant as one: «a» before a word is an article."""
        letter, after = match[1], line[match.end(1) : match.end(1) + 1]
        if letter.isupper():
            return not (
                letter in "AI" and re.match(r"\s+[a-z]", line[match.end(1) :]) and line[:1] != "(" and not strong
            )
        return (line[:1] in "([" or after in ").:") or (strong and (after in "" or after in ",;\n"))
