"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun, which has an s unless the number is 1: "1 pipeline", "1,200 pipelines"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(share: float) -> str:
    """Returns a share in [0, 1] in percent, of at most three digits: "10%", "33.3%"."""
    return f"{100 * share:.3g}%"
