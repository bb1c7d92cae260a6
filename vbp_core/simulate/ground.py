"""Ray casting onto the ground: where on the road each pixel looks.

Columns 8 pixels apart are marched exactly (plan, profile and banks); between them all is smooth and is
interpolated. The first hit along a column's rays is where the line of sight's slope to the ground passes the
pixel's, which a running maximum over the distance finds for all rows at once: crests hide what is behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.simulate.camera import View
from vbp.simulate.conditions import Conditions
from vbp.simulate.noise import Array
from vbp.simulate.road import Road

Floats = NDArray[np.float64]

SPACING = 8  # pixels between the columns that are marched
NEAREST, FARTHEST = 5.0, 420.0  # metres
_SAMPLES = 150


def _within() -> Floats:
    """(3, 8): weights of the marched columns left of, in and right of a run of pixels, for each pixel of it."""
    at = (np.arange(SPACING) - (SPACING - 1) / 2) / SPACING  # in marched columns, from the middle one
    return np.stack([np.maximum(-at, 0.0), 1.0 - np.abs(at), np.maximum(at, 0.0)])


_WITHIN = _within()


@dataclass(frozen=True)
class Rays:
    """The marched columns themselves: distance (S,) metres ahead; s, d, height (K, S) of the ground there.

    beyond: by side, (K, S) metres beyond the asphalt's edge.
    """

    distance: Floats
    s: Floats
    d: Floats
    height: Floats
    beyond: dict[str, Floats]


@dataclass(frozen=True)
class Ground:
    """The part of the picture below `top` that can show ground, (R, W) float32 with R = H - top rows.

    s: metres along the road beyond `origin` (so that float32 keeps millimetres); d: metres to the left.
    depth: metres ahead. cover: 0..1, how much of the pixel is ground and not what is above the skyline.
    span_s, span_d: metres of s and d that a pixel covers. foot_s, foot_d (R,): the same for a row as a whole,
    near the road. coarse_s (absolute), coarse_d, coarse_span_d (R, K) float64: the marched columns, for what varies slowly;
    `fine` brings such values to all columns. skyline (W,): the row above which there is no ground.
    """

    top: int
    origin: float
    s: Array
    d: Array
    depth: Array
    cover: Array
    span_s: Array
    span_d: Array
    foot_s: Array
    foot_d: Array
    coarse_s: Floats
    coarse_d: Floats
    coarse_span_d: Floats
    skyline: Array
    rays: Rays

    @property
    def row_s(self) -> Floats:
        """(R,) metres along the road, absolute, that each row sees of the road's middle."""
        weight = (np.abs(self.coarse_d) < 6.0) + 1e-3
        return np.asarray((self.coarse_s * weight).sum(1) / weight.sum(1))

    def near(self, off: Floats, reach: Floats) -> tuple[NDArray[np.intp], Array]:
        """Pixels that may lie within `reach` of where `off` is 0: (P,) flat indices, and `off` there, (P,).

        off, reach (R, K): at the marched columns. Whole runs of 8 pixels are taken, so a line costs what it covers.
        """
        left, middle, right = off[:, :-2], off[:, 1:-1], off[:, 2:]
        low = np.minimum(np.minimum(left, right), middle)
        high = np.maximum(np.maximum(left, right), middle)
        rows, blocks = np.nonzero((low < reach[:, 1:-1]) & (high > -reach[:, 1:-1]))
        width = self.s.shape[1]
        index = (rows * width + blocks * SPACING)[:, None] + np.arange(SPACING)
        around = np.stack([left[rows, blocks], middle[rows, blocks], right[rows, blocks]], 1)
        return index.ravel(), (around @ _WITHIN).astype(np.float32).ravel()

    def fine(self, coarse: Floats | Array) -> Array:
        """(R, K) at the marched columns -> (R, W), linear between them."""
        return widen(np.asarray(coarse, dtype=np.float32))


def widen(coarse: Array) -> Array:
    """Columns at 8 j + 3.5, j = -1.., to all columns: what a bilinear enlargement does, less its borders."""
    rows, columns = coarse.shape
    big = cv2.resize(coarse, (columns * SPACING, rows), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(big[:, SPACING:-SPACING], dtype=np.float32)


def beyond_edges(conditions: Conditions, s: Floats, d: Floats) -> dict[str, Floats]:
    """Metres beyond the asphalt's edge, by side; negative on the road."""
    return {"left": d - conditions.at("edge_left", s), "right": conditions.at("edge_right", s) - d}


def bank(conditions: Conditions, s: Floats, beyond: dict[str, Floats]) -> Floats:
    """Metres that the ground lies above the road's profile: banks beside the road."""
    rise = np.zeros_like(s)
    for side, metres in beyond.items():
        out = metres > 0
        at = s[out]
        up = (metres[out] - conditions.at(f"foot_{side}", at)) * conditions.at(f"slope_{side}", at)
        rise[out] = np.clip(up, 0.0, conditions.at(f"rise_{side}", at))
    return rise


def cast(view: View, road: Road, conditions: Conditions, car_s: float) -> Ground:
    camera = view.camera
    columns: Floats = SPACING * np.arange(-1.0, camera.width // SPACING + 1) + (SPACING - 1) / 2
    distance = np.asarray(np.geomspace(NEAREST, FARTHEST, _SAMPLES), dtype=np.float64)
    s, d = _march(view, road, car_s, columns, distance)
    beyond = beyond_edges(conditions, s, d)
    height = road.at(road.z, s) + bank(conditions, s, beyond)
    sight = (height - view.z) / distance[None, :]
    highest = np.maximum.accumulate(sight, axis=1)

    shear = view.roll * (columns - camera.centre_x)
    # rows of the ground's upper end in each marched column
    end = view.horizon + shear - camera.focal * highest[:, -1]
    top = int(np.clip(np.floor(end.min()) - 1, 0, camera.height_px - 40))
    rows = np.arange(top, camera.height_px)
    slope = (view.horizon + shear[:, None] - rows[None, :]) / camera.focal  # (K, R) slope of each ray
    i = np.clip(
        _first_hits(view.horizon + shear[:, None] - camera.focal * highest - top, len(rows)), 1, _SAMPLES - 1
    )
    low, high = np.take_along_axis(highest, i - 1, 1), np.take_along_axis(sight, i, 1)
    w = np.clip((slope - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
    depth = (distance[i - 1] * (1 - w) + distance[i] * w).T
    coarse_s = (np.take_along_axis(s, i - 1, 1) * (1 - w) + np.take_along_axis(s, i, 1) * w).T
    coarse_d = (np.take_along_axis(d, i - 1, 1) * (1 - w) + np.take_along_axis(d, i, 1) * w).T

    origin = float(np.floor(car_s))
    fine_s, fine_d = widen((coarse_s - origin).astype(np.float32)), widen(coarse_d.astype(np.float32))
    span_s, span_d, foot_s, foot_d = _spans(coarse_s, coarse_d)
    skyline = widen(end[None, :].astype(np.float32))[0]
    cover = np.clip(rows[:, None].astype(np.float32) - skyline + np.float32(0.5), 0.0, 1.0)
    return Ground(
        top,
        origin,
        fine_s,
        fine_d,
        widen(depth.astype(np.float32)),
        cover,
        widen(span_s.astype(np.float32)),
        widen(span_d.astype(np.float32)),
        foot_s,
        foot_d,
        coarse_s,
        coarse_d,
        span_d,
        skyline,
        Rays(distance, s, d, height, beyond),
    )


def _march(view: View, road: Road, car_s: float, columns: Floats, distance: Floats) -> tuple[Floats, Floats]:
    """s and d (K, S) of the points at `distance` (S,) along the lines of sight of `columns` (K,), seen from above.

    Every other column is projected; between two, 16 pixels apart, a bend of 40 m radius is off by 1 mm.
    """
    camera = view.camera
    every = np.append(columns[::2], columns[-1] + SPACING)
    slope = (camera.centre_x - every) / camera.focal  # metres to the left per metre ahead
    left = slope[:, None] * distance
    cos, sin = np.cos(view.heading), np.sin(view.heading)
    x, y = view.x + distance * cos - left * sin, view.y + distance * sin + left * cos
    guess = car_s + _first_guess(view, road, car_s, distance)
    s, d = road.project(x, y, np.broadcast_to(guess, x.shape))
    out = np.empty((2, len(columns), len(distance)))
    for values, full in ((s, out[0]), (d, out[1])):
        full[::2] = values[: len(full[::2])]
        full[1::2] = 0.5 * (values[:-1] + values[1:])[: len(full[1::2])]
    return out[0], out[1]


def _first_hits(at_row: Floats, rows: int) -> NDArray[np.intp]:
    """(K, S) rows at which samples are seen, falling along S -> (K, R): the first sample at or above each row."""
    columns = len(at_row)
    below = np.clip(np.ceil(at_row) - 1, -1, rows - 1).astype(np.intp) + 1  # 0: above the picture
    flat = below + (np.arange(columns) * (rows + 1))[:, None]
    count = np.bincount(flat.ravel(), minlength=columns * (rows + 1)).reshape(columns, rows + 1)
    return np.asarray(np.cumsum(count[:, :0:-1], axis=1)[:, ::-1])


def _first_guess(view: View, road: Road, car_s: float, distance: Floats) -> Floats:
    """Metres along the road, beyond the car, at which the road is `distance` ahead."""
    s = car_s + np.arange(0.0, FARTHEST * 1.5, 2.0)
    x, y, _ = road.point(s)
    ahead = (x - view.x) * np.cos(view.heading) + (y - view.y) * np.sin(view.heading)
    forward = np.maximum.accumulate(ahead)
    return np.interp(distance, forward + 1e-6 * np.arange(len(s)), s - car_s)


def _spans(s: Floats, d: Floats) -> tuple[Floats, Floats, Array, Array]:
    """How much of s and d a pixel covers: its steps to the next row and the next column, taken together."""

    def span(values: Floats) -> Floats:
        down = np.abs(np.diff(values, axis=0))
        down = np.concatenate([down, down[-1:]])
        across = np.abs(np.gradient(values, axis=1)) / SPACING
        return np.hypot(down, across)

    span_s, span_d = np.clip(span(s), 1e-4, 60.0), np.clip(span(d), 1e-4, 6.0)
    near = np.abs(d) < 6.0
    weight = near + 1e-3
    foot_s = (span_s * weight).sum(1) / weight.sum(1)
    foot_d = (span_d * weight).sum(1) / weight.sum(1)
    return span_s, span_d, foot_s.astype(np.float32), foot_d.astype(np.float32)
