"""Which option an answer in words names, by rules; nothing is ever guessed.

Knows which mention of an option is the answer. The last explicit one counts (`\\boxed{}`, `<answer>`, «the answer is
…», «B is correct»); then an answer that is an option and nothing else, or begins with a letter; then the one option
whose words stand in it undenied; then the one letter in a short answer that can be nothing else. What names several
options where one is asked for, or none, is not read, and says so. A refusal is one only where nothing explicit stands.

Leaves what is put around an answer to `wrapping`, what stands for an option to `mentions`, phrases to `cues`, and how
options were ordered to its callers: places are those in the order asked. Time is linear in an answer's length.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vesalius.bench.questions import cues
from vesalius.bench.questions.mentions import Mentions, Named
from vesalius.bench.questions.wrapping import plain, refuses, unsure, without_thinking
from vesalius.bench.questions.yes_no import said


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


def read_choice(text: str, options: Sequence[str], *, several: bool = False, cut_off: bool = False) -> Reading:
    """The option (or options) that an answer names.

    Args:
        text: the answer as it came.
        options: texts in the order asked.
        several: whether several may be right.
        cut_off: the model stopped at its token limit; what is explicit is read all the same.

    Returns:
        The reading; at most one place where `several` is false.

    >>> read_choice("**Answer: (B)** because of the opacity", ["Normal", "Pneumonia"]).places
    (1,)
    >>> read_choice("It is either A or B.", ["Normal", "Pneumonia"]).status
    'unparsed'
    """
    words, nothing = _words(text, cut_off)
    if nothing:
        return nothing
    reader = _Reader(words, options, several)
    for rule in (reader.explicit, reader.bare, reader.own_words, reader.alone):
        weak = rule in (reader.own_words, reader.alone)
        if weak and cut_off:  # it was still weighing
            break
        found = rule()
        if found is None:
            continue
        if weak and refuses(reader.around):
            break
        if found.problem:
            return Reading((), "unparsed", found.problem)
        return Reading(found.places, "answered", rule.__name__.replace("_", " "), found.conflict)
    return _unread(words, cut_off, "names no option")


def read_yes_no(text: str, question: str = "", *, cut_off: bool = False) -> Reading:
    """Yes (place 0) or no (place 1); see `yes_no.said`.

    Args:
        text: the answer as it came.
        question: what was asked, for answers that assert or deny it without either word.
        cut_off: the model stopped at its token limit.

    >>> read_yes_no("No, there is no pneumothorax.").places
    (1,)
    """
    words, nothing = _words(text, cut_off)
    if nothing:
        return nothing
    if found := said(words, question):
        return Reading((0 if found[0] else 1,), "answered", found[1])
    return _unread(words, cut_off, "says neither yes nor no")


def _words(text: str, cut_off: bool) -> tuple[str, Reading | None]:
    """An answer's plain words; and the reading of one that has none."""
    words, endless = without_thinking(text)
    if endless:
        return "", Reading((), "cut_off", "thinking never ended")
    words = plain(words).strip()
    if words:
        return words, None
    why = "nothing but thinking" if text.strip() else "nothing was said"
    return "", Reading((), "cut_off" if cut_off else "empty", why)


def _unread(words: str, cut_off: bool, why: str) -> Reading:
    if refuses(words) or unsure(words):
        return Reading((), "refused", "refuses")
    return Reading((), "cut_off" if cut_off else "unparsed", why)


def _last(pattern: re.Pattern, text: str) -> Iterator[re.Match]:
    """Matches from the last one on; of an answer that repeats itself without end, the last thousand."""
    return reversed(deque(pattern.finditer(text), maxlen=1000))


class _Reader:
    """The rules over one answer; each gives what it found, which may be a problem, or None.

    Attributes:
        around: what a weak rule did not read: a refusal there outweighs it.
    """

    def __init__(self, text: str, options: Sequence[str], several: bool):
        self.text = self.around = text
        self.raw = options
        self.mentions = Mentions(text, options, several)

    def explicit(self) -> Named | None:
        """The last statement that names options and is not denied."""
        at, last = self._tagged()
        stated_at, stated = self._stated()
        if stated and stated_at >= at:
            at, last = stated_at, stated
        rights = [(start, found) for start, found in self._called_right() if start > at]
        if rights:  # several options called right one after the other are one statement
            places = [place for _, found in rights for place in found.places]
            return self.mentions.named(places, conflict=any(found.conflict for _, found in rights))
        return last

    def bare(self) -> Named | None:
        """The whole answer, its last or its first line is an option and nothing else; or it begins with a letter."""
        text, mentions = self.text, self.mentions
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        lists = len(mentions.listed) > 1
        for part in dict.fromkeys((text, lines[-1], lines[0])):
            if (found := mentions.whole(part)) and not (lists and cues.LINE_OF_LIST.match(part)):
                return found
        if lists:
            some = mentions.several and len(mentions.listed) < len(mentions.options)
            only = some and all(cues.LINE_OF_LIST.match(line) for line in lines)
            return mentions.named(sorted(mentions.listed)) if only else None
        opening = cues.OPENING.match(text)
        start = opening.end() if opening else 0
        found = mentions.letters_at(start, marked=start > 0)
        if not found or cues.WRONG.match(text, found.end) or mentions.words_at(start):
            return None
        named = cues.OPTION_BEFORE.search(text[:start][-20:])
        if named or cues.LETTER_ENDS.match(text, found.end) or mentions.words_at(mentions.after(found.end)):
            return mentions.checked(found)
        return None

    def own_words(self) -> Named | None:
        """The one option whose words stand in the answer and are not denied."""
        text = self.mentions.unlisted()
        clauses = [match.start() for match in cues.CLAUSE.finditer(text)]
        named: set[int] = set()
        denied: set[int] = set()
        around, end, passed = [], 0, 0
        for at, found in self.mentions.words_in(text):
            while passed < len(clauses) and clauses[passed] < at:
                passed += 1
            begin = max(clauses[passed - 1] if passed else 0, at - 120)
            no = cues.DENIES.search(text, begin, at) or cues.WRONG.match(text, found.end)
            no = no or cues.BESIDE.search(text[max(0, at - 40) : at]) or cues.OR_ELSE.match(text, found.end)
            (denied if no else named).update(found.places)
            around.append(text[end:at])
            end = found.end
        self.around = " ".join([*around, text[end:]])
        if not named and self.mentions.verdicts and (answer := said(text)):
            named.update(self.mentions.places_of.get("yes" if answer[0] else "no", ()))
        named -= denied
        return self.mentions.named(sorted(named)) if named else None

    def alone(self) -> Named | None:
        """A capital letter in a short answer that can be nothing but an option."""
        self.around = self.text
        if len(self.text) > 300 or len(self.text.split()) > 25 or len(self.mentions.listed) > 1:
            return None
        named: list[int] = []
        for at, found in self.mentions.letters():
            before = cues.CLAUSE.split(self.text[:at])[-1]
            if cues.DENIES.search(before) or cues.WRONG.match(self.text, found.end):
                continue
            if cues.LETTER_OF_NOUN.match(self.text, found.end) and not cues.OPTION_BEFORE.search(before):
                continue
            if cues.MEANT.search(before) or cues.LETTER_CLOSES.match(self.text, found.end):
                named += found.places
        return self.mentions.named(named) if named else None

    # Statements.

    def _tagged(self) -> tuple[int, Named | None]:
        """The last `\\boxed{}` or `<answer>` that names options, and where it stands."""
        for match in _last(cues.TAG, self.text):
            content = (match["box"] if match["box"] is not None else match["tag"]).strip()
            if not content:
                continue
            inner = _Reader(content, self.raw, self.mentions.several)
            if found := inner.mentions.whole(content) or inner._target(0, strong=True):
                return match.start(), found
        return -1, None

    def _stated(self) -> tuple[int, Named | None]:
        """The last «the answer is …» that names options and is not denied, and where it stands."""
        for match in _last(cues.CUE, self.text):
            if cues.DENIES_CUE.search(self.text[max(0, match.start() - 40) : match.start()]):
                continue
            strong = match[0].rstrip()[-1:] in ":=→" or bool(match["cjk"] or match["key"])
            noun = match["noun"] or match["key"] or ""
            if found := self._target(match.end(), strong=strong, weak=bool(match["so"]), noun=noun):
                return match.start(), found
        return -1, None

    def _called_right(self) -> Iterator[tuple[int, Named]]:
        """Options that are called right, and where: «B is correct», «pneumonia is the best answer»."""
        text, mentions = self.text, self.mentions
        for at, found in mentions.letters():
            words = mentions.words_at(mentions.after(found.end))
            end = words.end if words else found.end
            bracket = cues.BRACKET.match(text, end)
            if not cues.CORRECT.match(text, bracket.end() if bracket else end) or cues.WRONG.match(text, end):
                continue
            if not cues.DENIES_LETTER.search(text[max(0, at - 30) : at]):
                yield at, found
        for at, found in mentions.words_in(text):
            if cues.RIGHT_ANSWER.match(text, found.end) and not cues.DENIES.search(text, max(0, at - 20), at):
                yield at, found

    def _target(self, start: int, *, strong: bool, weak: bool = False, noun: str = "") -> Named | None:
        """What follows «the answer is»: an option's own words, a letter, letters, «option 3», «the second option».

        Args:
            start: where it begins.
            strong: after a colon or the like: a lower-case letter is one, too.
            weak: after «therefore» or the like: only a letter at the end of its clause.
            noun: what was said to be it.
        """
        text, mentions = self.text, self.mentions
        at = cues.FILLER.match(text, start, start + 120).end()  # type: ignore[union-attr]
        if cues.NO_ANSWER.match(text, at):
            return None
        if either := cues.EITHER.match(text, at):
            at = either.end()
        if ordinal := cues.ORDINAL.match(text, at):
            place = cues.ORDINALS[(ordinal[1] or ordinal[2]).lower()]
            return mentions.named([place]) if place < len(mentions.options) else None
        counted = cues.OPTION_BEFORE.search(f"{noun} {text[start:at]}")
        number = cues.NUMBER.match(text, at)
        words = mentions.words_at(at)
        if words and not weak and not (counted and number):
            return None if cues.WRONG.match(text, words.end) else self._and_more(words)
        bracketed = text[max(0, at - 1) : at] in ("(", "[", '"', "'", "{", "【", "「")
        if found := mentions.letters_at(at, marked=strong or bracketed or bool(counted)):
            if weak and not bracketed and not cues.CLAUSE_ENDS.match(text, found.end):
                return None
            return None if cues.WRONG.match(text, found.end) else mentions.checked(found)
        if weak:
            return None
        if self._small(at, strong, bracketed) and (found := mentions.letters_at(at, marked=True, lower=True)):
            return mentions.checked(found)
        return mentions.number(number[1]) if number and (counted or strong or "answer" in noun.lower()) else None

    def _and_more(self, found: Named) -> Named:
        """An option's words, with those of others that are listed after it."""
        separator = cues.SEPARATOR.match(self.text, found.end)
        other = self.mentions.words_at(separator.end()) if separator else None
        return self.mentions.named([*found.places, *other.places], other.end) if other else found

    def _small(self, at: int, strong: bool, bracketed: bool) -> bool:
        """Whether a lower-case letter stands there that is meant as one; «a» may be an article."""
        found = re.compile(r"([a-z])(?!['’]?\w|[-&]\w)").match(self.text, at)
        if not found:
            return False
        after = self.text[found.end() : found.end() + 1]
        if bracketed or after in tuple(").:") or (strong and after in tuple(",;\n")):
            return True
        ends = cues.TEXT_ENDS.match(self.text, found.end())
        return ends is not None and (found[1] != "a" or strong)
