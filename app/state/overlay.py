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
    fade: bool = True  # masks that are weak in their drive
    fixed: bool = False  # VisualBackProp on one scale for all frames of a drive
