"""Recordings to measure on, made from the demo drive: the same road as JPEGs, as H.264, and as a bag."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np

from vbp.demo import demo_drive
from vbp.drives import open_drive
from vbp.drives.base import Image
from vbp.errors import VbpError
from vbp.simulate.bag import BagWriter

FPS = 20
JPEG_QUALITY = 92  # about Udacity's
START_NS = 1_500_000_000_000_000_000


def read_demo(frames: int) -> list[Image]:
    """The first frames of the demo drive, 640x480. Raises VbpError where it is not installed."""
    place = demo_drive()
    if place is None:
        raise VbpError(
            "the demo drive is not installed with this copy of vbp; install vbp with its assets to measure"
        )
    with open_drive(place) as drive:
        return [drive.frame(i) for i in range(min(frames, len(drive)))]


def write_pictures(pictures: list[Image], folder: Path) -> Path:
    """A folder of JPEGs, numbered."""
    folder.mkdir(parents=True)
    for i, jpeg in enumerate(map(jpeg_of, pictures)):
        (folder / f"{i:06d}.jpg").write_bytes(jpeg)
    return folder


def write_h264(pictures: list[Image], path: Path, key_every: int) -> Path:
    """H.264 in MP4 as cameras and editors write it, with B-frames, a key frame every `key_every` frames."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {
            "crf": "21",
            "preset": "medium",
            "x264-params": f"keyint={key_every}:min-keyint={key_every}:scenecut=0:threads=1",
        }
        for picture in pictures:
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    return path


def write_bag(pictures: list[Image], path: Path) -> Path:
    """A ROS1 bag of compressed pictures with a steering report."""
    with BagWriter(path) as bag:
        for i, jpeg in enumerate(map(jpeg_of, pictures)):
            bag.add(START_NS + i * 10**9 // FPS, jpeg, 0.0, 10.0)
    return path


def jpeg_of(picture: Image) -> bytes:
    colours = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    good, data = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not good:
        raise VbpError("a picture cannot be encoded as JPEG")
    return np.asarray(data).tobytes()
