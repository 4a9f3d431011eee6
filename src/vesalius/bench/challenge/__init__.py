"""A challenge: programs come in, cases stay hidden, every failure is a row with its reason.

    schema.py   challenge.yaml
    cases.py    its cases, as questions that tell nothing but what is asked
    runner.py   programs asked durably, masks scored, tables written

docs/challenge.md is the contract with those who hand programs in.
"""

from vesalius.bench.challenge.runner import ChallengeSummary, read_answers, run_challenge
from vesalius.bench.challenge.schema import Challenge, read_challenge

__all__ = ["Challenge", "ChallengeSummary", "read_answers", "read_challenge", "run_challenge"]
