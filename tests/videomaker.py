"""Small videos of every awkward kind, made from the real CH2 pictures, or from noise where those are absent."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

H264 = "libx264"
GOP = "keyint=20:min-keyint=20:scenecut=0:bframes=3"
OPEN_GOP = {"x264-params": GOP + ":open-gop=1"}
CLOSED_GOP = {"x264-params": GOP + ":open-gop=0"}


def scenes(count: int, width: int = 160, height: int = 120) -> list[np.ndarray]:
    """`count` RGB pictures, no two alike."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    center = Path(os.environ.get("VBP_SHARED", beside)) / "data" / "udacity-ch2" / "center"
    files = sorted(center.glob("*.jpg"))[:count] if center.is_dir() else []
    rng = np.random.default_rng(5)
    base = rng.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    noise = cv2.resize(base, (width, height), interpolation=cv2.INTER_CUBIC)
    pictures = []
    for i in range(count):
        if i < len(files):
            picture = cv2.resize(cv2.imread(str(files[i]))[..., ::-1], (width, height))
        else:
            picture = np.roll(noise, 3 * i, axis=1)
        picture = np.ascontiguousarray(picture)
        for bit in range(8):  # its number, as eight squares
            picture[:12, 12 * bit : 12 * bit + 12] = 230 if i >> bit & 1 else 20
        pictures.append(picture)
    return pictures


def variable_times(count: int, seed: int = 1) -> list[int]:
    """Milliseconds, 5 to 200 apart."""
    return [int(t) for t in np.cumsum(np.random.default_rng(seed).integers(5, 200, count))]


def write_video(
    path: Path,
    pictures: Iterable[np.ndarray],
    codec: str = H264,
    options: dict[str, str] | None = None,
    times_ms: list[int] | None = None,
    container_options: dict[str, str] | None = None,
    **settings: Any,
) -> Path:
    """Encode `pictures`; 20 per second unless `times_ms`. Skips the test where the encoder is absent."""
    try:
        av.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this build of PyAV has no encoder {codec}")
    base = Fraction(1, 1000) if times_ms else Fraction(1, 20)
    with av.open(str(path), "w", options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=20, options={"threads": "1", **(options or {})})
        stream.pix_fmt = settings.pop("pix_fmt", "yuv420p")
        stream.codec_context.time_base = base
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        for i, picture in enumerate(pictures):
            if i == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = (times_ms[i] if times_ms else i), base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def remux(source: Path, target: Path, shift_frames: int = 0, **container_options: str) -> Path:
    """Copy the packets into another container, all times `shift_frames` twentieths of a second later."""
    with av.open(str(source)) as a, av.open(str(target), "w", options=container_options) as b:
        stream = a.streams.video[0]
        copy = b.add_stream_from_template(stream)
        shift = round(shift_frames * Fraction(1, 20) / stream.time_base)
        for packet in a.demux(stream):
            if packet.size:
                packet.pts += shift
                packet.dts = None if packet.dts is None else packet.dts + shift
                packet.stream = copy
                b.mux(packet)
    return target


def linear(path: Path) -> list[tuple[int | None, np.ndarray, bool]]:
    """The oracle: every frame as a plain decoding loop gives it, (pts, RGB, damaged)."""
    out = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return out
                frames = packet.decode()
            except av.FFmpegError:
                continue
            out += [(f.pts, f.to_ndarray(format="rgb24"), f.is_corrupt) for f in frames]
