"""What of a text is published about authors, not about patients: references, author lists, affiliations, citations.

There names, e-mail addresses, telephones and addresses stay as they are: whoever builds a corpus of papers wants them,
and they are public. Where a text names a patient's papers (record number, date of birth, "Mrs") nothing is taken for
published. It judges by form; who wrote what is not known here.
"""

from functools import lru_cache

import regex

from vesalius.privacy.findings import Part
from vesalius.privacy.lexicon import FUNCTION, THINGS

GUESSES, NAMES, ALL = range(3)
_F = regex.VERSION1
_OF_PATIENTS = (
    r"\b(?:MRN|DOB|D\.O\.B|SSN)\b|"
    r"(?i:\bdate of birth\b|"
    r"\bbirth ?date\b|\b(?:patient|hospital|record|chart|insurance|policy) (?:id|no|number)\b|"
    r"\bpatient(?: name| id)?[ ]?:|"
    r"\bmedical record n|\bnext of kin\b|\bnhs number\b|"
    r"\bemergency contact\b|"
    r"\bthe patient (?:was|is|has|had|reported|reports|denies|denied|presented)\b|\bdischarge summary\b|"
    r"\bprogress note\b)"
)
_PATIENTS = regex.compile(_OF_PATIENTS, _F)
_CLINICAL = regex.compile(
    r"\bNHS\b|\b(?:Mrs?|Ms|Miss|Frau|Herrn?)\b\.?[ ]\p{Lu}|\b(?:MRS?|MISS)\b\.?[ ]\p{Lu}{3}|"
    r"(?i:\bname[ ]?:|\battending\b|\breferring\b|\bcc:|\bdear\b|\bphone:|\btelephone:)|" + _OF_PATIENTS,
    _F,
)
_PARTICLE = (
    r"(?:(?:[Vv][ao]n|[Dd]e[nrsl]?|[Dd]el|[Dd]i|[Dd]a|[Dd]os|[Ll][ae]|[Aa]l|[Ee]l|[Tt]er?|[Bb]in|d['’]|"
    r"[Ss]t\.)[ -]?){0,3}"
)
_SURNAME = rf"{_PARTICLE}(?<![\p{{L}}\p{{M}}])\p{{Lu}}[\p{{L}}\p{{M}}'’‐-]++(?:[ -]\p{{Lu}}[\p{{L}}'’-]+)?"
_INITIALS = r"(?:\p{Lu}\.?[ ‐-]?){1,4}(?:\b(?:Jr|Sr|II|III)\b\.?)?(?![\p{L}'’])"
_AUTHOR = rf"(?:{_SURNAME}[ ]?,?[ ]{_INITIALS}|{_INITIALS}[ ]?{_SURNAME}|{_SURNAME}[ ]?,[ ]\p{{Lu}}[\p{{L}}-]+)"
_FIRST = regex.compile(
    rf"^\W{{0,9}}(?:\[?\(?\d{{1,3}}[\]).:]*[ \t]+)?\W{{0,9}}(?:{_AUTHOR}|\p{{Lu}}[\p{{L}} ]+(?:Group|Consortium|"
    r"Organi[sz]ation|"
    r"Association|Committee|Network|Collaboration))",
    _F,
)
_NO_REFERENCE = regex.compile(
    r"\w@\w|(?i:\b(?:tel|fax|phone|mobile|call)\b\.?:?[ ]?[+(\d]|\bsincerely\b|\bdear\b|\bwrite to\b)|"
    r"\b(?:[Hh]e|[Ss]he|[Hh]is|[Hh]er|[Mm]y|I|you)[ ]\p{Ll}",
    _F,
)
_NUMBERED = regex.compile(r"^\W*\[?\(?\d{1,3}[\]).:]+[ \t]*\p{Lu}", _F)
_EVIDENCE = tuple(
    regex.compile(pattern, _F)
    for pattern in (
        r"(?<![\d/-])(?:1[89]|20)\d\d[a-z]?(?![\d/-])",
        r"(?i:\bdoi\b|\b10\.\d{4,9}/|\bpmid\b|\bpmc\s?\d|\bisbn\b|\bissn\b|\barxiv\b|\bbiorxiv\b|https?://|"
        r"\bavailable (?:at|from)\b|\baccessed\b)",
        r"\d[ ]?[(:;,][ ]?e?\d+[ ]?[-–:;)]|(?<![\d-])\d+[ ]?[-–][ ]?\d+\b(?!-)|\b\d{1,4}[ ]\d{1,5}[ ][e\d]\d*\b|"
        r"(?i:\bpp?\.?[ ]?\d)|\b\d{7,8}$|\b\d+[ ]?:[ ]?\d+|\be\d{4,}\b",
        r"\bet[ ]al\b|\b[Ee]ds?\b\.?|\b[Ii]n[ ]?:",
        r"\b(?:J|Am|Proc|Natl|Acad|Sci|Biol|Chem|Med|Clin|Rev|Lett|Res|Int|Ann|Arch|Mol|Phys|Eng|Genet|Microbiol|"
        r"Neurosci|Surg|Pharmacol|Immunol)\b\.?[ ]|\b(?:Journal|Proceedings|Transactions|Press|Springer|Elsevier|"
        r"Wiley|Nature|Science|Lancet|Cell|PLoS|PLOS|PNAS|BMC|BMJ|Annals|Archives|Letters|Review|Reviews|Bulletin|"
        r"University Press|Publishers?|Books|Thesis|Dissertation|Conference|Oxford|Cambridge)\b",
    )
)
_AUTHOR_YEAR = regex.compile(rf"{_SURNAME}[ ]?,?[ ]{_INITIALS}[ ,.]*\(?(?:1[89]|20)\d\d", _F)
_MANY_AUTHORS = regex.compile(rf"(?:{_SURNAME}[ ]?,?[ ]{_INITIALS}[ ]?(?:,|;|and|&|\b)[ ]?){{2}}", _F)

_DEGREE = regex.compile(
    r"(?:,[ ]?|[ ])\b(?:MD|M\.D\.|PhD|Ph\.D\.|MSc|MPH|MBBS|MBChB|BSc|FRCP|FRCS|RN|DPhil|MS|MA|BA|DrPH|ScD|Dr|Prof|"
    r"Jr|Sr)\b\.?",
    _F,
)
_LINK = regex.compile(r"https?://\S+|(?i:orcid)\S*|(?<![\w.+-])[\w.+-]++@[\w.-]+", _F)
_CHUNK = regex.compile(
    r"(?:\p{Lu}[\p{L}\p{M}'’‐.-]*|\p{Lu}\.?|"
    rf"{_PARTICLE}\p{{Lu}}[\p{{L}}\p{{M}}'’‐.-]*)(?:[ ]{_PARTICLE}\p{{Lu}}[\p{{L}}\p{{M}}'’‐.-]*){{1,11}}",
    _F,
)
_INVERTED = regex.compile(rf"{_SURNAME},[ ](?:[\p{{Lu}}][\p{{L}}.'’-]*[ ]?){{1,4}}", _F)
_SAYS_AUTHORS = regex.compile(r"(?i:^\W*(?:authors?|by|contributors?|editors?)\s*:)", _F)
_A_THING = regex.compile(rf"\b(?i:{THINGS})\b", _F)
_NO_AUTHOR = regex.compile(
    r"\b(?:Patient|Ward|Discharge|Clinic|Room|Admission|Date|Nurse|Report|Summary|Note|Address|Street|Road|"
    r"Emergency|Consultant)\b"
)
_PLACE = (
    r"(?:Department|Departments|Dept\b\.?|Division|Institut[eo]?s?|Universit[yéàä]\w*|Hospital|Hôpital|Faculty|"
    r"School|Laborator\w+|College|Cent(?:er|re)|CNRS|I[Nn][Ss][Ee][Rr][Mm]|Clinic|Academy|Ministry|Unit|Section|"
    r"Program(?:me)?|Klinik|Klinikum|Max Planck|UMR)"
)
_AFFILIATION = regex.compile(
    rf"^[\W\d]*(?:[a-z]\b[ ]?)?(?:[\p{{L}}'’&-]+[ ]){{0,4}}{_PLACE}\b[^\n]*(?:,|\bof\b|\bde\b)", _F
)
_DOES = regex.compile(
    r"\b(?:is|was|were|are|has|had|have|admitted|seen|referred|transferred|discharged|underwent|presented|lives|"
    r"works|called|reports|visited|with a|pt|he|she|his|her)\b"
)
_CORRESPOND = regex.compile(
    r"(?i:^\W*(?:author |address |for |all )*correspondence\b[ ]*(?:to\b|address|and requests|should|:|[\p{L}]+[ ]?:)|"
    r"\bcorresponding author\b|\baddress (?:all )?correspondence to|\bfor correspondence\b)",
    _F,
)

_CITED_NAME = rf"{_SURNAME}(?:[ ]{_INITIALS})?"
_YEAR = r"(?:1[89]|20)\d\d[a-z]?"
_CITATIONS = tuple(
    regex.compile(pattern, _F)
    for pattern in (
        rf"(?:{_CITED_NAME}(?:,[ ]|,?[ ](?:and|&)[ ])){{0,6}}{_CITED_NAME},?[ ](?:et[ ]al\b\.?|(?:and|"
        r"&)[ ](?:co-?workers|"
        r"colleagues))(?:['’]s)?",
        rf"(?:{_CITED_NAME}(?:,[ ]|,?[ ](?:and|&)[ ])){{0,6}}{_CITED_NAME}(?:['’]s)?,?[ ]?[(\[]{_YEAR}[^)\]\n]{{0,60}}"
        r"[)\]]",
        rf"[(\[](?:[^()\[\]\n]{{0,60}}[ ;])?{_CITED_NAME}[^()\[\]\n]{{0,80}}?\b{_YEAR}[^()\[\]\n]*[)\]]",
        rf"{_CITED_NAME}(?:[ ](?:and|&)[ ]{_CITED_NAME})?[ ]?\[\d[\d,–\- ]*\]",
        rf"(?<!\p{{L}})\p{{Lu}}[\p{{L}}'’]++(?:[ ]?[-–][ ]?\p{{Lu}}[\p{{L}}'’]++)+(?:[ ](?i:{THINGS}))?\b",
        rf"(?<!\p{{L}})\p{{Lu}}[\p{{L}}'’-]++(?:['’]s?)?(?:[ ]\p{{Ll}}+)?[ ](?i:{THINGS})\b",
    )
)
_THANKS = tuple(
    regex.compile(pattern, _F)
    for pattern in (
        r"\b[Ww]e(?: also| would like to| wish to)? (?:gratefully )?(?:thank|acknowledge)\b(?! you)[^\n]*",
        r"\b[Tt]he authors? (?:would like to |wish to |gratefully )?(?:thanks?|acknowledges?|declares?)\b[^\n]*",
        r"\b(?:We|The authors) are (?:very |most )?(?:grateful|indebted|thankful) to\b[^\n]*",
        r"[^\n]*\b(?:(?:[Rr]eviewing|[Ss]enior|[Aa]cademic|[Hh]andling|[Gg]uest|[Aa]ssociate) [Ee]ditor|"
        r"Reviewer #\d)\b[^\n]*",
        r"^(?:[\p{Lu}][\p{L}.'’-]*[ ]){1,5}Editor\b[^\n]*",
        r"(?i:^\W*(?:acknowledge?ments?|author contributions?|competing interests?|conflicts? of interest|funding|"
        r"academic editor|edited by|handling editor|conceived and designed)\b)[^\n]*",
    )
)


def of_patients(text: str) -> bool:
    """Whether it speaks of a patient: a record number, a date of birth, "the patient was"; a title is not enough."""
    return _PATIENTS.search(text) is not None


@lru_cache(1024)
def published(text: str) -> tuple[Part, ...]:
    """What is published about authors.

    Returns:
        First character, character after the last, and what stays there: beside citations names that nothing but
        their words show (`GUESSES`), in thanks all names (`NAMES`), in references, author lists and the like also
        addresses and telephones (`ALL`). Parts may overlap.
    """
    clinical = _CLINICAL.search(text) is not None
    found: list[Part] = []
    at = 0
    for line in text.split("\n"):
        if not clinical and (_is_reference(line) or _is_front_matter(line)):
            found.append((at, at + len(line), ALL))
        else:
            found += [(at + m.start(), at + m.end(), GUESSES) for pattern in _CITATIONS for m in pattern.finditer(line)]
            if not clinical:
                found += [(at + m.start(), at + m.end(), NAMES) for pattern in _THANKS for m in pattern.finditer(line)]
        at += len(line) + 1
    return tuple(found)


def _is_reference(line: str) -> bool:
    """Whether a line is an entry of a bibliography: authors first, then two or more of what entries have."""
    if len(line) < 20 or _NO_REFERENCE.search(line) or (len(line) > 500 and not _MANY_AUTHORS.match(line)):
        return False
    evidence = sum(pattern.search(line) is not None for pattern in _EVIDENCE)
    if _FIRST.match(line):
        return evidence + (_MANY_AUTHORS.match(line) is not None) + (_AUTHOR_YEAR.match(line) is not None) >= 2
    if len(line) > 400 or _DOES.search(line):
        return False
    return evidence >= (2 if _NUMBERED.match(line) else 3)


def _is_front_matter(line: str) -> bool:
    if len(line) < 500 and _CORRESPOND.search(line):
        return True
    if len(line) < 800 and _AFFILIATION.match(line) and not _DOES.search(line):
        return True
    return _is_author_list(line)


def _is_author_list(line: str) -> bool:
    """Whether a line is names side by side: two or more, and nothing else but the marks that authors have."""
    bare = _DEGREE.sub("", _LINK.sub(" ", line))
    marks = bare != line or regex.search(r"[\d*†‡§¶]", line) is not None
    chunks = [chunk.strip(" .") for chunk in regex.split(r"[,;•·|&\d*†‡§¶()/\n]+|\band\b|\bund\b", bare)]
    chunks = [chunk for chunk in chunks if len(chunk) > 1]
    if (
        not chunks
        or _NO_AUTHOR.search(bare)
        or (":" in bare and not _LINK.search(line) and not _SAYS_AUTHORS.match(bare))
    ):
        return False
    if not marks and _A_THING.search(bare):
        return False
    halves = [half.strip(" .") for half in bare.split(";") if half.strip(" .")]
    if len(halves) >= 2 and sum(_INVERTED.fullmatch(half) is not None for half in halves) / len(halves) >= 0.75:
        return True
    names = sum(_CHUNK.fullmatch(chunk) is not None and not _of_a_sentence(chunk) for chunk in chunks)
    if names >= 2 and names / len(chunks) >= 0.75:
        return True
    words = regex.findall(
        r"[\p{L}][\p{L}.'’-]*", bare
    )  # with affiliations between them, as XML has it without its tags
    small = [word for word in words if word[0].islower() and len(word) > 3]
    places = regex.search(rf"\b{_PLACE}\b", bare) is not None
    return marks and names >= 2 and (len(small) <= 0.08 * len(words) or (places and not _DOES.search(bare)))


def _of_a_sentence(chunk: str) -> bool:
    """Whether function words are in it, as in a sentence in capitals; "A" is an initial."""
    return any(len(word) > 1 and word.lower() in FUNCTION for word in chunk.split())


_HEADINGS = regex.compile(
    r"\W*(?:\d+[.)]?\s*)?(?P<to_the_end>references?(?: cited| list)?|bibliography|literature(?: cited)?|"
    r"works cited)\W*|"
    r"\W*(?:\d+[.)]?\s*)?(?:acknowledge?ments?|authors?['’]? contributions?|contributors?|authors?|"
    r"about the authors?|funding|"
    r"author information|affiliations?|(?:competing|conflicts? of|declaration of) interests?)\W*",
    regex.IGNORECASE | _F,
)


def below_headings(paragraphs: list[str]) -> list[bool]:
    """Of each paragraph, whether it stands below a heading that says it is about authors, and names no patient.

    Such a section ends at the next short line without a full stop, a bibliography at the document's end.
    """
    found, inside, to_the_end = [], False, False
    for text in paragraphs:
        if len(text) < 60 and (heading := _HEADINGS.fullmatch(text.strip())):
            inside, to_the_end = True, to_the_end or heading["to_the_end"] is not None
        elif inside and not to_the_end and len(text) < 60 and not text.rstrip().endswith((".", ";", ",", ")")):
            inside = False
        found.append(inside and _CLINICAL.search(text) is None)
    return found
