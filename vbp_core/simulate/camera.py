"""The camera: a pinhole behind the windscreen, measured from Udacity's CH2 recording.

Its focal length follows from the recording itself: the trees' shift per frame against the wheel angle, and
the ground's flow, give about 1,850 pixels (19 degrees across); the horizon of level road is near row 178 and
a lane of 3.5 m is as wide as the picture near row 430, so the camera is about 1.5 m above the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 480


@dataclass(frozen=True)
class Camera:
    """focal: pixels. centre_x: column of the car's straight ahead. horizon: row of level ground at infinity.

    height: metres above the road; left: metres left of the car's middle; ahead: metres before the rear axle.
    """

    focal: float = 1850.0
    centre_x: float = 319.5
    horizon: float = 178.0
    height: float = 1.5
    left: float = 0.0
    ahead: float = 1.6
    width: int = WIDTH
    height_px: int = HEIGHT


@dataclass(frozen=True)
class View:
    """Where the camera is in one frame. x, y, z: metres; heading: radians; pitch: radians, nose up positive;

    roll: radians, positive where the picture's right side sinks.
    """

    camera: Camera
    x: float
    y: float
    z: float
    heading: float
    pitch: float
    roll: float

    @property
    def horizon(self) -> float:
        """The row of a level line of sight in the middle of the picture."""
        return self.camera.horizon + self.camera.focal * float(np.tan(self.pitch))

    def to_pixels(
        self, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """World points -> (column, row, distance ahead in metres).

        Verticals stay vertical: pitch and roll are so small that they are a shift and a shear of the picture.
        """
        dx, dy = x - self.x, y - self.y
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        ahead = dx * cos + dy * sin
        left = dy * cos - dx * sin
        safe = np.maximum(ahead, 0.05)
        u = self.camera.centre_x - self.camera.focal * left / safe
        v = self.horizon - self.camera.focal * (z - self.z) / safe + self.roll * (u - self.camera.centre_x)
        return u, v, ahead
