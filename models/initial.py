"""Initial weights of networks that are large or deep: made once, and neither vanishing nor exploding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from vbp.errors import ModelError
from vbp.models.spec import NetworkSpec

M = TypeVar("M", bound=nn.Module)

MAX_CLASSES = 100_000
MAX_PIXELS = 2**21  # of an input: 400 MB of activations in VGG-16's first layers
LAST = 0.01  # standard deviation of the last layer's weights, so that an untrained network is undecided


def initialised(make: Callable[[], M]) -> M:
    """make() with the initial weights of He et al. 2015: normal, of variance 2 / fan-in, so that ReLUs keep the size of activations.

    The last dense layer's are small. BatchNorm is the identity, biases are zero. Where the default device is "meta" the
    network stays without memory. The random numbers are torch's, as they are seeded.
    """
    with torch.device("meta"):  # torch's own initial weights would take as long again
        network = make()
    if torch.empty(0).is_meta:
        return network
    network.to_empty(device="cpu")
    last = [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        for m in network.modules():
            if isinstance(m, nn.Conv2d | nn.Linear):
                spread = LAST if m is last else (2 / m.weight[0].numel()) ** 0.5
                m.weight.normal_(0.0, spread)
                if m.bias is not None:
                    m.bias.zero_()
            elif isinstance(m, nn.BatchNorm2d):
                m.reset_parameters()
    return network


def check_picture(spec: NetworkSpec) -> None:
    """A file must not be able to ask for all the memory there is. Raises ModelError."""
    if spec.input_height * spec.input_width > MAX_PIXELS:
        raise ModelError(
            f"an input of {spec.input_height}x{spec.input_width} has more pixels than the {MAX_PIXELS:,} that this "
            "network is run on"
        )


def check_arguments(spec: NetworkSpec, allowed: dict[str, object]) -> dict[str, object]:
    """The arguments of a specification, with defaults for those left out. Raises ModelError.

    allowed: name -> default; what is given has the default's type, and "classes" is at least 1.
    """
    if unknown := sorted(set(spec.arguments) - set(allowed)):
        raise ModelError(
            f"the architecture {spec.architecture} has no {', '.join(unknown)}; accepted: {', '.join(allowed)}"
        )
    for name, value in spec.arguments.items():
        if type(value) is not type(allowed[name]):
            raise ModelError(
                f"{name} of the architecture {spec.architecture} is {str(value)[:40]!r}; "
                f"a value like {allowed[name]!r} is accepted"
            )
    values = {**allowed, **spec.arguments}
    classes = values.get("classes", 1)
    if not isinstance(classes, int) or not 1 <= classes <= MAX_CLASSES:
        raise ModelError(f"{classes} classes are not possible; accepted: 1 to {MAX_CLASSES}")
    return values
