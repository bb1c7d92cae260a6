"""Other cars: where they drive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vbp.simulate.conditions import Conditions
from vbp.simulate.driver import Motion
from vbp.simulate.noise import smooth_track, stream
from vbp.simulate.road import Floats

RGB = tuple[float, float, float]

NEAREST, FARTHEST = 4.0, 260.0  # metres at which a car is drawn

COLOURS: tuple[RGB, ...] = (
    (0.75, 0.75, 0.75),
    (0.45, 0.46, 0.48),
    (0.20, 0.21, 0.23),
    (0.03, 0.03, 0.035),
    (0.35, 0.03, 0.03),
    (0.04, 0.08, 0.25),
    (0.30, 0.27, 0.20),
    (0.10, 0.18, 0.10),
)


@dataclass(frozen=True)
class Car:
    """One other car. s, d: (N,) metres, per frame, NaN where it is not there. forward: drives as we do."""

    s: Floats
    d: Floats
    forward: bool
    shape: str
    colour: RGB
    lights: bool


def make_traffic(seed: int, motion: Motion, conditions: Conditions, fps: float) -> list[Car]:
    """Cars ahead in the own lane, beside it, and oncoming."""
    rng = stream(seed, "traffic")
    n = len(motion.t)
    cars: list[Car] = []

    def look(s: Floats, d: Floats, forward: bool) -> Car:
        shape = str(rng.choice(["saloon", "suv", "van"], p=[0.55, 0.35, 0.10]))
        colour = COLOURS[int(rng.integers(len(COLOURS)))]
        return Car(s, d, forward, shape, colour, bool(rng.random() < 0.5))

    at = int(rng.uniform(3, 12) * fps)
    while at < n:  # one that is followed for a while
        length = int(rng.uniform(8, 22) * fps)
        part = slice(at, min(at + length, n))
        count = part.stop - part.start
        gap = 26.0 + 9.0 * smooth_track(rng, count, 3.0 * fps) + rng.uniform(-6, 25)
        # at least 1.2 s behind its bumper, as driving schools teach: nearer, it hides the lane from the camera
        gap = np.maximum(gap, 8.0 + 1.2 * motion.speed[part])
        # it is met at a distance and drives off into the distance
        ramp = np.minimum(np.arange(count), np.arange(count)[::-1]) / fps
        gap = gap + 14.0 * np.maximum(4.0 - ramp, 0.0) ** 2 * 0.9
        s = np.full(n, np.nan)
        s[part] = motion.s[part] + gap
        d = np.full(n, np.nan)
        d[part] = 0.15 * smooth_track(rng, count, 2.0 * fps)
        cars.append(look(s, d, True))
        at += length + int(rng.uniform(6, 20) * fps)

    at = 0
    while at < n:  # oncoming, some in a row
        row = int(rng.choice([1, 1, 1, 2, 3, 5]))
        speed, ahead = float(rng.uniform(10.0, 20.0)), 200.0
        for _ in range(row):
            s = motion.s[at] + ahead - speed * (motion.t - motion.t[at])
            s[: max(at - 1, 0)] = np.nan
            gone = s < motion.s - 8.0
            s[gone] = np.nan
            d = _oncoming_lane(conditions, s)
            if np.isfinite(d[np.isfinite(s)]).all() and np.isfinite(s).any():
                cars.append(look(s, d + float(rng.normal(0, 0.15)), False))
            ahead += float(rng.uniform(10.0, 35.0))
        at += int(rng.uniform(3.0, 14.0) * fps)

    at = int(rng.uniform(5, 15) * fps)
    while at < n:  # one that overtakes, or is overtaken, where a lane beside goes our way
        rate = float(rng.choice([-1.0, 1.0]) * rng.uniform(1.5, 5.0))
        start = -10.0 if rate > 0 else 120.0
        s = motion.s + start + rate * (motion.t - motion.t[at])
        s[:at] = np.nan
        s[(s < motion.s - 10.5) | (s > motion.s + 160.0)] = np.nan
        d = _own_way_lane(conditions, s)
        if np.isfinite(s).any() and np.isfinite(d[np.isfinite(s)]).all():
            cars.append(look(s, d, True))
        at += int(rng.uniform(8.0, 25.0) * fps)
    return cars


def _oncoming_lane(conditions: Conditions, s: Floats) -> Floats:
    """(N,) metres left of the own lane, NaN where no lane comes the other way."""
    d = np.full(len(s), np.nan)
    for section in conditions.sections:
        inside = (s >= section.start) & (s < section.end)
        layout = section.layout
        if layout.oncoming and inside.any():
            same = layout.left - layout.oncoming
            d[inside] = 1.0 + same
    lane = conditions.at("L1", np.nan_to_num(s)) - conditions.at("R1", np.nan_to_num(s))
    number = np.where(np.isfinite(d), d, np.nan)
    return _eased(number) * lane


def _own_way_lane(conditions: Conditions, s: Floats) -> Floats:
    """(N,) metres left of the own lane, NaN where no other lane goes the own way."""
    d = np.full(len(s), np.nan)
    for section in conditions.sections:
        inside = (s >= section.start + 15) & (s < section.end - 15)
        layout = section.layout
        if layout.left > layout.oncoming:
            d[inside] = 1.0
        elif layout.right:
            d[inside] = -1.0
    lane = conditions.at("L1", np.nan_to_num(s)) - conditions.at("R1", np.nan_to_num(s))
    return _eased(d) * lane


def _eased(values: Floats) -> Floats:
    """A change of lane takes a second."""
    out = values.copy()
    good = np.isfinite(values)
    if good.any():
        kernel = np.hanning(22)[1:-1]
        kernel /= kernel.sum()
        runs = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(int), [0]])))
        for a, b in zip(runs[::2], runs[1::2], strict=True):
            padded = np.pad(values[a:b], (10, 9), mode="edge")
            out[a:b] = np.convolve(padded, kernel, mode="valid")[: b - a]
    return out


def visible(cars: list[Car], frame: int, car_s: float) -> list[Car]:
    """Those in view in a frame, the farthest first."""
    near = [c for c in cars if np.isfinite(c.s[frame]) and NEAREST - 6 < c.s[frame] - car_s < FARTHEST]
    return sorted(near, key=lambda c: -float(c.s[frame]))
