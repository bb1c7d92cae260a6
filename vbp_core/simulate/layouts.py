"""Kinds of road: how many lanes, and which line lies where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WHITE = (0.84, 0.84, 0.81)  # albedo, linear RGB
YELLOW = (0.78, 0.46, 0.07)
AMBER = (0.95, 0.62, 0.14)  # reflectors

# Lines by place: L1 and R1 bound the car's own lane, L2, L3 and R2 the lanes beyond.
SLOTS = ("L3", "L2", "L1", "R1", "R2")


@dataclass(frozen=True)
class Stripe:
    """One painted stripe of a line. offset: metres to the left of the line's middle. width: metres.

    period, paint: metres of a dash and its gap together, and of the dash; period 0 is solid.
    """

    offset: float
    width: float
    colour: tuple[float, float, float]
    kind: str  # name of its class
    period: float = 0.0
    paint: float = 0.0


@dataclass(frozen=True)
class Layout:
    """A cross-section. left, right: lanes beside the car's own. oncoming: how many of the left ones are."""

    lane: float
    left: int
    right: int
    oncoming: int
    lines: dict[str, tuple[Stripe, ...]]
    shoulder_left: float
    shoulder_right: float
    gravel: float  # metres of gravel between asphalt and grass


def solid(colour: str, width: float) -> tuple[Stripe, ...]:
    return (Stripe(0.0, width, WHITE if colour == "white" else YELLOW, f"{colour} solid"),)


def dashed(colour: str, width: float, period: float, paint: float) -> tuple[Stripe, ...]:
    paints = WHITE if colour == "white" else YELLOW
    return (Stripe(0.0, width, paints, f"{colour} dashed", period, paint),)


def double_yellow(width: float, apart: float, reflectors: bool, dashed_side: int = 0) -> tuple[Stripe, ...]:
    """Two yellow stripes. dashed_side: 1 left, -1 right, 0 neither is dashed."""
    at = (apart + width) / 2
    out = [
        Stripe(side * at, width, YELLOW, "yellow double", *((12.0, 3.0) if side == dashed_side else ()))
        for side in (1, -1)
    ]
    if reflectors:
        out += [Stripe(side * (at + 0.22), 0.11, AMBER, "yellow double", 7.3, 0.13) for side in (1, -1)]
    return tuple(out)


def _centre(rng: np.random.Generator, width: float) -> tuple[Stripe, ...]:
    """A yellow line between the directions."""
    kind = rng.random()
    if kind < 0.55:
        return double_yellow(width, rng.uniform(0.08, 0.14), bool(rng.random() < 0.6))
    if kind < 0.7:
        return double_yellow(width, rng.uniform(0.08, 0.14), False, int(rng.choice([-1, 1])))
    if kind < 0.85:
        return dashed("yellow", width, float(rng.choice([12.2, 9.0])), 3.05)
    return solid("yellow", width)


def draw_layout(rng: np.random.Generator, kind: str) -> Layout:
    """A cross-section of one of KINDS."""
    lane = float(rng.uniform(3.2, 3.75))
    width = float(rng.uniform(0.1, 0.17))
    edge = solid("white", width)
    lane_line = dashed("white", width, *((12.2, 3.05) if rng.random() < 0.6 else (6.0, 3.0)))
    shoulders = float(rng.uniform(0.2, 1.0)), float(rng.uniform(0.15, 1.4))
    gravel = float(rng.uniform(0.2, 2.2))
    if kind == "rural":
        lines = {"L2": edge, "L1": _centre(rng, width), "R1": edge}
        return Layout(lane, 1, 0, 1, lines, *shoulders, gravel)
    if kind == "no edge":  # the road's edge is all there is on the right
        shoulders = float(rng.uniform(0.0, 0.3)), float(rng.uniform(0.0, 0.35))
        lines = {"L1": _centre(rng, width)}
        return Layout(lane, 1, 0, 1, lines, *shoulders, gravel)
    if kind == "unmarked":
        return Layout(float(rng.uniform(2.9, 3.3)), 1, 0, 1, {}, 0.05, 0.05, gravel)
    if kind == "four lanes":
        lines = {"L3": edge, "L2": lane_line, "L1": _centre(rng, width), "R1": lane_line, "R2": edge}
        return Layout(lane, 2, 1, 2, lines, *shoulders, gravel)
    if kind == "right lane":
        lines = {"L3": edge, "L2": _centre(rng, width), "L1": lane_line, "R1": edge}
        return Layout(lane, 2, 0, 1, lines, *shoulders, gravel)
    if kind == "european":
        lines = {
            "L2": edge,
            "L1": dashed("white", width, *((12.0, 4.0) if rng.random() < 0.5 else (6.0, 3.0))),
        }
        if rng.random() < 0.8:
            lines["R1"] = edge
        return Layout(lane, 1, 0, 1, lines, *shoulders, gravel)
    lines = {"L2": solid("yellow", width), "L1": lane_line, "R1": edge}  # "one way"
    return Layout(lane, 1, 0, 0, lines, *shoulders, gravel)


KINDS = {
    "rural": 0.40,
    "no edge": 0.14,
    "unmarked": 0.05,
    "four lanes": 0.12,
    "right lane": 0.10,
    "european": 0.11,
    "one way": 0.08,
}
