"""From a camera frame to the network's input: crop, colours, scale, in the order that its specification says."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vbp.devices import to_device
from vbp.drives.base import Image
from vbp.errors import VbpError
from vbp.models.spec import NetworkSpec
from vbp.models.spec_picture import AUTO
from vbp.overlay import Rect
from vbp.resampling import resize_as_pil


def crop_rect(spec: NetworkSpec, height: int, width: int, crop: Rect | None = None) -> Rect:
    """The part of a frame (height, width) that the network sees: `crop`, or what the network's own rule says.

    By that rule a frame that has the input's size is taken whole. Raises VbpError for a `crop` that
    does not lie in the frame.
    """
    if crop is not None:
        inside = (
            crop.x >= 0 and crop.y >= 0 and crop.x + crop.width <= width and crop.y + crop.height <= height
        )
        if not inside or crop.width < 1 or crop.height < 1:
            raise VbpError(
                f"the crop {crop.x},{crop.y},{crop.width},{crop.height} (x, y, width, height) does not lie in "
                f"the frame, which is {width}x{height}; choose one that does"
            )
        return crop
    if _is_input(spec, height, width):
        return Rect(0, 0, width, height)
    if not spec.resizes_first:
        return Rect(*spec.crop.pixels(height, width))
    wide, high = _resized(spec)
    x, y, w, h = spec.crop.pixels(high, wide)
    left, right = round(x * width / wide), round((x + w) * width / wide)
    top, bottom = round(y * height / high), round((y + h) * height / high)
    left, top = min(left, width - 1), min(top, height - 1)
    return Rect(left, top, max(1, right - left), max(1, bottom - top))


def _is_input(spec: NetworkSpec, height: int, width: int) -> bool:
    """A frame that already is what the network takes, such as a picture of its training; it is taken whole."""
    of_pixels = spec.crop.kind == "pixels" and (spec.crop.of_height, spec.crop.of_width) == (height, width)
    return (height, width) == (spec.input_height, spec.input_width) and not of_pixels


def _resized(spec: NetworkSpec) -> tuple[int, int]:
    """Width and height that a frame is scaled to before it is cropped."""
    width, height = spec.resize_to or (spec.input_width, spec.input_height)
    return width, height


def crop_warning(spec: NetworkSpec, height: int, width: int) -> str:
    """One sentence where the network's own rule wants more rows than a frame (height, width) has; else ""."""
    if spec.crop.kind != "bottom" or spec.resizes_first or _is_input(spec, height, width):
        return ""
    rows = spec.crop.rows_at(width)
    if rows <= height:
        return ""
    return (
        f"{spec.name} looks at the bottom {rows} rows of a picture {width} wide and this one has {height}, so it "
        "sees the whole picture, stretched: set the crop by hand, or correct the crop in its specification"
    )


@dataclass(frozen=True)
class Plan:
    """What is done to frames of one size. rect: of the frame, what the network sees; window: the crop, in the pixels of the step
    that takes it; size: (width, height) that is scaled to; order: of the steps."""

    rect: Rect
    window: Rect
    size: tuple[int, int]
    order: tuple[str, ...]


def plan(spec: NetworkSpec, height: int, width: int, crop: Rect | None = None) -> Plan:
    """The plan for frames (height, width). Raises VbpError, see `crop_rect`."""
    rect = crop_rect(spec, height, width, crop)
    size = (spec.input_width, spec.input_height)
    order, window = spec.order, rect
    if spec.resizes_first and crop is None and not _is_input(spec, height, width):
        size = _resized(spec)
        window = Rect(*spec.crop.pixels(size[1], size[0]))
    elif crop is not None or spec.resizes_first or not spec.blur:  # only a blur looks beyond the crop
        order = ("crop", *(step for step in order if step != "crop"))
    return Plan(rect, window, size, order)


def prepare(frame: Image, spec: NetworkSpec, crop: Rect | None = None) -> tuple[NDArray[np.uint8], Rect]:
    """Frame (H, W, 3) uint8 RGB -> the network's input as uint8, (h, w) of one channel or (h, w, 3) in the spec's colours, and the crop.

    crop: the part to take, in the frame's pixels, instead of what the network's own rule says; it is taken first.
    Grey is Rec. 601 luma, as the decoders of the networks' training pictures make it. It stays uint8 until it is on
    the device: a quarter of the bytes to carry. Shrinking averages areas, so that thin markings survive, unless
    the specification names another way.
    """
    steps = plan(spec, frame.shape[0], frame.shape[1], crop)
    window = steps.window
    part = frame
    for step in steps.order:
        if step == "crop":
            part = part[window.y : window.y + window.height, window.x : window.x + window.width]
        elif step == "colour":
            part = convert(part, spec)
        elif step == "resize":
            part = resize(part, steps.size, spec.resize)
        elif spec.blur:
            part = np.asarray(cv2.GaussianBlur(part, (spec.blur, spec.blur), 0), dtype=np.uint8)
    return np.ascontiguousarray(part), steps.rect


TO_COLOUR = {
    "bgr": cv2.COLOR_RGB2BGR,
    "yuv": cv2.COLOR_RGB2YUV,
    "yuv-bgr": cv2.COLOR_BGR2YUV,
    "hsv": cv2.COLOR_RGB2HSV,
    "lab": cv2.COLOR_RGB2LAB,
}
TO_RGB = {
    "bgr": cv2.COLOR_BGR2RGB,
    "yuv": cv2.COLOR_YUV2RGB,
    "yuv-bgr": cv2.COLOR_YUV2BGR,
    "hsv": cv2.COLOR_HSV2RGB,
    "lab": cv2.COLOR_LAB2RGB,
}


def convert(image: Image, spec: NetworkSpec) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB in the spec's colours: (H, W) of one channel, or (H, W, 3)."""
    if spec.channels == 3:
        code = TO_COLOUR.get(spec.colour)
        return image if code is None else np.asarray(cv2.cvtColor(image, code), dtype=np.uint8)
    if spec.colour == "hsv-s":
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[:, :, 1], dtype=np.uint8)
    if spec.colour == "grey-pil":
        weighed = image.astype(np.int32) @ np.array([19595, 38470, 7471], np.int32)
        return ((weighed + 0x8000) >> 16).astype(np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


OPENCV = {
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "nearest": cv2.INTER_NEAREST,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}


def resize(image: NDArray[np.uint8], size: tuple[int, int], name: str = AUTO) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) -> `size` (width, height), by a name of RESIZES."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    if name.startswith("pil-"):
        return resize_as_pil(image, size, name.removeprefix("pil-"))
    if name == AUTO:
        name = "area" if width >= size[0] and height >= size[1] else "linear"
    return np.asarray(cv2.resize(image, size, interpolation=OPENCV[name]), dtype=np.uint8)


def to_tensor(
    inputs: NDArray[np.uint8], spec: NetworkSpec, device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """(N, h, w) or (N, h, w, 3) uint8 -> (N, C, h, w) on `device`: scaled to [0, 1], then (x - mean) / std."""
    return as_images(to_device(inputs, device), spec, dtype)


def as_images(inputs: Tensor, spec: NetworkSpec, dtype: torch.dtype = torch.float32) -> Tensor:
    """The same of inputs that are on their device."""
    tensor = inputs.unsqueeze(1) if spec.channels == 1 else inputs.permute(0, 3, 1, 2)
    return normalise(tensor.to(dtype).div_(255.0), spec)


def normalise(images: Tensor, spec: NetworkSpec) -> Tensor:
    """(x - mean) / std of images (N, C, h, w) in [0, 1], in place."""
    if (spec.mean, spec.std) == (0.0, 1.0):
        return images
    means, stds = (_of_channels(value, images) for value in (spec.mean, spec.std))
    for c, (mean, std) in enumerate(zip(means, stds, strict=True)):
        # By numbers: tensors of them would be brought to a device for each pass.
        images[:, c].sub_(mean).div_(std)
    return images


def _of_channels(value: float | tuple[float, ...], images: Tensor) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,) * images.shape[1]


def to_display_rgb(inputs: NDArray[np.uint8], spec: NetworkSpec) -> NDArray[np.uint8]:
    """A network's input as people see it: RGB where the network takes other colours. Shaped as `inputs`."""
    code = TO_RGB.get(spec.colour)
    if spec.channels == 1 or code is None:
        return inputs
    return np.asarray(cv2.cvtColor(inputs, code), dtype=np.uint8)
