"""How a car looks: an extruded outline with glass, lamps and wheels, drawn face by face."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp_core.simulate.camera import View
from vbp_core.simulate.canvas import Canvas
from vbp_core.simulate.classes import ID
from vbp_core.simulate.light import RGB, Light
from vbp_core.simulate.road import Floats, Road
from vbp_core.simulate.traffic import Car

GLASS: RGB = (0.02, 0.025, 0.03)
RUBBER: RGB = (0.012, 0.012, 0.012)
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
class _Face:
    corners: Floats  # (n, 3) world
    colour: RGB
    emits: bool = False  # shines by itself


class _Body:
    """Places points of one car: metres from the tail, to its left, above the ground -> world."""

    def __init__(self, x: float, y: float, z: float, heading: float, length: float) -> None:
        self.origin, self.length = np.array([x, y, z]), length
        cos, sin = float(np.cos(heading)), float(np.sin(heading))
        self.turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])

    def place(self, points: list[tuple[float, float, float]]) -> Floats:
        p = np.array(points) - np.array([self.length / 2, 0.0, 0.0])
        return np.asarray(p @ self.turn + self.origin)


def draw_car(
    canvas: Canvas, car: Car, frame: int, view: View, road: Road, light: Light, shade: float
) -> None:
    """One car onto the canvas. shade: 0..1, how much of the sun does not reach it."""
    s, d = float(car.s[frame]), float(car.d[frame])
    x, y, heading = (float(v) for v in road.point(s, d))
    if not car.forward:
        heading += np.pi
    outline, glass, width = _SHAPES[car.shape]
    body = _Body(x, y, float(road.at(road.z, s)), heading, outline[-1][0])
    near, shell, over = _faces(body, outline, glass, width, car, light)
    eye = np.array([view.x, view.y, view.z])
    # faces turned away are left out; of the others the farthest is drawn first
    shell = [f for f in shell if _facing(f, eye)]
    shell.sort(key=lambda f: -float(np.linalg.norm(f.corners.mean(0) - eye)))
    _paint(canvas, view, [*near, *shell, *[f for f in over if _facing(f, eye)]], light, shade)


def _facing(face: _Face, eye: Floats) -> bool:
    return float(_normal(face.corners) @ (eye - face.corners.mean(0))) > 0


def _normal(corners: Floats) -> Floats:
    """Newell's: right for every planar polygon, and about right for one that is not quite."""
    following = np.roll(corners, -1, axis=0)
    n = np.cross(corners - corners.mean(0), following - corners.mean(0)).sum(0)
    return np.asarray(n / max(float(np.linalg.norm(n)), 1e-9))


def _faces(
    body: _Body,
    outline: list[tuple[float, float]],
    glass: list[tuple[float, float]],
    width: float,
    car: Car,
    light: Light,
) -> tuple[list[_Face], list[_Face], list[_Face]]:
    """(what is drawn first: underside and tyres; the shell; what lies on the shell)."""
    half, length = width / 2, outline[-1][0]

    def inset(up: float) -> float:  # the cabin leans in
        return half - 0.24 * max(up - 0.95, 0.0)

    under = [_Face(body.place(_box(0.15, length - 0.15, half - 0.1, 0.18, 0.5)), RUBBER)]
    shell: list[_Face] = []
    over: list[_Face] = []
    for (a, ha), (b, hb) in pairwise(outline):
        wa, wb = inset(ha), inset(hb)
        corners = body.place([(a, -wa, ha), (b, -wb, hb), (b, wb, hb), (a, wa, ha)])
        if not _upward(corners, body):
            corners = corners[::-1]
        slope = abs(hb - ha) / max(abs(b - a), 1e-6)
        window = slope > 0.3 and min(ha, hb) > 0.93 and abs(hb - ha) > 0.2
        shell.append(_Face(corners, car.colour))
        if window:
            middle = corners.mean(0)
            over.append(_Face(middle + 0.86 * (corners - middle), GLASS))
    for side in (-1.0, 1.0):
        flank = body.place([(a, side * inset(h), h) for a, h in outline])
        panes = body.place([(a, side * (inset(h) + 0.01), h) for a, h in glass])
        shell.append(_Face(flank if side > 0 else flank[::-1], car.colour))
        over.append(_Face(panes if side > 0 else panes[::-1], GLASS))
        for at in (0.95, length - 0.95):
            rim = [(at + 0.34 * np.cos(t), side * (half + 0.01), 0.34 + 0.34 * np.sin(t)) for t in _CIRCLE]
            hub = [(at + 0.2 * np.cos(t), side * (half + 0.02), 0.34 + 0.2 * np.sin(t)) for t in _CIRCLE]
            tread = [(a, side * (half - 0.22), h) for a, _, h in rim]
            under.append(_Face(body.place(rim + tread), RUBBER))
            turned = slice(None) if side > 0 else slice(None, None, -1)
            over.append(_Face(body.place(rim)[::-1][turned], RUBBER))
            over.append(_Face(body.place(hub)[::-1][turned], (0.16, 0.16, 0.17)))
    over += _ends(body, half, outline, car, light)
    return under, shell, over


_CIRCLE = np.linspace(0, 2 * np.pi, 14, endpoint=False)


def _upward(corners: Floats, body: _Body) -> bool:
    """Whether the face turns away from the body's middle."""
    middle = body.origin + np.array([0.0, 0.0, 0.75])
    return bool(_normal(corners) @ (corners.mean(0) - middle) > 0)


def _box(a: float, b: float, half: float, low: float, high: float) -> list[tuple[float, float, float]]:
    return [(x, y, z) for x in (a, b) for y in (-half, half) for z in (low, high)]


def _ends(
    body: _Body, half: float, outline: list[tuple[float, float]], car: Car, light: Light
) -> list[_Face]:
    """Lamps, plates, bumper and grille."""
    length = outline[-1][0]
    nose, tail = outline[-2][1], outline[1][1]

    def quad(a: float, y0: float, y1: float, z0: float, z1: float) -> Floats:
        corners = body.place([(a, y0, z0), (a, y1, z0), (a, y1, z1), (a, y0, z1)])
        return corners if _upward(corners, body) else corners[::-1]

    on = car.lights or light.dusk > 0.4
    lamp: RGB = (1.5, 1.45, 1.3) if on else (0.5, 0.5, 0.5)
    red: RGB = (0.9, 0.03, 0.02) if on else (0.25, 0.015, 0.012)
    front, back = length + 0.02, -0.02
    out = [
        _Face(quad(front, -0.55, 0.55, nose - 0.18, nose - 0.02), (0.02, 0.02, 0.02)),
        _Face(quad(front, -half + 0.05, half - 0.05, 0.32, 0.42), (0.03, 0.03, 0.03)),
        _Face(quad(back, -half + 0.05, half - 0.05, 0.36, 0.5), (0.05, 0.05, 0.05)),
        _Face(quad(back, -0.26, 0.26, tail - 0.22, tail - 0.09), (0.6, 0.6, 0.55)),
        _Face(quad(front, -0.26, 0.26, 0.42, 0.54), (0.6, 0.6, 0.55)),
    ]
    for side in (-1.0, 1.0):
        inner, outer = side * (half - 0.45), side * (half - 0.06)
        out.append(_Face(quad(front, inner, outer, nose - 0.14, nose), lamp, on))
        out.append(_Face(quad(back, inner + side * 0.12, outer, tail - 0.24, tail - 0.04), red, on))
    return out


_SHIFT = 4  # sub-pixel bits of OpenCV's polygons
_ENCODE = 180.0  # light -> sqrt scale in 8 bits: up to 2


def _paint(canvas: Canvas, view: View, faces: list[_Face], light: Light, shade: float) -> None:
    corners = np.concatenate([f.corners for f in faces])
    u, v, ahead = view.to_pixels(corners[:, 0], corners[:, 1], corners[:, 2])
    if ahead.min() < 2.5:
        return
    height, width = canvas.kind.shape
    left, right = int(np.clip(u.min() - 6, 0, width)), int(np.clip(u.max() + 7, 0, width))
    top, bottom = int(np.clip(v.min() - 3, 0, height)), int(np.clip(v.max() + 5, 0, height))
    if right - left < 2 or bottom - top < 2:
        return
    rows, columns = slice(top, bottom), slice(left, right)
    patch = cv2.merge([np.sqrt(np.clip(c[rows, columns], 0, 2)) * _ENCODE for c in canvas.rgb])
    picture = np.clip(patch, 0, 255).astype(np.uint8)
    mask = np.zeros(picture.shape[:2], np.uint8)
    pixels = np.stack([(u - left) * 2**_SHIFT, (v - top) * 2**_SHIFT], 1)
    at = 0
    lit = np.array(light.sun) * (1 - shade)
    for face in faces:
        n = len(face.corners)
        polygon = np.clip(np.rint(pixels[at : at + n]), -(2**20), 2**20).astype(np.int32)
        at += n
        if face.colour is RUBBER:
            polygon = cv2.convexHull(polygon)[:, 0]  # a solid's outline, whatever the order of its corners
        turned = max(float(_normal(face.corners) @ SUN), 0.0)
        tint = np.array(light.ambient) * 0.9 + lit * (0.15 + 0.95 * turned)
        value = np.array(face.colour) * (1.0 if face.emits else tint)
        if face.colour is GLASS:
            value = value + np.array(light.haze) * 0.05
        level = [float(c) for c in np.clip(np.sqrt(np.clip(value, 0, 2)) * _ENCODE, 0, 255)]
        cv2.fillPoly(picture, [polygon], level, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(mask, [polygon], [255.0], cv2.LINE_AA, _SHIFT)
    _blend(canvas, rows, columns, picture, mask, float(ahead.min()))


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
