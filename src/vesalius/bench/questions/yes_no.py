"""Whether an answer in words says yes or no; nothing is ever guessed.

Knows the words for both in a few languages, and one thing more: an answer that takes up what was asked and asserts or
denies it («Is there a pneumothorax?» — «There is no evidence of pneumothorax.») says so without the word. That needs
the question; without it, such an answer is not read, since «There is no effusion» is a yes to «Is this normal?». «No»
before a noun is such a denial, not the answer «no».
"""

import re

_YES = r"yes|yeah|yep|ja|oui|sí|sì|si|да|true|positive|correct|present"
_NO = r"no|nope|nein|non|нет|false|negative|incorrect|absent"
_CJK_YES, _CJK_NO = r"是的|是|有|对|存在|はい|네", r"不是的|不是|没有|否|不存在|不对|无|不|いいえ|아니요"
_DENIAL = re.compile(f"{_NO}|{_CJK_NO}", re.IGNORECASE)
_SAYS = re.compile(
    r"\[\[\s{0,9}(?P<box>yes|no)\b[^\]]{0,80}\]\]|<(?:answer|final_answer|final)>\s{0,9}(?P<tag>yes|no)\b"
    r"|(?:answers?|antwort|réponse|respuesta|conclusion|答案)\"?\s{0,4}(?:to (?:this|the|your) question\s{0,4})?"
    r"(?:is:?|:|would be|should be|must be|ist|est|es|是|为|：)\s{0,9}(?:therefore\s+|a\s+)?(?:clear\s+)?[\"'“(\[]{0,3}"
    rf"(?P<stated>{_YES}|{_NO})\b|答案(?:是|为|:)\s{{0,9}}(?P<cjk>{_CJK_NO}|{_CJK_YES})",
    re.IGNORECASE,
)
_BARE = re.compile(
    rf"[\W_]{{0,12}}(?P<word>{_YES}|{_NO})\b(?!['-]\w)(?!\s*(?:/|or|and|oder)\s*(?:yes|no)\b)", re.IGNORECASE
)
# What may follow «no» where it is the answer: nothing that «no» could belong to.
_AFTER_NO = re.compile(
    r"\s*(?:[^\w\s]|\n|\Z)|\s+(?:there|it|this|that|the|these|those|i|we|he|she|they|you)\b", re.IGNORECASE
)
_CJK = re.compile(rf"[\W_]{{0,12}}(?P<word>{_CJK_NO}|{_CJK_YES})(?=[\W_]|$|的)")
_LAST = re.compile(r"(?:^|[.:,;\n>→]|\bis|\bso|\btherefore)[\s\"'(]*(?P<word>yes|no)[\s.!\"')]*$", re.IGNORECASE)
_ASKED = re.compile(
    r"(?:(?:is|are|was|were) there|(?:does|do) (?:the|this|these) [\w ]{1,40}? (?:have|show|demonstrate|contain"
    r"|reveal)|is|are)\s+"
    r"(?:(?:any|an?|the|some|evidence of|signs? of|presence of)\s+)*(?P<noun>[^?]{2,80}?)"
    r"(?P<end>\s+(?:seen|visible|present|noted|identified|shown|evident|in|on|at|of|within)\b[^?]*)?\s*\?",
    re.IGNORECASE,
)
_HEDGES = re.compile(
    r"\b(?:may|might|could|possibl[ey]|cannot|can't|if|whether|suspicious|unclear|rule)\b|\?", re.IGNORECASE
)


def said(words: str, question: str = "") -> tuple[bool, str] | None:
    """(yes or no, the rule that read it), None where neither is said.

    Args:
        words: the answer's plain words.
        question: what was asked, for answers that take it up.

    >>> said("No, there is none.")
    (False, 'bare')
    >>> said("There is no evidence of pneumothorax.", "Is there a pneumothorax?")
    (False, 'takes up what was asked')
    """
    if found := list(_SAYS.finditer(words)):
        word = next(group for group in found[-1].groups() if group)
        return not _DENIAL.fullmatch(word), "stated"
    for pattern in (_BARE, _CJK):
        match = pattern.match(words)
        if match and (match["word"].lower() != "no" or _AFTER_NO.match(words, match.end())):
            return not _DENIAL.fullmatch(match["word"]), "bare"
    if match := _LAST.search(words[-60:]):
        return not _DENIAL.fullmatch(match["word"]), "last word"
    return _takes_up(words, question)


def _takes_up(words: str, question: str) -> tuple[bool, str] | None:
    """The answer's sentences that take up what the question asks for, where all of them agree and none hedges."""
    asked = _ASKED.match(" ".join(question.split()))
    if not asked or (asked[0][:2].lower() in ("is", "ar") and " there " not in asked[0].lower() and not asked["end"]):
        return None  # «Is the heart enlarged?» asks for no thing that is there or not
    noun = _loose(asked["noun"])
    no_before = re.compile(
        rf"\b(?:no|not|without|absence of|negative for|free of)\b[^.,;]{{0,60}}{noun}", re.IGNORECASE
    )
    no_after = re.compile(rf"{noun}[^.,;]{{0,40}}\b(?:not|absent|excluded|ruled out)\b", re.IGNORECASE)
    found = set()
    for sentence in re.split(r"(?<=[.!?;])\s|\n", words[:4000]):
        if not re.search(noun, sentence, re.IGNORECASE):
            continue
        if _HEDGES.search(sentence):
            return None
        found.add(not (no_before.search(sentence) or no_after.search(sentence)))
    return (found.pop(), "takes up what was asked") if len(found) == 1 else None


def _loose(noun: str) -> str:
    """A pattern for what was asked for: blanks vary, and a plural is the same thing."""
    return r"\b" + r"\s+".join(re.escape(word.rstrip("s")) + r"(?:e?s)?" for word in noun.split()[:8]) + r"\b"
