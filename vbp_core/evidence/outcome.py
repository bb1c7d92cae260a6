"""An experiment's result: numbers, and how to show them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from vbp.readable import MINUS, UNKNOWN

Tick: TypeAlias = Callable[
    [float], None
]  # called with the work that was just finished, in forward passes; may raise to stop
Cell: TypeAlias = str | float


def figure(value: float, decimals: int = 2) -> str:
    """A number as text for people."""
    if not math.isfinite(value):
        return UNKNOWN
    text = f"{value:.{decimals}f}"
    return (text if float(text) else text.lstrip("-")).replace("-", MINUS)


@dataclass(frozen=True)
class Table:
    """Rows of words and numbers under `columns`; the first cell of a row names it. note: what the numbers are."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    decimals: int = 2


@dataclass(frozen=True)
class Series:
    """A curve through (x, y). aside: a baseline, drawn dashed in grey."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    aside: bool = False


@dataclass(frozen=True)
class Plot:
    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    log_x: bool = False
    names: Sequence[str] = ()  # of x = 0, 1, 2, ..., where they are no numbers


@dataclass
class Outcome:
    """numbers: everything that was measured, for JSON. findings: sentences computed from it. notes: what was left out."""

    numbers: dict[str, Any] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
