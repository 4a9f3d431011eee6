"""Words that recognisers ask about: given names and surnames, titles, words that only look like names.

Names are those of the 1990 census of the United States (public domain), which the package `names` ships: 5,163 given
names, 88,799 surnames. They are many people's, not everybody's: a name that is not in them is still found by
a title, by a label, or by the name model.
"""

from functools import cache
from importlib import resources

import regex


def words(text: str) -> frozenset[str]:
    """The words of a text, split at white space."""
    return frozenset(text.split())


@cache
def given_names() -> frozenset[str]:
    """In small letters, without `FUNCTION` words; those that are `WORDS` too are a single word's business."""
    return _census("dist.male.first") | _census("dist.female.first")


@cache
def surnames() -> frozenset[str]:
    """In small letters."""
    return _census("dist.all.last")


def _census(file: str) -> frozenset[str]:
    lines = resources.files("names").joinpath(file).read_text(encoding="ascii").splitlines()
    return frozenset(line.split()[0].lower() for line in lines if line.strip()) - FUNCTION


# Function words, and what stands in tables and headings: never a part of a name in running text.
FUNCTION = words(
    """
    a an and any are as at be but by can cases do for from had has he her here his how if in into is it its less
    many me more most much my new no not of off old on one only or other our out over per right see set she so some
    such than that the their them then there these they this those to too two under up upon us very was we were what
    when where which while who why with you your all both each few first last since still thus total data table
    figure fig using used use show shown said says cell cells gene genes lines group groups tests times rates levels
    level types ages sex male female control controls sample samples study studies models methods method results
    result values value proteins protein patient patients children men women woman people human mice rat rats
    january february april july august september october november december monday tuesday wednesday thursday friday
    saturday sunday chance animal animals
    """
)
# Words that are names too, but at a sentence's start or in a heading mostly are not.
WORDS = FUNCTION | words(
    """
    case left long low high true line mean group test time rate type age model child man person mouse summer winter
    spring march may june north south east west pain art star sun moon sky lake river bay street page grant price
    son rich sharp strong swift young little english french german short small large major minor best good hand foot
    head bone brain back heart liver breast neck knee hip chest spine face eye lip wall field fields stone wood park
    white black brown green gray grey blue red golden van von lane drive court ward bell bird fish rose rice bean
    berry bush cash church cook cross day days king noble pope bishop knight wise moody merry love joy hope grace
    faith mercy chase will mark bill pat sue jack drew gene ray max penny dawn ginger mix weather cluster
    """
)
_ENDINGS = regex.compile(
    r"\p{L}*(?:tion|sion|ment|ness|ance|ence|ency|ancy|ity|ism|ology|ography|opathy|ectomy|oscopy|itis|osis|emia|"
    r"ing|ed|ous|"
    r"ive|able|ible|ical|ional|ular|ary|ure|ships?|ists?|ians?|ators?|izers?|isers?|ics)",
    regex.IGNORECASE,
)


def may_be_name(word: str) -> bool:
    """Whether a word is of the lists, or at least does not end as the language's nouns and adjectives do."""
    small = word.lower()
    known = small in given_names() or small in surnames()
    return small not in FUNCTION and (known or not word.isascii() or _ENDINGS.fullmatch(word) is None)


# After a name they make it the name of a thing: a disease, a method, a place, a prize.
THINGS = (
    "disease|syndrome|disorder|sign|test|tests|stain|staining|score|scores|scale|index|criteria|criterion|"
    "classification|"
    "grade|grading|stage|staging|method|methods|procedure|operation|technique|approach|protocol|algorithm|model|models|"
    "equation|law|rule|principle|theorem|theory|hypothesis|effect|phenomenon|distribution|distributions|process|"
    "processes|"
    "correction|adjustment|transform|transformation|analysis|estimator|estimate|estimates|curve|curves|plot|plots|"
    "filter|"
    "kernel|network|networks|inequality|coefficient|coefficients|statistic|statistics|statistical|ratio|number|numbers|"
    "constant|factor|factors|function|functions|reaction|assay|blot|blots|blotting|buffer|solution|medium|media|agar|"
    "reagent|kit|antibody|antibodies|dye|cells?|mice|mouse|rats?|strain|strains|lymphoma|sarcoma|carcinoma|tumou?r|"
    "tumou?rs|anaemia|anemia|palsy|chorea|ataxia|dementia|dystrophy|neuropathy|thyroiditis|purpura|fracture|hernia|"
    "canal|gland|duct|tube|tubes|node|nodes|ring|fossa|ligament|muscle|reflex|contracture|ulcer|fever|virus|bacillus|"
    "catheter|needle|forceps|tube|drain|flap|graft|stent|valve|prosthesis|microscope|camera|detector|laser|software|"
    "package|library|database|repository|toolbox|platform|system|machine|machines|random|field|chain|walk|motion|"
    "university|hospital|hospitals|institute|institut|institution|foundation|school|college|clinic|clinics|center|"
    "centre|laboratory|laboratories|lab|academy|council|trust|fund|prize|award|fellowship|lecture|memorial|society|"
    "association|press|publishing|publishers|journal|street|road|avenue|lane|square|bridge|island|islands|river|lake|"
    "mountains?|county|valley|bay|sea|ocean|desert|forest|park|airport|company|corporation|inc|ltd|gmbh|llc|corp|co|"
    "study|trial|cohort|registry|group|groups|consortium|project|initiative|collaboration|questionnaire|inventory|"
    "interview|survey|guidelines?|declaration|convention|act|report|review|rank|sum|bodies|body|ethics|medical|"
    "nodules?|monitoring|pouch|o?esophagus|metaplasia|strictures?|city|cities|equilibrium|bias|cycle|minimal|salts?|"
    "biotech|biosciences?|pharmaceuticals?|technologies|"
    "scientific|diagnostics|instruments|healthcare|health|imaging"
)
