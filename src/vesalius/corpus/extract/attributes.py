"""The attributes of one tag."""

import re
from html import unescape

from vesalius.corpus.extract.encoding import decoded

_ATTRIBUTE = re.compile(r"""[\s/]([^\s/>=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]*)))?""")


def attributes(tag: bytes) -> dict[str, str]:
    """Names, in lower case, and values of a tag from `<` to `>`; of a name that comes twice, the first counts."""
    given: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(decoded(tag)):
        given.setdefault(name.lower(), unescape(double or single or bare).strip())
    return given
