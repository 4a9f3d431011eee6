"""What a name looks like, and what beside it says that it is one: titles, labels, degrees, ages, greetings.

Patterns only; `names` says which of their matches are believed.
"""

from typing import Any

import regex

from vesalius.privacy.rules import EXACT_CASE

# One word of a name, in title case or in capitals: José, O'Neill, al-Rashid, McDONALD, Smith-Jones, J., J.-P.
SMALL = (
    r"(?:v[ao]n|de[nrslm]?|d[aiou]s?|du|del|della|la|le|l[oa]s|e[ln]|bin|ibn|bint|al|ter|te|ten|t[eo]r|zu[mr]?|af|av|"
    r"st\.|'t|y)"
)
_TITLE_CASE = (
    r"(?:[dDlLO]['’]|Ma?c|[Aa]l-|[Ee]l-)?\p{Lu}[\p{Ll}\p{M}]+(?:['’]\p{L}{2,}|"
    r"[\-‐]\p{L}[\p{L}\p{M}]*)*(?:\p{Lu}\p{Ll}+)?"
)
_CAPITALS = r"(?:Ma?c|O['’])?[\p{Lu}\p{M}]{2,}(?:['’\-]\p{Lu}+)*"
WORD = rf"(?:{_TITLE_CASE}|{_CAPITALS}|\p{{Lu}}['’]\p{{Lu}}\p{{L}}+)(?![\p{{L}}\p{{N}}])"
INITIAL = r"(?:\p{Lu}\.(?:-?\p{Lu}\.){0,3}+|\p{Lu}(?![\p{L}\p{N}'’-]))"
_ANY = rf"(?:{WORD}|{INITIAL})"
NAME = (
    rf"(?:(?:{INITIAL}[ ]*){{0,4}}(?:(?<=\.[ ])(?:{SMALL}[ ]+){{1,3}})?{WORD}(?:[ ]+(?:{SMALL}[ ]+){{0,3}}{_ANY}){{0,"
    r"4}|"
    rf"(?:{SMALL}[ ]+){{1,3}}{WORD}(?:[ ]+{WORD})?)"
    r"(?:,?[ ](?:Jr|Sr|II|III|IV)\b\.?)?"
)
_LISTED = rf"(?:{WORD}(?:[ ]+{WORD}){{0,2}},[ ]*{WORD}(?:[ ]+{_ANY}){{0,2}})"  # SMITH, JOHN A.

_POLITE = (
    r"(?:M(?:r|rs|s|x|iss|essrs|me|lle|onsieur|adame|evr|evrouw)|Sra?|Srta|Señor(?:a|ita)?|Signor[ae]?|Sig(?:\.ra)?|"
    r"Herrn?|Hr|Frau|Fräulein|Dhr|Meneer|Pani?)"
)
_LEARNED = (
    r"(?:D(?:r|ra|oct(?:or|eur)|ott(?:\.ssa|or|oressa)?)|Prof(?:essor)?(?:in)?|PD(?=[ ](?:Dr|Prof))|Univ\.-Prof|Drs|"
    r"Rev(?:erend)?|"
    r"Rabbi|Imam|Hon|Capt|Sgt|Lt|Col|Sir|Dame|Lady|Lord)"
)
_TITLE = rf"(?:(?:{_POLITE}|{_LEARNED})\b\.?(?:[ ]?(?:med|phil|rer\.[ ]?nat|h\.[ ]?c|ir|hab|dent|vet)\b\.?)*[ ]*)"
_TITLES = rf"(?<![\p{{L}}\p{{N}}]){_TITLE}+"
_JOBS = (
    r"(?:[Nn]urse|[Mm]idwife|[Mm]atron|[Ss]ister|[Mm]aster|[Dd]octor|[Pp]hysician|[Tt]herapist|[Ss]urgeon|"
    r"[Rr]adiologist|[Pp]athologist|[Cc]onsultant|[Rr]egistrar|[Ss]chwester|[Pp]fleger|[Cc]aregiver|[Cc]arer|"
    r"[Pp]hysiotherapist|[Pp]harmacist|[Dd]ietitian|[Ss]ocial [Ww]orker|[Uu]ncle|[Aa]unt|[Ff]ather|[Pp]astor|"
    r"[Oo]fficer)"
)
_LABEL = (
    r"(?:(?:patient|pt|pat|client|resident|subject|member|insured|donor|recipient)(?:['’]s)?(?:[ ](?:full[ ])?name)?|"
    r"(?:full|first|last|given|family|middle|maiden|birth|preferred|legal|sur|fore)[ -]?names?|surname|forename|"
    r"(?:attending|referring|primary[ ]care|ordering|requesting|treating|responsible|family|admitting|discharging|"
    r"consulting|reporting)(?:[ ](?:physician|doctor|provider|clinician|practitioner|md|radiologist|consultant|"
    r"surgeon|gp))?|"
    r"physician|doctor|clinician|provider|pcp|gp|consultant|surgeon|assistant|an(?:a)?esthe(?:tist|siologist)|"
    r"radiologist|"
    r"pathologist|cardiologist|oncologist|neurologist|psychiatrist|technologist|nurse|midwife|therapist|pharmacist|"
    r"(?:electronically[ ])?(?:dictated|signed|transcribed|verified|validated|authori[sz]ed|approved|performed|"
    r"reported|"
    r"interpreted|prepared|written|entered|reviewed|requested|ordered|referred|read)[ ]by|(?:seen|examined)[ ]by|"
    r"mother|father|spouse|wife|husband|partner|son|daughter|brother|sister|guardian|carer|caregiver|"
    r"next[ ]of[ ]kin|nok|"
    r"emergency[ ]contact|contact(?:[ ]person)?|relative|parent|informant|re|cc|attn|attention|beneficiary|"
    r"policy[ ]?holder|subscriber|signature|name(?:[ ]of[ ]patient)?|namen?|patientenname|nom|prénom|nombre|apellidos?|"
    r"paciente|cognome|nome|naam)"
)
_BY = (
    r"(?:(?:dictated|signed|transcribed|verified|validated|authori[sz]ed|seen|examined|accompanied|assessed|attended|"
    r"witnessed)(?:[ ]today|[ ]electronically)?[ ]by|family[ ]update[ ]given[ ]to|on[ ]behalf[ ]of|discussed[ ]with|"
    r"follow[ -]up[ ]with|spoke[ ](?:to|with)|under[ ]the[ ]care[ ]of|copy[ ]sent[ ]to)"
)
_BY_OR_CITED = r"(?:(?:evaluated|treated|reviewed|interpreted|reported|referred|approved|performed|requested)[ ]by)"
_RELATIVE = (
    r"(?:mother|father|mum|mom|dad|wife|husband|spouse|partner|son|daughter|brother|sister|aunt|uncle|grandmother|"
    r"grandfather|grandson|granddaughter|niece|nephew|cousin|friend|neighbou?r|fianc[ée]e?|boyfriend|girlfriend|carer|"
    r"caregiver|guardian|child|baby|twins?|relative)"
)
_DEGREE = (
    r"(?:M\.?D|D\.?O|M\.?B\.?B\.?S|MBChB|R\.?N|L\.?P\.?N|N\.?P|P\.?A(?:-C)?|F\.?R\.?C\.?[A-Z]{1,3}|"
    r"M\.?R\.?C\.?[A-Z]{1,3}|"
    r"FACC|FACS|FACP|DDS|DMD|Ph\.?D|Pharm\.?D|DPT|MSW|LCSW|CRNA|CNM|CNP|APRN|FNP|BSN|PsyD|DNP|ARNP)"
)
_AGE = (
    r"(?:an?[ ])?\d{1,3}[ -]?(?:(?:years?|yrs?|months?|weeks?|days?)(?:[ -]old|[ ]of[ ]age)|yo|y/o|y\.o\.|"
    r"years?(?=[,;.)])|(?:year|yr|month|week|day)-old)"
)
_PAPERS = r"(?:MRN|DOB|D\.O\.B|NHS|SSN|(?i:date[ ]of[ ]birth|born\b|patient[ ]id|hospital[ ]n|medical[ ]record))"
SAID_OF = (
    r"(?:was|is|has|had|will|reports?|reported|presents?|presented|denies|denied|states?|stated|complains?|complained|"
    r"came|arrived|attended|underwent|and|aged|born|lives|admitted|seen)"
)
_BUT = r"(?![\p{L}\p{N}])"
_AT = r"(?<![\p{L}\p{N}])"

TRIGGERS: tuple[tuple[str, float, Any], ...] = tuple(
    (name, score, regex.compile(pattern, EXACT_CASE))
    for name, score, pattern in (
        ("title", 0.95, rf"{_TITLES}(?<it>{NAME})"),
        ("title, listed", 0.95, rf"{_TITLES}(?<it>{_LISTED})(?![ ]?\p{{Ll}})"),
        (
            "title of two",
            0.95,
            rf"\b(?:Mr|Dr|Prof)\b\.?[ ](?:and|&|und)[ ](?:Mrs|Ms|Dr|Frau|Prof)\b\.?[ ]+(?<it>{NAME})",
        ),
        (
            "title of many",
            0.9,
            rf"\b(?:Drs|Profs|Messrs)\b\.?[ ]+(?<it>{NAME})(?:(?:,[ ]?|,?[ ](?:and|&)[ ])(?<it>{NAME}))*",
        ),
        (
            "title in capitals",
            0.9,
            rf"(?<![\p{{L}}\p{{N}}/-])(?:MR|MRS|MS|MISS|DR|PROF|HERR|FRAU)\b\.?[ ]+(?<it>{NAME})",
        ),
        (
            "title in small letters",
            0.85,
            r"(?<![\p{L}\p{N}/-])(?<!\d[ ]?)(?:mrs?|ms|miss|dr|prof(?:essor)?|herr|frau)(?:\.[ ]?|[ ])"
            r"(?<it>\p{L}[\p{L}'’\-]+(?:[ ](?:\p{L}\.[ ])?\p{L}[\p{L}'’\-]+)?)",
        ),
        ("job", 0.85, rf"\b{_JOBS}\b[ ]+(?<it>{NAME})"),
        (
            "label",
            0.9,
            rf"(?i:{_AT}{_LABEL})(?:[ ]?\([^)\n]{{1,30}}\))?(?:[ ]*[:|][ \t]*|[ ]+[-–—][ ]+|[ ]+is[ ]+|"
            rf"[ ]*\.{{2,}}[ ]*){_TITLE}*"
            rf"(?<it>{_LISTED}|{NAME})",
        ),
        (
            "label in small letters",
            0.7,
            r"(?i:\b(?:patient[ ]name|my[ ]name[ ]is|name[ ]is)\s*:?)[ ]+"
            r"(?<it>\p{Ll}[\p{Ll}'’\-]+(?:[ ]\p{Ll}[\p{Ll}'’\-]+){0,2})(?=[.,;!?\n]|$)",
        ),
        ("by", 0.85, rf"(?i:\b{_BY})[ ]+(?:our[ ])?{_TITLE}*(?<it>{NAME})(?![ ]et[ ]al)"),
        (
            "by, perhaps cited",
            0.75,
            rf"(?i:\b{_BY_OR_CITED})[ ]+{_TITLE}*(?<it>{WORD}[ ]+(?:{INITIAL}[ ]+)?{WORD})(?![ ]et[ ]al)",
        ),
        (
            "patient",
            0.85,
            rf"\b(?i:patient|pt\.?|client|resident)[ ]+(?<it>{WORD}[ ]+(?:{INITIAL}[ ]+)?(?:{SMALL}[ ])*{WORD}|"
            rf"{_LISTED})"
            rf"(?=[ ]{SAID_OF}\b|[ ]?[,.;:(|\n]|$)",
        ),
        (
            "patient, one word",
            0.8,
            rf"\b[Pp]atient[ ]+(?<it>{WORD})(?=[ ]{SAID_OF}\b|,[ ]who\b)",
        ),
        (
            "papers behind",
            0.85,
            rf"{_AT}(?<it>{WORD}[ ]+(?:(?:{SMALL}|{INITIAL})[ ]+)*{WORD}(?:[ ]{WORD})?)[ ]?[|"
            rf",;(\[-]+[ ]?{_PAPERS}",
        ),
        (
            "called",
            0.8,
            rf"\b(?:named?|called|I[ ]am|I['’]m|maiden[ ]name|née?|nee)[ ]+(?<it>{WORD}[ ]+(?:{INITIAL}[ ]+)?{WORD})",
        ),
        (
            "my name",
            0.9,
            r"\b(?i:my|his|her|their|the[ ]patient['’]s|whose|patient['’]s)[ ](?:(?:last|first|full|maiden|middle)[ ])?"
            rf"name[ ](?:is|was)[ ]+(?<it>{NAME})",
        ),
        (
            "greeting",
            0.85,
            r"(?:^|[\n\"“>])[ ]*(?i:dear|hi|hello|hallo|liebe[r]?|sehr[ ]geehrte[r]?|cher|chère|hola|estimad[oa])[ ]+"
            rf"{_TITLE}*(?<it>{NAME})(?=[ ]*[,:!.\n]|$)",
        ),
        (
            "signature",
            0.85,
            r"(?i:\b(?:sincerely|regards|faithfully|truly|signed|grüßen|cordialement|wishes)\b),?[ ]*\n+\s*"
            rf"{_TITLE}*(?<it>{NAME})[ ]*(?=[\n,]|$)",
        ),
        ("degree", 0.85, rf"{_AT}(?<it>{NAME}),[ ]?{_DEGREE}\b{_BUT}(?!,[ ](?:USA|U\.S|[A-Z]{{2}}\b)|\)|[ ]\d{{5}})"),
        (
            "degree after a blank",
            0.75,
            rf"{_AT}(?<it>{WORD}[ ]+(?:{INITIAL}[ ]+)?{WORD})[ ](?:MD|M\.D\.|RN|PhD|DO|MBBS)\b",
        ),
        (
            "age",
            0.85,
            rf"{_AT}(?<it>{WORD}[ ]+(?:(?:{SMALL}|{INITIAL})[ ]+)*{WORD}(?:[ ]{WORD})?)(?:,[ ]|[ ]\(|[ ](?:is|was)[ ])"
            rf"(?:{_AGE}|aged[ ]\d|\d{{1,3}}[,)]|(?:[MF]|male|female)[, ]+\d)",
        ),
        (
            "age, one word",
            0.8,
            rf"(?:^|[.!?]\s+|\n)(?<it>{WORD})[ ](?:is|was)[ ](?:an?[ ])?\d{{1,3}}[ -](?:year|month|week|yr)s?[ -]old",
        ),
        (
            "relative",
            0.8,
            rf"\b(?i:his|her|their|my|your|patient['’]s|the)[ ](?:\p{{Ll}}+[ ])?(?i:{_RELATIVE}),?[ ]"
            rf"(?:is[ ]|was[ ]|called[ ]|named[ ]|\()?(?<it>{NAME})",
        ),
        (
            "in capitals, listed",
            0.75,
            r"(?<![\p{L},])(?<it>\p{Lu}{2,}(?:[-'’ ]\p{Lu}{2,})?,[ ]?\p{Lu}{2,}(?:[ ]\p{Lu}\.?)?)(?!\p{L})",
        ),
    )
)
