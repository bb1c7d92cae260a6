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
    "16uc3": "bgr16",
    "16uc4": "bgra16",
}

# A plane of brightness, and one of colour below it: half as many rows and columns, but in nv24
_TWO_PLANES = {"nv12": cv2.COLOR_YUV2RGB_NV12, "nv21": cv2.COLOR_YUV2RGB_NV21, "nv24": cv2.COLOR_YUV2RGB_NV12}
# Distances, and how many of them are a metre (REP 118)
_DEPTH = {"16uc1": ("u2", 1000.0), "32fc1": ("f4", 1.0)}
HALF_GREY_M = 5.0  # the distance that is shown in half the brightness of what is at the lens

ENCODINGS = (
    "rgb8, bgr8, rgba8, bgra8, mono8, bayer_*8, the same with 16 bits, yuv422, nv12, nv21, nv24, 16UC1, 32FC1"
)


def decode_raw(
    data: memoryview, width: int, height: int, step: int, encoding: str, big_endian: bool = False
) -> Image:
    """A raw image of `height` rows of `step` bytes -> RGB uint8 (H, W, 3); 16 bits keep their upper 8.

    Distances (16UC1, 32FC1) become greys, the nearer the brighter, black where unknown. big_endian: byte order of
    encodings of more than 8 bits. Raises MessageError for an unknown encoding or too few bytes.
    """
    name = encoding.strip().lower()
    name = _PLAIN.get(name, name)
    if name in _TWO_PLANES:
        return _two_planes(data, width, height, step, name)
    code: int | None
    if name in _DEPTH:
        family, bits, channels, code = name, 8 * int(_DEPTH[name][0][1]), 1, None
    elif name in _YUV:
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
    if name in _DEPTH:
        return _greys(pixels, name, big_endian)
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


def _two_planes(data: memoryview, width: int, height: int, step: int, name: str) -> Image:
    part = 2 if name == "nv24" else 1
    rows = height * 3 if name == "nv24" else height + height // 2
    if width < 1 or height < 1 or (part == 1 and (width % 2 or height % 2)):
        raise MessageError(f"a {name} image cannot be {width}x{height}")
    if not step or (step in (width * 3 // 2, 2 * width, 3 * width) and len(data) < rows * step):
        step = width  # some drivers count the bytes of a pixel's brightness and colour together
    if step < width:
        raise MessageError(f"an image of {width}x{height} with rows of {step} bytes makes no sense")
    if len(data) < rows * step:
        raise MessageError(f"the image of {width}x{height} is cut off")
    planes = np.frombuffer(data, dtype=np.uint8, count=rows * step).reshape(rows, step)
    light, colour = planes[:height, :width], planes[height:]
    if part == 2:  # as a picture of twice the size, of which every second pixel is taken
        light = light.repeat(2, axis=0).repeat(2, axis=1)
        colour = colour.reshape(height, 2 * step)[:, : 2 * width]
    planes = np.vstack([light, colour[:, : light.shape[1]]])
    return _image(cv2.cvtColor(planes, _TWO_PLANES[name])[::part, ::part])


def _greys(rows: NDArray[np.uint8], name: str, big_endian: bool) -> Image:
    """Distances as greys that are the same in every frame, however far the farthest is."""
    kind, metre = _DEPTH[name]
    values = np.ascontiguousarray(rows).view((">" if big_endian else "<") + kind)
    with np.errstate(invalid="ignore", over="ignore"):
        distance = values.astype(np.float32) / metre
        known = np.isfinite(distance) & (distance > 0)
        grey = 255.0 / (1.0 + np.where(known, distance, np.inf) / HALF_GREY_M)
    return _image(np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2))


def decode_compressed(data: memoryview, text: str = "") -> Image:
    """A JPEG, PNG or other picture file -> RGB uint8 (H, W, 3). Raises MessageError where it does not decode.

    text: what the message says of its format. "bayer_rggb8; png compressed bayer_rggb8" is the sensor's mosaic in a grey
    picture (https://github.com/ros-perception/image_transport_plugins), "bayer_rggb8; jpeg compressed bgr8" is in colour.
    """
    try:
        image = decode_picture(bytes(data))
    except PictureError as error:
        raise MessageError(f"its picture {error}") from None
    pattern, _, how = text.lower().partition(";")
    code = _TO_RGB.get(pattern.strip().removesuffix("16").removesuffix("8"), (0, None))[1]
    if not pattern.startswith("bayer") or code is None or "compressed bgr" in how or "compressed rgb" in how:
        return image
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.ndim > 2 or min(image.shape[:2]) < 2:
        return image
    return _image(cv2.cvtColor(np.ascontiguousarray(image[..., 0]), code))


def _image(array: NDArray[np.generic]) -> Image:
    return np.ascontiguousarray(array, dtype=np.uint8)
