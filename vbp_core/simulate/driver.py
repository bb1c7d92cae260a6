"""The car and who drives it: a bicycle model, preview of a point ahead, a wandering aim, gusts to recover from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp_core.simulate.conditions import Conditions
from vbp_core.simulate.noise import smooth_track, stream
from vbp_core.simulate.road import Road

Floats = NDArray[np.float64]

STEERING_RATIO = 14.8  # wheel angle per road-wheel angle, of the car that recorded Udacity's drives
WHEELBASE = 2.85  # metres
SLOWEST, FASTEST = 5.0, 30.0  # m/s
SUBSTEP = 0.01  # seconds
_COMFORT = 2.3  # m/s^2 sideways that sets the speed in bends
_REACH = 90.0  # metres looked ahead for bends


@dataclass(frozen=True)
class Motion:
    """The drive, one value per frame, (N,) float64. The reference point is the middle of the rear axle.

    t: seconds. x, y: metres. heading: radians. wheel: steering-wheel angle, radians, left positive.
    speed: m/s. s, d: metres along the road and left of the middle of its lane. slip: m/s sideways to the left,
    by gusts only: in a frame where it is 0 the rear axle's path has the curvature tan(wheel / 14.8) / 2.85.
    """

    t: Floats
    x: Floats
    y: Floats
    heading: Floats
    wheel: Floats
    speed: Floats
    s: Floats
    d: Floats
    slip: Floats


def drive(seed: int, road: Road, conditions: Conditions, frames: int, fps: float) -> Motion:
    """Drive along the road from s = 0 for `frames` frames."""
    duration = frames / fps
    steps = int(np.ceil(duration / SUBSTEP)) + 2
    aim = 0.16 * smooth_track(stream(seed, "wander"), steps, 2.2 / SUBSTEP)
    tremor = np.radians(0.25) * smooth_track(stream(seed, "tremor"), steps, 0.35 / SUBSTEP)
    slip = _gusts(stream(seed, "gusts"), steps)
    limit = _speed_limit(road, conditions)
    x, y, heading, s = 0.0, float(stream(seed, "start").normal(0.0, 0.2)), 0.0, 0.0
    px, py, heading = (float(v) for v in road.point(0.0, y))
    x, y = px, py
    speed = float(np.clip(limit[_index(road, 0.0)], SLOWEST, 15.0))
    wheel_angle = 0.0  # of the road wheels, radians
    log = np.empty((steps, 9))
    for i in range(steps):
        rx, ry, rh = _centre(road, s)
        d = (y - ry) * np.cos(rh) - (x - rx) * np.sin(rh)
        log[i] = (i * SUBSTEP, x, y, heading, wheel_angle, speed, s, d, slip[i])
        # aim at a point of the lane ahead: all that is needed to tell the angle is in view
        ahead = 5.0 + 0.72 * speed
        tx, ty, th = _centre(road, s + ahead)
        tx, ty = tx - aim[i] * np.sin(th), ty + aim[i] * np.cos(th)
        dx, dy = tx - x, ty - y
        left = dy * np.cos(heading) - dx * np.sin(heading)
        wanted = np.arctan(WHEELBASE * 2.0 * left / (dx * dx + dy * dy)) + tremor[i] / STEERING_RATIO
        rate = np.clip((wanted - wheel_angle) / 0.12, -0.35, 0.35)
        wheel_angle = float(np.clip(wheel_angle + rate * SUBSTEP, -0.5, 0.5))
        change = np.clip(limit[_index(road, s)] - speed, -3.0, 1.5)
        speed = float(np.clip(speed + change * SUBSTEP, SLOWEST, FASTEST))
        turn = speed * np.tan(wheel_angle) / WHEELBASE
        middle = heading + 0.5 * turn * SUBSTEP
        x += (speed * np.cos(middle) - slip[i] * np.sin(middle)) * SUBSTEP
        y += (speed * np.sin(middle) + slip[i] * np.cos(middle)) * SUBSTEP
        heading += turn * SUBSTEP
        along = speed * np.cos(heading - rh) - slip[i] * np.sin(heading - rh)
        s += float(along / max(1.0 - float(road.at(road.curvature, s)) * d, 0.3)) * SUBSTEP
    at = np.arange(frames) / fps
    columns = [np.interp(at, log[:, 0], log[:, k]) for k in range(9)]
    columns[4] = STEERING_RATIO * columns[4]
    return Motion(*columns)


def _index(road: Road, s: float) -> int:
    return min(max(int((s - road.s[0]) * 2.0), 0), len(road.s) - 1)


def _centre(road: Road, s: float) -> tuple[float, float, float]:
    """(x, y, heading) of the lane's middle; as Road.point, without arrays."""
    where = min(max((s - float(road.s[0])) * 2.0, 0.0), len(road.s) - 1.001)
    i = int(where)
    w = where - i
    return (
        road.x[i] * (1 - w) + road.x[i + 1] * w,
        road.y[i] * (1 - w) + road.y[i + 1] * w,
        road.heading[i] * (1 - w) + road.heading[i + 1] * w,
    )


def _speed_limit(road: Road, conditions: Conditions) -> Floats:
    """(len(road.s),) m/s: what the section allows and the bends ahead let one drive in comfort."""
    bend = np.sqrt(_COMFORT / np.maximum(np.abs(road.curvature), 1e-4))
    limit = np.minimum(bend, conditions.at("limit", road.s))
    # braking at 1.2 m/s^2 before a bend: v(s) <= sqrt(v(s')^2 + 2 a (s' - s))
    squared = limit**2
    step = 2 * 1.2 * 0.5
    for i in range(len(squared) - 2, -1, -1):
        squared[i] = min(squared[i], squared[i + 1] + step)
    return np.asarray(np.clip(np.sqrt(squared), SLOWEST, FASTEST))


def _gusts(rng: np.random.Generator, steps: int) -> Floats:
    """Sideways speed, m/s: now and then a push of up to 0.9 m within a second, that the driver must answer."""
    slip = np.zeros(steps)
    at = float(rng.uniform(2.0, 9.0))
    while at < steps * SUBSTEP:
        push = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.25, 0.9))
        length = int(rng.uniform(0.6, 1.1) / SUBSTEP)
        bump = np.hanning(length + 2)[1:-1]
        bump *= push / (bump.sum() * SUBSTEP)
        i = int(at / SUBSTEP)
        n = min(length, steps - i)
        slip[i : i + n] = bump[:n]
        at += float(rng.uniform(5.0, 16.0))
    return slip
