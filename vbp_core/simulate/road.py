"""The road's course: straights, clothoids and arcs in plan, a smooth profile in height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.simulate.noise import stream

Floats = NDArray[np.float64]

STEP = 0.5  # metres between the samples of the tables
BEFORE = 40.0  # metres of road behind the start


@dataclass(frozen=True)
class Road:
    """The line that the middle of the car's lane follows, sampled every STEP metres.

    All (N,) float64. s: metres along it, from -BEFORE. x, y: metres in plan; heading: radians, counter-
    clockwise; curvature: 1/m, positive to the left; z: metres of height; grade: dz/ds.
    """

    s: Floats
    x: Floats
    y: Floats
    heading: Floats
    curvature: Floats
    z: Floats
    grade: Floats

    @property
    def end(self) -> float:
        return float(self.s[-1])

    def at(self, column: Floats, s: Floats | float) -> Floats:
        """Linear interpolation of a column at `s`, clamped to the ends."""
        where = (np.asarray(s, dtype=np.float64) - self.s[0]) / STEP
        where = np.clip(where, 0.0, len(self.s) - 1.001)
        i = where.astype(np.intp)
        w = where - i
        return np.asarray(column[i] * (1 - w) + column[i + 1] * w)

    def point(self, s: Floats | float, d: Floats | float = 0.0) -> tuple[Floats, Floats, Floats]:
        """(x, y, heading) at `s` along and `d` metres to the left."""
        x, y, heading = self.at(self.x, s), self.at(self.y, s), self.at(self.heading, s)
        return x - d * np.sin(heading), y + d * np.cos(heading), heading

    def project(self, x: Floats, y: Floats, s_guess: Floats) -> tuple[Floats, Floats]:
        """(s, d) of points in plan, by Newton steps from `s_guess`."""
        s = np.asarray(s_guess, dtype=np.float64)
        for _ in range(3):
            px, py, heading = self.point(s)
            cos, sin = np.cos(heading), np.sin(heading)
            along = (x - px) * cos + (y - py) * sin
            across = (y - py) * cos - (x - px) * sin
            shrink = np.clip(1.0 - self.at(self.curvature, s) * across, 0.35, 3.0)
            s = np.clip(s + np.clip(along / shrink, -30.0, 30.0), self.s[0], self.s[-1])
        px, py, heading = self.point(s)
        cos, sin = np.cos(heading), np.sin(heading)
        # what is left along the road keeps the point's distance to a line that ends
        return s, (y - py) * cos - (x - px) * sin


def make_road(seed: int, length: float) -> Road:
    """A road of at least `length` metres from s = 0, the same for the same seed."""
    n = int(np.ceil((length + BEFORE) / STEP)) + 2
    s = np.asarray(np.arange(n) * STEP - BEFORE, dtype=np.float64)
    curvature = np.asarray(_curvature(stream(seed, "plan"), n), dtype=np.float64)
    # trapezoids: exact for clothoids sampled at STEP
    heading = np.concatenate([[0.0], np.cumsum(0.5 * (curvature[1:] + curvature[:-1]) * STEP)])
    middle = 0.5 * (heading[1:] + heading[:-1])
    x = np.concatenate([[0.0], np.cumsum(np.cos(middle) * STEP)])
    y = np.concatenate([[0.0], np.cumsum(np.sin(middle) * STEP)])
    grade = _grade(stream(seed, "profile"), n)
    z = np.concatenate([[0.0], np.cumsum(0.5 * (grade[1:] + grade[:-1]) * STEP)])
    return Road(s, x, y, heading, curvature, z, grade)


def _curvature(rng: np.random.Generator, n: int) -> Floats:
    """Nodes of (length, curvature at its end), linear between: straights, clothoids and arcs."""
    lengths, values = [BEFORE + 25.0], [0.0]
    total = lengths[0]
    side = 1.0 if rng.random() < 0.5 else -1.0
    while total < n * STEP:
        nodes, side = _bend(rng, side)
        for length, value in nodes:
            lengths.append(length)
            values.append(value)
            total += length
    at = np.cumsum(lengths)
    nodes_s, nodes_k = np.concatenate([[0.0], at]), np.concatenate([[0.0], values])
    return np.asarray(np.interp(np.arange(n) * STEP, nodes_s, nodes_k))


def _bend(rng: np.random.Generator, side: float) -> tuple[list[tuple[float, float]], float]:
    """One bend and perhaps a straight behind it: nodes (length, curvature), and the next side."""
    kind = rng.random()
    if kind < 0.42:
        radius = rng.uniform(220.0, 900.0)
    elif kind < 0.78:
        radius = rng.uniform(90.0, 220.0)
    else:
        radius = rng.uniform(42.0, 90.0)
    peak = side / radius
    into = rng.uniform(22.0, 38.0) + 900.0 / radius
    arc = float(np.clip(rng.uniform(0.15, 0.9) * radius, 8.0, 110.0))
    out = into * rng.uniform(0.85, 1.3)
    nodes = [(into, peak), (arc, peak * rng.uniform(0.85, 1.1)), (out, 0.0)]
    if rng.random() < 0.62:
        nodes.append((rng.uniform(15.0, 120.0), 0.0))
    turn_back = rng.random() < 0.68  # most bends answer the one before, or the road would close on itself
    return nodes, -side if turn_back else side


def _grade(rng: np.random.Generator, n: int) -> Floats:
    """Grades of up to 7 %, changing over 50 to 120 m: crests and dips."""
    lengths, values = [BEFORE + 30.0], [0.0]
    while sum(lengths) < n * STEP:
        lengths += [float(rng.uniform(50.0, 120.0)), float(rng.uniform(10.0, 120.0))]
        grade = float(np.clip(rng.normal(0.0, 0.025), -0.07, 0.07))
        values += [grade, grade]
    at = np.concatenate([[0.0], np.cumsum(lengths)])
    raw = np.interp(np.arange(n) * STEP, at, np.concatenate([[0.0], values]))
    # round the corners: a parabola's ends are felt by the car's pitch
    kernel = np.hanning(int(20.0 / STEP) + 2)
    kernel /= kernel.sum()
    return np.convolve(np.pad(raw, len(kernel) // 2, mode="edge"), kernel, mode="valid")[:n]
