"""Weights laid out for the kernels, and the layers that they make."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from vbp.graph.operations import Conv
from vbp.native.structures import Layer

FLOAT_BYTES = 4


class PackedConv:
    """A convolution's weights as the kernels read them, and the layer that they make of a size of input."""

    def __init__(self, lanes: int, op: Conv) -> None:
        outputs, channels, kh, kw = op.weight.shape
        w = op.window
        self.op = op
        self.winograd = w.stride == w.dilation == (1, 1) and winograd_pays(op.weight, lanes)
        if self.winograd:
            self.weight = transformed(op.weight, lanes)
        else:
            self.weight = packed(op.weight.permute(2, 3, 1, 0).reshape(kh * kw, channels, outputs), lanes)
        self.bias = whole_vectors(op.bias, lanes)
        self._offsets: dict[tuple[int, int], ctypes.Array[ctypes.c_long]] = {}

    def layer(self, x_stride: tuple[int, ...], out: tuple[int, ...], top: int, relu: bool) -> Layer:
        """All but the pointers to the maps. x_stride: of what it takes; out: (N, outputs, h, w), channels last.

        top: rows that are left out above what it takes.
        """
        w = self.op.window
        n, outputs, rows, columns = out
        channels = self.op.weight.shape[1]
        offsets = self._taps(x_stride[2], x_stride[3])
        # Taps of a row lie behind one another: they count as one tap of more channels.
        together = w.kernel[1] if w.dilation[1] == 1 and not self.winograd else 1
        return Layer(
            weight=self.weight.data_ptr(),
            bias=self.bias.data_ptr(),
            offset=ctypes.addressof(offsets),
            channels=channels * together,
            outputs=outputs,
            h=rows,
            w=columns,
            taps=len(offsets),
            frames=n,
            x_frame=x_stride[0],
            x_row=x_stride[2] * w.stride[0],
            x_pixel=x_stride[3] * w.stride[1],
            out_frame=outputs * rows * columns,
            out_row=outputs * columns,
            out_pixel=outputs,
            first=top,
            rows=(w.kernel[0] - 1) * w.dilation[0] + 1,
            stride=w.stride[0],
            relu=int(relu),
            winograd=int(self.winograd),
        )

    def _taps(self, row: int, pixel: int) -> ctypes.Array[ctypes.c_long]:
        """Where each tap looks, from the first on, in floats."""
        found = self._offsets.get((row, pixel))
        if found is None:
            (kh, kw), (dh, dw) = self.op.window.kernel, self.op.window.dilation
            columns = range(0, kw, kw if dw == 1 else 1)
            places = [y * dh * row + x * dw * pixel for y in range(kh) for x in columns]
            found = self._offsets[row, pixel] = (ctypes.c_long * len(places))(*places)
        return found


def packed(taps: Tensor, lanes: int) -> Tensor:
    """Weights (taps, channels, outputs) as the tiles read them: block of outputs, tap, channel, output of the block."""
    outputs = taps.shape[2]
    blocks = -(-outputs // lanes)
    most = 3 if blocks % 3 == 0 else 2 if blocks > 1 else 1  # as `vectors` of the kernels
    padded = taps.new_zeros((*taps.shape[:2], blocks * lanes))
    padded[:, :, :outputs] = taps
    parts = [padded[:, :, b * lanes : min(b + most, blocks) * lanes] for b in range(0, blocks, most)]
    return torch.cat([part.reshape(-1) for part in parts])


WINOGRAD = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=torch.float64)
MOST_TRANSFORMED = (
    512 * 1024
)  # bytes of transformed weights, which every strip reads: they have to stay in the cache


def winograd_pays(weight: Tensor, lanes: int) -> bool:
    """Whether a convolution of stride 1 with weight (outputs, channels, kh, kw) is to go by F(2x2, 3x3)."""
    outputs, channels, kh, kw = weight.shape
    size = 16 * channels * -(-outputs // lanes) * lanes * 4
    return kh == kw == 3 and channels % lanes == 0 and outputs >= lanes and size <= MOST_TRANSFORMED


def transformed(weight: Tensor, lanes: int) -> Tensor:
    """G w G^T of F(2x2, 3x3) (Lavin and Gray 2016, Eq. 8), computed in float64, as the kernels read it."""
    outputs, channels = weight.shape[:2]
    both = torch.einsum("ay,kcyx,bx->abck", WINOGRAD, weight.double(), WINOGRAD).float()
    return torch.cat([packed(place[None], lanes) for place in both.reshape(16, channels, outputs)])


def whole_vectors(values: Tensor, lanes: int) -> Tensor:
    """The last axis filled up with zeros to a multiple of `lanes`."""
    count = values.shape[-1]
    out = values.new_zeros((*values.shape[:-1], -(-count // lanes) * lanes))
    out[..., :count] = values
    return out
