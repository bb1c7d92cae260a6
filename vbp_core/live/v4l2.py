"""What a camera on Linux says of itself, by V4L2's own calls: opening it would take seconds and light its lamp."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction

# Numbers and layouts of <linux/videodev2.h>, which are part of the kernel's interface and do not change.
QUERYCAP, ENUM_FMT, ENUM_FRAMESIZES, ENUM_FRAMEINTERVALS = 0x80685600, 0xC0405602, 0xC02C564A, 0xC034564B
_CAPABILITY = struct.Struct("16s32s32s3I12x")
_FORMAT = struct.Struct("3I32s2I12x")
_FRAME_SIZE = struct.Struct("9I8x")
_FRAME_INTERVAL = struct.Struct("11I8x")
_CAPTURE, _CAPTURE_PLANES, _HAS_DEVICE_CAPS = 0x1, 0x1000, 0x80000000
_BUFFER_TYPES = {_CAPTURE: 1, _CAPTURE_PLANES: 9}
_DISCRETE = 1
_MOST = 256  # of anything that is listed: a driver that never says "no more" must not hold us

# What is offered of a camera that takes any size within limits.
COMMON_SIZES = ((320, 240), (640, 480), (800, 600), (1280, 720), (1920, 1080), (3840, 2160))

Ioctl = Callable[[int, int, bytearray], object]


class NoCameraError(Exception):
    """A node of /dev/video* that gives no pictures: metadata of a camera, an encoder, an output."""


def ask(path: str, ioctl: Ioctl | None = None) -> tuple[str, list[tuple[int, int]], list[float]]:
    """(name, sizes (width, height), frame rates in Hz) of a device file. Raises OSError, NoCameraError."""
    if ioctl is None:
        from fcntl import ioctl as system_ioctl

        ioctl = system_ioctl
    handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        return _ask(handle, ioctl)
    finally:
        os.close(handle)


def _ask(handle: int, ioctl: Ioctl) -> tuple[str, list[tuple[int, int]], list[float]]:
    data = bytearray(_CAPABILITY.size)
    ioctl(handle, QUERYCAP, data)
    _, card, _, _, all_caps, own_caps = _CAPABILITY.unpack(data)
    caps = own_caps if all_caps & _HAS_DEVICE_CAPS else all_caps
    kind = next((t for bit, t in _BUFFER_TYPES.items() if caps & bit), None)
    if kind is None:
        raise NoCameraError
    name = card.split(b"\0")[0].decode("utf-8", "replace").strip()
    sizes: set[tuple[int, int]] = set()
    rates: set[float] = set()
    for pixel_format in _formats(handle, ioctl, kind):
        for size in _sizes(handle, ioctl, pixel_format):
            sizes.add(size)
            rates.update(_rates(handle, ioctl, pixel_format, size))
    return name, sorted(sizes), sorted(rates)


def _listed(
    handle: int, ioctl: Ioctl, call: int, layout: struct.Struct, *head: int
) -> Iterator[tuple[int, ...]]:
    """The answers for index 0, 1, ... until the driver says that there are no more, or repeats itself."""
    before: set[tuple[int, ...]] = set()
    for index in range(_MOST):
        data = bytearray(layout.size)
        struct.pack_into(f"{1 + len(head)}I", data, 0, index, *head)
        try:
            ioctl(handle, call, data)
        except OSError:
            return
        answer = layout.unpack(data)
        if answer[1:] in before:
            return
        before.add(answer[1:])
        yield answer


def _formats(handle: int, ioctl: Ioctl, kind: int) -> Iterator[int]:
    for answer in _listed(handle, ioctl, ENUM_FMT, _FORMAT, kind):
        yield answer[4]


def _sizes(handle: int, ioctl: Ioctl, pixel_format: int) -> Iterator[tuple[int, int]]:
    for _, _, kind, *numbers in _listed(handle, ioctl, ENUM_FRAMESIZES, _FRAME_SIZE, pixel_format):
        if kind == _DISCRETE:
            yield numbers[0], numbers[1]
            continue
        least_w, most_w, _, least_h, most_h, _ = numbers
        yield from (s for s in COMMON_SIZES if least_w <= s[0] <= most_w and least_h <= s[1] <= most_h)
        return  # of a range there is one


def _rates(handle: int, ioctl: Ioctl, pixel_format: int, size: tuple[int, int]) -> Iterator[float]:
    for _, _, _, _, kind, *numbers in _listed(
        handle, ioctl, ENUM_FRAMEINTERVALS, _FRAME_INTERVAL, pixel_format, *size
    ):
        # The numbers are intervals: one, or the least, the most and the step of a range.
        pairs = [numbers[:2]] if kind == _DISCRETE else [numbers[:2], numbers[2:4]]
        for above, below in pairs:
            if above and below:
                yield round(float(Fraction(below, above)), 2)
        if kind != _DISCRETE:
            return
