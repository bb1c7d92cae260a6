"""Paint on the road, as the share of each pixel's footprint that it covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.simulate.classes import ID
from vbp.simulate.conditions import Across, Conditions, Section
from vbp.simulate.ground import Ground
from vbp.simulate.layouts import SLOTS, WHITE
from vbp.simulate.noise import Array, Tile

SEEN = 0.45  # a pixel belongs to a marking when this share of it was painted
LEFT = 0.12  # and this much of that paint can still be seen


@dataclass(frozen=True)
class Paint:
    """Painted pixels. index (P,): into the flattened ground. cover (P,): 0..1. colour: albedo, linear RGB.

    seen (P,): whether the pixel belongs to the marking.
    """

    index: NDArray[np.intp]
    cover: Array
    seen: NDArray[np.bool_]
    colour: tuple[float, float, float]
    number: int  # of the class


def band(q: Array, half: float, span: Array) -> Array:
    """The share of q - span/2 .. q + span/2 that lies within -half .. half: a box filter of an edge pair."""
    reach = span * np.float32(0.5)
    high = np.minimum(q + reach, np.float32(half))
    low = np.maximum(q - reach, np.float32(-half))
    return np.asarray(np.clip((high - low) / span, 0.0, 1.0))


def dashes(s: Array, period: float, paint: float, span: Array) -> Array:
    """The share of s - span/2 .. s + span/2 that lies on a dash (k period .. k period + paint)."""

    def painted(t: Array) -> Array:  # metres of paint up to t
        whole = np.floor(t / np.float32(period))
        return np.asarray(
            whole * np.float32(paint) + np.minimum(t - whole * np.float32(period), np.float32(paint))
        )

    reach = span * np.float32(0.5)
    return np.asarray((painted(s + reach) - painted(s - reach)) / span)


def between(s: Array, start: float, end: float, span: Array) -> Array:
    """The share of s - span/2 .. s + span/2 within start .. end."""
    return band(s - np.float32(0.5 * (start + end)), 0.5 * (end - start), span)


def lane_paint(ground: Ground, conditions: Conditions, wear: Tile) -> list[Paint]:
    """All lines of the lanes that can be seen."""
    far = float(ground.s.max()) + ground.origin
    near = float(ground.s.min()) + ground.origin
    sections = [c for c in conditions.sections if c.end > near and c.start < far]
    out: list[Paint] = []
    flat_s, flat_d = ground.s.ravel(), ground.d.ravel()
    span_s, span_d = ground.span_s.ravel(), ground.span_d.ravel()
    for slot in SLOTS:
        if not any(slot in c.layout.lines for c in sections):
            continue
        off = ground.coarse_d - conditions.at(slot, ground.coarse_s)
        stripes = [stripe for c in sections for stripe in c.layout.lines.get(slot, ())]
        reach = max(abs(stripe.offset) + stripe.width / 2 for stripe in stripes)
        pick, q = ground.near(off, reach + 0.5 * ground.coarse_span_d)
        if not len(pick):
            continue
        s, ws, wd = flat_s[pick], span_s[pick], span_d[pick]
        worn = _worn(s + np.float32(ground.origin % 1024), flat_d[pick], ws, wd, conditions, ground, wear)
        for start, end in conditions.gaps[slot]:
            if end > near and start < far:
                worn = worn * (1 - between(s, start - ground.origin, end - ground.origin, ws))
        for section in sections:
            within = between(s, section.start - ground.origin, section.end - ground.origin, ws)
            for stripe in section.layout.lines.get(slot, ()):
                painted = within * band(q - np.float32(stripe.offset), stripe.width / 2, wd)
                if stripe.period:
                    start = ground.origin % stripe.period
                    painted *= dashes(s + np.float32(start), stripe.period, stripe.paint, ws)
                out += _paint(pick, painted, worn, stripe.colour, stripe.kind)
    return out


def _paint(
    index: NDArray[np.intp], painted: Array, worn: Array, colour: tuple[float, float, float], kind: str
) -> list[Paint]:
    """painted (P,): the share of the pixel that was painted. worn (P,): how much of that is left."""
    cover = painted * worn
    some = np.flatnonzero(cover > 0.004)
    if not len(some):
        return []
    seen = (painted[some] > SEEN) & (worn[some] > LEFT)
    return [Paint(index[some], cover[some].astype(np.float32), seen, colour, ID[kind])]


def _worn(
    s: Array, d: Array, ws: Array, wd: Array, conditions: Conditions, ground: Ground, wear: Tile
) -> Array:
    """0..1: how much paint is left. Where pixels are larger than the flakes it tends to its mean.

    s: metres beyond the tiles' origin.
    """
    first = np.float32(np.floor(s.min()))
    metres = np.arange(0.0, float(s.max()) - first + 2.0)
    table = conditions.at("wear", metres + first - ground.origin % 1024.0 + ground.origin).astype(np.float32)
    if table.max() < 0.06:
        return np.ones_like(s)
    level = table[(s - first).astype(np.intp)]
    grain = wear.points(s, d, float(np.median(ws)), float(np.median(wd)))
    flakes = np.clip(np.float32(1.6) + grain - np.float32(3.4) * level, 0.0, 1.0)
    mean = np.clip(np.float32(1.15) - level, 0.0, 1.0)
    blend = np.clip(ws * np.float32(4.0), 0.0, 1.0)  # flakes are a hand's breadth
    return np.asarray((flakes * (1 - blend) + mean * blend) * (1 - np.float32(0.25) * level))


def cross_paint(ground: Ground, conditions: Conditions, wear: Tile) -> list[Paint]:
    """Stop lines and crosswalks that can be seen."""
    far = min(float(ground.s.max()), 160.0) + ground.origin
    out: list[Paint] = []
    for item in conditions.across:
        if ground.origin + 3.0 < item.s < far:
            out += _cross(item, conditions.section_at(item.s), ground, conditions, wear)
    return out


def _cross(item: Across, section: Section, ground: Ground, conditions: Conditions, wear: Tile) -> list[Paint]:
    at = np.float32(item.s - ground.origin)
    rows = np.flatnonzero((np.abs(ground.s - at) < item.depth + 2.0).any(1))
    if not len(rows):
        return []
    part = slice(rows[0], rows[-1] + 1)
    s, d, ws, wd = ground.s[part], ground.d[part], ground.span_s[part], ground.span_d[part]
    left = conditions.one("edge_left", item.s) - section.layout.shoulder_left
    right = conditions.one("edge_right", item.s) + section.layout.shoulder_right
    q = s - at
    if item.kind == "stop":
        own = section.layout.lane / 2 + section.layout.lane * (section.layout.left - section.layout.oncoming)
        cover = band(q, 0.22, ws) * between(d, right, own, wd)
    elif item.kind == "crosswalk":
        bars = band(q, 0.15, ws) + band(q - np.float32(item.depth), 0.15, ws)
        cover = bars * between(d, right, left, wd)
    else:
        ladder = dashes(d - np.float32(right), 1.2, 0.55, wd)
        cover = between(q, 0.0, item.depth, ws) * ladder * between(d, right, left, wd)
    index = np.flatnonzero(cover.ravel() > 0.004)
    if not len(index):
        return []
    far_s = s.ravel()[index] + np.float32(ground.origin % 1024)
    worn = _worn(far_s, d.ravel()[index], ws.ravel()[index], wd.ravel()[index], conditions, ground, wear)
    return _paint(index + part.start * s.shape[1], cover.ravel()[index], worn, WHITE, "horizontal marking")
