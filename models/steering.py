"""The steering networks of the paper (Table 1), as one parameterised network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import nn

from vbp.errors import ModelError
from vbp.models.known_specs import HIDDEN, STRIDES, WIDTHS
from vbp.models.spec import NetworkSpec

T = TypeVar("T")

MAX_PARAMETERS = 500_000_000
MAX_ACTIVATIONS = 2**28  # values that one frame leaves in memory; NetSVF: 8 million


class SteeringNet(nn.Sequential):
    """Convolutions, each preceded by BatchNorm and followed by ReLU, then fully connected layers.

    Input (N, channels, height, width) float32; output (N, outputs). `last_norm` puts one more
    BatchNorm between the last convolution and the first fully connected layer, as in the network
    that the paper's authors released. `trims` are columns left out at the right before each convolution.
    """

    def __init__(
        self,
        input_height: int,
        input_width: int,
        channels: int = 1,
        widths: Sequence[int] = WIDTHS,
        strides: Sequence[int] = STRIDES,
        hidden: Sequence[int] = HIDDEN,
        outputs: int = 1,
        kernel: int = 3,
        last_norm: bool = False,
        trims: Sequence[int] = (),
    ) -> None:
        trims = trims or [0] * len(widths)
        sizes = output_sizes(input_height, input_width, widths, strides, kernel, trims)
        features: list[nn.Module] = []
        previous = channels
        for width, stride, trim in zip(widths, strides, trims, strict=True):
            if trim:
                features.append(nn.ZeroPad2d((0, -trim, 0, 0)))
            features += [
                nn.BatchNorm2d(previous),
                nn.Conv2d(previous, width, kernel, stride),
                nn.ReLU(inplace=True),
            ]
            previous = width
        if last_norm:
            features.append(nn.BatchNorm2d(previous))
        head: list[nn.Module] = [nn.Flatten()]
        fan = previous * sizes[-1][1] * sizes[-1][2]
        for units in hidden:
            head += [nn.Linear(fan, units), nn.ReLU(inplace=True)]
            fan = units
        head.append(nn.Linear(fan, outputs))
        super().__init__()
        self.features = nn.Sequential(*features)
        self.head = nn.Sequential(*head)


def output_sizes(
    input_height: int,
    input_width: int,
    widths: Sequence[int],
    strides: Sequence[int],
    kernel: int,
    trims: Sequence[int],
) -> list[tuple[int, int, int]]:
    """(maps, height, width) of each convolution's output. Raises ModelError where nothing would be left."""
    if not widths or not len(widths) == len(strides) == len(trims) or min([*widths, *strides, kernel]) < 1:
        raise ModelError("a steering network needs one stride for each width, all of them at least 1")
    if min(trims) < 0:
        raise ModelError("a steering network cannot trim less than no column")
    sizes = []
    height, width = input_height, input_width
    for maps, stride, trim in zip(widths, strides, trims, strict=True):
        height, width = (height - kernel) // stride + 1, (width - trim - kernel) // stride + 1
        if height < 1 or width < 1:
            raise ModelError(
                f"an input of {input_height}x{input_width} is too small for {len(widths)} convolutions of this network"
            )
        sizes.append((maps, height, width))
    return sizes


def build_steering(spec: NetworkSpec) -> SteeringNet:
    """The network that `spec` describes, with fresh weights. Raises ModelError."""
    allowed = {"widths", "strides", "hidden", "outputs", "kernel", "last_norm", "trims"}
    arguments: dict[str, Any] = dict(spec.arguments)
    if unknown := set(arguments) - allowed:
        raise ModelError(
            f"a steering network has no {', '.join(sorted(unknown))}; accepted: {sorted(allowed)}"
        )
    try:
        widths = [int(v) for v in arguments.get("widths", WIDTHS)]
        strides = [int(v) for v in arguments.get("strides", STRIDES)]
        hidden = [int(v) for v in arguments.get("hidden", HIDDEN)]
        trims = [int(v) for v in arguments.get("trims", [0] * len(widths))]
        outputs, kernel = int(arguments.get("outputs", 1)), int(arguments.get("kernel", 3))
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"the arguments of the steering network cannot be read ({error})") from error
    sizes = output_sizes(spec.input_height, spec.input_width, widths, strides, kernel, trims)
    if min([*hidden, outputs]) < 1:
        raise ModelError("the fully connected layers need at least one unit each")
    # A file must not be able to ask for all the memory there is.
    fans = [spec.channels, *widths]
    dense = [sizes[-1][0] * sizes[-1][1] * sizes[-1][2], *hidden, outputs]
    count = sum(a * b * kernel * kernel for a, b in zip(fans, widths, strict=False))
    count += sum(a * b for a, b in pairwise(dense))
    if count > MAX_PARAMETERS:
        raise ModelError(
            f"the network would have {count:,} parameters; at most {MAX_PARAMETERS:,} are accepted"
        )
    values = spec.channels * spec.input_height * spec.input_width + sum(m * h * w for m, h, w in sizes)
    if values > MAX_ACTIVATIONS:
        raise ModelError(
            f"the network would compute {values:,} values for one frame; at most {MAX_ACTIVATIONS:,} are accepted"
        )
    return SteeringNet(
        spec.input_height,
        spec.input_width,
        spec.channels,
        widths,
        strides,
        hidden,
        outputs,
        kernel,
        bool(arguments.get("last_norm", False)),
        trims,
    )


def seeded(build: Callable[[], T], seed: int = 0) -> T:
    """Call `build()` with torch's generator seeded, leaving the caller's random state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()
