"""Things that stand singly beside the road: utility poles, marker posts, signs, trunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vbp.simulate.camera import View
from vbp.simulate.canvas import Canvas
from vbp.simulate.conditions import Conditions
from vbp.simulate.ground import bank, beyond_edges
from vbp.simulate.light import RGB, Light
from vbp.simulate.noise import stream
from vbp.simulate.road import Road


@dataclass(frozen=True)
class Post:
    """s, d: metres. low, high: metres above the ground of what is shown. width: metres."""

    s: float
    d: float
    low: float
    high: float
    width: float
    colour: RGB


def make_posts(seed: int, conditions: Conditions, length: float) -> list[Post]:
    rng = stream(seed, "posts")
    out: list[Post] = []
    for side, sign in (("left", 1.0), ("right", -1.0)):
        s = 5.0
        while s < length:
            edge = conditions.one(f"edge_{side}", s)
            if conditions.one(f"posts_{side}", s) > 0.5:
                d = edge + sign * float(rng.uniform(0.7, 1.0))
                out.append(Post(s, d, 0.0, 1.0, 0.11, (0.7, 0.7, 0.68)))
                out.append(Post(s, d, 0.72, 0.86, 0.11, (0.12, 0.05, 0.03)))
            s += float(rng.uniform(18.0, 30.0))
        s = float(rng.uniform(10.0, 60.0))
        while s < length:
            edge = conditions.one(f"edge_{side}", s)
            if conditions.one(f"trees_{side}", s) < 9.0 and rng.random() < 0.7:
                d = edge + sign * float(rng.uniform(2.2, 4.5))
                grey = float(rng.uniform(0.1, 0.3))
                out.append(Post(s, d, 0.0, 9.0, 0.28, (grey * 1.1, grey * 0.95, grey * 0.8)))
                if rng.random() < 0.6:
                    out.append(Post(s, d, 8.1, 8.35, 2.2, (grey, grey * 0.9, grey * 0.75)))
            s += float(rng.uniform(32.0, 55.0))
        s = float(rng.uniform(20.0, 100.0))
        while s < length:
            edge = conditions.one(f"edge_{side}", s)
            d = edge + sign * float(rng.uniform(1.2, 2.2))
            colours = [(0.65, 0.42, 0.03), (0.65, 0.65, 0.65), (0.03, 0.22, 0.1), (0.5, 0.05, 0.05)]
            out.append(Post(s, d, 0.0, 2.2, 0.08, (0.3, 0.3, 0.3)))
            low, size = float(rng.uniform(1.4, 2.0)), float(rng.uniform(0.5, 0.9))
            out.append(Post(s - 0.05, d, low, low + size, size, colours[int(rng.integers(4))]))
            s += float(rng.uniform(60.0, 220.0))
        s = 0.0
        while s < length:  # trunks in front of a wood
            if conditions.one(f"trees_{side}", s) > 9.0:
                edge, back = conditions.one(f"edge_{side}", s), conditions.one(f"setback_{side}", s)
                d = edge + sign * back * float(rng.uniform(0.55, 1.0))
                grey = float(rng.uniform(0.04, 0.22))
                wide = float(rng.uniform(0.25, 0.8))
                out.append(
                    Post(s, d, 0.0, float(rng.uniform(6, 16)), wide, (grey * 1.1, grey * 0.95, grey * 0.75))
                )
            s += float(rng.uniform(3.0, 14.0))
    out.sort(key=lambda p: p.s)
    return out


def stand_posts(
    canvas: Canvas,
    posts: list[Post],
    view: View,
    road: Road,
    conditions: Conditions,
    light: Light,
    car_s: float,
) -> None:
    """All posts in view, the farthest first."""
    near = [p for p in posts if car_s + 3.0 < p.s < car_s + 170.0]
    if not near:
        return
    s, d = np.array([p.s for p in near]), np.array([p.d for p in near])
    x, y, _ = road.point(s, d)
    z = road.at(road.z, s) + bank(conditions, s, beyond_edges(conditions, s, d))
    low = view.to_pixels(x, y, z + np.array([p.low for p in near]))
    high = view.to_pixels(x, y, z + np.array([p.high for p in near]))
    for k in np.argsort(-low[2]):
        u, ahead = float(low[0][k]), float(low[2][k])
        if ahead < 4.0:
            continue
        half = 0.5 * near[k].width * view.camera.focal / ahead
        _quad(canvas, u, half, float(high[1][k]), float(low[1][k]), ahead, near[k].colour, light)


def _quad(
    canvas: Canvas, u: float, half: float, top: float, bottom: float, ahead: float, colour: RGB, light: Light
) -> None:
    height, width = canvas.kind.shape
    a, b = int(np.clip(u - half - 1, 0, width)), int(np.clip(u + half + 2, 0, width))
    c, e = int(np.clip(top - 1, 0, height)), int(np.clip(bottom + 2, 0, height))
    if b <= a or e <= c:
        return
    columns, rows = np.arange(a, b, dtype=np.float32), np.arange(c, e, dtype=np.float32)
    # the share of each pixel between the edges
    across = np.clip(np.minimum(columns + 0.5, u + half) - np.maximum(columns - 0.5, u - half), 0.0, 1.0)
    down = np.clip(np.minimum(rows + 0.5, bottom) - np.maximum(rows - 0.5, top), 0.0, 1.0)
    seen = canvas.depth[c:e, a:b] > ahead - 0.6
    cover = (down[:, None] * across[None, :] * seen).astype(np.float32)
    # round: lit from one side
    side = 0.55 + 0.45 * np.clip((columns - u) / max(half, 0.5), -1.0, 1.0)
    tint = [
        np.broadcast_to(
            (colour[k] * (light.ambient[k] + light.sun[k] * side)).astype(np.float32)[None, :], cover.shape
        )
        for k in range(3)
    ]
    canvas.lay(slice(c, e), slice(a, b), tint, cover, "structure")
    part = canvas.depth[c:e, a:b]
    part[cover > 0.5] = ahead
