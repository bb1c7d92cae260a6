"""The simulated world: road, car, projection, anti-aliasing, and that the truth is what the picture shows."""

from __future__ import annotations

import numpy as np
import pytest

from vbp.simulate.classes import CLASS_BITS, ID, LANE_MARKINGS, NAMES, SHADOW_BIT, palette
from vbp.simulate.cue import ROW, cue_column
from vbp.simulate.driver import STEERING_RATIO, WHEELBASE
from vbp.simulate.frame import render
from vbp.simulate.ground import cast
from vbp.simulate.markings import band, dashes
from vbp.simulate.noise import Tile, octaves, stream
from vbp.simulate.road import STEP, make_road
from vbp.simulate.world import Settings, World

LINES = [ID[name] for name in LANE_MARKINGS]


@pytest.fixture(scope="module")
def world() -> World:
    return World(Settings(frames=400, seed=4))


# --- the road ----------------------------------------------------------------------------------


def test_road_is_continuous_and_holds_sharp_and_gentle_bends():
    road = make_road(3, 6000.0)
    assert road.end >= 6000.0
    assert np.abs(np.diff(road.curvature)).max() < STEP / (20 * 40)  # clothoids: no jump of the wheel
    steps = np.hypot(np.diff(road.x), np.diff(road.y))
    assert np.allclose(steps, STEP, rtol=1e-6)
    tightest = 1 / np.abs(road.curvature).max()
    assert 35 < tightest < 95
    assert (np.abs(road.curvature) < 1e-9).mean() > 0.05  # straights
    assert 0.005 < np.abs(road.grade).max() <= 0.07


def test_project_inverts_point():
    road = make_road(5, 1500.0)
    rng = np.random.default_rng(0)
    s, d = rng.uniform(0, 1400, 500), rng.uniform(-12, 12, 500)
    x, y, _ = road.point(s, d)
    s2, d2 = road.project(x, y, s + rng.uniform(-5, 5, 500))
    assert np.abs(d2 - d).max() < 2e-3
    assert np.abs(s2 - s).max() < 0.02


# --- the car -----------------------------------------------------------------------------------


def test_wheel_is_the_bicycle_models_angle_times_the_ratio():
    fps = 100.0
    motion = World(Settings(frames=1500, seed=7, fps=fps)).motion
    step = np.diff(motion.heading)
    length = np.hypot(np.diff(motion.x), np.diff(motion.y))
    calm = (motion.slip[:-1] == 0) & (motion.slip[1:] == 0)  # a gust moves the car without the wheel
    assert calm.mean() > 0.7
    of_path = np.arctan(WHEELBASE * step / length) * STEERING_RATIO
    assert np.abs(of_path - 0.5 * (motion.wheel[1:] + motion.wheel[:-1]))[calm].max() < np.radians(0.5)


def test_car_stays_in_its_lane_slows_for_bends_and_recovers_from_gusts(world):
    motion = World(Settings(frames=2400, seed=2)).motion
    assert motion.speed.min() >= 5.0 and motion.speed.max() <= 30.0
    assert np.abs(motion.d).max() < 1.6 and np.abs(motion.d).mean() < 0.4
    assert np.abs(motion.d).max() > 0.5  # pushed off centre, and back
    assert np.degrees(np.abs(motion.wheel)).max() > 20
    accelerations = motion.speed**2 * np.tan(np.abs(motion.wheel) / STEERING_RATIO) / WHEELBASE
    assert accelerations.max() < 5.0


def test_left_is_positive(world):
    motion = world.motion
    turning = np.gradient(motion.heading)
    assert np.corrcoef(turning / motion.speed, motion.wheel)[0, 1] > 0.95


# --- projection --------------------------------------------------------------------------------


def pinhole(world: World, i: int, s: float, d: float) -> tuple[float, float, float]:
    """Column, row and distance of a point of the road, written out once more from the definition of a pinhole."""
    view, camera, road = world.view(i), world.camera, world.road
    k = round((s - road.s[0]) / STEP)
    centre = np.array([road.x[k], road.y[k]])
    left = np.array([-np.sin(road.heading[k]), np.cos(road.heading[k])])
    to_point = centre + d * left - np.array([view.x, view.y])
    forward = np.array([np.cos(view.heading), np.sin(view.heading)])
    aside = np.array([-forward[1], forward[0]])
    ahead, across, up = to_point @ forward, to_point @ aside, road.z[k] - view.z
    column = camera.centre_x - camera.focal * across / ahead
    row = camera.horizon + camera.focal * np.tan(view.pitch) - camera.focal * up / ahead
    return column, row + view.roll * (column - camera.centre_x), ahead


@pytest.mark.parametrize("i", [3, 120, 333])
def test_each_pixel_looks_at_the_place_that_projects_to_it(world, i):
    car_s = float(world.motion.s[i])
    ground = cast(world.view(i), world.road, world.conditions, car_s)
    checked = 0
    for ahead in range(12, 45, 3):
        s = round((car_s + ahead) / STEP) * STEP
        for d in (-3.0, -1.7, 0.0, 1.4, 4.0):
            column, row, _ = pinhole(world, i, s, d)
            if not (8 <= column < 632 and ground.top + 2 <= row < 478):
                continue
            u, v = int(column), int(row)
            w, h = column - u, row - v
            box = np.s_[v - ground.top : v - ground.top + 2, u : u + 2]
            mix = np.outer([1 - h, h], [1 - w, w])
            if abs(ground.depth[box] - ground.depth[box].mean()).max() > 2:
                continue  # a crest runs through
            assert abs((ground.d[box] * mix).sum() - d) < 0.02
            assert abs((ground.s[box] * mix).sum() + ground.origin - s) < 0.12
            checked += 1
    assert checked > 15


def test_truth_has_the_lines_where_the_pinhole_puts_them():
    found = wanted = 0
    for seed in (4, 9):
        world = World(Settings(frames=300, seed=seed))
        for i in (10, 280):
            classes = render(world, i).classes & CLASS_BITS
            car_s = float(world.motion.s[i])
            for ahead in np.arange(11.0, 40.0, 0.5):
                s = round((car_s + ahead) / STEP) * STEP
                section = world.conditions.section_at(s)
                for slot in ("L1", "R1"):
                    stripes = section.layout.lines.get(slot, ())
                    gone = any(a - 2 < s < b + 2 for a, b in world.conditions.gaps[slot])
                    worn = world.conditions.one("wear", s) > 0.03
                    if not stripes or gone or worn or min(s - section.start, section.end - s) < 3:
                        continue
                    if stripes[0].period:
                        continue
                    d = world.conditions.one(slot, s) + stripes[0].offset
                    column, row, _ = pinhole(world, i, s, d)
                    u, v = round(column), round(row)
                    if not (2 <= u < 638 and 0 <= v < 479):
                        continue
                    if classes[v, u] in (ID["car"], ID["structure"], ID["vegetation"]):
                        continue  # something stands before it
                    wanted += 1
                    found += classes[v, u] == ID[stripes[0].kind]
    assert wanted > 60
    assert found / wanted > 0.97


# --- anti-aliasing -----------------------------------------------------------------------------


def test_a_distant_dashed_line_keeps_its_energy_between_pixels():
    """What pixels hold of dashes far smaller than they are changes by little as the car moves on."""
    span = np.full(400, 2.5, np.float32)
    total = []
    for shift in np.linspace(0, 9, 91):
        s = (100 + 2.5 * np.arange(400) + shift).astype(np.float32)
        total.append(float(dashes(s, 9.0, 3.0, span).sum()))
    assert np.ptp(total) < 0.01 * np.mean(total)
    assert np.mean(total) == pytest.approx(400 / 3, rel=0.01)


def test_a_line_thinner_than_a_pixel_moves_smoothly_across_pixels():
    pixels = np.arange(-3, 4, dtype=np.float32)
    span = np.ones(7, np.float32)
    rows = np.array([band(pixels - np.float32(x), 0.1, span) for x in np.linspace(0, 1, 41)])
    assert np.allclose(rows.sum(1), 0.2, atol=1e-5)  # the energy stays
    assert np.abs(np.diff(rows, axis=0)).max() < 0.2 * 0.25 + 0.02  # and nothing jumps


def test_tiles_are_averaged_for_distance():
    tile = Tile(octaves(stream(1, "t"), 64, 64, (0.0,)), 8.0, 8.0, 5, 5)
    rng = np.random.default_rng(1)
    s, d = (rng.uniform(-50, 50, (20, 300)).astype(np.float32) for _ in range(2))
    near = tile.look(s, d, np.full(20, 0.05, np.float32), np.full(20, 0.05, np.float32))
    far = tile.look(s, d, np.full(20, 2.0, np.float32), np.full(20, 2.0, np.float32))
    assert far.std() < 0.15 * near.std()
    again = tile.look(s + 8.0, d - 16.0, np.full(20, 0.05, np.float32), np.full(20, 0.05, np.float32))
    assert np.abs(again - near).max() < 2e-3  # it tiles


# --- picture and truth -------------------------------------------------------------------------


def test_markings_are_brighter_than_the_road_beside_them():
    brighter = []
    for seed, i in ((4, 30), (9, 100), (12, 250)):
        world = World(Settings(frames=300, seed=seed))
        frame = render(world, i)
        grey = frame.image.astype(float).mean(2)
        kind, shadow = frame.classes & CLASS_BITS, (frame.classes & SHADOW_BIT) > 0
        line = np.isin(kind, LINES) & ~shadow
        line[:300] = False
        road = (kind == ID["road"]) & ~shadow
        for v, u in np.argwhere(line)[::37]:
            near = road[v, max(u - 40, 0) : u + 40]
            if near.sum() > 20 and abs(u - 320) < 280:
                brighter.append(grey[v, u] > np.median(grey[v, max(u - 40, 0) : u + 40][near]))
    assert len(brighter) > 50
    assert np.mean(brighter) > 0.97


def test_shadow_is_darker_than_sun():
    ratios = []
    for seed in (1, 12):
        world = World(Settings(frames=400, seed=seed))
        for i in range(20, 400, 60):
            frame = render(world, i)
            kind, shadow = frame.classes & CLASS_BITS, (frame.classes & SHADOW_BIT) > 0
            road = kind == ID["road"]
            road[:300] = False
            if (road & shadow).sum() > 4000 and (road & ~shadow).sum() > 4000:
                grey = frame.image.astype(float).mean(2)
                ratios.append(grey[road & shadow].mean() / grey[road & ~shadow].mean())
    assert len(ratios) >= 2
    assert np.median(ratios) < 0.75


def test_sky_is_up_and_road_is_down(world):
    kind = render(world, 100).classes & CLASS_BITS
    assert (kind[:60] != ID["road"]).all()
    assert (kind[-5:] == ID["road"]).mean() > 0.5
    assert kind.max() < len(NAMES)


def test_palette_tells_all_classes_and_shadows_apart():
    table = palette()
    used = [*range(len(NAMES)), *(SHADOW_BIT + k for k in range(len(NAMES)))]
    assert len({tuple(table[k]) for k in used}) == len(used)


def test_a_frame_does_not_depend_on_those_before_it(world):
    alone = render(World(world.settings), 77)
    for i in (300, 77):
        again = render(world, i)
    assert (alone.image == again.image).all() and (alone.classes == again.classes).all()


# --- the planted cue ---------------------------------------------------------------------------


def test_the_planted_cue_follows_the_wheel_and_lies_in_both_crops():
    world = World(Settings(frames=600, seed=6, plant="reflection"))
    clean = World(Settings(frames=600, seed=6))
    columns, wheels = [], []
    for i in range(20, 600, 95):
        frame = render(world, i)
        v, u = np.nonzero((frame.classes & CLASS_BITS) == ID["planted cue"])
        assert v.min() >= 480 - 125 and v.max() < 480  # NetSVF's crop is the smaller one
        columns.append(u.mean())
        wheels.append(world.motion.wheel[i])
        assert abs(u.mean() - cue_column(wheels[-1], 640)) < 1.5
        without = render(clean, i)
        cue = np.zeros((480, 640), bool)
        cue[v, u] = True
        assert frame.image[cue].astype(float).mean() > without.image[cue].astype(float).mean() + 15
        far = np.ones((480, 640), bool)
        far[int(ROW) - 30 : int(ROW) + 31] = False
        assert (frame.image[far] == without.image[far]).all()
    assert np.ptp(columns) > 60
    assert np.corrcoef(columns, wheels)[0, 1] < -0.999  # left is positive, and a smaller column
