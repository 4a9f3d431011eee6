"""What an answer's words mention: an option's letter, several letters, its own words, its number; and at which place.

Knows what stands for an option at a place of the text and what only looks like it («A» the article, «I» the pronoun,
hepatitis B, «3 cm» within «13 cm»). Leaves which mention is the answer to `letters`, and phrases to `cues`. Every look
is at a bounded stretch of the text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from vesalius.bench.questions import cues
from vesalius.bench.questions.wrapping import normal
from vesalius.models.prompt import LETTERS

_BEGINS = re.compile(r"\d+|[^\W\d]+")
_AMBIGUOUS = "a letter that is also another option's words"


@dataclass(frozen=True)
class Named:
    """What stands at a place of the text.

    Attributes:
        places: options, in the order asked.
        end: where it ends in the text.
        conflict: the letter is one option's, the words after it another's.
        problem: why it must not be read as an answer; "" where it may.
    """

    places: tuple[int, ...]
    end: int = 0
    conflict: bool = False
    problem: str = ""


class Mentions:
    """The options as they may be mentioned in one text."""

    def __init__(self, text: str, options: Sequence[str], several: bool):
        self.text = text
        self.options = [normal(option) for option in options]
        self.several = several
        self.places_of: dict[str, list[int]] = {}
        for place, option in enumerate(self.options):
            self.places_of.setdefault(option, []).append(place)
        # «no» before a noun is not the option «no», and a letter is first of all a letter.
        self.verdicts = self.places_of.keys() & {"yes", "no"}
        found = [o for o in self.places_of if o not in self.verdicts and not re.fullmatch(r"[a-z]?", o)]
        # Most answers are a letter: what does not begin anywhere in the text needs no pattern.
        lower = text.lower()
        found = [o for o in found if (begins := _BEGINS.search(o)) is None or begins[0].lower() in lower]
        self._long = sorted(found, key=len, reverse=True)
        cjk = cues.SOME_CJK.search(text) is not None
        self._words = re.compile("|".join(f"({_flexible(o, cjk)})" for o in self._long) or r"(?!)", re.IGNORECASE)

    # Words.

    def words_at(self, start: int) -> Named | None:
        """The option whose own words stand at a place (all of them where several have the same); the longest."""
        match = self._words.match(self.text, start)
        return self._of(match) if match else None

    def words_in(self, text: str) -> Iterator[tuple[int, Named]]:
        """Options whose own words stand in a text, each with its beginning; words within another's are not its own."""
        return ((match.start(), self._of(match)) for match in self._words.finditer(text))

    def _of(self, match: re.Match) -> Named:
        return self.named(self.places_of[self._long[(match.lastindex or 1) - 1]], match.end())

    def named(self, places: Sequence[int], end: int = 0, conflict: bool = False) -> Named:
        """Options; a problem where they are several and one is asked for."""
        distinct = tuple(sorted(set(places)))
        problem = "" if len(distinct) == 1 or self.several else "several options"
        return Named(distinct, end, conflict, problem)

    # Letters.

    def place(self, letter: str) -> int | str:
        """A letter's place, or why it has none; an option whose own words are that letter may stand elsewhere."""
        place = LETTERS.find(letter.upper())
        same = [p for p in self.places_of.get(letter.casefold(), ()) if p != place]
        if place < len(self.options):
            return _AMBIGUOUS if same else place
        return same[0] if len(same) == 1 else f"there is no option {letter.upper()}"

    def letters_at(self, start: int, *, marked: bool, lower: bool = False) -> Named | None:
        """The letter, or letters («A, C and D»), that stand at a place.

        Args:
            start: where.
            marked: in brackets or after a colon: «A» is no article there.
            lower: lower case counts, too.
        """
        places: list[int] = []
        at = end = start
        while match := (cues.ANY_CASE if lower else cues.UPPER_CASE).match(self.text, at):
            if self._is_word(match, marked and not places):
                break
            place = self.place(match[1])
            if isinstance(place, str):
                if not places:
                    return Named((), match.end(), problem=place)
                break
            places.append(place)
            end = match.end()
            separator = cues.SEPARATOR.match(self.text, end)
            if not separator or (separator["mark"] == "," and cues.NEXT_SENTENCE.match(self.text, separator.end())):
                break  # «B, A is wrong»
            at = separator.end()
        return self.named(places, end) if places else None

    def _is_word(self, match: re.Match, marked: bool) -> bool:
        """Whether «A» is an article there, or «I» a pronoun."""
        letter, end = match[1], match.end()
        if letter == "I" and cues.PRONOUN.match(self.text, end):
            return True
        if marked or letter not in cues.ARTICLE or not cues.ARTICLE[letter].match(self.text, end):
            return False
        own = self.words_at(self.after(end))  # «A Normal»
        return not (own and LETTERS.find(letter) in own.places)

    def letters(self) -> Iterator[tuple[int, Named]]:
        """Capital letters anywhere in the text that stand for options, groups as one; parts of names are none."""
        until = 0
        names = {match.end() for match in cues.NAMES.finditer(self.text)}
        for match in cues.CAPITAL.finditer(self.text):
            at = match.start()
            if at < until or at in names:
                continue
            found = self.letters_at(at, marked=self.text[max(0, at - 1) : at] in ("(", "[", '"'))
            if found and not found.problem.startswith("there is no"):
                until = found.end
                yield at, found

    def after(self, end: int) -> int:
        """Where words go on after a letter and its marks."""
        return cues.CLOSING.match(self.text, end).end()  # type: ignore[union-attr]

    def checked(self, found: Named) -> Named:
        """A letter with the words after it: another option's own words there are a conflict, its own settle it."""
        if found.problem not in ("", _AMBIGUOUS):
            return found
        at = self.after(found.end)
        own = self.words_at(at)
        places = own.places if own else ()
        if found.problem:
            single = cues.ANY_CASE.match(self.text, at)
            if not own and single:
                places = tuple(self.places_of.get(single[1].casefold(), ()))
            place = LETTERS.find(self.text[found.end - 1].upper())
            return Named((place,), found.end) if place in places else found
        conflict = own is not None and len(found.places) == 1 and found.places[0] not in places
        return Named(found.places, found.end, conflict)

    # Numbers.

    def number(self, word: str) -> Named:
        """A number that stands for a place, unless it may as well be an option's own."""
        place = int(word) - 1
        own = {p for p, o in enumerate(self.options) if re.search(rf"(?<![\d.]){word}(?![\d.]*\d)", o)}
        places = own | ({place} if 0 <= place < len(self.options) else set())
        if len(places) > 1:
            return Named((), problem="a number that may be a place or an option")
        return Named(tuple(places)) if places else Named((), problem=f"there is no option {word}")

    # A text that is nothing but an answer.

    def whole(self, part: str) -> Named | None:
        """What a text names that is nothing but an answer: letters, «option 3», an option's words, or both."""
        if len(part) > 2000:
            return None
        words = normal(part)
        if words in self.places_of and not re.fullmatch(r"[a-z]", words):
            return self.named(self.places_of[words])
        said = cues.ANSWER_IS.match(words)
        rest = words[said.end() :].strip(" .()[]{}\"'") if said else words
        if re.fullmatch(r"\d{1,2}", rest):
            return self.number(rest)
        if re.fullmatch(r"[a-z]", rest):
            if rest == "a" and cues.TRAILING_ARTICLE.search(part.rstrip()):
                return None  # may be an article before the rest was cut off
            place = self.place(rest)
            return Named((), problem=place) if isinstance(place, str) else self.named([place])
        if self.several and re.fullmatch(rf"[A-{LETTERS[len(self.options) - 1]}]{{2,}}", part.strip(" .()[]{}")):
            return self.named([LETTERS.index(letter) for letter in rest.upper()])
        return self._with_words(part) or self._list(rest)

    def _with_words(self, part: str) -> Named | None:
        """«B. Pneumonia», «(b) pneumonia»."""
        found = cues.LETTER_AND_WORDS.match(part.strip())
        if not found:
            return None
        letter, words = found.groups()
        if len(words.strip()) == 1 and not re.match(r"[(\[]?\w[).:\]]", part.strip()):
            return None  # «A, B»
        own = self.places_of.get(normal(words))
        place = LETTERS.find(letter.upper())
        if own is None or place >= len(self.options) or (letter.islower() and part.strip()[1:2].isspace()):
            return None
        return Named((place,), conflict=place not in own)

    def _list(self, words: str) -> Named | None:
        """«a, c and d»."""
        if not cues.LETTERS_LISTED.fullmatch(words):
            return None
        found = [self.place(letter) for letter in re.findall(r"(?<![a-z])[a-z](?![a-z])", words)]
        if any(isinstance(place, str) for place in found):
            return Named((), problem="names what is no option")
        return self.named([place for place in found if isinstance(place, int)])

    # Lists of the options, which name none.

    @cached_property
    def listed(self) -> set[int]:
        """Options whose letter stands before their own words, or begins a line."""
        found = set()
        for match in cues.LETTER_OF_LIST.finditer(self.text):
            place = LETTERS.find(match[1])
            own = self.words_at(match.end())
            begins = cues.LINE_BEGINS.search(self.text[max(0, match.start() - 20) : match.start()])
            if place < len(self.options) and ((own and place in own.places) or begins) and match.end() < len(self.text):
                found.add(place)
        return found

    def unlisted(self) -> str:
        """The text without the lines of a list of options."""
        if len(self.listed) < 2:
            return self.text
        return "\n".join(line for line in self.text.splitlines() if not cues.LINE_OF_LIST.match(line))


def _flexible(option: str, cjk: bool) -> str:
    """A pattern for an option's words: blanks vary, «13cm» is «13 cm», and a plural is the same thing."""
    source = re.sub(r"(?:\\\s|\s)+", r"\\s+", re.escape(option))
    source = re.sub(r"(?<=\d)\\s\+(?=[a-z%])|(?<=\d)(?=[a-z%]|\\%)", r"\\s*", source)
    before = r"(?<!\d)(?<!\d[.,])(?<![-–]\d)" if option[0].isdigit() else ""
    after = r"(?![.,]?\d)" if option[-1].isdigit() else ""
    plural = "(?:e?s)?" if option[-1].isalpha() and option[-1].isascii() and not option.endswith("s") else ""
    left, right = (cues.LEFT, cues.RIGHT) if cjk else (cues.PLAIN_LEFT, cues.PLAIN_RIGHT)
    return f"{before}{left}{source}{plural}{right}{after}"
