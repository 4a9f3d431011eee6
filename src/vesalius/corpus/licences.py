"""The one name of a licence, whatever a page, a publisher or a list calls it: CC-BY-4.0, CC0-1.0, PUBLIC-DOMAIN.

Knows Creative Commons' addresses, short names and the sentences that publishers write. Leaves where a licence is said
to the readers, and which are wanted to the recipe.
"""

import re

_ADDRESS = re.compile(r"creativecommons\.org/(licenses|publicdomain)/([a-z0-9-]+)(?:/(\d(?:\.\d)?))?", re.IGNORECASE)
_SHORT = re.compile(r"\bCC[\s-]?((?:BY)(?:[\s-]?(?:NC|ND|SA))*|0|ZERO)\b[\s-]*v?(\d\.\d)?", re.IGNORECASE)
_BETWEEN = r"[\s,–—-]*"
_LONG = re.compile(
    rf"creative commons{_BETWEEN}attribution((?:{_BETWEEN}(?:non{_BETWEEN}commercial|no{_BETWEEN}deriv(?:ative|ate)?s?|"
    rf"share{_BETWEEN}alike))*){_BETWEEN}(?:licen[cs]e{_BETWEEN})?(?:version{_BETWEEN})?(\d\.\d)?",
    re.IGNORECASE,
)
_PARTS = {"NC": r"non\W*commercial", "ND": r"no\W*deriv", "SA": r"share\W*alike"}
_LONGEST = 60  # letters of a name that is no Creative Commons licence


def licence_name(text: str) -> str:
    """A licence as it is commonly written; of other words their first, in capitals.

    A publisher's sentence that grants "non-commercial" use alone is one of CC-BY-NC, even if it names CC-BY.
    """
    if found := _ADDRESS.search(text):
        if found[1].lower() == "licenses":
            return _versioned(
                "PUBLIC-DOMAIN" if found[2].lower() == "publicdomain" else f"CC-{found[2].upper()}", found[3]
            )
        return _versioned("CC0" if found[2].lower() == "zero" else "PUBLIC-DOMAIN", found[3])
    if found := _LONG.search(text):
        parts = [name for name, word in _PARTS.items() if re.search(word, found[1], re.IGNORECASE)]
        if "NC" not in parts and re.search(_PARTS["NC"], text, re.IGNORECASE):
            others = re.sub(_PARTS["NC"], "", text, flags=re.IGNORECASE)
            parts = parts if "commercial" in others.lower() else ["NC", *parts]
        return _versioned("-".join(["CC-BY", *parts]), found[2])
    if found := _SHORT.search(text):
        kind = re.sub(r"\W+", "-", found[1].upper())
        kind = "CC0" if kind in ("0", "ZERO") else "CC-" + "-".join(re.findall("BY|NC|ND|SA", kind))
        return _versioned(kind, found[2])
    if re.search(r"\bpublic[\s-]+domain\b", text, re.IGNORECASE):
        return "PUBLIC-DOMAIN"
    return "-".join(text.upper().split())[:_LONGEST]


def _versioned(name: str, version: str | None) -> str:
    return f"{name}-{version}" if version else name
