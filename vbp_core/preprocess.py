"""From a camera frame to the network's input: crop, grey, scale."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vbp.drives.base import Image
from vbp.errors import VbpError
from vbp.models.spec import NetworkSpec
from vbp.overlay import Rect


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
    if (height, width) == (spec.input_height, spec.input_width):
        return Rect(0, 0, width, height)
    return Rect(*spec.crop.pixels(height, width))


def crop_warning(spec: NetworkSpec, height: int, width: int) -> str:
    """One sentence where the network's own rule wants more rows than a frame (height, width) has; else ""."""
    if spec.crop.kind != "bottom" or (height, width) == (spec.input_height, spec.input_width):
        return ""
    rows = spec.crop.rows_at(width)
    if rows <= height:
        return ""
    return (
        f"{spec.name} looks at the bottom {rows} rows of a picture {width} wide and this one has {height}, so it "
        "sees the whole picture, stretched: set the crop by hand, or correct the crop in its specification"
    )


def prepare(frame: Image, spec: NetworkSpec, crop: Rect | None = None) -> tuple[NDArray[np.uint8], Rect]:
    """Frame (H, W, 3) uint8 RGB -> the network's input as uint8, (h, w) grey or (h, w, 3) in the spec's colours, and the crop.

    crop: the part to take, in the frame's pixels, instead of what the network's own rule says.
    Grey is Rec. 601 luma, as the decoders of the networks' training pictures make it. It stays uint8 until it is on
    the device: a quarter of the bytes to carry. Shrinking averages areas, so that thin markings survive.
    """
    rect = crop_rect(spec, frame.shape[0], frame.shape[1], crop)
    part = frame[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
    if spec.channels == 1:
        part = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    elif spec.colour != "rgb":
        code = {"bgr": cv2.COLOR_RGB2BGR, "yuv": cv2.COLOR_RGB2YUV, "yuv-bgr": cv2.COLOR_BGR2YUV}[spec.colour]
        part = np.asarray(cv2.cvtColor(part, code), dtype=np.uint8)
    size = (spec.input_width, spec.input_height)
    if (rect.width, rect.height) != size:
        shrinks = rect.width >= size[0] and rect.height >= size[1]
        mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        part = np.asarray(cv2.resize(part, size, interpolation=mode), dtype=np.uint8)
    return np.ascontiguousarray(part), rect


def to_tensor(
    inputs: NDArray[np.uint8], spec: NetworkSpec, device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """(N, h, w) or (N, h, w, 3) uint8 -> (N, C, h, w) on `device`: scaled to [0, 1], then (x - mean) / std."""
    if not inputs.flags.writeable:  # a cached frame that is the whole input; torch warns of those
        inputs = inputs.copy()
    tensor = torch.from_numpy(inputs).to(device)
    tensor = tensor.unsqueeze(1) if spec.channels == 1 else tensor.permute(0, 3, 1, 2)
    return normalise(tensor.to(dtype).div_(255.0), spec)


def normalise(images: Tensor, spec: NetworkSpec) -> Tensor:
    """(x - mean) / std of images (N, C, h, w) in [0, 1], in place."""
    if (spec.mean, spec.std) == (0.0, 1.0):
        return images
    return images.sub_(_of_channels(spec.mean, images)).div_(_of_channels(spec.std, images))


def _of_channels(value: float | tuple[float, ...], images: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=images.dtype, device=images.device).view(1, -1, 1, 1)


def to_display_rgb(inputs: NDArray[np.uint8], spec: NetworkSpec) -> NDArray[np.uint8]:
    """A network's input as people see it: RGB where the network takes other colours. Shaped as `inputs`."""
    if spec.channels == 1 or spec.colour == "rgb":
        return inputs
    code = {"bgr": cv2.COLOR_BGR2RGB, "yuv": cv2.COLOR_YUV2RGB, "yuv-bgr": cv2.COLOR_YUV2BGR}[spec.colour]
    return np.asarray(cv2.cvtColor(inputs, code), dtype=np.uint8)
