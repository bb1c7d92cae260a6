"""Codecs as a user names them, and the encoders that stand for them on this machine."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.video.reformatter
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from vbp.drives.base import Image
from vbp.errors import VbpError
from vbp.export.job import CODECS, QUALITIES, Settings

TICKS = 90_000  # per second: the clock of MPEG, which every player takes; a tick is 11 µs
CPU = {"h264": "libx264", "hevc": "libx265", "ffv1": "ffv1"}
GPU = {"h264": "h264_nvenc", "hevc": "hevc_nvenc"}
SUFFIXES = {"h264": (".mp4", ".mov", ".mkv"), "hevc": (".mp4", ".mov", ".mkv"), "ffv1": (".mkv",)}
WORST = 51  # the largest constant rate factor
KEY_EVERY_S = 2.0  # seconds between key frames: what a player has to decode to go to a place


@dataclass(frozen=True)
class Encoding:
    """An encoder of FFmpeg with its options."""

    encoder: str
    pixels: str
    options: dict[str, str]
    tag: str = ""


def rate_factor(quality: str) -> int:
    """A name of QUALITIES, or a constant rate factor 0..51 as text. Raises VbpError."""
    if quality in QUALITIES:
        return QUALITIES[quality]
    if quality.isascii() and quality.isdecimal() and int(quality) <= WORST:
        return int(quality)
    raise VbpError(
        f"there is no quality {quality!r}; accepted: {', '.join(QUALITIES)}, or a number from 0 (best) to {WORST}"
    )


def check_codec(settings: Settings, suffix: str) -> None:
    """Raises VbpError for a codec that does not exist, or does not go into such a file."""
    codec = settings.codec
    if codec not in CODECS:
        raise VbpError(f"there is no codec {codec!r}; accepted: {', '.join(CODECS)}")
    if suffix not in SUFFIXES[codec]:
        raise VbpError(
            f"{codec} does not go into a {suffix} file; end the output in {' or '.join(SUFFIXES[codec])}"
        )
    if settings.encoder not in ("auto", "cpu"):
        raise VbpError(f"there is no encoder {settings.encoder!r}; accepted: auto, cpu")
    rate_factor(settings.quality)


def choose(settings: Settings, size: tuple[int, int]) -> Encoding:
    """The encoder for a codec that `check_codec` took: the graphics card's where it works. Raises VbpError."""
    codec, factor = settings.codec, str(rate_factor(settings.quality))
    if codec == "ffv1":
        return Encoding("ffv1", "bgr0", {"level": "3", "slices": "4"})
    tag = "hvc1" if codec == "hevc" else ""  # without it, QuickTime does not play HEVC
    if settings.encoder == "auto" and works(GPU[codec], size):
        options = {"preset": "p5", "rc": "vbr", "cq": factor, "b": "0"}
        return Encoding(GPU[codec], "yuv420p", options, tag)
    encoder = CPU[codec]
    if not known(encoder):
        raise VbpError(f"this installation's FFmpeg has no encoder for {codec}; choose another codec")
    options = {"preset": "veryfast", "crf": factor}
    if codec == "hevc":
        options["x265-params"] = "log-level=none"
    return Encoding(encoder, "yuv420p", options, tag)


def known(encoder: str) -> bool:
    try:
        av.Codec(encoder, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


@functools.lru_cache(maxsize=8)
def works(encoder: str, size: tuple[int, int]) -> bool:
    """Whether an encoder can be opened here and takes a picture of this size: NVENC needs a card that has it."""
    if not known(encoder):
        return False
    try:
        context: Any = av.CodecContext.create(encoder, "w")
        context.width, context.height = size
        context.pix_fmt, context.time_base, context.framerate = "yuv420p", Fraction(1, 30), Fraction(30)
        frame = av.VideoFrame(*size, "yuv420p")
        frame.pts = 0
        return bool([*context.encode(frame), *context.encode(None)])
    except (av.FFmpegError, OSError, ValueError):
        return False


class Converter:
    """RGB pictures as the encoder takes them, in the colours of BT.709, which players assume for such clips."""

    def __init__(self, pixels: str) -> None:
        self._pixels = pixels
        self._reformatter = av.video.reformatter.VideoReformatter()

    def __call__(self, picture: Image) -> av.VideoFrame:
        # Over the picture's own memory: what is made of it below is a copy.
        frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(picture), format="rgb24")
        if self._pixels != "yuv420p":
            return self._reformatter.reformat(frame, format=self._pixels)
        return self._reformatter.reformat(
            frame,
            format=self._pixels,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )


def add_stream(out: Any, encoding: Encoding, size: tuple[int, int], rate: float) -> Any:
    """A video stream of `out` with its clock at TICKS, ready to encode."""
    frames = Fraction(rate).limit_denominator(1001)
    stream = out.add_stream(encoding.encoder, rate=frames, options=encoding.options)
    stream.width, stream.height = size
    stream.pix_fmt = encoding.pixels
    stream.time_base = Fraction(1, TICKS)
    context = stream.codec_context
    context.time_base = Fraction(1, TICKS)
    context.gop_size = max(1, round(KEY_EVERY_S * rate))
    if encoding.pixels == "yuv420p":
        context.colorspace = Colorspace.ITU709
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        context.color_range = ColorRange.MPEG
    if encoding.tag:
        context.codec_tag = encoding.tag
    return stream
