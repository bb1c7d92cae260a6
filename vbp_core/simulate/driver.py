"""The car and who drives it: a bicycle model, preview of a point ahead, a wandering aim, gusts to recover from."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, cos, sin, tan

import numpy as np
from numpy.typing import NDArray

from vbp.drives.labels import STEERING_RATIO as STEERING_RATIO
from vbp.simulate.conditions import Conditions
from vbp.simulate.noise import smooth_track, stream
from vbp.simulate.road import STEP, Road

Floats = NDArray[np.float64]

WHEELBASE = 2.85  # metres
SLOWEST, FASTEST = 5.0, 30.0  # m/s
SUBSTEP = 0.01  # seconds
_COMFORT = 2.3  # m/s^2 sideways that sets the speed in bends


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
    # Where in the lane the driver means to be cannot be seen: 4 cm of it cost an observer of the road's exact
    # geometry 1.2 degrees RMSE, 16 cm cost 2.0. What moves the car about are the gusts, which can be seen.
    aim = 0.04 * smooth_track(stream(seed, "wander"), steps, 2.2 / SUBSTEP)
    tremor = np.radians(0.25) * smooth_track(stream(seed, "tremor"), steps, 0.35 / SUBSTEP)
    slip = _gusts(stream(seed, "gusts"), steps)
    limit = _speed_limit(road, conditions)
    course = _Course(road)
    limits = limit.tolist()
    s, y = 0.0, float(stream(seed, "start").normal(0.0, 0.2))
    x, y, heading = (float(v) for v in road.point(0.0, y))
    speed = min(max(limits[course.index(0.0)], SLOWEST), 15.0)
    steered = 0.0  # angle of the road wheels, radians
    log = np.empty((steps, 9))
    for i, (aim_d, shaking, gust) in enumerate(
        zip(aim.tolist(), tremor.tolist(), slip.tolist(), strict=True)
    ):
        rx, ry, rh = course.at(s)
        d = (y - ry) * cos(rh) - (x - rx) * sin(rh)
        log[i] = (i * SUBSTEP, x, y, heading, steered, speed, s, d, gust)
        # aim at a point of the lane ahead: all that is needed to predict the angle is in view
        tx, ty, th = course.at(s + 5.0 + 0.72 * speed)
        dx, dy = tx - aim_d * sin(th) - x, ty + aim_d * cos(th) - y
        left = dy * cos(heading) - dx * sin(heading)
        target = atan(WHEELBASE * 2.0 * left / (dx * dx + dy * dy)) + shaking / STEERING_RATIO
        rate = min(max((target - steered) / 0.12, -0.35), 0.35)
        steered = min(max(steered + rate * SUBSTEP, -0.5), 0.5)
        change = min(max(limits[course.index(s)] - speed, -3.0), 1.5)
        speed = min(max(speed + change * SUBSTEP, SLOWEST), FASTEST)
        turn = speed * tan(steered) / WHEELBASE
        middle = heading + 0.5 * turn * SUBSTEP
        x += (speed * cos(middle) - gust * sin(middle)) * SUBSTEP
        y += (speed * sin(middle) + gust * cos(middle)) * SUBSTEP
        heading += turn * SUBSTEP
        along = speed * cos(heading - rh) - gust * sin(heading - rh)
        s += along / max(1.0 - course.curvature[course.index(s)] * d, 0.3) * SUBSTEP
    at = np.arange(frames) / fps
    columns = [np.interp(at, log[:, 0], log[:, k]) for k in range(9)]
    columns[4] = STEERING_RATIO * columns[4]
    return Motion(*columns)


class _Course:
    """The road's line as plain numbers: a hundred steps a second are too many for arrays of one."""

    def __init__(self, road: Road) -> None:
        self.first = float(road.s[0])
        self.x, self.y, self.heading = road.x.tolist(), road.y.tolist(), road.heading.tolist()
        self.curvature: list[float] = road.curvature.tolist()
        self.last = len(self.x) - 1.001

    def index(self, s: float) -> int:
        return int(min(max((s - self.first) / STEP, 0.0), self.last))

    def at(self, s: float) -> tuple[float, float, float]:
        """(x, y, heading) of the lane's middle."""
        where = min(max((s - self.first) / STEP, 0.0), self.last)
        i = int(where)
        w = where - i
        v = 1.0 - w
        return (
            self.x[i] * v + self.x[i + 1] * w,
            self.y[i] * v + self.y[i + 1] * w,
            self.heading[i] * v + self.heading[i + 1] * w,
        )


def _speed_limit(road: Road, conditions: Conditions) -> Floats:
    """(len(road.s),) m/s: what the section allows and the bends ahead let one drive in comfort."""
    bend = np.sqrt(_COMFORT / np.maximum(np.abs(road.curvature), 1e-4))
    limit = np.minimum(bend, conditions.at("limit", road.s))
    # braking at 1.2 m/s^2 before a bend: v(s) <= sqrt(v(s')^2 + 2 a (s' - s))
    squared = (limit**2).tolist()
    step = 2 * 1.2 * STEP
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
        at += float(rng.uniform(3.0, 9.0))
    return slip
