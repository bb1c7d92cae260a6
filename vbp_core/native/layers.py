"""What the kernels take, as ctypes structures, and weights laid out for them."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

POINTER, LONG, FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_float


class Layer(ctypes.Structure):
    """`layer` of kernels.c."""

    _fields_ = (
        *((name, POINTER) for name in ("x", "weight", "bias", "out", "mean", "below", "offset", "top")),
        *((name, LONG) for name in ("channels", "outputs", "h", "w", "taps", "frames")),
        *((name, LONG) for name in ("x_frame", "x_row", "x_pixel", "out_frame", "out_row", "out_pixel")),
        *((name, LONG) for name in ("below_row", "below_pixel", "first", "rows", "stride")),
        *((name, FLOAT) for name in ("eps", "factor")),
        ("relu", ctypes.c_int),
    )


class Step(ctypes.Structure):
    """`step` of kernels.c."""

    _fields_ = (
        ("mean", POINTER),
        ("h", LONG),
        ("w", LONG),
        *((name, LONG * 2) for name in ("kernel", "stride", "padding", "dilation", "size")),
        ("moves", ctypes.c_int),
    )


def packed(taps: Tensor, lanes: int) -> Tensor:
    """Weights (taps, channels, outputs) as the tiles read them: block of outputs, tap, channel, output of the block."""
    outputs = taps.shape[2]
    blocks = -(-outputs // lanes)
    most = 3 if blocks % 3 == 0 else 2 if blocks > 1 else 1  # as `vectors` of kernels.c
    padded = taps.new_zeros((*taps.shape[:2], blocks * lanes))
    padded[:, :, :outputs] = taps
    parts = [padded[:, :, b * lanes : min(b + most, blocks) * lanes] for b in range(0, blocks, most)]
    return torch.cat([part.reshape(-1) for part in parts])


def whole_vectors(values: Tensor, lanes: int) -> Tensor:
    """The last axis filled up with zeros to a multiple of `lanes`."""
    count = values.shape[-1]
    out = values.new_zeros((*values.shape[:-1], -(-count // lanes) * lanes))
    out[..., :count] = values
    return out
