"""How masks are laid over pictures."""

from __future__ import annotations

from dataclasses import dataclass

STYLE_TITLES = {"paper": "Paper's red", "heat": "Heat map"}


@dataclass(frozen=True)
class Overlay:
    """How masks are laid over pictures, everywhere in the window."""

    style: str = "paper"
    opacity: float = 0.8
    shown: bool = True
