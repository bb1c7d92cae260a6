"""Devices that misbehave: drivers that hang, repeat their last picture, give damaged ones, or cannot do what is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from livemaker import PATIENT_S, draw_clock, read_clock, scene, until
from vbp.live import capture as capture_module
from vbp.live import opencv, reader
from vbp.live.address import Address
from vbp.live.records import LiveRequest

PICTURE = scene()


class FakeCamera:
    """What OpenCV's VideoCapture would be; `plan` says of each read what happens."""

    def __init__(self, plan: Callable[[int], str], opened: bool = True) -> None:
        self.plan, self.opened = plan, opened
        self.reads = 0
        self.released = threading.Event()
        self.unblock = threading.Event()
        self.kind = ""

    def isOpened(self) -> bool:
        return self.opened

    def grab(self) -> bool:
        self.reads += 1
        self.kind = self.plan(self.reads)
        if self.kind == "block":
            self.unblock.wait(PATIENT_S)
            return False
        time.sleep(0.005)
        return self.kind != "end"

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        if self.kind == "bad":
            return False, None
        number = 1 if self.kind == "again" else self.reads
        return True, np.ascontiguousarray(draw_clock(PICTURE, number, 0)[..., ::-1])

    def get(self, _: int) -> float:
        return 0.0  # a driver that tells no times

    def release(self) -> None:
        self.released.set()


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """make(cameras...) -> address of a device that opens as each of them in turn, the last one again and again."""
    node = tmp_path / "video7"
    node.touch()
    for name, value in (("SILENT_S", 0.7), ("FIRST_PAUSE_S", 0.02), ("LONGEST_PAUSE_S", 0.05)):
        monkeypatch.setattr(capture_module, name, value)
    every: list[FakeCamera] = []

    def make(*cameras: FakeCamera) -> Address:
        left = list(cameras)
        every.extend(cameras)
        monkeypatch.setattr(reader, "open_camera", lambda *_: left.pop(0) if len(left) > 1 else left[0])
        return Address(str(node), "device", "camera 7")

    yield make
    for camera in every:
        camera.unblock.set()


def test_old_frames_handed_out_again_are_not_fresh(device, watch) -> None:
    unplugged = FakeCamera(lambda n: "fresh" if n < 10 else "again")
    watched = watch(device(unplugged, FakeCamera(lambda n: "fresh")))
    watched.until_phase("stale")
    assert "the same picture again and again" in watched.capture.state.text
    received = watched.capture.state.received
    assert received == 10  # nine, and the first of those that repeat
    until(lambda: watched.capture.state.received > received + 5)
    assert unplugged.released.is_set()
    assert [p for p in watched.phases() if p != "connecting"] == ["live", "stale", "lost", "live"]


def test_a_read_that_hangs_is_told_and_a_device_is_not_opened_twice_meanwhile(device, watch) -> None:
    hangs = FakeCamera(lambda n: "fresh" if n < 10 else "block")
    good = FakeCamera(lambda n: "fresh")
    watched = watch(device(hangs, good))
    watched.until_phase("lost")
    assert "is silent" in watched.capture.state.text
    assert good.reads == 0 and not hangs.released.is_set()
    hangs.unblock.set()
    watched.until_phase("live")
    assert hangs.released.is_set() and watched.capture.state.reconnects == 1


def test_stop_does_not_wait_for_a_read_that_hangs(device, watch) -> None:
    hangs = FakeCamera(lambda n: "fresh" if n < 3 else "block")
    watched = watch(device(hangs))
    watched.until_phase("stale")
    watched.capture.stop()
    assert watched.capture.join(0.3) == ["camera read"]
    hangs.unblock.set()
    assert watched.capture.join(PATIENT_S) == [] and hangs.released.is_set()


def test_a_device_that_is_pulled_out_is_told_while_its_driver_still_hands_out_frames(device, watch) -> None:
    address = device(FakeCamera(lambda n: "fresh"))
    watched = watch(address)
    watched.until_phase("live")
    Path(address.text).unlink()
    watched.until_phase("lost")
    assert "unplugged" in watched.states[-1].text or "not there" in watched.states[-1].text
    Path(address.text).touch()
    watched.until_phase("live")


def test_damaged_frames_among_good_ones_are_passed_over(device, watch) -> None:
    watched = watch(device(FakeCamera(lambda n: "bad" if n % 3 else "fresh")))
    until(lambda: len(watched.frames) > 10)
    assert all(read_clock(f.image)[0] % 3 == 0 for f in watched.frames)
    assert watched.phases() == ["live"]


def test_a_device_that_does_not_open_is_tried_again(device, watch) -> None:
    watched = watch(device(FakeCamera(lambda n: "fresh", opened=False), FakeCamera(lambda n: "fresh")))
    watched.until_phase("live")
    assert watched.states[0].phase == "connecting" and "another program" in watched.states[0].text
    assert watched.capture.state.reconnects == 0  # it was never lost


def test_an_error_inside_the_library_is_told_without_credentials(monkeypatch, watch) -> None:
    def explode(request: LiveRequest) -> None:
        raise cv2.error(f"bad {request.address.text}")

    monkeypatch.setattr(reader, "open_camera", explode)
    watched = watch("rtsp://me:secret@127.0.0.1:1/x")
    until(lambda: watched.states)
    assert "cannot be read: bad rtsp://***@127.0.0.1:1/x" in watched.states[0].text


@pytest.mark.parametrize(
    "image",
    [
        np.full((4, 6), 7, np.uint8),
        np.full((4, 6, 1), 7, np.uint8),
        np.full((4, 6, 3), 7, np.uint8),
        np.full((4, 6, 4), 7, np.uint8),
        np.full((4, 6), 7 * 256, np.uint16),
    ],
)
def test_whatever_a_camera_gives_becomes_rgb(image: np.ndarray) -> None:
    out = reader.to_rgb(image)
    assert out.shape == (4, 6, 3) and out.dtype == np.uint8 and (out == 7).all()


def test_red_stays_red() -> None:
    assert reader.to_rgb(np.array([[[1, 2, 3]]], np.uint8)).tolist() == [[[3, 2, 1]]]


def test_a_clock_that_is_set_back_gives_times_that_grow(monkeypatch, device, watch) -> None:
    real = time.time_ns
    back = [0]
    monkeypatch.setattr(reader.time, "time_ns", lambda: real() - back[0])
    watched = watch(device(FakeCamera(lambda n: "fresh")))
    until(lambda: len(watched.frames) > 10)
    back[0] = 3600 * 10**9
    seen = len(watched.frames)
    until(lambda: len(watched.frames) > seen + 10)
    stamps = [f.timestamp_ns for f in watched.frames]
    assert all(a < b for a, b in pairwise(stamps))
    # The hour is not lived through again: the steps are those of the frames.
    assert stamps[-1] - stamps[0] < 60 * 10**9


def test_a_device_is_asked_for_what_is_wished_and_told_what_it_gives(device, watch, monkeypatch) -> None:
    asked: list[tuple[int, float]] = []

    class Willing(FakeCamera):
        def set(self, prop: int, value: float) -> bool:
            asked.append((prop, value))
            return True

        def get(self, prop: int) -> float:
            return {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_EXPOSURE: 80.0}.get(prop, 0.0)

    camera = Willing(lambda n: "fresh")
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: camera)
    monkeypatch.setattr(opencv, "_on_linux", lambda: True)
    address = device(camera)
    monkeypatch.setattr(reader, "open_camera", opencv.open_camera)
    watched = watch(address, size=(1920, 1080), fps=30, exposure_ms=8.0)
    watched.until_phase("live")
    assert (cv2.CAP_PROP_FRAME_WIDTH, 1920) in asked and (cv2.CAP_PROP_FRAME_HEIGHT, 1080) in asked
    assert (cv2.CAP_PROP_FPS, 30) in asked and (cv2.CAP_PROP_EXPOSURE, 80) in asked
    assert asked.index((cv2.CAP_PROP_AUTO_EXPOSURE, 1)) < asked.index((cv2.CAP_PROP_EXPOSURE, 80))
    state = watched.capture.state
    assert state.size == (160, 120) and state.exposure_ms == 8.0
    assert "the camera gives no 1920×1080" in state.text
    watched.capture.stop()
    assert watched.capture.join(PATIENT_S) == []
    assert asked[-1] == (cv2.CAP_PROP_AUTO_EXPOSURE, 3)  # as it was found
