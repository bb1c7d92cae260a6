"""Cameras as OpenCV opens them: time limits, little buffering, and what was truly set."""

from __future__ import annotations

import math
import os
import sys

import cv2

from vbp.live.records import LiveRequest

OPEN_TIMEOUT_MS = 5000
READ_TIMEOUT_MS = 4000

# For libav inside OpenCV, which takes them from the environment only. RTSP over TCP where the camera has it
# (UDP loses slices); no protocol that reaches files; nothing held back.
STREAM_OPTIONS = {
    "rtsp_flags": "prefer_tcp",
    "protocol_whitelist": "http,https,httpproxy,tcp,tls,rtsp,rtsps,rtp,srtp,udp",
    "fflags": "nobuffer",
    "flags": "low_delay",
    "probesize": "500000",
    "analyzeduration": "500000",
    "reorder_queue_size": "16",
}
_FEW_FPS = 15.0  # a camera that offers less at this size may do better in MJPEG


def open_camera(request: LiveRequest) -> cv2.VideoCapture:
    """An opened VideoCapture, or one that is not `isOpened`. May block for as long as the driver likes."""
    _be_quiet()
    address = request.address
    if address.kind == "stream":
        # One decoding thread: libav's frame threads hold back a frame each.
        parameters = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS]
        parameters += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS, cv2.CAP_PROP_N_THREADS, 1]
        return cv2.VideoCapture(address.text, cv2.CAP_FFMPEG, parameters)
    backend = cv2.CAP_V4L2 if _on_linux() else cv2.CAP_ANY
    if address.index is not None:
        camera = cv2.VideoCapture(address.index, backend)
    else:
        camera = cv2.VideoCapture(address.text, backend)
    if camera.isOpened():
        _apply(camera, request)
    return camera


def _be_quiet() -> None:
    """The capture says in words what goes wrong; a user's own settings are left."""
    options = "|".join(f"{name};{value}" for name, value in STREAM_OPTIONS.items())
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", options)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")  # seconds; 10 otherwise
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(0)


def _apply(camera: cv2.VideoCapture, request: LiveRequest) -> None:
    # One to be filled while the other is read: with a single one, cameras lose every second frame.
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 2)
    if request.size is not None or request.fps is not None:
        before = camera.get(cv2.CAP_PROP_FOURCC)
        _set_mode(camera, request)
        got = camera.get(cv2.CAP_PROP_FPS)
        few = 0 < got < (request.fps * 0.9 if request.fps else _FEW_FPS)
        if few and camera.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")):
            _set_mode(camera, request)
            if camera.get(cv2.CAP_PROP_FPS) <= got:  # uncompressed is better then
                camera.set(cv2.CAP_PROP_FOURCC, before)
                _set_mode(camera, request)
    if request.exposure_ms is not None:
        camera.set(
            cv2.CAP_PROP_AUTO_EXPOSURE, 1 if _on_linux() else 0.25
        )  # manual, as V4L2 and Windows count
        camera.set(cv2.CAP_PROP_EXPOSURE, _exposure_value(request.exposure_ms))


def restore_exposure(camera: cv2.VideoCapture, request: LiveRequest) -> None:
    """Let the camera choose its exposure again: the setting would outlive us."""
    if request.exposure_ms is not None:
        camera.set(cv2.CAP_PROP_AUTO_EXPOSURE, 3 if _on_linux() else 0.75)


def _set_mode(camera: cv2.VideoCapture, request: LiveRequest) -> None:
    if request.size is not None:
        camera.set(cv2.CAP_PROP_FRAME_WIDTH, request.size[0])
        camera.set(cv2.CAP_PROP_FRAME_HEIGHT, request.size[1])
    if request.fps is not None:
        camera.set(cv2.CAP_PROP_FPS, request.fps)


def _exposure_value(ms: float) -> float:
    """V4L2 counts in 0.1 ms; Windows in powers of two of a second."""
    return round(ms * 10) if _on_linux() else math.log2(ms / 1000)


def _on_linux() -> bool:  # a function, as mypy takes code for other systems for unreachable
    return sys.platform.startswith("linux")


def exposure_ms(camera: cv2.VideoCapture) -> float | None:
    """What a device says of its exposure, milliseconds; None where it says nothing that makes sense."""
    value = camera.get(cv2.CAP_PROP_EXPOSURE)
    if _on_linux():
        return value / 10 if value > 0 else None
    return 1000 * 2**value if -20 < value < 0 else None
