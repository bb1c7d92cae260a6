"""A drive with its masks as MCAP, which Foxglove, the viewers of ROS 2, and vbp itself open.

ROS 2 messages (CDR, with their definitions in the file), not Foxglove's own schemas: Foxglove, Lichtblick,
PlotJuggler, Rerun and `ros2 bag play` all read them, while only the first two know Foxglove's.

Per frame: the camera's picture (its own JPEG or PNG where the recording has one), for each method the mask
(mono8, as large as the picture, so that they lie over each other pixel by pixel) and the picture with the
mask, the angles in radians with a time stamp (vbp_msgs/Steering) and in degrees as plain numbers for plots, of a
classifier the predicted class and the true one (vbp_msgs/Classification) with the probability as a plain number;
what is wrong with a frame goes to /diagnostics. Everything bears the frame's own time.
"""

from __future__ import annotations

import math
import re
from contextlib import closing
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from mcap.writer import CompressionType, Writer
from numpy.typing import NDArray

from vbp.classes import UNKNOWN, class_name
from vbp.drives.bag_drive import CAMERAS
from vbp.drives.bag_streams import DERIVED
from vbp.drives.base import Image
from vbp.errors import VbpError
from vbp.explain.registry import METHODS
from vbp.export.about import about
from vbp.export.facts import check_settings
from vbp.export.frames import Source, maps_of, open_source, with_those_before
from vbp.export.job import Job
from vbp.export.part_file import growing
from vbp.export.registry import CancelledError, Progress
from vbp.export.ros2_messages import (
    CLASSIFICATION,
    COMPRESSED,
    DIAGNOSTICS,
    IMAGE,
    LAST_NS,
    NUMBER,
    OK,
    STEERING,
    WARN,
    Messages,
    degrees,
)
from vbp.files import check_target
from vbp.frames.smoothing import Smoother
from vbp.frames.strengths import weights
from vbp.overlay import Rect, lay
from vbp.readable import printable
from vbp.results import VBP, FrameResult
from vbp.version import made_by

MAGIC = b"\x89MCAP0\r\n"
CHUNK_BYTES = 4 * 2**20  # before compression: some frames, so that a viewer that jumps reads little
CAMERA_QUALITY = 95  # of JPEGs made here
OVERLAY_QUALITY = 90

MASK_MEANING = "0 to 255 for 0 to 1"
SIGNED_MASK_MEANING = "1 to 255 for -1 to +1; 128 is 0"

_ROS_NAME = re.compile(r"(?:/[A-Za-z][A-Za-z0-9_]*)+")


def write(job: Job, progress: Progress) -> Path:
    """Frames of `job` with the masks of its panels' methods. Raises VbpError, CancelledError."""
    check_settings(job.settings)
    target = check_target(job.output, is_mcap, job.drive_path, job.force)
    with open_source(job) as source:
        _check_times(source)
        with growing(target, job.output) as growing_file:
            with open(growing_file.path, "wb") as stream:
                out = _File(stream, source)
                total = len(source.indices)
                needed = with_those_before(np.array(source.indices), job.settings)
                with closing(source.frames(needed, layers=False, encoded=True)) as frames:
                    for done, frame in enumerate(frames, len(source.indices) - len(needed) + 1):
                        if done < 1:
                            out.look(frame)
                            continue
                        out.add(frame)
                        if not progress(done, total):
                            raise CancelledError("the export was cancelled")
                out.finish()
            growing_file.finish()
    return job.output


def _check_times(source: Source) -> None:
    job, times = source.job, source.drive.timestamps_ns
    if int(times[job.first]) < 0 or int(times[job.last]) >= LAST_NS:
        raise VbpError(
            f"the time stamps of {job.drive_path} are not between 1970 and 2038, which is all that ROS 2 can say"
        )


class _File:
    """An MCAP file being written: its topics, and how a frame becomes messages."""

    def __init__(self, stream: IO[bytes], source: Source) -> None:
        self._source = source
        self._settings = source.job.settings
        self._spec = source.engine.spec
        self._messages = Messages()
        self._writer = Writer(stream, chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD)
        self._writer.start(profile="ros2", library=made_by())
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._camera = camera_topic(source.drive.info.camera)
        self._frame_id = self._camera.strip("/").split("/")[0]
        self._diagnosis = ""  # the last one
        self._at = 0
        self._usual = source.usual
        self._smoothers = {m.method: Smoother() for m in maps_of(self._settings)}
        meanings = {
            mask_topic(m.method): SIGNED_MASK_MEANING if METHODS[m.method].signed else MASK_MEANING
            for m in maps_of(source.job.settings)
        }
        self._writer.add_metadata("vbp", about(source) | {"camera_topic": self._camera} | meanings)

    def look(self, frame: FrameResult) -> None:
        """At a frame before the first, whose masks count in those after it."""
        result = frame.result
        for method, smoother in self._smoothers.items():
            if frame.image is None or result is None:
                smoother.forget()
            else:
                mask = result.map(method)
                smoother.add(frame.index, frame.timestamp_ns, frame.image, mask, frame.strength)

    def add(self, frame: FrameResult) -> None:
        self.look(frame)
        self._at, result = frame.timestamp_ns, frame.result
        if frame.image is not None:
            file = frame.encoded or to_jpeg(frame.image, CAMERA_QUALITY)
            self._put(self._camera, COMPRESSED, self._messages.compressed(self._at, self._frame_id, file))
            if result is not None:
                for wanted, mask in result.maps.items():
                    self._masked(frame, result.crop, frame.image, wanted.method, mask)
        self._angles(frame)
        if self._spec.is_classifier:
            self._class(frame)
        self._diagnose(frame)

    def _masked(
        self, frame: FrameResult, rect: Rect, image: Image, method: str, mask: NDArray[np.float32]
    ) -> None:
        grey = full_mask(mask, image.shape[:2], rect, METHODS[method].signed)
        self._put(mask_topic(method), IMAGE, self._messages.grey(self._at, self._frame_id, grey))
        overlay = self._settings.overlay
        smoothed, _ = self._smoothers[method].mask(overlay)
        over = lay(
            image, smoothed, rect, overlay, *weights(frame.strength, self._usual, overlay, method == VBP)
        )
        file = to_jpeg(over, OVERLAY_QUALITY)
        topic = f"{DERIVED}{method}/overlay/compressed"
        self._put(topic, COMPRESSED, self._messages.compressed(self._at, self._frame_id, file))

    def _angles(self, frame: FrameResult) -> None:
        message = self._messages.steering(
            self._at, self._frame_id, frame.index, frame.driven_rad, frame.predicted_rad, frame.speed_mps
        )
        self._put(f"{DERIVED}steering", STEERING, message)
        numbers = {"driven_deg": degrees(frame.driven_rad), "speed_mps": frame.speed_mps}
        if not self._spec.is_classifier:  # which has no angle
            numbers |= {"predicted_deg": degrees(frame.predicted_rad), "error_deg": degrees(frame.error_rad)}
        if frame.result is not None and frame.result.map(VBP) is not None:
            numbers |= {"mask_strength": frame.strength, "mask_spread": frame.spread}
        for name, value in numbers.items():
            self._put(f"{DERIVED}{name}", NUMBER, self._messages.number(value))

    def _class(self, frame: FrameResult) -> None:
        classes = frame.result.classes if frame.result is not None else None
        label = self._source.engine.class_of(frame.folder)
        found = (classes.number, classes.name) if classes is not None else (UNKNOWN, "")
        probability = classes.probability if classes is not None else math.nan
        truth = (label, class_name(self._spec, label))
        message = self._messages.classification(
            self._at, self._frame_id, frame.index, found, probability, truth
        )
        self._put(f"{DERIVED}classification", CLASSIFICATION, message)
        self._put(f"{DERIVED}probability", NUMBER, self._messages.number(probability))

    def _diagnose(self, frame: FrameResult) -> None:
        """A gap, a warning, a mask that cannot be or is weak, and once when all is well again."""
        result = frame.result
        text = frame.gap or (
            "; ".join((*result.warnings, *result.missing.values())) if result is not None else ""
        )
        usual, mask = self._usual, (frame.strength, frame.spread)
        worth = usual.words(*mask) if usual is not None and usual.stands_out(*mask) else ""
        text = "; ".join(filter(None, (frame.edits.words, text, worth)))
        if text or self._diagnosis:
            message = self._messages.diagnosis(
                self._at,
                "vbp: frame",
                printable(text) or "fine",
                WARN if text else OK,
                self._source.drive.info.name,
                {"frame": str(frame.index), "gap": str(bool(frame.gap)).lower()},
            )
            self._put("/diagnostics", DIAGNOSTICS, message)
        self._diagnosis = text

    def _put(self, topic: str, msgtype: str, data: bytes) -> None:
        if topic not in self._channels:
            if msgtype not in self._schemas:
                definition = self._messages.definition(msgtype).encode()
                self._schemas[msgtype] = self._writer.register_schema(msgtype, "ros2msg", definition)
            # The key that the ROS 2 player looks for; empty: its own defaults
            self._channels[topic] = self._writer.register_channel(
                topic, "cdr", self._schemas[msgtype], {"offered_qos_profiles": ""}
            )
        self._writer.add_message(self._channels[topic], self._at, data, self._at)

    def finish(self) -> None:
        self._writer.finish()  # type: ignore[no-untyped-call]


def camera_topic(camera: str) -> str:
    """The topic of a drive's camera: such that it is opened again as the same one."""
    if camera in CAMERAS:
        return f"/{camera}_camera/image_color/compressed"
    if _ROS_NAME.fullmatch(camera) and not camera.startswith(DERIVED):
        return f"{camera}/compressed"
    return "/camera/image_color/compressed"


def mask_topic(method: str) -> str:
    return f"{DERIVED}{method}/mask"


def full_mask(
    mask: NDArray[np.float32], shape: tuple[int, ...], rect: Rect, signed: bool
) -> NDArray[np.uint8]:
    """A map (h, w) of what the network saw as a grey picture (H, W) of the whole frame; nothing outside of `rect`."""
    if mask.shape != (rect.height, rect.width):
        mask = cv2.resize(mask, (rect.width, rect.height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    out = np.full(shape[:2], 128 if signed else 0, dtype=np.uint8)
    scaled = mask * 127.0 + 128.0 if signed else mask * 255.0
    out[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width] = np.clip(np.rint(scaled), 0, 255)
    return out


def to_jpeg(image: Image, quality: int) -> bytes:
    """A JPEG of (H, W, 3) RGB. Its colours are as fine as its greys, for a mask is nothing but colour."""
    full = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality, *full])[1])


def is_mcap(path: Path) -> bool:
    """Whether an existing file is empty, or an MCAP file that vbp wrote: its header names the writer."""
    with path.open("rb") as file:
        head = file.read(32)
    # Magic, kind and size of the header record, its profile, and the name of the writing library
    profile, library = head[17:25], head[29:32]
    return not head or (head.startswith(MAGIC) and profile == b"\x04\x00\x00\x00ros2" and library == b"vbp")
