"""What the kernels take, as ctypes structures."""

from __future__ import annotations

import ctypes

POINTER, LONG, FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_float


class Layer(ctypes.Structure):
    """`layer` of tiles.h."""

    _fields_ = (
        *((name, POINTER) for name in ("x", "weight", "bias", "out", "mean", "below", "offset", "top")),
        *((name, LONG) for name in ("channels", "outputs", "h", "w", "taps", "frames")),
        *((name, LONG) for name in ("x_frame", "x_row", "x_pixel", "out_frame", "out_row", "out_pixel")),
        *((name, LONG) for name in ("below_row", "below_pixel", "first", "rows", "stride")),
        *((name, FLOAT) for name in ("eps", "factor")),
        ("relu", ctypes.c_int),
        ("winograd", ctypes.c_int),
    )


class Step(ctypes.Structure):
    """`step` of mask.h."""

    _fields_ = (
        ("mean", POINTER),
        ("h", LONG),
        ("w", LONG),
        *((name, LONG * 2) for name in ("kernel", "stride", "padding", "dilation", "size")),
        ("moves", ctypes.c_int),
    )
