"""How a car looks: an extruded outline with glass, lamps and wheels, drawn face by face."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.simulate.camera import View
from vbp.simulate.canvas import Canvas
from vbp.simulate.classes import ID
from vbp.simulate.light import RGB, Light
from vbp.simulate.road import Floats, Road
from vbp.simulate.traffic import Car

SUN = np.array([0.45, 0.35, 0.82])  # towards it

# Outlines of the body's side: (metres from the tail, metres above the ground), and where its glass is.
_SHAPES: dict[str, tuple[list[tuple[float, float]], list[tuple[float, float]], float]] = {
    "saloon": (
        [(0, 0.35), (0, 0.85), (0.1, 1.02), (0.75, 1.06), (1.4, 1.42), (2.5, 1.45), (3.35, 1.0), (4.4, 0.86), (4.65, 0.62), (4.65, 0.3)],
        [(0.85, 1.06), (1.45, 1.38), (2.45, 1.40), (3.2, 1.02)],
        1.8,
    ),
    "suv": (
        [(0, 0.45), (0, 1.0), (0.12, 1.2), (0.4, 1.74), (2.9, 1.78), (3.5, 1.2), (4.55, 1.05), (4.75, 0.75), (4.75, 0.4)],
        [(0.3, 1.2), (0.55, 1.66), (2.8, 1.69), (3.35, 1.22)],
        1.92,
    ),
    "van": (
        [(0, 0.5), (0, 1.1), (0.05, 2.2), (4.2, 2.3), (5.0, 1.45), (5.5, 1.1), (5.5, 0.45)],
        [(3.3, 1.4), (3.3, 2.05), (4.1, 2.1), (4.85, 1.45)],
        2.05,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class _Mesh:
    """The flat faces of one shape. Metres from the body's middle, to its left, above the ground.

    corners (V, 3); face f has the corners start[f]:start[f + 1]. normal, middle (F, 3). paint: of each face, a
    key of _PAINTS or "body". layer: 0 is drawn first and always (underside, tyres); 1 is the shell, from back to
    front; 2 lies on the shell. Of layers 1 and 2 only what faces the camera is drawn.
    """

    corners: Floats
    start: NDArray[np.intp]
    normal: Floats
    middle: Floats
    paint: tuple[str, ...]
    layer: NDArray[np.intp]


# Linear albedo, by day; lamps that are lit shine by themselves.
_PAINTS: dict[str, RGB] = {
    "glass": (0.02, 0.025, 0.03),
    "rubber": (0.012, 0.012, 0.012),
    "hub": (0.16, 0.16, 0.17),
    "grille": (0.02, 0.02, 0.02),
    "bumper": (0.045, 0.045, 0.045),
    "plate": (0.6, 0.6, 0.55),
    "lamp": (0.5, 0.5, 0.5),
    "red": (0.25, 0.015, 0.012),
}
_LIT: dict[str, RGB] = {"lamp": (1.5, 1.45, 1.3), "red": (0.9, 0.03, 0.02)}


class _Builder:
    """Collects faces; each is turned so that its normal points away from the body's middle."""

    def __init__(self, length: float) -> None:
        self.shift = np.array([length / 2, 0.0, 0.0])
        self.faces: list[tuple[Floats, str, int]] = []

    def add(self, points: list[tuple[float, float, float]], paint: str, layer: int) -> None:
        corners = np.array(points) - self.shift
        outward = corners.mean(0) - np.array([0.0, 0.0, 0.75])
        if layer and float(_normal(corners) @ outward) < 0:
            corners = corners[::-1]
        self.faces.append((corners, paint, layer))

    def mesh(self) -> _Mesh:
        corners = [face[0] for face in self.faces]
        return _Mesh(
            np.concatenate(corners),
            np.cumsum([0, *(len(c) for c in corners)]),
            np.array([_normal(c) for c in corners]),
            np.array([c.mean(0) for c in corners]),
            tuple(face[1] for face in self.faces),
            np.array([face[2] for face in self.faces]),
        )


def _normal(corners: Floats) -> Floats:
    """Newell's: right for every planar polygon, and about right for one that is not quite."""
    following = np.roll(corners, -1, axis=0)
    n = np.cross(corners - corners.mean(0), following - corners.mean(0)).sum(0)
    return np.asarray(n / max(float(np.linalg.norm(n)), 1e-9))


_CIRCLE = np.linspace(0, 2 * np.pi, 14, endpoint=False)


@lru_cache(maxsize=8)
def _mesh(shape: str) -> _Mesh:
    outline, panes, width = _SHAPES[shape]
    half, length = width / 2, outline[-1][0]
    build = _Builder(length)

    def inset(up: float) -> float:  # the cabin leans in
        return half - 0.24 * max(up - 0.95, 0.0)

    ends, heights, sides = (0.15, length - 0.15), (0.18, 0.5), (0.1 - half, half - 0.1)
    build.add([(x, y, z) for x in ends for y in sides for z in heights], "rubber", 0)
    for (a, ha), (b, hb) in pairwise(outline):
        wa, wb = inset(ha), inset(hb)
        build.add([(a, -wa, ha), (b, -wb, hb), (b, wb, hb), (a, wa, ha)], "body", 1)
        if abs(hb - ha) > max(0.3 * abs(b - a), 0.2) and min(ha, hb) > 0.93:  # windscreen, rear window
            i, j, k = 0.93 * a + 0.07 * b, 0.07 * a + 0.93 * b, 0.88
            hi, hj = 0.93 * ha + 0.07 * hb, 0.07 * ha + 0.93 * hb
            build.add([(i, -k * wa, hi), (j, -k * wb, hj), (j, k * wb, hj), (i, k * wa, hi)], "glass", 2)
    for side in (-1.0, 1.0):
        build.add([(a, side * inset(h), h) for a, h in outline], "body", 1)
        build.add([(a, side * (inset(h) + 0.01), h) for a, h in panes], "glass", 2)
        for at in (0.95, length - 0.95):
            rim = [(at + 0.34 * c, side * (half + 0.01), 0.34 + 0.34 * s) for c, s in _circle()]
            build.add(rim + [(a, side * (half - 0.22), h) for a, _, h in rim], "rubber", 0)
            build.add(rim, "rubber", 2)
            build.add([(at + 0.2 * c, side * (half + 0.02), 0.34 + 0.2 * s) for c, s in _circle()], "hub", 2)
    _ends(build, half, length, outline[-2][1], outline[1][1])
    return build.mesh()


def _circle() -> list[tuple[float, float]]:
    return [(float(np.cos(t)), float(np.sin(t))) for t in _CIRCLE]


def _ends(build: _Builder, half: float, length: float, nose: float, tail: float) -> None:
    """Lamps, plates, bumpers and grille. nose, tail: metres above the ground of what bounds them above."""

    def quad(a: float, y0: float, y1: float, z0: float, z1: float, paint: str) -> None:
        build.add([(a, y0, z0), (a, y1, z0), (a, y1, z1), (a, y0, z1)], paint, 2)

    front, back = length + 0.02, -0.02
    quad(front, -0.55, 0.55, nose - 0.18, nose - 0.02, "grille")
    quad(front, 0.05 - half, half - 0.05, 0.32, 0.42, "bumper")
    quad(back, 0.05 - half, half - 0.05, 0.36, 0.5, "bumper")
    quad(back, -0.26, 0.26, tail - 0.22, tail - 0.09, "plate")
    quad(front, -0.26, 0.26, 0.42, 0.54, "plate")
    for side in (-1.0, 1.0):
        inner, outer = side * (half - 0.45), side * (half - 0.06)
        quad(front, inner, outer, nose - 0.14, nose, "lamp")
        quad(back, inner + side * 0.12, outer, tail - 0.24, tail - 0.04, "red")


def draw_car(
    canvas: Canvas, car: Car, frame: int, view: View, road: Road, light: Light, shade: float
) -> None:
    """One car onto the canvas. shade: 0..1, how much of the sun does not reach it."""
    mesh = _mesh(car.shape)
    s, d = float(car.s[frame]), float(car.d[frame])
    x, y, heading = (float(v) for v in road.point(s, d))
    if not car.forward:
        heading += np.pi
    cos, sin = float(np.cos(heading)), float(np.sin(heading))
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    place = np.array([x, y, float(road.at(road.z, s))])
    world = mesh.corners @ turn + place
    u, v, ahead = view.to_pixels(world[:, 0], world[:, 1], world[:, 2])
    if ahead.min() < 2.5 or u.max() < 0 or u.min() > canvas.kind.shape[1]:
        return
    to_eye = turn @ (np.array([view.x, view.y, view.z]) - place) - mesh.middle  # (F, 3), in the body's axes
    facing = (mesh.layer == 0) | ((mesh.normal * to_eye).sum(1) > 0)
    far = np.linalg.norm(to_eye, axis=1)
    order = sorted(
        np.flatnonzero(facing), key=lambda f: (mesh.layer[f], -far[f] if mesh.layer[f] == 1 else 0)
    )
    normals = mesh.normal @ turn
    on = car.lights or light.dusk > 0.4
    lit = np.array(light.sun) * (1 - shade)
    polygons: list[tuple[slice, bool, Floats]] = []
    for f in order:
        paint = mesh.paint[f]
        albedo = np.array(car.colour if paint == "body" else _PAINTS[paint])
        if on and paint in _LIT:
            value = np.array(_LIT[paint])
        else:
            turned = max(float(normals[f] @ SUN), 0.0)
            value = albedo * (np.array(light.ambient) * 0.9 + lit * (0.15 + 0.95 * turned))
        if paint == "glass":
            value = value + np.array(light.haze) * 0.05
        polygons.append((slice(mesh.start[f], mesh.start[f + 1]), mesh.layer[f] == 0, value))
    _paint(canvas, u, v, polygons, float(ahead.min()))


_SHIFT = 4  # sub-pixel bits of OpenCV's polygons
_ENCODE = 180.0  # light -> sqrt scale in 8 bits: up to 2


def _paint(
    canvas: Canvas, u: Floats, v: Floats, polygons: list[tuple[slice, bool, Floats]], nearest: float
) -> None:
    """polygons: (corners of u, v; whether only their hull counts; linear light), in the order of painting."""
    height, width = canvas.kind.shape
    left, right = int(np.clip(u.min() - 2, 0, width)), int(np.clip(u.max() + 3, 0, width))
    top, bottom = int(np.clip(v.min() - 2, 0, height)), int(np.clip(v.max() + 3, 0, height))
    if right - left < 2 or bottom - top < 2:
        return
    rows, columns = slice(top, bottom), slice(left, right)
    patch = cv2.merge([np.sqrt(np.clip(c[rows, columns], 0, 2)) * _ENCODE for c in canvas.rgb])
    picture = np.clip(patch, 0, 255).astype(np.uint8)
    mask = np.zeros(picture.shape[:2], np.uint8)
    pixels = np.stack([(u - left) * 2**_SHIFT, (v - top) * 2**_SHIFT], 1)
    pixels = np.clip(np.rint(pixels), -(2**20), 2**20).astype(np.int32)
    for corners, hull, value in polygons:
        polygon = pixels[corners]
        if hull:  # a solid's outline, whatever the order of its corners
            polygon = cv2.convexHull(polygon)[:, 0]
        level = [float(c) for c in np.clip(np.sqrt(np.clip(value, 0, 2)) * _ENCODE, 0, 255)]
        cv2.fillPoly(picture, [polygon], level, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(mask, [polygon], [255.0], cv2.LINE_AA, _SHIFT)
    _blend(canvas, rows, columns, picture, mask, nearest)


def _blend(
    canvas: Canvas,
    rows: slice,
    columns: slice,
    picture: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    nearest: float,
) -> None:
    depth = canvas.depth[rows, columns]
    shown = (mask > 0) & (depth > nearest - 0.8)  # what is in front of it hides it: a crest, a bank
    for k in range(3):
        part = canvas.rgb[k][rows, columns]
        drawn = (picture[..., k].astype(np.float32) / _ENCODE) ** 2
        np.copyto(part, drawn, where=shown)
    body = shown & (mask > 127)
    canvas.kind[rows, columns][body] = ID["car"]
    depth[body] = nearest
    canvas.shadow[rows, columns][body] = False
