"""What changes along the drive: layout, paint, asphalt, light, shadows, and what grows at the side.

The road is cut into sections. What a section chooses is tabled every metre and smoothed, so that lanes taper
and light fades in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vbp.simulate.layouts import KINDS, SLOTS, Layout, draw_layout
from vbp.simulate.noise import smooth_track, stream
from vbp.simulate.road import BEFORE

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Section:
    """metres start..end of the road, and what was drawn for it."""

    start: float
    end: float
    layout: Layout
    values: dict[str, float]


@dataclass(frozen=True)
class Across:
    """A painting across the road at `s`: "stop", "crosswalk" (two bars) or "ladder"; depth in metres."""

    s: float
    kind: str
    depth: float


@dataclass(frozen=True)
class Seam:
    """A crack filled with tar. Along the road from s to s + length near d, or across it near s (length 0)."""

    s: float
    length: float
    d: float
    width: float
    phase: float


@dataclass(frozen=True)
class Patch:
    """A repair: s..s+length, d..d+width metres, its brightness relative to the road's."""

    s: float
    length: float
    d: float
    width: float
    gain: float


@dataclass
class Conditions:
    """Tables by name, (N,) float64, one value per metre from s = -BEFORE, and the things that lie on the road."""

    sections: list[Section]
    tables: dict[str, Floats]
    across: list[Across]
    seams: list[Seam]
    patches: list[Patch]
    gaps: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # slot -> missing stretches

    def at(self, name: str, s: Floats | float) -> Floats:
        table = self.tables[name]
        where = np.clip(np.asarray(s, dtype=np.float64) + BEFORE, 0.0, len(table) - 1.001)
        i = where.astype(np.intp)
        w = where - i
        return np.asarray(table[i] * (1 - w) + table[i + 1] * w)

    def one(self, name: str, s: float) -> float:
        return float(self.at(name, s))

    def section_at(self, s: float) -> Section:
        for section in self.sections:
            if s < section.end:
                return section
        return self.sections[-1]


def make_conditions(seed: int, length: float) -> Conditions:
    rng = stream(seed, "section")
    sections: list[Section] = []
    at = -BEFORE
    while at < length + 2:
        span = float(rng.uniform(90.0, 260.0))
        sections.append(Section(at, at + span, _layout(rng, len(sections)), _values(rng, len(sections))))
        at += span
    n = int(np.ceil(length + BEFORE)) + 3
    tables = _tables(seed, sections, n)
    things = stream(seed, "things")
    gaps: dict[str, list[tuple[float, float]]] = {slot: [] for slot in SLOTS}
    across: list[Across] = []
    seams: list[Seam] = []
    patches: list[Patch] = []
    for section in sections:
        _gaps(things, section, gaps)
        if section.start > 20 and things.random() < 0.4:
            kind = str(things.choice(["stop", "crosswalk", "ladder"]))
            where = float(things.uniform(section.start + 15, section.end - 15))
            across.append(Across(where, kind, float(things.uniform(2.4, 3.4))))
            if kind != "stop" and things.random() < 0.5:
                across.append(Across(where - 1.6, "stop", 3.0))
        _tar(things, section, seams, patches)
    return Conditions(sections, tables, across, seams, patches, gaps)


def _layout(rng: np.random.Generator, number: int) -> Layout:
    kinds, weights = list(KINDS), np.array(list(KINDS.values()))
    kind = "rural" if number == 0 else str(rng.choice(kinds, p=weights / weights.sum()))
    return draw_layout(rng, kind)


# What a section draws, and over how many metres a change is smoothed.
_SMOOTH = {
    "wear": 6.0,
    "asphalt": 2.0,
    "grain": 4.0,
    "tracks": 8.0,
    "warm": 5.0,
    "sun": 18.0,
    "dusk": 45.0,
    "wet": 25.0,
    "canopy": 12.0,
    "trunks": 8.0,
    "mass": 9.0,
    "cover": 10.0,
    "dirt": 10.0,
    "pale": 10.0,
    "green": 15.0,
    "limit": 10.0,
    **{
        f"{name}_{side}": 14.0
        for side in ("left", "right")
        for name in ("slope", "foot", "rise", "bush", "trees", "setback", "rail", "posts")
    },
}


def _values(rng: np.random.Generator, number: int) -> dict[str, float]:
    v: dict[str, float] = {}
    v["wear"] = float(rng.choice([0.02, 0.15, 0.36, 0.62], p=[0.48, 0.27, 0.16, 0.09]))
    new = rng.random() < 0.22
    v["asphalt"] = float(rng.uniform(0.055, 0.085) if new else rng.uniform(0.09, 0.165))
    v["grain"] = float(rng.uniform(0.35, 0.8) if new else rng.uniform(0.6, 1.5))
    v["tracks"] = 0.03 if new else float(rng.uniform(0.0, 0.22))
    v["warm"] = float(rng.uniform(-0.03, 0.06))
    sky = rng.random()
    v["sun"] = 1.0 if sky < 0.62 else float(rng.uniform(0.0, 0.35))
    v["dusk"] = float(rng.uniform(0.55, 0.95)) if rng.random() < 0.16 else float(rng.uniform(0.0, 0.2))
    v["wet"] = float(rng.uniform(0.5, 1.0)) if sky >= 0.62 and rng.random() < 0.45 else 0.0
    for name, chance in (("canopy", 0.27), ("trunks", 0.27), ("mass", 0.17)):
        v[name] = float(rng.uniform(0.8, 1.0)) if rng.random() < chance else 0.0
    v["cover"] = float(rng.uniform(0.88, 1.0)) if rng.random() < 0.24 else 0.0
    v["dirt"] = float(rng.uniform(0.0, 1.0))
    v["pale"] = float(rng.uniform(0.7, 1.9))
    v["green"] = float(rng.uniform(0.0, 1.0))
    v["limit"] = float(rng.uniform(11.0, 18.0) if rng.random() < 0.7 else rng.uniform(18.0, 27.0))
    for side in ("left", "right"):
        kind = str(rng.choice(["cut", "open", "forest", "rail", "hedge"], p=[0.22, 0.26, 0.26, 0.13, 0.13]))
        v[f"slope_{side}"] = {"cut": 0.55, "forest": 0.16, "hedge": 0.08}.get(kind, 0.02) * rng.uniform(
            0.6, 1.5
        )
        v[f"rise_{side}"] = {"cut": 5.0, "forest": 2.0, "hedge": 0.6}.get(kind, 0.5) * rng.uniform(0.6, 1.4)
        v[f"foot_{side}"] = float(rng.uniform(0.8, 3.0))
        v[f"bush_{side}"] = {"hedge": 1.7, "forest": 0.7, "cut": 0.5, "open": 0.25}.get(
            kind, 0.35
        ) * rng.uniform(0.5, 1.4)
        v[f"trees_{side}"] = {"forest": 15.0, "hedge": 7.0, "cut": 9.0}.get(kind, 0.0) * rng.uniform(0.5, 1.3)
        v[f"setback_{side}"] = {"forest": 5.0, "cut": 7.0}.get(kind, 9.0) * rng.uniform(0.7, 1.5)
        v[f"rail_{side}"] = 1.0 if kind == "rail" else 0.0
        v[f"posts_{side}"] = 1.0 if kind in ("open", "hedge", "rail") and rng.random() < 0.6 else 0.0
    return {name: float(value) for name, value in v.items()}


def _tables(seed: int, sections: list[Section], n: int) -> dict[str, Floats]:
    s = np.arange(n) - BEFORE
    of = np.searchsorted([section.end for section in sections], s, side="right")
    of = np.minimum(of, len(sections) - 1)
    tables: dict[str, Floats] = {}
    for name, sigma in _SMOOTH.items():
        tables[name] = smooth(np.array([section.values[name] for section in sections])[of], sigma)
    places: dict[str, list[float]] = {name: [] for name in (*SLOTS, "edge_left", "edge_right", "gravel")}
    for section in sections:
        for name, value in line_places(section.layout).items():
            places[name].append(value)
    for name, values in places.items():
        tables[name] = smooth(np.array(values)[of], 9.0)
    # A cloud's edge, a gap in the trees: the tables vary within a section too.
    for k, name in enumerate(("canopy", "trunks", "mass")):
        wave = smooth_track(stream(seed, "shade", k), n, 14.0)
        tables[name] = np.clip(tables[name] * np.clip(0.75 + 0.6 * wave, 0.0, 1.2), 0.0, 1.0)
    for k, side in enumerate(("left", "right")):
        wave = smooth_track(stream(seed, "grow", k), n, 5.0)
        tables[f"trees_{side}"] *= np.clip(0.85 + 0.35 * wave, 0.05, 1.6)
        tables[f"bush_{side}"] *= np.clip(1.0 + 0.4 * smooth_track(stream(seed, "bush", k), n, 2.5), 0.1, 2.0)
        tables[f"slope_{side}"] *= np.clip(
            1.0 + 0.25 * smooth_track(stream(seed, "bank", k), n, 9.0), 0.3, 1.7
        )
    return tables


def line_places(layout: Layout) -> dict[str, float]:
    """Where the lines and the asphalt's edges are, metres left of the car's lane's middle."""
    w = layout.lane
    places = {f"L{k}": w / 2 + w * min(k - 1, layout.left) for k in (1, 2, 3)}
    places |= {f"R{k}": -w / 2 - w * min(k - 1, layout.right) for k in (1, 2)}
    places["edge_left"] = w / 2 + w * layout.left + 0.12 + layout.shoulder_left
    places["edge_right"] = -w / 2 - w * layout.right - 0.12 - layout.shoulder_right
    places["gravel"] = layout.gravel
    return places


def smooth(values: Floats, sigma: float) -> Floats:
    """A step becomes a ramp about 3 sigma long, with no overshoot."""
    half = max(int(2.5 * sigma), 1)
    kernel = np.hanning(2 * half + 3)[1:-1]
    kernel /= kernel.sum()
    return np.convolve(np.pad(values, half, mode="edge"), kernel, mode="valid")


def _gaps(rng: np.random.Generator, section: Section, gaps: dict[str, list[tuple[float, float]]]) -> None:
    for slot in section.layout.lines:
        if section.start > 0 and rng.random() < 0.22:
            at = float(rng.uniform(section.start, section.end))
            gaps[slot].append((at, at + float(rng.uniform(6.0, 45.0))))


def _tar(rng: np.random.Generator, section: Section, seams: list[Seam], patches: list[Patch]) -> None:
    span, places = section.end - section.start, line_places(section.layout)
    low, high = places["edge_right"], places["edge_left"]
    if rng.random() < 0.55:
        for _ in range(rng.poisson(span / 22.0)):
            at = float(rng.uniform(section.start, section.end))
            along = bool(rng.random() < 0.55)
            length = float(rng.uniform(5.0, 45.0)) if along else 0.0
            d = float(rng.uniform(low, high))
            seams.append(Seam(at, length, d, float(rng.uniform(0.03, 0.09)), float(rng.uniform(0, 100))))
    if rng.random() < 0.4:
        for _ in range(rng.poisson(span / 45.0)):
            at = float(rng.uniform(section.start, section.end))
            lane = float(rng.uniform(low, high - 1.0))
            size = float(rng.uniform(1.5, 18.0)), float(rng.uniform(0.6, 3.2))
            patches.append(Patch(at, size[0], lane, size[1], float(rng.choice([0.6, 0.72, 0.82, 1.18]))))
