"""Numbers that stand for a person: of records, of identity and insurance papers, of accounts, of devices.

A number is an identifier because something says so ("MRN", "NHS number"); a few are known by their form and check
digit. Identifiers of what is published (GenBank, trials, grants, catalogues, DOI) say that they are those, and stay.
"""

from typing import Any

import regex
from presidio_analyzer.predefined_recognizers import CreditCardRecognizer

from vesalius.privacy.rules import ANY_CASE, EXACT_CASE, Rule, Rules

# After a cue: "MRN: 1", "MRN is 1", "MRN #1", "medical record number (MRN) 1", "MRN no. - 1".
_TO = (
    r"(?:\s*\([A-Za-z .#]{1,12}\))?(?:['’]s)?\s*(?:(?:numbers?|nos?|num|nr|id|code|ref(?:erence)?)\b\.?\s*)?"
    r"(?:[:#=|\-–—.,]\s*|(?:is|was|are|of|reads?|as)\b\s*|\(\s*)*(?:[:#=]\s*)?"
)
# The number: three digits or more, letters before and among them; groups with blanks between them only of digits.
_VALUE = (
    r"(?<it>(?=[A-Z0-9\-/._ ]*\d[A-Z0-9\-/._ ]*\d[A-Z0-9\-/._ ]*\d)(?:(?-i:[A-Z]{1,5} )|[A-Z]{1,5}[\-/]?)?\d[A-Z0-9]*"
    r"(?:[\-/._][A-Z0-9]+)*(?:[ ]\d{2,6}(?![\w/]))*|(?=[A-Z\-]*\d)[A-Z0-9]{1,6}(?:-[A-Z0-9]{1,10}){1,5}|"
    r"(?=[A-Z]*\d[A-Z0-9]*\d[A-Z0-9]*\d)[A-Z0-9]{5,20})(?!\w)"
)
_NR = r"(?:numbers?|nos?\b\.?|num\b\.?|nr\b\.?|#|ids?\b|identifier|identification|code|ref(?:erence)?\b\.?)"

_RECORD = "|".join(
    (
        rf"m\.?r\.?n(?![a-z])\.?|e?mpi\b|m\.?r\.?[ ]?{_NR}|med(?:ical)?\.?\s+rec(?:ord)?\.?(?:\s*{_NR})?",
        r"(?:medical|health|clinical|hospital|patient|clinic|case|electronic)\s+(?:care\s+)?(?:records?|file|notes?|"
        r"chart)"
        rf"(?:\s+{_NR})?",
        r"(?:patient|pt|hospital|unit|chart|encounter|visit|admission|episode|case|file|dossier|contact serial|"
        r"person|pas|csn|"
        rf"fin|har|emr|ehr)['’]?s?\s*\.?\s*{_NR}",
        rf"chart(?=\s*[:#])|record\s+(?:number|no\b\.?|#)|nhs\s+{_NR}|nhs(?=\s*[:#])|chi\s+{_NR}|"
        r"h\s?&\s?c\s+(?:number|no\.?)",
        r"identifier(?=\s+[A-Z0-9-]*\d)|identity confirmed with|filed under",
        r"pat(?:ienten)?[.-]?\s?(?:nummer|nr\b\.?|id\b)|fall(?:nummer|-?nr\b\.?)|aufnahmenummer|krankenakten?nummer",
        r"numéro de dossier|n°\s?(?:de\s)?dossier|ipp\b|historia cl[ií]nica|nhc\b|n[uú]mero de historia|"
        r"cartella clinica|"
        r"patiëntnummer",
    )
)
_EXAM = (
    rf"(?:accession|specimen|requisition|order|exam(?:ination)?|study instance|lab(?:oratory)?)\s*{_NR}|report(?=:[ ])"
)
_PUBLISHED = regex.compile(
    r"\b(?:genbank|ncbi|embl|ddbj|ena|geo|sra|refseq|uniprot|swiss-?prot|pdb|protein data bank|arrayexpress|bioproject|"
    r"biosample|dbgap|ega|clinvar|dbsnp|ensembl|deposit(?:ed|ion)|sequences?|zenodo|figshare|dryad|repository|"
    r"proteomexchange|pride|metabolights|european nucleotide|gene expression omnibus|sequence read archive)\b",
    ANY_CASE,
)
_DATABASE = regex.compile(
    r"(?:[A-Z]{1,2}\d{5,8}|[A-Z]{2}_\d+|GS[EM]\d+|PRJ[A-Z]{2}\d+|[SED]R[APRSXZ]\d+|E-[A-Z]{4}-\d+|EGA[A-Z]\d+|phs\d+|"
    r"PXD\d+|SAM[A-Z]+\d+)(?:\.\d+)?"
)
_DATE = regex.compile(
    r"\d{1,2}/\d{1,2}/\d{2,4}|(?:[0-2]?\d|3[01])[.\-](?:0?\d|1[0-2])[.\-](?:19|20)\d\d|(?:19|"
    r"20)\d\d[/.\-]\d{1,2}[/.\-]\d{1,2}"
)
_YEAR = regex.compile(r"(?:19|20)\d\d")

_IDENTITY = "|".join(
    (
        rf"s\.?s\.?n\b\.?|social\s+security(?:\s+{_NR})?|soc\.?\s?sec\.?(?:\s*{_NR})?|n\.?i\.?\s?(?:number|no\b\.?)|"
        r"nino\b",
        rf"national\s+(?:insurance|id(?:entity|entification)?)(?:\s+{_NR})?|(?:us |uk )?passport(?:\s*{_NR})?|"
        r"state\s+id",
        rf"(?:driver['’]?s?|driving)\s+licen[cs]e(?:\s*{_NR})?|d\.?l\.?\s?(?:number|no\b\.?|#)|licen[cs]e\s*{_NR}",
        r"(?:health|medical|dental)\s+(?:insurance|plan|card)(?:\s+(?:member|policy|beneficiary|card|"
        rf"claim))?(?:\s+{_NR})?",
        rf"insurance\s+(?:policy|member|card)?\s*{_NR}|medic(?:are|aid)(?:\s+(?:beneficiary|card))?\s*{_NR}",
        r"(?:policy|member|subscriber|group|beneficiary|claim|plan|insured|enrollee|prior authorization|"
        r"prescription|rx|"
        rf"employee|student|badge|certificate|gmc|dea)\s*{_NR}|mbi\b|hicn?\b|npi\b(?:\s*{_NR})?",
        rf"professional\s+(?:id|registration)(?:\s*{_NR})?|tax(?:payer)?\s*(?:id(?:entification)?)(?:\s*{_NR})?|itin\b",
        r"(?:sozial|renten|kranken)?versicherten?(?:nummer|-?nr\b\.?)|sozialversicherungsnummer|steuer(?:nummer|"
        r"-?id\b)",
        r"numéro de sécurité sociale|n° de sécurité sociale|nir\b|dni\b|nie\b|nif\b|codice fiscale|bsn\b|"
        r"burgerservicenummer|personnummer|cpf\b|pesel\b|aadhaar(?:\s+number)?",
    )
)
_ACCOUNT = (
    rf"(?:bank|billing|checking|savings|patient|hospital|guarantor)\s+account(?:\s*{_NR})?|(?:account|"
    rf"acct)\b\.?\s*{_NR}|"
    rf"iban\b|routing\s*{_NR}|sort\s+code|card\s*{_NR}"
)
_CARD = r"(?:\bcards?|\bcc)\b[^\d\n]{0,45}?(?<it>\d(?:[ -]?\d){10,18})(?![\w-])"
_DEVICE = (
    rf"(?:license|licence|number|registration|vehicle)\s+(?:plates?|marks?|registration)(?:\s*{_NR})?|kennzeichen|"
    r"vin\b|"
    rf"vehicle\s+identification(?:\s*{_NR})?|(?:device|implant|pacemaker|defibrillator|pump|lead|generator|valve|"
    rf"prosthesis)\s+(?:serial(?:\s*{_NR})?|{_NR}|identifier)|serial\s*{_NR}|serial(?=\s+SN)|s/n\b|udi\b|imei\b|"
    r"mac\s+address"
)
_PLATE = r"(?<it>(?=[A-Z0-9\- :]*\d)[A-Z0-9][A-Z0-9\-:]*(?:[ ](?=[A-Z0-9]*\d)[A-Z0-9]{1,7})*)(?!\w)"


def _plain(match: Any) -> bool:
    """No date, no year ("medical records (2010)"), and not two digits with letters."""
    value = match["it"]
    if value.isdigit() and regex.search(r"(?:records|notes|files|charts) of ", match[0], regex.IGNORECASE):
        return False  # "the medical records of 400 patients"
    if _DATE.fullmatch(value) or sum(map(str.isdigit, value)) < 3:
        return False
    return not _YEAR.fullmatch(value) or any(sign in match[0] for sign in ":#=")


def _of_a_patient(match: Any) -> bool:
    """Accession numbers are a radiologist's, or a database's."""
    around = match.string[max(0, match.start() - 150) : match.end() + 150]
    return _plain(match) and not _PUBLISHED.search(around) and not _DATABASE.fullmatch(match["it"])


def nhs_number(digits: str) -> bool:
    """Whether ten digits end in the check digit of an NHS number (modulo 11; NHS Data Dictionary)."""
    if len(digits) != 10 or len(set(digits)) == 1:
        return False
    check = 11 - sum(int(digit) * weight for digit, weight in zip(digits[:9], range(10, 1, -1), strict=True)) % 11
    return check != 10 and check % 11 == int(digits[9])


class RecordNumbers(Rules):
    """Numbers of records, patients, visits and examinations."""

    rules = (
        Rule(
            "label",
            "RECORD_NUMBER",
            regex.compile(rf"(?:\b|(?<=[a-z])(?=MRN))(?:{_RECORD}){_TO}{_VALUE}", ANY_CASE),
            0.95,
            _plain,
        ),
        Rule(
            "examination", "RECORD_NUMBER", regex.compile(rf"\b(?:{_EXAM}){_TO}{_VALUE}", ANY_CASE), 0.85, _of_a_patient
        ),
        Rule(
            "NHS number",
            "RECORD_NUMBER",
            regex.compile(r"(?<![\w.+\-–])(?<it>\d{3}([ -])\d{3}\2\d{4})(?![\w\-–]|\.\d)", EXACT_CASE),
            0.6,
            lambda match: nhs_number("".join(filter(str.isdigit, match["it"]))),
        ),
    )


class IdentityNumbers(Rules):
    """Numbers of papers and of insurers, licences, accounts and devices."""

    rules = (
        Rule("label", "ID_NUMBER", regex.compile(rf"\b(?:{_IDENTITY}){_TO}{_VALUE}", ANY_CASE), 0.9, _plain),
        Rule("SSN", "ID_NUMBER", regex.compile(r"(?<![\w.\-–/])(?<it>\d{3}-\d{2}-\d{4})(?![\w\-–/]|\.\d)"), 0.8),
        Rule(
            "SSN, said to be one",
            "ID_NUMBER",
            regex.compile(
                r"\b(?:SSN|social security)\b[^\n\d]{0,60}(?<it>\d{3}([ -]?)\d{2}\2\d{4})(?![\w-])", ANY_CASE
            ),
            0.9,
        ),
        Rule(
            "national insurance",
            "ID_NUMBER",
            regex.compile(r"\b(?<it>[A-CEGHJ-PR-TW-Z]{2} ?\d{2} \d{2} \d{2} ?[A-D])\b"),
            0.8,
        ),
        Rule("account", "CREDIT_CARD", regex.compile(rf"\b(?:{_ACCOUNT}){_TO}{_VALUE}", ANY_CASE), 0.85, _plain),
        Rule("card", "CREDIT_CARD", regex.compile(_CARD, ANY_CASE), 0.8),
        Rule(
            "device",
            "DEVICE_ID",
            regex.compile(rf"\b(?:{_DEVICE}){_TO}{_PLATE}", ANY_CASE),
            0.7,
            lambda match: len(match["it"]) >= 4,
        ),
    )


class Cards(CreditCardRecognizer):
    """Presidio's card numbers by check digit, in one piece or in groups as cards have them: no ranges of positions."""

    _GROUPS = regex.compile(r"\d{12,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5}")

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the digits are grouped like a card's, and the check digit fits."""
        return self._GROUPS.fullmatch(pattern_text) is not None and super().validate_result(pattern_text)
