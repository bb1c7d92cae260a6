"""Numbers and times as a person reads them, as exported pictures show them too."""

from __future__ import annotations

from vbp.readable import MINUS, UNKNOWN, clock, signed

__all__ = ["MINUS", "UNKNOWN", "clock", "signed"]
