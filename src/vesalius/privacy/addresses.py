"""Postal addresses: streets with their numbers, post boxes, postcodes, and what a label calls an address.

Knows the forms of a few countries. Towns and countries alone are no address here.
"""

import regex

from vesalius.privacy.rules import EXACT_CASE, Rule, Rules

_WAYS = (
    r"(?:street|str|st|avenue|ave?|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|place|pl|terrace|ter|close|"
    r"crescent|"
    r"cres|square|sq|highway|hwy|parkway|pkwy|turnpike|tpke|circle|cir|trail|trl|loop|alley|row|mews|gardens|grove|"
    r"hill|"
    r"rise|walk|way|quay|wharf|bridge|brg|path|pike|plaza|plz|crossing|xing|point|pt|run|view|fields?|green|park|"
    r"meadows?|"
    r"causeway)"
)
_WORD = r"(?:(?:[NSEW]{1,2}\.?|[\p{Lu}\d][\p{L}\d'’.-]*|of|the|de|la|du|del)[ ]+)"
_STATE = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|G[AU]|HI|I[ADLN]|K[SY]|LA|M[ADEINOPST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|"
    r"V[AIT]|W[AIVY]|A[EAP]|AS|MP)"
)
_POSTCODE = (
    r"(?:GIR ?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d{1,2}|\d[A-HJKPSTUW]|[A-HK-Y]\d[ABEHMNPRVWXY]) ?"
    r"\d[ABD-HJLNP-UW-Z]{2})"
)
_FLAT = r"(?:,?[ ]+(?:[NSEW]{1,2}|apt|apartment|suite|ste|unit|flat|floor|fl|room|rm|#)\b\.?[ ]?#?[ ]?[\w-]*)*"
_TOWN = (
    rf"(?:,?\s+(?:\p{{Lu}}[\p{{L}}'’./-]*[ ,]+){{1,5}}(?:(?:{_STATE}\b\.?,?\s+)?\d{{5}}(?:-\d{{4}})?\b|{_POSTCODE}\b|"
    rf"{_STATE}\b)|,\s+{_POSTCODE}\b)?"
)
_LIVES = (
    r"(?i:\b(?:lives?|living|resid(?:es?|ing|ent)|moved|address(?:es)?|home)\b)[^\n.;:]{0,25}?"
    r"\b(?:at|in|on|is|to|:)\s+"
)
_LABEL = (
    r"(?i:\b(?:home |postal |street |mailing |billing |residential |current |patient'?s? )?address(?: is)?|\banschrift|"
    r"\badresse|\bdirección)\s*[:|]\s*(?!\s*(?i:see|unknown|none|not|n/a|as above|same|https?:|\w+@))"
)
_NEXT_LABEL = r"(?i:tel|phone|telephone|fax|mobile|e-?mail|mrn|dob|date of birth|patient|gp|nhs)"
_TOWN_OF_5 = r"(?:,?\s+(?:[A-Z]{1,2}-)?\d{4,5}(?:[ ]?[A-Z]{2})?[ ]+\p{Lu}[\p{L}-]+)?"
_NAME = r"\p{Lu}[\p{L}'’-]+(?:[ -]\p{Lu}[\p{L}'’-]+)*"


def _has_digit(match) -> bool:
    return any(map(str.isdigit, match["it"])) and "@" not in match["it"]


def _no_duration(match) -> bool:
    return not regex.search(r"\d (?:h|min|days?|weeks?|of|the) ", match["it"])


def _box(match) -> bool:
    return not match["it"].startswith("Unit") or "Box" in match["it"]


class Addresses(Rules):
    """Where somebody lives."""

    rules = tuple(
        Rule(name, "ADDRESS", regex.compile(pattern, EXACT_CASE), score, check)
        for name, score, check, pattern in (
            (
                "street",
                0.8,
                _no_duration,
                rf"(?<![\w.,/\-–])(?<it>\d{{1,5}}[A-Za-z]?(?:[ ]?[-–/][ ]?\d{{1,4}})?,?[ ]+{_WORD}{{0,4}}?(?!of |"
                r"the |de )"
                rf"[\p{{Lu}}\d][\p{{L}}\d'’.-]*[ ]+(?i:{_WAYS})\b\.?(?![ ]?(?:\d*[.,]\d|\p{{Ll}}+(?:ed|ing|"
                rf"s)\b)){_FLAT}{_TOWN})",
            ),
            (
                "street in German or Dutch",
                0.8,
                _has_digit,
                r"\b(?<it>\p{Lu}[\p{L}.-]*(?:straße|strasse|str\.|gasse|weg|platz|allee|ring|damm|ufer|laan|straat|"
                r"gracht|"
                rf"vägen|gatan|gade|vej)[ ]+\d{{1,4}}[a-zA-Z]?\b{_TOWN_OF_5})",
            ),
            (
                "street in French",
                0.8,
                _has_digit,
                r"(?<![\w.,])(?<it>\d{1,4}(?: (?:bis|ter))?,? (?:rue|avenue|boulevard|place|chemin|impasse|allée|"
                r"quai|cours|"
                rf"route)(?: (?:de|du|des|la|le|les|d['’]|l['’]))*[ ]?{_NAME}{_TOWN_OF_5})",
            ),
            (
                "street in Spanish or Italian",
                0.8,
                _has_digit,
                r"\b(?<it>(?:Calle|C/|Avenida|Avda\.?|Plaza|Paseo|Via|Viale|Piazza|Corso|Rua)[ ]+(?:(?:de|del|la|"
                r"los|las|di|"
                rf"della|da|do)[ ]+)*{_NAME},?[ ]+(?:n\.?º ?)?\d{{1,4}}\b{_TOWN_OF_5})",
            ),
            (
                "post box",
                0.7,
                _box,
                r"\b(?<it>(?:P\.?\s?O\.?\s?Box|Post ?Office Box|Postfach|PSC|Unit)\s+\d{2,6}(?:,?\s+Box\s+\d+)?"
                rf"(?:,?\s+\p{{Lu}}[\p{{L}} ]+,?\s+{_STATE}\s+\d{{5}})?)(?!\w)",
            ),
            (
                "city and state",
                0.7,
                lambda match: True,
                rf"{_LIVES}(?<it>(?:\p{{Lu}}[\p{{L}}'’.-]*[ ]?){{1,4}},[ ]*{_STATE}(?:[ ,]+\d{{5}}(?:-\d{{4}})?)?)\b",
            ),
            (
                "label",
                0.8,
                _has_digit,
                rf"{_LABEL}(?<it>[^\n|;]{{6,120}}?)(?=\s*(?:[\n|;]|\.\s|$|,?\s*\b{_NEXT_LABEL}\b))",
            ),
            (
                "ZIP",
                0.7,
                _has_digit,
                r"(?i:\b(?:zip(?:[ -]?code)?|post(?:al)? ?code|plz|code postal))\s*(?:is|was|:|=|#)?\s*"
                r"(?<it>(?=[A-Z0-9 -]*\d)[A-Z0-9]{2,5}(?:[ -]?[A-Z0-9]{2,4})?)\b",
            ),
            (
                "postcode",
                0.5,
                lambda match: " " in match["it"],
                rf"(?<=,\s|\n\s{{0,8}})(?<it>{_POSTCODE})(?=\s*(?:$|[\n|;.,]))",
            ),
        )
    )
