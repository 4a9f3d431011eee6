"""Counts in words."""


def number(n: int, what: str) -> str:
    """«1 case», «2 cases»."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
