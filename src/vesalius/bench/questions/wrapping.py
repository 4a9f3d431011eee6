"""What models put around an answer: thinking, markdown, LaTeX, leaked tokens, the next question; and how they refuse.

Knows how an answer's words are brought out of all that, in time linear in their number: what comes may be any length.
Leaves what the words mean to `letters` and `yes_no`.
"""

import re
import unicodedata

_THINKING = "think|thinking|thought|reasoning|analysis"
_OPEN = re.compile(rf"<(?:{_THINKING})>|◁think▷|\[think\]", re.IGNORECASE)
_CLOSE = re.compile(rf"</(?:{_THINKING})>|◁/think▷|\[/think\]", re.IGNORECASE)
# Models that were not taught to stop go on with a question of their own: what they answer to it is not ours.
_NEXT = re.compile(
    r"\n[ \t]*(?:question|q\d*|human|user|问题)[ \t]*[:：]|<\|(?:user|im_start|start_header_id)\|>", re.IGNORECASE
)
_TOKEN = re.compile(
    r"<\|[^|<>\n]{1,30}\|>|</?s>|<(?:eos|bos|pad|end_of_turn|start_of_turn)>|\[/?INST\]|[\u200b-\u200f\ufeff]"
)
_LATEX = re.compile(r"\\(?:text|textbf|textit|textrm|mathbf|mathrm|mathbb|mathsf|emph|rm|bf)\s*\{([^{}\n]*)\}")
_BOX = re.compile(r"\\f?box(?:ed)?\s*\{([^{}]{0,500}(?:\{[^{}\n]{0,200}\}[^{}\n]{0,200}){0,3})\}")
_BOLD_LETTER = re.compile(r"(\*\*|__|\*|`)\(?([A-Z])[).:]?\1(?!\w)")
_MARKS = re.compile(r"\*+|(?<!\w)_{1,3}|_{1,3}(?!\w)|`+|^[ \t]*(?:#{1,6}|>)[ \t]*", re.MULTILINE)
_REFUSES = re.compile(
    r"\bi(?:['’]m| am) (?:very |really |so )?(?:sorry|unable|not able)"
    r"|\bi (?:can(?:not|['’]t| not)|could(?:n['’]t| not)|won['’]t|will not|am not able to|['’]m not able to) "
    r"(?:\w+ )?(?:provide|answer|determine|assist|help|view|see|give|diagnose|make|identify|interpret|tell|say"
    r"|access|"
    r"analy[sz]e|comply|offer|decide|confirm|process|open)"
    r"|\bi (?:do not|don['’]t) (?:have (?:access|enough|the ability|sufficient|any))"
    r"|\bas an ai\b|\bas a (?:large )?language model"
    r"|\b(?:unable|not possible|impossible|difficult) to (?:answer|determine|provide|view|see|analy[sz]e|access"
    r"|tell|say)"
    r"|\b(?:cannot|can['’]t|could not|can not) be (?:determined|answered|assessed)"
    r"|\bno images? (?:is |was |were |has been |have been )?(?:provided|attached|given|uploaded|visible)"
    r"|\b(?:not enough|insufficient) information|\bplease (?:provide|upload|share|attach)"
    r"|\bconsult (?:a|your|with) (?:\w+ )?(?:doctor|physician|healthcare|medical|radiologist|professional|specialist)"
    r"|抱歉|对不起|无法(?:回答|确定|判断|查看|提供|看到|得出|辨认|识别)|我不能|不能(?:回答|确定|判断)|没有(?:提供)?图[像片]"
    r"|tut mir leid|kann ich nicht (?:sagen|beurteilen|beantworten)|ich kann (?:\w+ ){0,3}nicht|je ne (?:peux|sais)"
    r"|lo siento|no puedo (?:responder|determinar|ayudar|ver|proporcionar)|申し訳|わかりません|できません",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\bi(?:'m| am) (?:not (?:\w{1,10} )?(?:sure|certain)|unsure)|\bi (?:do not|don't) know\b|不知道|不确定",
    re.IGNORECASE,
)


def without_thinking(text: str) -> tuple[str, bool]:
    """The text after all thinking, and whether thinking never ended and nothing was said before it.

    Templates open it in the prompt, so that only its end may be there.

    >>> without_thinking("<think>A or B?</think> B")
    (' B', False)
    """
    if closed := list(_CLOSE.finditer(text)):
        text = text[closed[-1].end() :]
    if opened := _OPEN.search(text):
        before = text[: opened.start()]
        return before, not before.strip()
    return text, False


def plain(text: str) -> str:
    """Words alone: full-width forms narrowed, markdown and LaTeX gone; `\\boxed{x}` becomes `[[x]]`, `**B**` `(B)`.

    >>> plain("**Answer:** `x` $\\\\boxed{\\\\text{C}}$").split()
    ['Answer:', 'x', '[[C]]']
    """
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'")
    if following := _NEXT.search(text, len(text) - len(text.lstrip()) + 1):
        text = text[: following.start()]
    text = _TOKEN.sub(" ", text)
    if "\\" in text:
        for _ in range(3):
            text = _LATEX.sub(r"\1", text)
        text = _BOX.sub(r"[[\1]]", text)
        text = re.sub(r"\\boxed\s+(\w)", r"[[\1]]", text)
        text = re.sub(r"\\[()\[\],;:! ]|\\quad|\\%", lambda m: "%" if m[0] == "\\%" else " ", text)
    text = text.replace("$", " ")
    text = _BOLD_LETTER.sub(r"(\2)", text)
    return _MARKS.sub("", text)


def normal(text: str) -> str:
    """For comparing words: case, blanks, articles in front and punctuation at the ends do not matter.

    >>> normal(" The Left  kidney. ")
    'left kidney'
    """
    text = " ".join(plain(text).split()).casefold().strip(" .,;:!?\"'“”‘’()[]{}<>。，；：！？、【】「」")
    return re.sub(r"^(?:the|an?) (?=\w{2})", "", text)


def refuses(words: str) -> bool:
    """Whether a plain text says that its author will not or cannot answer."""
    return _REFUSES.search(words) is not None


def unsure(words: str) -> bool:
    """Whether a plain text says that its author does not know; an answer may follow all the same."""
    return _UNSURE.search(words) is not None
