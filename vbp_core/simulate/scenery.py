"""What stands beside the road and behind it: sky, hills, trees, hedges, rails, poles."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.simulate.camera import View
from vbp.simulate.canvas import Canvas
from vbp.simulate.classes import ID
from vbp.simulate.conditions import Conditions
from vbp.simulate.ground import Ground, widen
from vbp.simulate.light import Light
from vbp.simulate.noise import Array, blurred, octaves, smooth_track, stream, unit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Backdrop:
    """Pictures that tile, made once per drive.

    foliage (512, 512): 0..1, crowns with dark gaps. growth (512, 512, 2), and at a half, a quarter, an eighth of
    the size: mean 0, for ragged outlines; and foliage.
    clouds (512, 1024): 0..1. skyline (4096,): height of the far hills over the horizon, radians, by heading.
    """

    foliage: Array
    growth: tuple[Array, ...]
    clouds: Array
    skyline: Floats


def make_backdrop(seed: int) -> Backdrop:
    rng = stream(seed, "backdrop")
    crowns = octaves(rng, 512, 512, (14.0, 30.0, 60.0))
    leaves = octaves(rng, 512, 512, (0.7, 1.6, 4.0))
    foliage = np.exp(0.75 * leaves + 0.8 * crowns)
    foliage = np.clip(foliage / np.quantile(foliage, 0.97), 0.03, 1.3)
    edge = unit(0.6 * crowns + 0.8 * octaves(rng, 512, 512, (1.5, 4.0, 9.0)))
    clouds = octaves(rng, 512, 1024, (3.0, 8.0, 20.0, 50.0), stretch=0.45)
    clouds = blurred(np.clip(0.45 + 0.5 * clouds, 0.0, 1.0), 1.0, 1.0)
    hills = smooth_track(rng, 4096, 90.0) + 0.25 * smooth_track(rng, 4096, 12.0)
    fade = np.minimum(1.0, np.minimum(np.arange(4096), np.arange(4096)[::-1]) / 200.0)
    skyline = np.clip(0.022 + 0.02 * hills * fade, 0.003, 0.09)
    foliage = np.asarray(foliage, dtype=np.float32)
    growth = [np.stack([edge, foliage], axis=2)]
    for _ in range(3):
        fine = growth[-1]
        growth.append(0.25 * (fine[0::2, 0::2] + fine[1::2, 0::2] + fine[0::2, 1::2] + fine[1::2, 1::2]))
    return Backdrop(foliage, tuple(growth), clouds, skyline)


def paint_sky(canvas: Canvas, view: View, backdrop: Backdrop, light: Light, bottom: int) -> None:
    """Sky and far hills down to row `bottom`."""
    bottom = int(np.clip(bottom, 1, canvas.kind.shape[0]))
    # clouds are soft: every fourth row and column will do
    width = canvas.kind.shape[1]
    rows = np.arange(1.5, bottom + 4, 4, dtype=np.float32)
    columns = np.arange(1.5, width, 4, dtype=np.float32)
    up = np.clip((view.horizon - rows) / view.camera.focal, 0.0, 0.3)[:, None]
    turn = 1024.0 / (2 * np.pi) * 4.0
    x = np.mod((view.camera.centre_x - columns) / view.camera.focal + view.heading, 2 * np.pi / 4) * turn
    shape = len(rows), len(columns)
    look_x = np.broadcast_to(np.minimum(x, 1023.0), shape).astype(np.float32)
    look_y = np.broadcast_to(500.0 - up * 1500.0, shape).astype(np.float32)
    clouds = cv2.remap(backdrop.clouds, look_x, look_y, cv2.INTER_LINEAR)
    cover = np.clip(clouds * 1.6 - 0.7 + light.overcast, 0.0, 1.0)
    fade = np.exp(-up * 14.0)
    size = len(columns) * 4, len(rows) * 4
    for k in range(3):
        clear = light.zenith[k] + (light.haze[k] - light.zenith[k]) * fade
        small = (clear + (light.cloud[k] - clear) * cover).astype(np.float32)
        canvas.rgb[k][:bottom] = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)[:bottom, :width]
    canvas.kind[:bottom] = ID["sky"]
    # far hills, by the direction of each column
    across = np.arange(width)
    direction = view.heading + (view.camera.centre_x - across) / view.camera.focal
    index = np.mod(direction / (2 * np.pi) * 4096 * 3, 4096.0)
    rise = np.interp(index, np.arange(4096), backdrop.skyline)
    edge = view.horizon - rise * view.camera.focal + view.roll * (across - view.camera.centre_x)
    top = int(np.clip(edge.min() - 1, 0, bottom))
    cover = np.clip(np.arange(top, bottom)[:, None] - edge[None, :] + 0.5, 0.0, 1.0).astype(np.float32)
    if cover.size:
        look_x = np.mod(index * 12.0, 511.0).astype(np.float32)
        look_y = np.mod((np.arange(top, bottom)[:, None] - edge[None, :]) * 1.5, 511.0).astype(np.float32)
        wood = cv2.remap(
            backdrop.foliage, np.broadcast_to(look_x, look_y.shape).copy(), look_y, cv2.INTER_LINEAR
        )
        colours = [
            (0.35 * light.haze[k] * 0.5 + (0.65 * leaf * light.full[k]) * (0.35 + 0.65 * wood)).astype(
                np.float32
            )
            for k, leaf in enumerate((0.075, 0.08, 0.04))
        ]
        canvas.lay(slice(top, bottom), slice(None), colours, cover, "vegetation")


@dataclass(frozen=True)
class Wall:
    """A strip that stands along the road. beyond: metres from the asphalt's edge, or the name of a table.

    tall: (at least, times the table `table`) metres.
    """

    side: str
    beyond: float | str
    style: str  # "trees", "bush" or "rail"
    table: str
    tall: tuple[float, float]

    def height(self, conditions: Conditions, s: Floats) -> Floats:
        return self.tall[0] + self.tall[1] * conditions.at(f"{self.table}_{self.side}", s)


FAR = 42.0  # metres from the road to the woods behind all

# From far to near
WALLS = tuple(
    Wall(side, *rest)
    for rest in (
        (FAR, "trees", "trees", (8.0, 0.6)),
        ("setback", "trees", "trees", (0.0, 1.0)),
        ("foot", "bush", "bush", (0.0, 1.0)),
        (0.9, "rail", "rail", (0.0, 1.0)),
    )
    for side in ("left", "right")
)


def stand_walls(
    canvas: Canvas, view: View, ground: Ground, conditions: Conditions, backdrop: Backdrop, light: Light
) -> None:
    for wall in WALLS:
        _stand(canvas, wall, view, ground, conditions, backdrop, light)


def _stand(
    canvas: Canvas,
    wall: Wall,
    view: View,
    ground: Ground,
    conditions: Conditions,
    backdrop: Backdrop,
    light: Light,
) -> None:
    rays = ground.rays
    least = 0.5 if wall.style == "rail" else 0.05
    if not wall.tall[0] and conditions.at(f"{wall.table}_{wall.side}", rays.s[:, ::6]).max() < least:
        return
    beyond = rays.beyond[wall.side]
    setback = (
        conditions.at(f"{wall.beyond}_{wall.side}", rays.s) if isinstance(wall.beyond, str) else wall.beyond
    )
    past = beyond - setback
    i = np.where((past > 0).any(1), np.argmax(past > 0, axis=1), past.shape[1] - 1)
    i = np.maximum(i, 1)
    k = np.arange(len(i))
    w = np.clip(-past[k, i - 1] / np.maximum(past[k, i] - past[k, i - 1], 1e-6), 0.0, 1.0)
    at_s = rays.s[k, i - 1] * (1 - w) + rays.s[k, i] * w
    depth = rays.distance[i - 1] * (1 - w) + rays.distance[i] * w
    foot = rays.height[k, i - 1] * (1 - w) + rays.height[k, i] * w
    # a wood does not end where the marching does: it shrinks towards there
    tall = wall.height(conditions, at_s) * np.clip((390.0 - depth) / 160.0, 0.0, 1.0)
    if tall.max() < 0.05:
        return
    camera = view.camera
    columns = (np.arange(len(i)) - 1) * 8.0 + 3.5
    base = view.horizon + view.roll * (columns - camera.centre_x) - camera.focal * (foot - view.z) / depth
    per = camera.focal / depth  # pixels per metre
    head = base - per * tall * 1.25
    stack = np.stack([at_s - ground.origin, depth, base, per, tall]).astype(np.float32)
    fine = widen(stack)
    height = len(canvas.kind)
    top, bottom = int(np.clip(head.min() - 1, 0, height)), int(np.clip(base.max() + 1, 0, height))
    there = np.flatnonzero(fine[4] > 0.06)
    if bottom - top < 1 or not len(there):
        return
    columns_of = slice(int(there[0]), int(there[-1]) + 1)
    rows = slice(top, bottom)
    seen = fine[1, columns_of] < canvas.depth[rows, columns_of]
    shown = np.flatnonzero(seen.any(1))
    if not len(shown):
        return
    # the foot may be behind a bank
    rows = slice(top + int(shown[0]), top + int(shown[-1]) + 1)
    seen = seen[shown[0] : shown[-1] + 1]
    strip = _Strip(rows, columns_of, fine[:, None, columns_of], ground.origin)
    if wall.style == "rail":
        _rail(canvas, strip, seen, light)
    else:
        _grow(canvas, strip, seen, wall, conditions, backdrop, light)


class _Strip:
    """The pixels of one wall. s, depth, per, tall (1, W): metres along, metres ahead, pixels to the metre, metres

    of height. up (R, W): metres above the wall's foot.
    """

    def __init__(self, rows: slice, columns: slice, values: Array, origin: float) -> None:
        self.rows, self.columns = rows, columns
        s, self.depth, base, self.per, self.tall = values
        self.s = s + np.float32(origin % 1024.0)
        self.middle = float(s.mean()) + origin  # metres along the road, absolute
        self.up = (base - np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]) / self.per


def _grow(
    canvas: Canvas,
    strip: _Strip,
    seen: NDArray[np.bool_],
    wall: Wall,
    conditions: Conditions,
    backdrop: Backdrop,
    light: Light,
) -> None:
    """Trees or bushes."""
    up, per, tall = strip.up, strip.per, strip.tall
    scale = np.float32(32.0 if wall.style == "trees" else 80.0)  # cells of the tile per metre
    # a copy whose cells are about as large as the pixels
    level = int(np.clip(np.rint(np.log2(scale / float(np.median(per)))), 0, len(backdrop.growth) - 1))
    tile = backdrop.growth[level]
    x = np.broadcast_to(_cell(strip.s, scale, tile), up.shape)
    y = _cell(up + np.float32(7.0 if wall.side == "left" else 1.0), scale, tile)
    ragged, leaves = cv2.split(cv2.remap(tile, x.copy(), y, cv2.INTER_LINEAR))
    cover = (tall + (np.float32(0.16) * tall) * ragged - up) * np.minimum(per, 24.0)
    cover = np.clip(cover + np.float32(0.5), 0.0, 1.0)
    cover *= np.clip(up * per + np.float32(0.5), 0.0, 1.0)
    cover *= seen * (tall > 0.06)
    # far leaves are averaged by their distance; the foot of a wood is dark; all fades in the haze
    soft = np.clip(np.float32(3.0) / np.maximum(per, 0.1), 0.0, 0.8)
    leaves = leaves * (1 - soft) + np.float32(0.3) * soft
    dark = leaves * (np.float32(0.35) + np.float32(0.65) * np.clip(up / np.maximum(tall, 0.1), 0.0, 1.0))
    twice = dark * leaves
    fog = 1 - np.exp(-strip.depth / np.float32(900.0))
    green = conditions.one("green", strip.middle)
    tint = [0.09 - 0.02 * green, 0.085 + 0.01 * green, 0.042]
    if wall.style == "bush":
        tint = [0.19 - 0.09 * green, 0.16 - 0.03 * green, 0.075 - 0.03 * green]
    colour = []
    for k in range(3):
        clear = np.float32(2.0 * tint[k]) * (1 - fog)
        part = dark * (clear * np.float32(light.ambient[k]))
        part += twice * (clear * np.float32(0.75 * light.sun[k]))
        part += np.float32(0.6 * light.haze[k]) * fog
        colour.append(part)
    canvas.lay(strip.rows, strip.columns, colour, cover, "vegetation")
    part_depth = canvas.depth[strip.rows, strip.columns]
    np.copyto(part_depth, np.broadcast_to(strip.depth, part_depth.shape), where=cover > 0.5)


def _cell(metres: Array, per_metre: np.float32, tile: Array) -> Array:
    """Cells of a copy of a tile that has 512 cells, `per_metre` of them to the metre."""
    turns = metres * np.float32(per_metre / 512.0)
    turns -= np.floor(turns)
    turns *= np.float32(len(tile) - 1)
    return turns


def _rail(canvas: Canvas, strip: _Strip, seen: NDArray[np.bool_], light: Light) -> None:
    """A guard rail: a band of steel with a fold, on posts."""
    up, soft = strip.up, strip.per
    on = (strip.tall > 0.5) * seen
    band = np.clip((up - 0.45) * soft + 0.5, 0, 1) * np.clip((0.78 - up) * soft + 0.5, 0, 1) * on
    t = strip.s * np.float32(1 / 3.8)
    within = np.abs(t - np.floor(t) - np.float32(0.5)) * np.float32(3.8)
    post = np.clip((np.float32(0.08) - within) * np.minimum(soft * 0.4, 12) + 0.5, 0, 1)
    post = post * np.clip(up * soft + 0.5, 0, 1) * np.clip((0.6 - up) * soft + 0.5, 0, 1) * on
    wood = 0.10 * light.full[0], 0.09 * light.full[1], 0.08 * light.full[2]
    canvas.lay(strip.rows, strip.columns, wood, post.astype(np.float32), "structure")
    fold = 0.45 + 0.55 * (0.55 + 0.45 * np.cos((up - np.float32(0.615)) * np.float32(38.0)))
    steel = [(0.30 * light.full[k] * fold).astype(np.float32) for k in range(3)]
    canvas.lay(strip.rows, strip.columns, steel, band.astype(np.float32), "structure")
    part = canvas.depth[strip.rows, strip.columns]
    np.copyto(part, np.broadcast_to(strip.depth, part.shape), where=band > 0.5)
