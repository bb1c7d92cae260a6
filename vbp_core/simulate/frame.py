"""One frame: the picture and the truth of its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.simulate.bodies import draw_car
from vbp.simulate.canvas import Canvas
from vbp.simulate.classes import ID, SHADOW_BIT
from vbp.simulate.cue import plant_reflection
from vbp.simulate.ground import Ground, cast
from vbp.simulate.light import light_at
from vbp.simulate.markings import Paint, cross_paint, lane_paint
from vbp.simulate.noise import Array
from vbp.simulate.posts import stand_posts
from vbp.simulate.scenery import paint_sky, stand_walls
from vbp.simulate.surface import Surface, cast_shadows, paint_ground
from vbp.simulate.traffic import visible
from vbp.simulate.world import World


@dataclass(frozen=True)
class Frame:
    """image: uint8 RGB (H, W, 3). classes: uint8 (H, W), a class's number, with SHADOW_BIT where in shadow."""

    image: NDArray[np.uint8]
    classes: NDArray[np.uint8]


def render(world: World, i: int) -> Frame:
    """Frame `i` of a drive; the same whatever was rendered before."""
    camera, settings = world.camera, world.settings
    view, car_s = world.view(i), float(world.motion.s[i])
    light = light_at(world.conditions, car_s, float(world.exposure[i]))
    canvas = Canvas(camera.height_px, camera.width)
    ground = cast(view, world.road, world.conditions, car_s)
    paint_sky(canvas, view, world.backdrop, light, int(ground.skyline.max()) + 2)

    surface = paint_ground(ground, world.conditions, world.textures)
    paints = lane_paint(ground, world.conditions, world.textures.wear)
    paints += cross_paint(ground, world.conditions, world.textures.wear)
    kinds = _ground_kinds(surface)
    _apply(paints, surface, kinds)
    shade = cast_shadows(ground, world.conditions, world.shadows)
    cars = visible(world.traffic, i, car_s)
    for car in cars:
        _car_shadow(shade, ground, float(car.s[i]), float(car.d[i]))
    _lay_ground(canvas, ground, surface, kinds, shade, light.sun, light.ambient)

    stand_walls(canvas, view, ground, world.conditions, world.backdrop, light)
    stand_posts(canvas, world.posts, view, world.road, world.conditions, light, car_s)
    for car in cars:
        s = float(car.s[i])
        dark = 0.8 * max(world.conditions.one("mass", s), 0.8 * world.conditions.one("canopy", s))
        draw_car(canvas, car, i, view, world.road, light, dark)
    _wet(canvas, ground, surface, view.horizon)
    if settings.plant == "reflection":
        plant_reflection(canvas, float(world.motion.wheel[i]), light.gain)
    image = world.lens.expose(canvas.rgb, light.gain, settings.seed, i)
    classes = canvas.kind
    classes[canvas.shadow] |= SHADOW_BIT
    return Frame(image, classes)


def _ground_kinds(surface: Surface) -> NDArray[np.uint8]:
    """(R, W): road, ground or vegetation."""
    kinds = np.where(surface.grass > 0.5, np.uint8(ID["vegetation"]), np.uint8(ID["ground"]))
    kinds[surface.road > 0.5] = ID["road"]
    return kinds


def _apply(paints: list[Paint], surface: Surface, kinds: NDArray[np.uint8]) -> None:
    flat_kinds = kinds.reshape(-1)
    for paint in paints:
        for k in range(3):
            flat = surface.albedo[k].reshape(-1)
            flat[paint.index] += (np.float32(paint.colour[k]) - flat[paint.index]) * paint.cover
        flat_kinds[paint.index[paint.seen]] = paint.number


def _car_shadow(shade: Array, ground: Ground, s: float, d: float) -> None:
    """The soft dark under a car, and its shadow beside it."""
    near = np.flatnonzero((ground.coarse_s.max(1) > s - 5.0) & (ground.coarse_s.min(1) < s + 5.0))
    if not len(near):
        return
    rows = slice(int(near[0]), int(near[-1]) + 1)
    along = np.abs(ground.s[rows] - np.float32(s - ground.origin))
    across = np.abs(ground.d[rows] - np.float32(d + 0.35))
    soft = np.clip((2.6 - along) * 2.0, 0, 1) * np.clip((1.35 - across) * 2.5, 0, 1)
    np.maximum(shade[rows], np.float32(0.95) * soft, out=shade[rows])


def _lay_ground(
    canvas: Canvas,
    ground: Ground,
    surface: Surface,
    kinds: NDArray[np.uint8],
    shade: Array,
    sun: tuple[float, float, float],
    ambient: tuple[float, float, float],
) -> None:
    rows = slice(ground.top, None)
    edge = int(np.ceil(ground.skyline.max())) + 2 - ground.top  # below it all is ground
    for k in range(3):
        lit = shade * np.float32(-sun[k] - 0.25 * ambient[k])
        lit += np.float32(sun[k] + ambient[k])
        lit *= surface.albedo[k]
        part = canvas.rgb[k][rows]
        part[edge:] = lit[edge:]
        part[:edge] += (lit[:edge] - part[:edge]) * ground.cover[:edge]
    solid = ground.cover > 0.5
    np.copyto(canvas.kind[rows], kinds, where=solid)
    np.copyto(canvas.depth[rows], ground.depth, where=solid)
    # a shadow is one where there is sun to lose
    if sun[1] > 0.15:
        canvas.shadow[rows] = solid & (shade > 0.5)


def _wet(canvas: Canvas, ground: Ground, surface: Surface, horizon: float) -> None:
    """Wet asphalt mirrors what stands behind it, drawn out downwards."""
    if surface.wet.max() < 0.05:
        return
    height, width = canvas.kind.shape
    rows = np.arange(ground.top, height, dtype=np.float32)
    below = float(np.clip(horizon, 1, height - 2))
    source = np.repeat(np.clip(2 * below - rows, 0, below)[:, None], width, axis=1)
    is_car = canvas.kind == ID["car"]
    for u in np.flatnonzero(is_car.any(0)):  # a car is mirrored at its own foot
        high, low = (int(v) for v in np.flatnonzero(is_car[:, u])[[0, -1]])
        part = slice(max(low - ground.top, 0), max(2 * low - high - ground.top, 0))
        source[part, u] = 2 * low - rows[part]
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), source.shape)
    grazing = np.clip(1.0 - (rows - horizon) / 420.0, 0.1, 1.0)[:, None].astype(np.float32)
    amount = surface.wet * ~is_car[ground.top :] * grazing * np.float32(0.33)
    for k in range(3):
        smeared = cv2.blur(canvas.rgb[k], (9, 31))
        part_k = canvas.rgb[k][ground.top :]
        part_k += cv2.remap(smeared, columns.copy(), source, cv2.INTER_LINEAR) * amount
