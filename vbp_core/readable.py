"""Texts, numbers and times as a person reads them; always as wide as the next one, so that they do not jump."""

from __future__ import annotations

import math

UNKNOWN = "–"
MINUS = "−"  # as wide as a plus, unlike the hyphen


def printable(text: str) -> str:
    """On one line, and without what a terminal would obey: names of files and networks may hold anything."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def signed(value: float, decimals: int = 1) -> str:
    """+3.4 or −3.4; – where unknown."""
    if not math.isfinite(value):
        return UNKNOWN
    text = f"{value:+.{decimals}f}"
    if float(text) == 0:
        text = f"{0:.{decimals}f}"
    return text.replace("-", MINUS)


def clock(seconds: float) -> str:
    """03:30.6, or 1:02:03.4 from an hour on; tenths are cut, not rounded."""
    if not math.isfinite(seconds) or seconds < 0:
        seconds = 0.0
    tenths = int(seconds * 10 + 1e-6)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:" if hours else ""
    return f"{head}{minutes:02d}:{tenths // 10:02d}.{tenths % 10}"
