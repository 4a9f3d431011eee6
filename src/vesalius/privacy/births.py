"""Dates of birth, and ages over 89 (which HIPAA's Safe Harbor counts as identifiers, 45 CFR 164.514(b)(2)).

A date is a date of birth because something says so: other dates are left alone, unless `CalendarDates` is asked for.
"""

import regex

from vesalius.privacy.rules import ANY_CASE, Rule, Rules

_MONTHS = (
    r"(?:jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|fév(?:rier)?|m(?:ar(?:ch|s|zo)?|ärz|rz)|apr(?:il)?|avr(?:il)?|may|"
    r"mai|"
    r"ju(?:ne?|ni|in)|jul(?:y|i)?|juillet|aug(?:ust)?|août|sep(?:t(?:ember|embre)?)?|o[ck]t(?:ober|obre)?|"
    r"nov(?:ember|embre)?|de[cz](?:ember)?|déc(?:embre)?|enero|febrero|abril|mayo|junio|julio|agosto|septiembre|"
    r"octubre|noviembre|diciembre)\.?"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:1[89]\d\d|20\d\d|['’]\d\d)"
_SHORT_YEAR = rf"(?:{_YEAR}|\d\d(?!\d))"
_NUMERIC = (
    rf"(?:{_DAY}[ ]?[/.\-–][ ]?{_DAY}[ ]?[/.\-–][ ]?(?:1[89]\d\d|20\d\d|\d\d)|"
    rf"(?:1[89]|20)\d\d[ ]?[/.\-–年][ ]?(?:0?[1-9]|1[0-2])[ ]?[/.\-–月][ ]?{_DAY}日?)(?!\d)"
)
_WORDED = (
    rf"(?:{_DAY}(?:st|nd|rd|th|er)?\.?[\s\-]*(?:of |de )?{_MONTHS}[\s,\-]*(?:of |de |in )?{_SHORT_YEAR}|"
    rf"{_MONTHS}[\s\-]*{_DAY}(?:st|nd|rd|th)?\s*[,\-\s]\s*(?:of )?{_SHORT_YEAR}|"
    rf"(?:1[89]|20)\d\d[\s\-,]+{_MONTHS}[\s\-]+{_DAY}(?!\d)|{_MONTHS}\s*,?\s*(?:of )?(?:1[89]\d\d|20\d\d))"
)
DATE = rf"(?<![\d/.\-])(?:{_NUMERIC}|{_WORDED})(?!\d)"
_COMPACT = r"(?:(?:1[89]|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|(?:0[1-9]|[12]\d|3[01]){2}(?:1[89]|20)\d\d)"

_LABEL = (
    r"(?:\bd\.?\s?o\.?\s?b\b\.?|\bb\.?\s?d(?:ate|ay)\b|\bbirth\s?-?\s?(?:date|day)\b|\bdates?\s+of\s+birth\b|"
    r"\bdate\s+born\b|\bgeburtsdatum\b|\bdate de naissance\b|\bfecha de nacimiento\b|\bdata di nascita\b|"
    r"\bgeboortedatum\b|\bdata de nascimento\b)"
)
_BORN = (
    r"(?:(?<!new)(?<!new-)\bborn\b|\bb\.|\bgeb(?:oren)?\b\.?(?:\s+am|\s+op)?|\bnée?(?:\(e\))?\s+le\b|"
    r"\bnacid[oa]\s+el\b|\bnat[oa]\s+il\b|\bnascid[oa]\s+em\b)"
)
_OTHER_DAY = r"(?![^\n\d]{0,40}?\b(?:admi|discharg|seen\b|visit|exam|appointment|scan|surgery|died|death|operat))"
_HAS_LABEL = regex.compile(_LABEL, ANY_CASE)
_HAS_BORN = regex.compile(_BORN, ANY_CASE)

_90 = r"(?<it>(?:9\d|1[0-2]\d))"
_ALONE = r"(?<![\d.,\-–/])\b"
_NOT_AND_OVER = r"(?!\s*(?:years?|yrs?)?(?:\s+of\s+age)?\s*(?:and|or)\s+(?:over|older|above|more|\d)|\s*\+)"
_NOT_A_GROUP = r"(?!er)\b(?!\s+(?:and|or)\s+(?:over|older|above)|\s+(?:group|cohort|age)|s\b)"


class Births(Rules):
    """Dates that a label, or the word born, makes dates of birth."""

    rules = tuple(
        Rule(name, "DATE_OF_BIRTH", regex.compile(pattern, ANY_CASE), score, hint=hint)
        for name, score, hint, pattern in (
            ("label", 1.0, _HAS_LABEL, rf"{_LABEL}{_OTHER_DAY}[^\d\n]{{0,40}}?\n?\s*(?<it>{DATE})"),
            ("label behind", 1.0, _HAS_LABEL, rf"(?<it>{DATE})\s*[(\[,;:-]\s*{_LABEL}(?!\s*[:=]?\s*\d)"),
            ("compact", 1.0, _HAS_LABEL, rf"{_LABEL}[\s:=#(]*(?:is|was)?\s*(?<it>{_COMPACT})(?!\d)"),
            (
                "born",
                0.95,
                _HAS_BORN,
                rf"{_BORN}(?!\s+(?:between|from|before|after|since|during|prior|until|by)\b)"
                rf"(?:(?!\b(?:between|from|after|before)\b)(?:[^\d\n.;]|\b\p{{Lu}}\.)){{0,60}}?"
                rf"(?<it>{DATE})(?!\s*(?:to|and|until|[-–])\s*{DATE})",
            ),
            ("star", 0.9, regex.compile(r"\(\s*[*★]"), rf"\(\s*[*★]\s*(?:am )?(?<it>{DATE})"),
            (
                "after the name",
                0.8,
                regex.compile(r"\b(?:patient|name|pt|re)\s*:", ANY_CASE),
                rf"\b(?:patient|name|pt|re)\s*:[^\n\d]{{3,60}}?[(,]\s*(?<it>{DATE})\s*(?:[),;]|$)",
            ),
        )
    )


class Ages(Rules):
    """Ages of 90 and more, said of one person: "aged 90 and over" is a group."""

    hint = regex.compile(r"\b(?:9\d|1[0-2]\d)")
    rules = tuple(
        Rule(name, "AGE_OVER_89", regex.compile(pattern, ANY_CASE), score)
        for name, score, pattern in (
            ("years old", 0.9, rf"{_ALONE}{_90}{_NOT_AND_OVER}[\s\-‐–]*(?:years?|yrs?)[\s\-‐–]+old{_NOT_A_GROUP}"),
            ("y/o", 0.9, rf"{_ALONE}{_90}[\s-]*(?:y/o|y\.o\.|yo|y\.?o\b)(?!\w)"),
            (
                "aged",
                0.8,
                rf"\b(?:aged?|age of)\s*[:=]?\s*(?:is |was )?{_90}\b(?![.,]?\d|\s*[-–%]|"
                rf"\s*(?:to|mm|cm|mg|kg|days?|weeks?|months?|h\b|min)){_NOT_AND_OVER}",
            ),
        )
    )


class CalendarDates(Rules):
    """Every date with a day, for those who must remove them all; not among the recognisers unless asked for."""

    rules = (Rule("date", "CALENDAR_DATE", regex.compile(rf"(?<it>{DATE})", ANY_CASE), 0.6),)
