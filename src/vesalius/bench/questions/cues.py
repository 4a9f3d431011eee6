"""The phrases by which models state, deny and hedge an answer, as patterns.

Knows English best, and the usual forms in Chinese, German, French, Spanish, Japanese and Korean. Every pattern is
bounded: none runs on over an answer of any length. Leaves what they mean together to `letters`.
"""

import re

# A letter or a word ends where no other letter of an alphabet follows: Chinese and Japanese know no blanks.
CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
LEFT, RIGHT = rf"(?<![^\W{CJK}])", rf"(?![^\W{CJK}])"
# The same where a text holds no such character: patterns made for each question compile a hundred times faster.
SOME_CJK, PLAIN_LEFT, PLAIN_RIGHT = re.compile(f"[{CJK}]"), r"(?<!\w)", r"(?!\w)"
CAPITAL = re.compile(rf"{LEFT}(?<!['/&-])[A-Z](?!['/&-]?[^\W{CJK}])")
UPPER_CASE = re.compile(rf"([A-Z])(?!'?[^\W{CJK}]|[-&][^\W{CJK}])")
ANY_CASE = re.compile(rf"([A-Za-z])(?!'?[^\W{CJK}]|[-&][^\W{CJK}])")

NOUN = (
    r"(?:answers?|antwort|lösung|réponses?|respuestas?|resposta|risposta|ответ|selections?|"
    r"(?<!answer )(?:option|choice|opción|opcion|choix)|(?:correct|right|best|final|my|chosen"
    r"|selected) (?:options|choices)|"
    r"(?:likely|final|probable|correct|best) (?:diagnosis|finding|conclusion|interpretation))"
)
IS = (
    r"(?:\s*[:=]|\s*(?:->|→|⇒|➡️?)|\s+(?:is|are|was|were|would be|should be|must be|will be|has to be"
    r"|seems to be|appears to be|"
    r"ist|sind|lautet|est|sont|es|son|é|è)\b(?:\s*:)?)"
)
CUE = re.compile(
    rf"(?P<noun>{LEFT}{NOUN})[\"']?(?:\s+(?:letter|number|option|choice|here|correctas?|correctes?|correta|corretta|"
    rf"(?:to|for) (?:this|the) question|based on [^.\n]{{0,60}}))*(?P<is>{IS})"
    r"|\b(?P<verb>i(?:'d| would| will| shall|'ll)?\s+(?:\w+ly\s+)?(?:choose|select|pick|go (?:with|for)|opt for"
    r"|say|answer|"
    r"vote for|guess)|(?:we|you)\s+(?:should\s+)?(?:choose|select|pick)|(?:choose|select|pick)(?:ing)?"
    r"|settle on|lean(?:ing)? towards?)\b:?"
    r"|\b(?P<so>therefore|thus|hence|so|consequently|daher|also|donc|(?:it|this|that|which) (?:must|should"
    r"|has to|can only) be|"
    r"leav(?:es|ing)(?: us)?(?: with)?)\b,?(?:\s+(?:it|this|that)\s+(?:is|must be|should be|has to be)|\s+it's)?:?"
    r"|(?P<cjk>(?:答案|选项|選項|解答|回答|正解|答え|정답|답)(?:应该是|应该为|应为|应是|就是|是|为|選|は|은|는|\s*[:=])+"
    r"|(?:应该?选择?|故选|所以选|因此选|选择|我选择?|本题选|(?<![可备待所被当筛挑精])选)(?!项)(?:的是|是|为|:)?|因此(?:是|为)?|所以(?:是|为)?)"
    r"|\"?\b(?P<key>(?:final_?answer|answer|choice|option|selected_option|prediction|label)\"?\s*:)",
    re.IGNORECASE,
)
TAG = re.compile(
    r"\[\[\[?(?P<box>[^\[\]]{0,600})\]?\]\]|<(?P<name>answer|final_answer|final|option|choice)>(?P<tag>[^<]{0,2000})",
    re.IGNORECASE,
)
FILLER = re.compile(
    r"(?:[\s\"'“”*_`#<>:\-–—({【「《\[]|(?:clearly|probably|likely|definitely|most likely|therefore|thus|that|the"
    r"|indeed|simply|just|"
    r"actually|both|option|choice|letter|answer|number|label(?:l?ed)?|are|is|be|die|der|das|la|le|el|opción"
    r"|option|as|by|"
    r"correct|right|best|final|one|hier)\b(?!['-])\s*|选项|选择|答案|選項)*",
    re.IGNORECASE,
)
SEPARATOR = re.compile(
    r"[\])\"'}】」]*\s*(?P<mark>,\s*(?:and|or)\b|,|/|&|\+|;|and/or\b|and\b|or\b|und\b|oder\b|et\b|ou\b|y\b|和|或|、"
    r"|及|与)\s*"
    r"(?:also\s+|possibly\s+|maybe\s+)?(?:(?:option|choice)\s+)?[\[(\"'{]*",
    re.IGNORECASE,
)
CLOSING = re.compile(r"[\s\])\"'}】」>]*[.:、,)\]]?[\s\])\"'}(–—-]*")
ORDINAL = re.compile(
    r"(first|second|third|fourth|fifth|sixth|1st|2nd|3rd|4th|5th|6th)\s+(?:option|choice|answer|one)\b"
    r"|第?([一二三四五六七八九十])个?(?:选项)?(?![一-鿿])",
    re.IGNORECASE,
)
ORDINALS = {
    w: i
    for ws in ("first second third fourth fifth sixth", "1st 2nd 3rd 4th 5th 6th", "一 二 三 四 五 六 七 八 九 十")
    for i, w in enumerate(ws.split())
}
CLAUSE = re.compile(
    r"[.!?;。；！？\n]\s|\n|\b(?:but|however|instead|although|though|while|sondern|mais|sino)\b|而是|而|但",
    re.IGNORECASE,
)
DENIES = re.compile(
    r"\b(?:not|no|without|never|neither|nor|den(?:y|ies)|absen(?:t|ce)|negative for|free of|lack(?:s|ing)?"
    r"|rather than|"
    r"instead of|unlike|except|excluding|exclude[sd]?|rule[sd]? out|ruling out|eliminat\w{1,4}|incorrect\w{0,2}"
    r"|wrong|against|"
    r"unlikely|kein\w{0,2}|nicht|ohne|pas|sans|sin)\b|n't\b|不是|没有|未见|无|不选|排除|并非|不|ではな",
    re.IGNORECASE,
)
# Words that stand beside what is meant, or are one of two: «next to the liver», «a cyst or …».
BESIDE = re.compile(
    r"\b(?:next to|adjacent to|lateral to|medial to|anterior to|posterior to|close to|near|above|below|beneath|beside"
    r"|behind|in front of|between|or)\s+(?:an?\s+|the\s+|possibly\s+|maybe\s+)?$|或者?$",
    re.IGNORECASE,
)
OR_ELSE = re.compile(r"\s+or\b|或", re.IGNORECASE)
DENIES_LETTER = re.compile(
    r"(?:\b(?:not|neither|nor|never|than|rul(?:e|es|ed|ing) out|exclud\w{1,4}|eliminat\w{1,4}|except|unlike"
    r"|without|of|over|against)"
    r"|n't|不是|不选|排除|并非)\s*(?:be\s+)?(?:(?:option|choice|answer|letter)\s+)?[(\"'\[]*$",
    re.IGNORECASE,
)
DENIES_CUE = re.compile(
    r"(?:\b(?:not|never|nor|neither|why|if|whether|cannot)|n't)\s+(?:[a-z']{1,12}\s+){0,2}$", re.IGNORECASE
)
WRONG = re.compile(
    r"[\s)\].:,，、\"'-]{0,12}(?:(?:is|are|was|were|would be|seems?|can be|could be|can"
    r"|looks)\s+(?:\w{1,10}ly\s+)?(?:also\s+|both\s+|all\s+)?"
    r"(?:be\s+)?(?:not\b|in(?:correct|accurate)|wrong|false|unlikely|ruled out|excluded|eliminated|(?:less"
    r"|not)\b|out\b|implausible|"
    r"unsupported|absent)|isn't|aren't|(?:does|do|can|could|would)(?:n't| not)\b|cannot|(?:this is "
    r"|that is )?(?:incorrect|wrong|false)\b"
    r"|不正确|不对|错误|是错|不是|不成立|ist falsch|est fausse?|es incorrecta|❌|✗|✘)",
    re.IGNORECASE,
)
CORRECT = re.compile(
    r"[\s)\].:,\"']{0,12}(?:(?:is|are|seems?|appears?|looks|would be|must be|should be)\s+(?:to be\s+)?"
    r"(?:(?:also|both|all|most likely|probably|clearly|definitely|indeed|therefore|thus)\s+)?(?:the\s+)?"
    r"(?:(?:most|more|best|only|single|right|correct|final)\s+){0,2}(?:correct|right(?![ -](?:side|lung|lower"
    r"|upper|middle))|true|"
    r"accurate|appropriate|answer|likely|best|plausible|suitable|probable|option|choice|diagnosis)\b"
    r"|\s{0,4}[:–—-]{1,3}\s{0,4}(?:this is )?(?:the )?(?:correct|true|right answer|yes)\b|\s{0,4}(?:✓|✔|✅|☑)"
    r"|(?:选项)?(?:是|为)?(?:正确|对的|最佳)|が正し|ist (?:richtig|korrekt)|est (?:la bonne|correcte)"
    r"|es (?:la )?correcta)",
    re.IGNORECASE,
)
# After these words a capital letter is part of a name: «hepatitis B», «vitamin C», «panel A».
NAMES = re.compile(
    r"\b(?:hepatitis|vitamins?|type|group|grade|class|stage|influenza|factor|segment|protein|chain|subunit"
    r"|domain|category|panel|"
    r"fig(?:ure|\.)?|image|zone|line|lead|lines|ig|complex|coenzyme|h[ae]{1,2}mophilia|cyclin|patient|point"
    r"|region|area|arrow|structure|"
    r"label(?:l?ed)?|marked|slide|part|section|table|phase|strain|sample|site|box|weber|child|borrmann"
    r"|vit\.?)[\s-]{1,4}(?=[A-Z])|\d[\s°]{0,4}(?=[A-Z])|\bdr\.?\s{1,4}(?=[A-Z])",
    re.IGNORECASE,
)
VERBS = {"A": "is|are|was|and|or|because|since|as|but|would|seems|must|should|can|could|for|due|based|with|instead",
          "I": "is|and|or|because|since|as|for|due|based"}  # fmt: skip
ARTICLE = {k: re.compile(rf"\s+(?!(?:{v})\b)\w|-\w") for k, v in VERBS.items()}
PRONOUN = re.compile(
    r"[,;]?\s+(?:am|would|will|think|believe|can|do|have|was|see|chose|choose|guess|know|don't|cannot)\b"
)
MEANT = re.compile(
    r"(?:\b(?:is|be|like|say|pick|with|as|guess|think|probably|maybe|perhaps|definitely|certainly|for|option"
    r"|choice|select|to|"
    r"answer|likely)|'s|[\"'(\[>:→✅☑👉])\s*[(\"'\[]*$",
    re.IGNORECASE,
)

# Forms of a text that is nothing but an answer; normalised words.
ANSWER_IS = re.compile(
    r"(?:(?:the |my )?(?:correct |final |best )?(?:option|choice|answer|letter|选项)s?\s*(?:is|are|:)?\s*)?",
    re.IGNORECASE,
)
TRAILING_ARTICLE = re.compile(r"(?<!option)(?<!letter)(?<!choice)(?<!:)\sa$")
LETTER_AND_WORDS = re.compile(r"[(\[{\"']*([A-Za-z])[)\]}\"']*\s*[).:、,\-–—\s(\]]\s*(.+)$", re.DOTALL)
LETTERS_LISTED = re.compile(
    r"[a-z](?:[\s\"')\]]*(?:,|;|/|&|\+|\band\b|\bor\b|和|或|、)\s*(?:and |or )?[\"'(\[]*[a-z](?![a-z])){1,25}"
)
# Lists of options.
LETTER_OF_LIST = re.compile(rf"{LEFT}[(\[]?([A-Z])\s?[)\].:、]\s*")
LINE_BEGINS = re.compile(r"(?:^|\n)[ \t]{0,8}[-•]?[ \t]{0,4}(?:option |choice )?$", re.IGNORECASE)
LINE_OF_LIST = re.compile(
    r"\s{0,8}[-•]?\s{0,4}(?:option |choice |选项)?[(\[]?[A-Z]\s?[)\].:、]\s{0,4}\S", re.IGNORECASE
)
# Around a letter or words.
OPENING = re.compile(r"[\s•\-–—>\"'(\[{【「✅☑👉]{0,12}(?:(?:option|choice|选项)\s?[(\[]?)?", re.IGNORECASE)
OPTION_BEFORE = re.compile(r"(?:option|choice|选项|number|letter|\()[\s\"':(]*$", re.IGNORECASE)
LETTER_ENDS = re.compile(
    r"[)\].:,、–—\-\n\"}】」]|\s{0,4}[–—\-(\n:]|\s*\Z|\s+(?:because|since|as|is|due|based|it is)\b"
)
# A letter before a noun of its own is no answer: «B symptoms».
LETTER_OF_NOUN = re.compile(
    r"\s+(?!(?:to|because|since|as|is|was|and|or|for|here|with|due|based|from|in|but|it|would|given|although)\b)[a-z]"
)
LETTER_CLOSES = re.compile(r"[)\]\"'】」]|[\s.!]*\Z")
NEXT_SENTENCE = re.compile(r"[A-Z][)\]]?\s+(?:is|are|was|does|would|shows|has|can|could)\b")
BRACKET = re.compile(r"\s{0,4}\([^()\n]{0,80}\)")
RIGHT_ANSWER = re.compile(
    r"\s+is\s+(?:therefore\s+|clearly\s+)?the\s+(?:(?:most|correct|right|best)\s+){1,2}(?:likely\s+)?"
    r"(?:answer|option|choice|diagnosis)\b",
    re.IGNORECASE,
)
NO_ANSWER = re.compile(r"(?:not|neither|none of|unknown|unclear|uncertain)\b|不", re.IGNORECASE)
EITHER = re.compile(r"either\s+(?:option\s+)?", re.IGNORECASE)
NUMBER = re.compile(r"(\d{1,2})(?![\w%]|[.,]\d)")
CLAUSE_ENDS = re.compile(r"[.,;)\n!]|\s*\Z")
TEXT_ENDS = re.compile(r"\s*(?:\.\s*)?\Z")
