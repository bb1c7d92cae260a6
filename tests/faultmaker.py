"""A drive of a bright line on a grey road, a network that follows it exactly, and faults planted in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import nn

from roadmaker import T0
from vbp.engine import Engine, Prepared
from vbp.findings.finding import Finding
from vbp.models.network import Network
from vbp.models.spec import NetworkSpec
from vbp.results import FrameRequest, FrameResult, NetworkResult

HEIGHT, WIDTH, HZ = 32, 48, 20
STEP_NS = 10**9 // HZ
Part = tuple[int, int]  # frames, both included


def angles_of(count: int) -> np.ndarray:
    """Radians, between -0.4 and 0.4, as a driver follows a road: 8 s from one side to the other."""
    return 0.4 * np.sin(np.arange(count) * np.pi / (8 * HZ))


def road(angle: float, index: int) -> np.ndarray:
    """A bright line whose top is as far from the middle as the angle is; stones pass by."""
    picture = np.random.default_rng(7).integers(60, 90, (HEIGHT * 8, WIDTH, 3), dtype=np.uint8)
    picture = np.ascontiguousarray(np.roll(picture, index, 0)[:HEIGHT])
    rows = np.arange(HEIGHT)
    at = WIDTH / 2 - angle * WIDTH * (1 - rows / HEIGHT)
    light = np.clip(2.0 - np.abs(np.arange(WIDTH)[None] - at[:, None]), 0, 1)[..., None]
    return np.rint(picture * (1 - light) + 230 * light).astype(np.uint8)


def follower() -> Network:
    """Its only convolution sees what is brighter than the road, and its angle is where that lies: exact, but for rounding."""
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(HEIGHT * WIDTH, 1))
    convolution, linear = module[0], module[3]
    across = np.tile(WIDTH / 2 - np.arange(WIDTH), (HEIGHT, 1)).ravel()
    with torch.no_grad():
        convolution.weight.fill_(1.0)
        convolution.bias.fill_(-0.4)
        linear.weight.copy_(torch.tensor(across)[None])
        linear.bias.zero_()
        lit = [module(torch.tensor(road(a, 0)[..., 0] / 255.0).float()[None, None]) for a in (-0.3, 0.3)]
        linear.weight.div_(float(lit[1] - lit[0]) / 0.6)
    return Network(NetworkSpec("follower", "", {}, HEIGHT, WIDTH), module.eval())


def write(folder: Path, pictures: Sequence[np.ndarray], angles: np.ndarray, speed: float = 10.0) -> Path:
    """As Udacity's interpolated.csv; NaN is no label."""
    (folder / "center").mkdir(parents=True)
    lines = ["timestamp,width,height,frame_id,filename,angle,torque,speed"]
    for k, picture in enumerate(pictures):
        time = T0 + k * STEP_NS
        cv2.imwrite(str(folder / f"center/{time}.png"), picture[..., ::-1])
        label = "" if np.isnan(angles[k]) else repr(float(angles[k]))
        lines.append(f"{time},{WIDTH},{HEIGHT},center_camera,center/{time}.png,{label},0.1,{speed}")
    (folder / "interpolated.csv").write_text("\n".join(lines) + "\n")
    return folder


class Faulty(Engine):
    """An engine whose angles are changed at some frames: planted[frame](angle) is what it puts out instead."""

    planted: ClassVar[dict[int, float]] = {}

    def run_prepared(
        self, inputs: Sequence[Prepared], request: FrameRequest, frames: Sequence[FrameResult]
    ) -> list[NetworkResult]:
        results = super().run_prepared(inputs, request, frames)
        return [
            replace(r, angle_rad=self.planted.get(frame.index, r.angle_rad))
            for r, frame in zip(results, frames, strict=True)
        ]


# What is planted.

COUNT = 780
TURN = np.degrees(1.0)
# what is planted -> (where, the kind that names it)
FAULTS: dict[str, tuple[Part, str]] = {
    "half of the marking erased": ((40, 49), "attention"),
    "a black second": ((100, 119), "weak"),
    "one wrong label": ((160, 160), "label"),
    "a frozen output": ((220, 249), "constant"),
    "a picture of another place": ((280, 280), "step"),
    "a step of the output": ((340, 351), "step"),
    "labels of another drive": ((400, 429), "label"),
    "an output that no driver would steer": ((460, 483), "range"),
    "a grey second": ((520, 539), "weak"),
    "an output that drifts away": ((580, 609), "error"),
    "a label that is stuck": ((640, 659), "error"),
    "a bright spot on the road": ((700, 709), "attention"),
}


def rows(name: str) -> np.ndarray:
    (first, last), _ = FAULTS[name]
    return np.arange(first, last + 1)


def plant(folder: Path) -> Path:
    """A drive with the faults that lie in pictures and labels."""
    angles = angles_of(COUNT)
    pictures = [road(angles[k], k) for k in range(COUNT)]
    for k in rows("half of the marking erased"):
        pictures[k][:20] = np.minimum(pictures[k][:20], 80)
    for k in rows("a black second"):
        pictures[k][:] = 0
    for k in rows("a grey second"):
        pictures[k][:] = 90
    for k in rows("a bright spot on the road"):
        pictures[k][1:16, 21:28] = 250  # in the middle, where it does not change the angle
    (place,) = rows("a picture of another place")
    pictures[place] = road(-angles[place], 5) - 30  # which lies in a shadow
    labels = angles.copy()
    labels[rows("one wrong label")] += 30 / TURN
    labels[rows("labels of another drive")] -= 25 / TURN
    stuck = rows("a label that is stuck")
    labels[stuck] = labels[stuck[0]]
    return write(folder, pictures, labels)


def with_faults() -> type[Faulty]:
    """An engine for `follower` with the faults that lie in its output, in four places."""
    angles = angles_of(COUNT)
    outputs: dict[int, float] = {}
    frozen = rows("a frozen output")
    outputs |= dict.fromkeys(frozen.tolist(), float(angles[frozen[0]]))
    outputs |= {int(k): float(angles[k] + 15 / TURN) for k in rows("a step of the output")}
    for name, size in (("an output that no driver would steer", 70), ("an output that drifts away", 12)):
        at = rows(name)
        bump = size / TURN * np.sin(np.linspace(0, np.pi, len(at))) ** 2
        outputs |= {int(k): float(angles[k] + b) for k, b in zip(at, bump)}
    return type("Planted", (Faulty,), {"planted": outputs})


def are_those_planted(found: Sequence[Finding]) -> list[Finding]:
    """Asserts that they are the faults and no other; in the order of time."""
    of = sorted(found, key=lambda f: f.start)
    assert len(of) == len(FAULTS) == 12, [(f.kind, f.start, f.end) for f in of]
    for one, (name, ((first, last), kind)) in zip(of, FAULTS.items()):
        assert one.kind == kind, (name, one)
        # of a step, the step back comes one frame later
        assert first <= one.start <= one.peak <= one.end <= last + 1, (name, one)
        assert one.end - one.start >= (last - first) / 2 - 1, (name, one)
    return of
