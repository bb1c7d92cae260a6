"""Pixels of ROS image messages: raw encodings and compressed pictures to RGB."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Image
from vbp.drives.picture_files import PictureError, decode_picture
from vbp.drives.ros_fields import MessageError

# ROS names a Bayer pattern by its first row from the left, OpenCV (in its short names) by the second
_TO_RGB: dict[str, tuple[int, int | None]] = {
    # encoding: channels, cv2's code to RGB
    "rgb": (3, None),
    "bgr": (3, cv2.COLOR_BGR2RGB),
    "rgba": (4, cv2.COLOR_RGBA2RGB),
    "bgra": (4, cv2.COLOR_BGRA2RGB),
    "mono": (1, cv2.COLOR_GRAY2RGB),
    "bayer_rggb": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg": (1, cv2.COLOR_BayerGB2RGB),
}
_YUV = {
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUYV,
    "yuyv": cv2.COLOR_YUV2RGB_YUYV,
}
# Encodings without the meaning of their channels: ROS counts them as OpenCV's own order
_PLAIN = {
    "8uc1": "mono8",
    "8uc3": "bgr8",
    "8uc4": "bgra8",
    "16uc1": "mono16",
    "16uc3": "bgr16",
    "16uc4": "bgra16",
}

ENCODINGS = "rgb8, bgr8, rgba8, bgra8, mono8, bayer_*8, the same with 16 bits, yuv422"


def decode_raw(
    data: memoryview, width: int, height: int, step: int, encoding: str, big_endian: bool = False
) -> Image:
    """A raw image of `height` rows of `step` bytes -> RGB uint8 (H, W, 3); 16 bits keep their upper 8.

    big_endian: byte order of 16-bit encodings. Raises MessageError for an unknown encoding or too few bytes.
    """
    name = encoding.strip().lower()
    name = _PLAIN.get(name, name)
    code: int | None
    if name in _YUV:
        family, bits, channels, code = name, 8, 2, _YUV[name]
    else:
        family, bits = (name[:-2], 16) if name.endswith("16") else (name.removesuffix("8"), 8)
        if family not in _TO_RGB or family == name:
            raise MessageError(f"image encoding {encoding!r} is not known (known: {ENCODINGS})")
        channels, code = _TO_RGB[family]
    row = width * channels * bits // 8
    step = step or row
    if width < 1 or height < 1 or step < row:
        raise MessageError(f"an image of {width}x{height} with rows of {step} bytes is impossible")
    if len(data) < step * (height - 1) + row:
        raise MessageError(f"the image of {width}x{height} is cut off")
    # The last row may come without its padding, so rows are taken as strides over what is there
    pixels = np.lib.stride_tricks.as_strided(
        np.frombuffer(data, dtype=np.uint8), shape=(height, row), strides=(step, 1), writeable=False
    )
    if bits == 16:
        pixels = pixels[:, 0 if big_endian else 1 :: 2]
    pixels = np.ascontiguousarray(pixels).reshape(height, width, channels)
    if family in _YUV and width % 2:
        raise MessageError(f"a {encoding} image cannot be {width} pixels wide")
    if family.startswith("bayer") and min(width, height) < 2:
        raise MessageError(f"a {encoding} image cannot be {width}x{height}")
    if code is None:
        return pixels.copy() if not pixels.flags.owndata else pixels
    return _image(cv2.cvtColor(pixels, code))


def decode_compressed(data: memoryview) -> Image:
    """A JPEG, PNG or other picture file -> RGB uint8 (H, W, 3). Raises MessageError where it does not decode."""
    try:
        return decode_picture(bytes(data))
    except PictureError as error:
        raise MessageError(f"its picture {error}") from None


def _image(array: NDArray[np.generic]) -> Image:
    return np.ascontiguousarray(array, dtype=np.uint8)
