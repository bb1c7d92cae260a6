"""What the ground is made of: asphalt with its grain, tracks, patches and tar, gravel, earth and grass."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vbp.simulate.conditions import Conditions, Patch, Seam
from vbp.simulate.ground import Ground
from vbp.simulate.markings import band, between
from vbp.simulate.noise import Array, Tile, octaves, stream

GRAVEL = (0.24, 0.215, 0.175)
EARTH = (0.17, 0.125, 0.08)
GRASS = (0.085, 0.115, 0.04)
STRAW = (0.26, 0.20, 0.105)


@dataclass(frozen=True)
class Textures:
    """Tiles of mean 0 and deviation 1 (foliage: see there), made once per drive. All lengths divide 1024 m."""

    fine: Tile
    coarse: Tile
    wear: Tile
    verge: Tile


def make_textures(seed: int) -> Textures:
    rng = stream(seed, "tiles")
    fine = octaves(rng, 512, 512, (0.0, 0.8, 2.0))
    coarse = octaves(rng, 512, 256, (1.0, 3.0, 9.0), stretch=2.5)
    wear = octaves(rng, 512, 256, (0.7, 2.0, 6.0), stretch=1.0)
    verge = octaves(rng, 512, 512, (0.0, 1.5, 5.0, 16.0))
    return Textures(
        Tile(fine, 16.0, 4.0, 8, 6),
        Tile(coarse, 64.0, 16.0, 7, 4),
        Tile(wear, 16.0, 4.0, 7, 4),
        Tile(verge, 16.0, 16.0, 7, 6),
    )


@dataclass(frozen=True)
class Surface:
    """albedo: three (R, W) arrays, linear RGB. road: (R, W) 0..1, share of asphalt. verge: 0 gravel.. 1 grass.

    wet: (R, W) 0..1, how much of a mirror the asphalt is.
    """

    albedo: list[Array]
    road: Array
    grass: Array
    wet: Array


def paint_ground(ground: Ground, conditions: Conditions, textures: Textures) -> Surface:
    s = ground.s + np.float32(ground.origin % 1024.0)
    d = ground.d
    coarse_s, coarse_d = ground.coarse_s, ground.coarse_d
    left, right = conditions.at("edge_left", coarse_s), conditions.at("edge_right", coarse_s)
    coarse_beyond = np.maximum(coarse_d - left, right - coarse_d)
    # rows that see asphalt: above them is a bank, or the skyline
    paved = slice(int(np.argmax(coarse_beyond.min(1) < 0.4)), None)
    fine, coarse = np.zeros_like(s), np.zeros_like(s)
    for tile, out in ((textures.fine, fine), (textures.coarse, coarse)):
        out[paved] = tile.look(s[paved], d[paved], ground.foot_s[paved], ground.foot_d[paved])

    # slow changes, on the marched columns
    base = conditions.at("asphalt", coarse_s) * _tracks(conditions, ground.row_s, coarse_d)
    row_s = ground.row_s
    rough = conditions.at("grain", row_s)[:, None].astype(np.float32)
    wet = conditions.at("wet", row_s)[:, None].astype(np.float32)
    base = base * (1.0 - 0.45 * wet)
    tone = ground.fine(base)
    texture = fine * np.float32(0.06)
    texture += coarse * np.float32(0.04)
    texture *= rough
    texture += 1
    tone *= texture
    _patches(tone, ground, conditions.patches)
    _seams(tone, ground, conditions.seams)
    warm = float(conditions.one("warm", ground.origin + 20.0))
    albedo = [tone * np.float32(1.0 + warm), tone, tone * np.float32(1.0 - 1.2 * warm)]

    beyond = ground.fine(coarse_beyond)
    # the asphalt crumbles: its edge is ragged by a hand's breadth
    beyond += np.float32(0.04) * coarse
    road = np.clip(np.float32(0.5) - beyond / ground.span_d, 0.0, 1.0)
    gravel = conditions.at("gravel", row_s)[:, None].astype(np.float32)
    grass = np.zeros_like(road)
    rows = np.flatnonzero(road.min(1) < 1.0)
    if len(rows):
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        verge = textures.verge.look(s[part], d[part], ground.foot_s[part], ground.foot_d[part])
        bare_share = 1 - road[part]
        grass[part] = np.clip(
            (beyond[part] - gravel[part]) * np.float32(2.2) + np.float32(0.55) * verge + np.float32(0.5),
            0.0,
            1.0,
        )
        _verge(albedo, part, verge, fine[part], bare_share, grass[part], conditions, ground.origin + 25.0)
    return Surface(albedo, road, grass, wet * road)


def _verge(
    albedo: list[Array],
    rows: slice,
    verge: Array,
    fine: Array,
    share: Array,
    grassy: Array,
    conditions: Conditions,
    s: float,
) -> None:
    """Gravel, earth and grass over `share` of each pixel of the rows."""
    dirt, green, pale = (conditions.one(name, s) for name in ("dirt", "green", "pale"))
    shade = share * np.exp(np.float32(0.28) * verge + np.float32(0.10) * fine)
    tuft = np.clip(np.float32(0.35) * verge, -0.3, 0.7)
    for k in range(3):
        bare = np.float32((GRAVEL[k] * (1 - dirt) + EARTH[k] * dirt) * pale)
        leaf = np.float32(GRASS[k] * green + STRAW[k] * (1 - green))
        colour = tuft * (np.float32(EARTH[k]) - leaf)
        colour += leaf - bare
        colour *= grassy
        colour += bare
        colour *= shade
        part = albedo[k][rows]
        part *= 1 - share
        part += colour


def _tracks(conditions: Conditions, s: np.ndarray, d: np.ndarray) -> np.ndarray:
    """(R, K): brightness along the wheel tracks and the oil between them, in every lane. s (R,), d (R, K)."""
    lane = (conditions.at("L1", s) - conditions.at("R1", s))[:, None]
    within = d - lane * np.round(d / lane)
    amount = conditions.at("tracks", s)[:, None]
    wheels = np.maximum(1.0 - ((np.abs(within) - 0.78) / 0.42) ** 2, 0.0)
    oil = np.maximum(1.0 - (within / 0.5) ** 2, 0.0)
    drift = (0.5 + 0.5 * np.sin(s * 0.05) * np.sin(s * 0.023 + 1.0))[:, None]
    out: np.ndarray = 1.0 + amount * (0.55 * wheels * drift - 0.7 * oil)
    return out


def _rows(ground: Ground, start: float, end: float) -> slice:
    """Rows in which the middle columns may see start..end metres along; empty when none does."""
    near = ground.coarse_s.min(1), ground.coarse_s.max(1)
    hit = np.flatnonzero((near[1] > start - 1.0) & (near[0] < end + 1.0))
    return slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(0, 0)


def _patches(tone: Array, ground: Ground, patches: list[Patch]) -> None:
    for patch in patches:
        if patch.s + patch.length < ground.origin or patch.s > ground.origin + 150:
            continue
        rows = _rows(ground, patch.s, patch.s + patch.length)
        if rows.start == rows.stop:
            continue
        at = patch.s - ground.origin
        cover = between(ground.s[rows], at, at + patch.length, ground.span_s[rows])
        cover *= between(ground.d[rows], patch.d, patch.d + patch.width, ground.span_d[rows])
        tone[rows] *= 1 + np.float32(patch.gain - 1) * cover


def _seams(tone: Array, ground: Ground, seams: list[Seam]) -> None:
    for seam in seams:
        if seam.s + seam.length < ground.origin or seam.s > ground.origin + 90:
            continue
        rows = _rows(ground, seam.s - 0.6, seam.s + seam.length + 0.6)
        if rows.start == rows.stop:
            continue
        s, d = ground.s[rows], ground.d[rows]
        at = np.float32(seam.s - ground.origin)
        if seam.length:
            t = s - at + np.float32(seam.phase)
            wiggle = np.float32(0.10) * np.sin(t * np.float32(0.9)) + np.float32(0.05) * np.sin(
                t * np.float32(2.9)
            )
            cover = band(d - np.float32(seam.d) - wiggle, seam.width / 2, ground.span_d[rows])
            cover *= between(s, float(at), float(at) + seam.length, ground.span_s[rows])
        else:
            t = d + np.float32(seam.phase)
            wiggle = np.float32(0.12) * np.sin(t * np.float32(1.3)) + np.float32(0.05) * np.sin(
                t * np.float32(4.1)
            )
            cover = band(s - at - wiggle, seam.width / 2, ground.span_s[rows])
        tone[rows] *= 1 - np.float32(0.62) * cover


@dataclass(frozen=True)
class ShadowTiles:
    """Shadows on the road: noise for dappled crowns and for ragged masses; bars of trunks and poles, 0..1."""

    canopy: Tile
    trunks: Tile
    mass: Tile


def make_shadows(seed: int) -> ShadowTiles:
    """Tiles of 128 x 32 m at 12.5 x 6.25 cm."""
    rng = stream(seed, "shadows")
    shape = (1024, 512)
    leaves = octaves(rng, *shape, (2.5, 7.0, 18.0, 45.0))
    bars = np.zeros(shape, np.uint8)
    side = 1.0 if rng.random() < 0.5 else -1.0
    for _ in range(44):
        row, thick = float(rng.uniform(0, 1024)), float(rng.choice([2.5, 4.0, 7.0]) * rng.uniform(0.7, 1.5))
        lean = side * float(rng.uniform(0.05, 0.5)) * 512
        for shift in (-1024, 0, 1024):
            a, b = (0, int((row + shift) * 16)), (511 * 16, int((row + shift + lean) * 16))
            cv2.line(bars, a, b, [255.0], max(1, round(thick)), cv2.LINE_AA, 4)
    trunks = bars.astype(np.float32) / 255
    branches = octaves(rng, *shape, (2.0, 6.0, 15.0))
    trunks = np.clip(trunks + 0.8 * np.clip(branches - 1.1, 0, 1), 0, 1)
    trunks = cv2.GaussianBlur(trunks, (0, 0), float(rng.uniform(1.2, 2.8)))  # the sun is no point
    lumps = octaves(rng, *shape, (8.0, 20.0, 60.0))
    tiles = [Tile(np.asarray(t, dtype=np.float32), 128.0, 32.0, 7, 4) for t in (leaves, trunks, lumps)]
    return ShadowTiles(*tiles)


def cast_shadows(ground: Ground, conditions: Conditions, tiles: ShadowTiles) -> Array:
    """(R, W) 0..1: how much of the sun does not arrive."""
    shade = np.zeros(ground.s.shape, np.float32)
    s = ground.s + np.float32(ground.origin % 1024.0)
    row_s = ground.row_s
    across = ground.d + np.float32(16.0)  # the tiles' own borders lie far beside the road
    for name in ("canopy", "trunks", "mass"):
        strength = conditions.at(name, row_s)[:, None].astype(np.float32)
        rows = np.flatnonzero(strength > 0.04)
        if not len(rows):
            continue
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        tile: Tile = getattr(tiles, name)
        look = tile.look(s[part], across[part], ground.foot_s[part], ground.foot_d[part])
        if name == "trunks":
            look *= strength[part]
        else:  # where there is less of it the patches shrink; they do not fade
            soft, threshold = (1.1, 0.1) if name == "canopy" else (1.5, -0.25)
            look -= np.float32(threshold + 2.2) - np.float32(2.2) * strength[part]
            look *= np.float32(soft)
            look += np.float32(0.5)
            np.clip(look, 0.0, 1.0, out=look)
        np.maximum(shade[part], look, out=shade[part])
    # far off, and far beside the road, a stripe of shadow is a pixel high and means nothing
    far = np.clip((ground.coarse_s.astype(np.float32) - np.float32(ground.origin)) / 60.0 - 1.2, 0.0, 1.0)
    aside = np.clip(np.abs(ground.coarse_d).astype(np.float32) / 12.0 - 1.4, 0.0, 1.0)
    shade *= 1 - np.float32(0.85) * ground.fine(np.maximum(far, aside))
    return shade
