"""Numbers as the page says them: percents with an honest number of digits, points, intervals, p-values, statuses."""

from vesalius.bench.report.verdict import name, p_value
from vesalius.bench.report.words import number

__all__ = ["STATUSES", "counted", "interval", "name", "number", "p_value", "percent", "points", "span"]

# What became of an asking → what that means. The order is that of the page.
STATUSES = {
    "answered": "something could be read",
    "unparsed": "words from which no rule reads an answer",
    "refused": "the model declines",
    "empty": "nothing came back",
    "cut_off": "stopped at the token limit, or in the middle of thinking",
    "failed": "an error after all retries",
    "no_medium": "the image or slide is not there: never asked, counts nowhere",
}


def percent(share: float | None, digits: int = 1) -> str:
    """«61.3 %», an en dash for None."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def points(difference: float | None, sign: bool = True) -> str:
    """«+4.1 points»."""
    if difference is None:
        return "–"
    return f"{100 * difference:{'+' if sign else ''}.1f} points".replace("-", "−")


def span(low: float | None, high: float | None) -> str:
    """«57.6 – 63.8 %»."""
    return "–" if low is None or high is None else f"{100 * low:.1f} – {100 * high:.1f} %"


def interval(low: float | None, high: float | None) -> str:
    """«95 %: 57.6 to 63.8 %», of differences «+1.2 to +8.0»."""
    return "interval not known" if low is None or high is None else f"95 %: {100 * low:.1f} to {100 * high:.1f} %"


def counted(n: int, total: int, what: str) -> str:
    """«12 of 347 answers (3.5 %)»."""
    return f"{n:,} of {number(total, what)} ({percent(n / total if total else None)})"
