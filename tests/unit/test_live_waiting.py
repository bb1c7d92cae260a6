"""Frames of a camera wait for their predictions before they are recorded, but not for ever."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from vbp.live import waiting
from vbp.live.records import LiveFrame
from vbp.live.waiting import WaitingFrames
from vbp.overlay import Rect
from vbp.results import NetworkResult


def waiting_frame(index: int, rows: int = 2) -> LiveFrame:
    image = np.zeros((rows, 1000, 3), np.uint8)
    return LiveFrame(index, index, image, arrived_ns=time.monotonic_ns())


def seen(frame: LiveFrame) -> LiveFrame:
    assert frame.image is not None
    return replace(frame, results=(NetworkResult("n", frame.index / 10, Rect(0, 0, 1, 1), frame.image),))


def test_frames_wait_for_their_prediction_or_a_later_one(monkeypatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_S", 3600.0)
    frames, given = WaitingFrames(), [waiting_frame(i) for i in range(1, 6)]
    for frame in given:
        frames.add(frame)
    assert not frames.ready and frames.take() == []
    frames.add_results(seen(given[1]))
    frames.add_results(seen(given[0]))  # a frozen picture that is seen once more comes late
    assert [f.predicted_rad for f in frames.take()] == [0.1, 0.2]
    frames.add_results(seen(given[3]))
    third, fourth = frames.take()
    assert third.index == 3 and math.isnan(third.predicted_rad) and fourth.predicted_rad == 0.4
    assert [f.index for f in frames.take(everything=True)] == [5] and len(frames) == 0


def test_a_frame_of_which_no_prediction_comes_does_not_wait(monkeypatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_S", 3600.0)
    frames, given = WaitingFrames(), [waiting_frame(i) for i in range(1, 5)]
    for frame in given:
        frames.add(frame)
    frames.add_results(seen(given[1]))
    frames.add_unpredicted(given[1])  # its prediction is known all the same
    frames.add_unpredicted(given[3])
    assert [f.predicted_rad for f in frames.take()][1:] == [0.2]
    frames.add_unpredicted(given[2])
    assert [len(f.results) for f in frames.take()] == [0, 0] and len(frames) == 0


def test_frames_do_not_wait_for_ever_nor_without_bounds(monkeypatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_S", 3600.0)
    monkeypatch.setattr(waiting, "WAITING_BYTES", 15_000)
    monkeypatch.setattr(waiting, "MOST_BYTES", 30_000)
    frames = WaitingFrames()
    for i in range(1, 9):
        frames.add(waiting_frame(i))
    assert len(frames) == 5 and frames.lost == 3  # of 6000 bytes each
    assert [f.index for f in frames.take()] == [1, 2, 3]
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.0)
    assert [f.index for f in frames.take()] == [4, 5]
