"""The truth that is no picture: pose and lane geometry of each frame, as numbers for truth.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from vbp.simulate.classes import LANE_MARKINGS, NAMES, SHADOW_BIT
from vbp.simulate.driver import STEERING_RATIO, WHEELBASE
from vbp.simulate.world import World

FORMAT = 1
# Metres beyond the rear axle at which the lane's edges are given.
STATIONS = (11.0, 13.0, 16.0, 20.0, 25.0, 32.0, 40.0, 55.0, 80.0)


def describe(world: World, with_classes: list[int]) -> dict[str, Any]:
    """All of truth.json. with_classes: the frames that have a picture of classes."""
    m, settings = world.motion, world.settings
    return {
        "format": FORMAT,
        "made_by": "vbp simulate",
        "settings": asdict(settings),
        "camera": asdict(world.camera),
        "steering_ratio": STEERING_RATIO,
        "wheelbase_m": WHEELBASE,
        "classes": list(NAMES),
        "lane_markings": list(LANE_MARKINGS),
        "shadow_bit": SHADOW_BIT,
        "classes_of_frames": with_classes,
        "stations_m": list(STATIONS),
        "timestamps_ns": [int(t) for t in world.timestamps_ns],
        "frames": [_frame(world, i) for i in range(len(m.t))],
    }


def _frame(world: World, i: int) -> dict[str, Any]:
    m, view = world.motion, world.view(i)
    s = float(m.s[i])
    width = world.conditions.one("L1", s) - world.conditions.one("R1", s)
    stations = s + np.array(STATIONS)
    edges = {}
    for name, slot in (("lane_left_px", "L1"), ("lane_right_px", "R1")):
        x, y, _ = world.road.point(stations, world.conditions.at(slot, stations))
        u, v, ahead = view.to_pixels(x, y, world.road.at(world.road.z, stations))
        edges[name] = [
            [round(float(a), 2), round(float(b), 2)] if z > 2 else None
            for a, b, z in zip(u, v, ahead, strict=True)
        ]
    heading = float(world.road.at(world.road.heading, s))
    return {
        "wheel_rad": float(np.float32(m.wheel[i])),
        "speed_mps": _round(m.speed[i]),
        "s_m": _round(s),
        "offset_m": _round(m.d[i]),
        "heading_error_rad": _round(m.heading[i] - heading, 6),
        "gust_mps": _round(m.slip[i]),
        "curvature_per_m": _round(float(world.road.at(world.road.curvature, s)), 7),
        "lane_width_m": _round(width),
        "lane_lines": sorted(world.conditions.section_at(s).layout.lines),
        "x_m": _round(m.x[i]),
        "y_m": _round(m.y[i]),
        "heading_rad": _round(m.heading[i], 6),
        "camera": {
            "x_m": _round(view.x),
            "y_m": _round(view.y),
            "z_m": _round(view.z),
            "pitch_rad": _round(view.pitch, 6),
            "roll_rad": _round(view.roll, 6),
        },
        **edges,
    }


def _round(value: float, digits: int = 4) -> float:
    return round(float(value), digits)
