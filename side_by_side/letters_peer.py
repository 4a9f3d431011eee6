"""Runs in the peers' environment: what VLMEvalKit's own rules read from answers, of the checkout that is named.

Called by letters.py as `letters_peer.py CHECKOUT`; takes a JSON list of {answer, options} and gives a list of what
`can_infer` said: a letter, "Z" for what it takes for a refusal, false for what it leaves to a judge. The package's
`__init__` imports every model and data set that it knows; that one file is stepped over, the rules are imported as
they stand.
"""

import json
import string
import sys
import types


def package(checkout: str, *names: str) -> None:
    """Packages of a checkout, without what their `__init__` does."""
    sys.path.insert(0, checkout)
    for name in names:
        module = types.ModuleType(name)
        module.__path__ = [f"{checkout}/{name.replace('.', '/')}"]
        sys.modules[name] = module


def main() -> None:
    """Reads standard input, prints standard output."""
    package(sys.argv[1], "vlmeval")
    from vlmeval.utils.matching_util import can_infer

    out = []
    for row in json.load(sys.stdin):
        choices = dict(zip(string.ascii_uppercase, row["options"], strict=False))
        out.append(can_infer(row["answer"], choices))
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
