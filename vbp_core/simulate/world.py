"""Everything of a drive that follows from its seed, made once; frames are rendered from it in any order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vbp.simulate.camera import Camera, View
from vbp.simulate.conditions import Conditions, make_conditions
from vbp.simulate.driver import FASTEST, Motion, drive
from vbp.simulate.lens import Lens
from vbp.simulate.noise import smooth_track, stream
from vbp.simulate.posts import Post, make_posts
from vbp.simulate.road import Road, make_road
from vbp.simulate.scenery import Backdrop, make_backdrop
from vbp.simulate.surface import ShadowTiles, Textures, make_shadows, make_textures
from vbp.simulate.traffic import Car, make_traffic

START_NS = 1_500_000_000_000_000_000  # of the first frame, ns since 1970
VIEW_METRES = 450.0


@dataclass(frozen=True)
class Settings:
    """What a drive is made from. The same settings give the same drive."""

    frames: int
    seed: int = 0
    fps: float = 20.0
    plant: str | None = None


class World:
    """Road, conditions, motion and textures of one drive."""

    settings: Settings
    camera: Camera
    road: Road
    conditions: Conditions
    motion: Motion
    traffic: list[Car]
    posts: list[Post]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        seed = settings.seed
        rng = stream(seed, "camera")
        self.camera = Camera(
            focal=1850.0 * float(rng.uniform(0.97, 1.03)),
            horizon=178.0 + float(rng.uniform(-8, 8)),
            height=1.5 * float(rng.uniform(0.97, 1.05)),
            left=float(rng.uniform(-0.08, 0.08)),
        )
        longest = settings.frames / settings.fps * FASTEST
        self.road = make_road(seed, longest + VIEW_METRES)
        self.conditions = make_conditions(seed, longest + VIEW_METRES)
        self.motion = drive(seed, self.road, self.conditions, settings.frames, settings.fps)
        n, per = settings.frames, settings.fps
        shake = stream(seed, "shake")
        self.pitch = 0.0011 * smooth_track(shake, n, 0.22 * per) + 0.0004 * smooth_track(shake, n, 0.05 * per)
        # the camera's exposure is never quite right, and now and then far off
        error = 0.48 * smooth_track(shake, n, 2.5 * per) - 0.12
        wrong = np.clip(smooth_track(shake, n, 1.2 * per) - 1.7, 0.0, 1.0) * 2.4
        self.exposure = error - wrong
        self.traffic = make_traffic(seed, self.motion, self.conditions, per)
        self.posts = make_posts(seed, self.conditions, float(self.motion.s[-1]) + VIEW_METRES)
        self.roll = 0.004 * smooth_track(shake, n, 0.8 * per) + self.motion.wheel * 0.012

    # What only pictures need is made when the first is asked for.

    @cached_property
    def textures(self) -> Textures:
        return make_textures(self.settings.seed)

    @cached_property
    def shadows(self) -> ShadowTiles:
        return make_shadows(self.settings.seed)

    @cached_property
    def backdrop(self) -> Backdrop:
        return make_backdrop(self.settings.seed)

    @cached_property
    def lens(self) -> Lens:
        return Lens(self.settings.seed, self.camera.height_px, self.camera.width)

    def view(self, i: int) -> View:
        """Where the camera is in frame `i`."""
        m, c = self.motion, self.camera
        heading = float(m.heading[i])
        x = float(m.x[i] + c.ahead * np.cos(heading) - c.left * np.sin(heading))
        y = float(m.y[i] + c.ahead * np.sin(heading) + c.left * np.cos(heading))
        s = float(m.s[i])
        # the body follows the road under its axles
        rear, front = (float(v) for v in self.road.at(self.road.z, np.array([s, s + 2.85])))
        grade = (front - rear) / 2.85
        z = rear + grade * c.ahead + c.height
        return View(c, x, y, z, heading, float(np.arctan(grade) + self.pitch[i]), float(self.roll[i]))

    @property
    def timestamps_ns(self) -> NDArray[np.int64]:
        """(N,) int64."""
        step = 1e9 / self.settings.fps
        return np.asarray(START_NS + np.rint(np.arange(self.settings.frames) * step).astype(np.int64))
