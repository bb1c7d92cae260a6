"""Recordings of a camera that never was: a clock in each frame, times that a float64 does not hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from livemaker import draw_clock, read_clock, scene
from vbp.live.recorder import Recorder
from vbp.live.records import LiveFrame
from vbp.overlay import Rect
from vbp.results import ClassPrediction, NetworkResult

START_NS = 1_479_425_441_182_877_835  # a time that a float64 does not hold
STEP_NS = 50_000_000


def live_frame(i: int, picture: np.ndarray, timestamp_ns: int | None = None) -> LiveFrame:
    stamp = START_NS + i * STEP_NS + (i * 7919) % 1_000_003 if timestamp_ns is None else timestamp_ns
    return LiveFrame(2 * i + 1, stamp, draw_clock(picture, i, 0), arrived_ns=i)


def result(angle_rad: float, classes: ClassPrediction | None = None) -> NetworkResult:
    return NetworkResult("NetSVF", angle_rad, Rect(0, 0, 2, 2), np.zeros((2, 2), np.uint8), classes=classes)


def predicted_class(number: int, probability: float, name: str = "a sign") -> ClassPrediction:
    return ClassPrediction(number, name, probability, -1, "", 100 * probability)


def record(folder: Path, count: int, width: int = 320, height: int = 240) -> list[LiveFrame]:
    picture = scene(width, height)
    frames = [live_frame(i, picture) for i in range(count)]
    recorder = Recorder(folder, size=(width, height), fps_hint=20.0, camera="camera 0")
    for i, frame in enumerate(frames):
        known = frame
        if i % 3:
            known = replace(
                frame,
                driven_rad=0.1 * i + 1e-17,
                speed_mps=3.3 * i,
                measured_ns=frame.timestamp_ns - 3,
            )
        recorder.put(known if i % 5 == 0 else replace(known, results=(result(-0.01 * i),)))
    state = recorder.stop()
    assert (state.frames, state.dropped, state.failure) == (count, 0, "")
    return frames


def number_of(picture: np.ndarray) -> int:
    return read_clock(picture)[0]
