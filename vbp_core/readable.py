"""Texts, numbers and times as a person reads them; always as wide as the next one, so that they do not jump."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

UNKNOWN = "–"
MOST = 200  # letters of a name
MINUS = "−"  # as wide as a plus, unlike the hyphen


def printable(text: str) -> str:
    """On one line, and without what a terminal would obey: names of files and networks may hold anything."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def clean(name: str) -> str:
    """`printable`, and not too long to be shown: for what files call a network, a class, a topic, and for their own names."""
    return printable(name if len(name) <= MOST else f"{name[: MOST - 1]}…")


def cell(value: Any) -> Any:
    """A value as it is written into a CSV: a text that a spreadsheet would take for a formula begins with an apostrophe."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def signed(value: float, decimals: int = 1) -> str:
    """+3.4 or −3.4; – where unknown."""
    if not math.isfinite(value):
        return UNKNOWN
    text = f"{value:+.{decimals}f}"
    if float(text) == 0:
        text = f"{0:.{decimals}f}"
    return text.replace("-", MINUS)


def plain(value: float) -> str:
    """−3.4, 12, 0.05: no longer than the number is, up to six digits."""
    return f"{value:g}".replace("-", MINUS)


def shown_error(driven: float, predicted: float) -> float:
    """driven − predicted of the numbers as `signed` shows them: who reads all three can count."""
    return round(driven, 1) - round(predicted, 1)


def count(number: int, thing: str) -> str:
    """1 frame, 2 frames."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def clock(seconds: float) -> str:
    """03:30.6, or 1:02:03.4 from an hour on; tenths are cut, not rounded."""
    if not math.isfinite(seconds) or seconds < 0:
        seconds = 0.0
    tenths = int(seconds * 10 + 1e-6)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:" if hours else ""
    return f"{head}{minutes:02d}:{tenths // 10:02d}.{tenths % 10}"


def how_long(seconds: float) -> str:
    """1.5 s, 45 s, 10 min, 1 h 20 min, 3 days 4 h: how long something was, in the two largest units."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    large, small, names = (
        (*divmod(minutes, 60), ("h", "min"))
        if minutes < 24 * 60
        else (*divmod(round(minutes / 60), 24), ("days", "h"))
    )
    first = f"{large} {'day' if names[0] == 'days' and large == 1 else names[0]}"
    return f"{first} {small} {names[1]}" if small else first


def clock_ticks(
    first: float, last: float, step: float, parts: Sequence[tuple[float, float]], apart: float
) -> list[tuple[float, float]]:
    """(place, clock) of the round times between two places of an axis of seconds, each at least `apart` from the next.

    parts: of each stretch without a hole, the place where it begins and what the clock says more than the place, in order.
    """
    found: list[tuple[float, float]] = []
    n = max(0, bisect_right(parts, first, key=lambda part: part[0]) - 1)
    for k in range(n, len(parts)):
        begin, ahead = parts[k]
        if begin > last:
            break
        end = min(last, parts[k + 1][0]) if k + 1 < len(parts) else last
        begin = max(begin, first) if k > 0 else first
        if found:
            begin = max(begin, found[-1][0] + apart)
        tick = math.ceil((begin + ahead) / step - 1e-9) * step
        while tick - ahead <= end + 1e-9:
            found.append((tick - ahead, tick))
            tick += step
    return found
