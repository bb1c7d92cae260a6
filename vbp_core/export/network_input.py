"""What happens to a camera's picture before a network gets it, as plain operations, to be written in front of it."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from vbp.errors import VbpError
from vbp.models.spec import NetworkSpec
from vbp.models.spec_picture import AUTO
from vbp.preprocess import OPENCV, Plan, normalise, plan, prepare

STEP = 2  # of 255, by which a number may differ from vbp's own: OpenCV rounds on its way, in the colours and in the scaling
LUMA = (0.299, 0.587, 0.114)
# Of red, green and blue; a row is what comes out.
COLOURS: dict[str, list[list[float]]] = {
    "grey": [list(LUMA)],
    "rgb": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "bgr": [[0, 0, 1], [0, 1, 0], [1, 0, 0]],
}


class Preparation(nn.Module):
    """Frames (N, height, width, 3) uint8 RGB -> what `preprocess` makes of them, (N, C, h, w) float32.

    Before its range is set, no number differs from there by more than 2 of 255, which is tried on a picture of noise.
    Raises VbpError that says what cannot be written.
    """

    def __init__(self, spec: NetworkSpec, height: int, width: int) -> None:
        super().__init__()
        self.spec = spec
        self.plan: Plan = plan(spec, height, width)
        name = (
            "grey" if spec.channels == 1 and spec.colour in ("rgb", "bgr", "yuv", "yuv-bgr") else spec.colour
        )
        if name not in (*COLOURS, "yuv", "yuv-bgr") or spec.blur:
            what = f"a blur of {spec.blur}" if spec.blur else f"the colours {name}"
            raise VbpError(
                f"{spec.name} wants {what}, which ONNX has no operation for; write it without --with-preprocessing"
            )
        weights, shift = _yuv(name) if name.startswith("yuv") else (COLOURS[name], [0.0] * 3)
        self.colour = torch.tensor(weights, dtype=torch.float32)[:, :, None, None]
        self.shift = torch.tensor(shift[: len(weights)], dtype=torch.float32)
        self.rows, self.columns = self._resize(height, width)
        frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        frame = cv2.GaussianBlur(frame, (0, 0), 1.0).astype(np.uint8)
        wanted = torch.from_numpy(prepare(frame, spec)[0].reshape(spec.input_height, spec.input_width, -1))
        found = self._numbers(torch.from_numpy(frame)[None])[0].permute(1, 2, 0)
        if found.shape != wanted.shape or float((found - wanted.float()).abs().max()) > STEP:
            raise VbpError(
                f'{spec.name} wants pictures resized by "{spec.resize}", which ONNX does not do alike; write it without '
                "--with-preprocessing"
            )

    def forward(self, frames: Tensor) -> Tensor:
        return normalise(self._numbers(frames) / 255.0, self.spec)

    def _numbers(self, frames: Tensor) -> Tensor:
        """In 0 to 255."""
        x, made = frames, False
        for step in self.plan.order:
            if step == "crop":
                w = self.plan.window
                rows, columns = slice(w.y, w.y + w.height), slice(w.x, w.x + w.width)
                x = x[:, :, rows, columns] if made else x[:, rows, columns]
                continue
            if not made:
                x, made = x.permute(0, 3, 1, 2).float(), True
            if step == "colour":
                x = _whole(nn.functional.conv2d(x, self.colour, self.shift))
            elif step == "resize" and self.rows is not None and self.columns is not None:
                x = _whole(self.rows @ x @ self.columns.T)
        return x

    def _resize(self, height: int, width: int) -> tuple[Tensor | None, Tensor | None]:
        if self.plan.order.index("crop") < self.plan.order.index("resize"):
            height, width = self.plan.window.height, self.plan.window.width
        size = self.plan.size
        if (width, height) == size:
            return None, None
        name = self.spec.resize
        if name == AUTO:
            name = "area" if width >= size[0] and height >= size[1] else "linear"
        if name not in OPENCV:
            raise VbpError(
                f'{self.spec.name} wants pictures resized by "{name}", which ONNX has no operation for; write it without '
                "--with-preprocessing"
            )
        return _line(height, size[1], OPENCV[name]), _line(width, size[0], OPENCV[name])


def _line(before: int, after: int, mode: int) -> Tensor:
    """The matrix (after, before) by which a line of numbers is resized."""
    eye = np.eye(before, dtype=np.float32)
    return torch.from_numpy(np.asarray(cv2.resize(eye, (before, after), interpolation=mode)))


def _yuv(name: str) -> tuple[list[list[float]], list[float]]:
    """As OpenCV has it; "yuv-bgr" with red and blue exchanged."""
    luma = np.array(LUMA)
    u, v = 0.492 * (np.array([0, 0, 1]) - luma), 0.877 * (np.array([1, 0, 0]) - luma)
    weights = np.stack([luma, u, v])
    return (weights[:, ::-1] if name == "yuv-bgr" else weights).tolist(), [0.0, 128.0, 128.0]


def _whole(x: Tensor) -> Tensor:
    return x.round().clamp(0, 255)
