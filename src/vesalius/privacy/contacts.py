"""How to reach somebody: e-mail and IP addresses, telephones.

E-mail addresses are known by their form, not by a list of domains: Presidio's recogniser asks a public suffix list,
which it would fetch, and lets `anna@ward3.hospital.local` pass. Telephones are candidates by form, then taken for a
word beside them ("call", "Fax:"), or because `phonenumbers` (Google's tables) calls them possible where their form
says enough.
"""

import ipaddress
from collections.abc import Iterator
from typing import Any

import phonenumbers
import regex
from presidio_analyzer import RecognizerResult

from vesalius.privacy.rules import ANY_CASE, Rule, Rules, result

_ATOM = r"[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-]"
_LABEL = r"[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?"
_SPELT_DOT = r"(?:\.|[\[({<]\s*(?:dot|\.)\s*[\])}>])"
_SIGN = regex.compile("[@＠]")


class Emails(Rules):
    """E-mail addresses, also as "anna (at) example (dot) org"."""

    hint = regex.compile(r"[@＠]|[\[({<]\s*at\s*[\])}>]|e-?mail", regex.IGNORECASE)
    rules = tuple(
        Rule(name, "EMAIL_ADDRESS", regex.compile(pattern, ANY_CASE), score, hint=hint)
        for name, score, hint, pattern in (
            (
                "form",
                1.0,
                _SIGN,
                rf"(?<![\w.+%'-])(?<it>{_ATOM}++(?:\.{_ATOM}++)*+[ ]?[@＠][ ]?(?:{_LABEL}\.)+\p{{L}}{{2,24}})",
            ),
            ("literal", 0.9, _SIGN, r"(?<![\w.+%'-])(?<it>[\w.+-]++@\[?\d{1,3}(?:\.\d{1,3}){3}\]?)"),
            ("label", 0.9, _SIGN, r"\be-?mail(?: address)?\s*[:=]?\s*(?:is\s+)?(?<it>[\w.+-]+@[\w-]+)\b"),
            (
                "spelt",
                0.9,
                regex.compile(r"[\[({<]\s*at\s*[\])}>]", regex.IGNORECASE),
                rf"(?<![\w.])(?<it>[\w.+-]{{2,}}+\s*[\[({{<]\s*at\s*[\])}}>]\s*(?:[\w-]+\s*{_SPELT_DOT}\s*)+[a-z]{{2,"
                r"24})\b",
            ),
            (
                "said",
                0.8,
                regex.compile(r" dot ", regex.IGNORECASE),
                r"\be-?mail\b[^\n]{0,20}?\b(?<it>[\w.+-]{2,} at [\w-]+(?: dot [\w-]+)+)\b",
            ),
        )
    )


def _is_address(match: Any) -> bool:
    try:
        ipaddress.ip_address(match["it"])
    except ValueError:
        return False
    return True


_NO_VERSION = r"(?<!v(?:ersion|er|\.)?\s{0,2})(?<!\bec[ :]{0,2})(?<!(?:section|release|build|software|chapter)\s)"


class IpAddresses(Rules):
    """IPv4 and IPv6; not the versions of software, the numbers of sections and of enzymes."""

    hint = regex.compile(r"\d\.\d+\.\d+\.\d|:[0-9a-f]*:", regex.IGNORECASE)
    rules = (
        Rule(
            "v4",
            "IP_ADDRESS",
            regex.compile(rf"{_NO_VERSION}(?<![\d.])(?<it>\d{{1,3}}(?:\.\d{{1,3}}){{3}})(?![\d.]*\d)", ANY_CASE),
            0.9,
            _is_address,
        ),
        Rule(
            "v6",
            "IP_ADDRESS",
            regex.compile(
                r"(?<![\w:.])(?<it>(?:[0-9a-f]{1,4}:){3,7}(?::?[0-9a-f]{1,4}|:)|"
                r"(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6})(?![\w:])",
                ANY_CASE,
            ),
            0.9,
            _is_address,
            regex.compile(r"[0-9a-f]:[0-9a-f]*:", regex.IGNORECASE),
        ),
    )


_PHONE = regex.compile(
    r"(?<![\w./\-–%$€£]|\d,)(?<it>(?:\+|00(?=[1-9])|\([ ]?\+)?[ ]?\(?\d[\d \t()./\-–‑\xa0]{4,24}\d)"
    r"(?<ext>\s*[,;]?\s*(?:ext(?:ension|n)?\.?|x|#|durchwahl|poste)\s*\.?\s*\d{1,6})?(?![\w%°]|[./–]\d|[,-]\d)",
    ANY_CASE,
)
_DEVICES = (
    r"(?:tele?ph(?:one|\.)?|telefon[eo]?|téléphone|tel|tél|ph(?:one)?s?|(?:tele)?fax|mobiles?|mob|handy|cell ?phone|"
    r"pagers?|"
    r"bleep|beeper|hotline|landline|whatsapp|voicemail|call(?:ed|ing|s)? ?(?:back)?|dial(?:led)?|answering)"
)
_LOOSE = (
    r"(?:desk|office|work|home|cell|ring|rang|text(?:ed)?|sms|contact(?:ed)?|reach(?:ed|able)?(?=[ ](?:me|us|him|"
    r"her|them|at|on|via|by)\b)|messages|registered|"
    r"direct)"
)
_FILL = (
    r"(?:[\s:.,#(\-–]|\b(?:is|at|on|to|via|no|number|numbers|me|him|her|them|us|my|his|the|or|by|phone|mobile|line)\b)"
)
_CUE = regex.compile(
    r"(?:@[\w.-]+\s*(?:[,;/|]|\b(?:or|and)\b)\s*|\bcontact:[^\d\n;]{0,60}|\b(?:ring|call|phone|reach|contact)\b[^\d\n.;]{0,40}\b(?:on|at|via|under|unter)\s+|"
    rf"\b{_DEVICES}\b[^\d\n;]{{0,30}}\n?[^\d\n;]{{0,12}}|\b{_LOOSE}\b{_FILL}{{0,6}}|[☎📞✆][\s:]*)"
    r"(?:(?:\+|\(|00)?[\d\s()./\-–x+]{6,30}(?:\s*(?:or|and|,|/)\s*))?$",
    ANY_CASE,
)
_CUE_BEHIND = regex.compile(r"\s{0,3}[-–(,]?\s{0,3}\(?(?:tel|phone|fax|mobile|cell|office|work|home|pager)\b", ANY_CASE)
_NO_CALL = regex.compile(
    r"\b(?:n|p|no|nr|isbn|issn|doi|pmid|pmc|grant|award|contract|catalog(?:ue)?|cat|lot|accession|version|pp?|"
    r"pages?|vol|"
    r"protocol|registration|approval|permit|nct|isrctn|code|serial|part|rs|chr|position|mrn|nhs|record|policy|"
    r"account|card|"
    r"ssn|security|licen[cs]e|claim|id)\b\.?[\s:=#(]*(?:no\.?|number|num\.?|is|was)?[\s:=#(]*$",
    ANY_CASE,
)
_STRONG = regex.compile(
    r"\(\d{3}\)\s?\d{3}[\s.\-–]\d{4}|\d{3}([.\-–])\d{3}\1\d{4}|(?:\+?1[\s.\-–])\(?\d{3}\)?[\s.\-–]\d{3}[\s.\-–]\d{4}|"
    r"\(\d{2,4}\)\s?\d{3,5}[\s\-–]\d{3,4}|0\d{2,4}[\s\-–]\d{3,4}[\s\-–]?\d{3,4}|"
    r"\(0\d{2,5}\)\s?\d{3,4}[\s\-–]?\d{3,5}|07\d{3}\s?\d{3}\s?\d{3}|"
    r"0\d{2,5}\s?/\s?\d{4,10}"
)
_SHORT = regex.compile(r"\d{3}[ .–-]\d{4}")
_REGIONS = ("US", "GB", "DE")
_NO_PHONE = regex.compile(
    r"(?:19|20)\d\d[ ]?[/–-][ ]?(?:19|20)?\d\d|\d+[ ]?\(\d{1,2}\.\d+|(?:\d{1,2}[/.\-]\d{1,2}[/.\-]\d{2,4}|"
    r"\d{4}[/.\-]\d{1,2}[/.\-]\d{1,2})(?:\s.*)?"
)


class Phones(Rules):
    """Telephones, faxes and pagers of any country beside a word that says so; elsewhere in the forms of some."""

    rules = (Rule("phone", "PHONE_NUMBER", _PHONE),)
    hint = regex.compile(r"(?:\d[\d \t()./\-–‑\xa0]*?){6}")

    def found(self, text: str) -> Iterator[RecognizerResult]:
        """All results."""
        for match in _PHONE.finditer(text):
            start, end = match.span("it")
            number = match["it"].strip()
            start += len(match["it"]) - len(match["it"].lstrip())
            before = text[max(0, start - 70) : start]
            if not 6 <= sum(map(str.isdigit, number)) <= 15 or _NO_PHONE.fullmatch(number) or _NO_CALL.search(before):
                continue
            if _CUE.search(before) or _CUE_BEHIND.match(text, match.end()):
                score, rule = 0.9, "cue"
            elif number.startswith(("+", "(+")) and _possible(number, None):
                score, rule = 0.9, "international"
            elif match["ext"] and _SHORT.fullmatch(number):
                score, rule = 0.7, "extension"
            elif _STRONG.fullmatch(number) and any(_possible(number, region) for region in _REGIONS):
                score, rule = 0.7, "form"
            else:
                continue
            yield result("PHONE_NUMBER", start, match.end("ext") if match["ext"] else end, score, self, rule)


def _possible(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False
