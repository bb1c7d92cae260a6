"""The thread that is inside OpenCV: opens the camera, reads, and may hang there without harm to others."""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

import cv2
import numpy as np

from vbp.drives.base import Image
from vbp.live.address import mask
from vbp.live.diagnose import open_failure_reason
from vbp.live.opencv import exposure_ms, open_camera, restore_exposure
from vbp.live.records import LiveRequest

log = logging.getLogger(__name__)
MOST_FAILURES = 8  # damaged pictures in a row, after which a stream is taken for ended
SLOW_S = 1.0


class FrameReceiver(Protocol):
    """What a Reader reports of its camera, from its own thread."""

    def opened(self, reader: Reader, exposure_ms: float | None) -> None:
        """The camera is open; exposure_ms: what it is set to, None where it does not say."""

    def deliver(self, reader: Reader, image: Image, timestamp_ns: int, arrived_ns: int) -> bool:
        """A fresh frame (H, W, 3) and its time by the wall clock and by the monotonic one; False: no more are wanted."""

    def ended(self, reader: Reader) -> None:
        """No more frames come from it."""


class Reader(threading.Thread):
    """Reads one opening of a camera until it ends or is given up.

    over: it has ended, and `reason` says why. repeats: the driver hands out the last picture once more,
    which is what some do when the camera is unplugged.
    """

    def __init__(self, receiver: FrameReceiver, request: LiveRequest) -> None:
        super().__init__(name="camera read", daemon=True)
        self._receiver, self._request, self._address = receiver, request, request.address
        self._given_up = False
        self.over = False
        self.reason = ""
        self.repeats = False

    def give_up(self) -> None:
        """Its frames count no more; it ends when the library lets it."""
        self._given_up = True

    def run(self) -> None:
        try:
            self.reason = self._work()
        except Exception as error:
            log.debug("reading %s", self._address.name, exc_info=True)
            self.reason = f"{self._address.name} cannot be read: {mask(str(error))}"
        self.over = True
        self._receiver.ended(self)

    def _work(self) -> str:
        camera = open_camera(self._request)
        try:
            if not camera.isOpened():
                return "" if self._given_up else open_failure_reason(self._address)
            device = self._address.kind == "device"
            self._receiver.opened(self, exposure_ms(camera) if device else None)
            try:
                return self._read(camera)
            finally:
                if device:
                    restore_exposure(camera, self._request)
        finally:
            camera.release()

    def _read(self, camera: cv2.VideoCapture) -> str:
        last: tuple[float, np.ndarray] | None = None
        failures = 0  # in a row
        while not self._given_up:
            began = time.monotonic()
            if not camera.grab():
                # A damaged picture in a stream, or its end: the next grab tells, and at the end it does so at once.
                failures += 1
                slow = time.monotonic() - began > SLOW_S
                if slow or failures > MOST_FAILURES or self._address.kind != "stream":
                    return f"{self._address.name} sends no more frames"
                continue
            failures = 0
            arrived_ns, timestamp_ns = time.monotonic_ns(), time.time_ns()
            when = camera.get(cv2.CAP_PROP_POS_MSEC)
            good, bgr = camera.retrieve()
            if not good or bgr is None or bgr.size == 0:
                continue  # a damaged frame; the watch sees it if there are no others
            # A driver may hand out its last buffer for ever. A frame is fresh by its own time, where the
            # driver gives one, or by its content.
            self.repeats = last is not None and last[0] == when and np.array_equal(last[1], bgr)
            if self.repeats:
                time.sleep(0.005)  # some do so without waiting
                continue
            last = (when, bgr)
            if not self._receiver.deliver(self, to_rgb(bgr), timestamp_ns, arrived_ns):
                break
        return ""


def to_rgb(image: np.ndarray) -> Image:
    """What OpenCV gave, (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA, as read-only RGB (H, W, 3)."""
    if image.dtype != np.uint8:
        image = cv2.convertScaleAbs(image, alpha=1 / 256 if image.dtype == np.uint16 else 1.0)
    channels = 1 if image.ndim == 2 else image.shape[2]
    code = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}[channels]
    out = np.asarray(cv2.cvtColor(image, code), dtype=np.uint8)
    out.flags.writeable = False
    return out
