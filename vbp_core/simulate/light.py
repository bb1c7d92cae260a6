"""Sun, sky and exposure at a place of the drive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vbp.simulate.conditions import Conditions

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """Linear RGB. sun: of direct light on level ground; ambient: of the sky; full: both.

    zenith, haze, cloud: of the sky as seen. overcast: 0..1. gain: exposure of the camera. dusk: 0..1.
    """

    sun: RGB
    ambient: RGB
    zenith: RGB
    haze: RGB
    cloud: RGB
    overcast: float
    gain: float
    dusk: float

    @property
    def full(self) -> RGB:
        return (
            self.sun[0] + self.ambient[0],
            self.sun[1] + self.ambient[1],
            self.sun[2] + self.ambient[2],
        )


def light_at(conditions: Conditions, s: float, error: float) -> Light:
    """The light where the car is at `s`. error: of the exposure, in powers of two."""
    direct, dusk = conditions.one("sun", s), conditions.one("dusk", s)
    bright = 1.0 - 0.86 * dusk
    sun = _scale((1.0, 0.95 - 0.22 * dusk, 0.86 - 0.42 * dusk), 0.80 * direct * bright)
    grey = 1.0 - direct
    ambient = _scale(
        (0.58 + 0.36 * grey, 0.86 + 0.10 * grey, 1.5 - 0.45 * grey), (0.15 + 0.35 * grey) * bright
    )
    zenith = _mix((0.20, 0.42, 0.85), (0.16, 0.16, 0.30), dusk, bright)
    haze = _mix((0.85, 0.95, 1.05), (0.75, 0.48, 0.32), dusk, bright * 1.05)
    cloud = _mix((1.0, 1.0, 1.03), (0.62, 0.42, 0.38), dusk, bright * (0.95 - 0.25 * grey))
    # exposure answers, slowly and not all the way, to what lay before the car a second ago
    ahead = s + np.linspace(-12.0, 25.0, 16)
    shade = np.maximum.reduce(
        [
            0.45 * conditions.at("canopy", ahead),
            0.25 * conditions.at("trunks", ahead),
            0.6 * conditions.at("mass", ahead),
        ]
    )
    lit = float((sun[1] * (1.0 - shade) + ambient[1]).mean())
    gain = 1.3 * (0.95 / max(lit, 0.02)) ** 0.72 * 2.0**error
    return Light(sun, ambient, zenith, haze, cloud, float(np.clip(grey, 0.0, 1.0)), gain, dusk)


def _scale(colour: RGB, by: float) -> RGB:
    return colour[0] * by, colour[1] * by, colour[2] * by


def _mix(day: RGB, evening: RGB, dusk: float, by: float) -> RGB:
    a = 1.0 - dusk
    return tuple((d * a + e * dusk) * by for d, e in zip(day, evening, strict=True))  # type: ignore[return-value]
