"""NVIDIA's PilotNet (Bojarski et al. 2016, "End to end learning for self-driving cars", Figure 4)."""

from __future__ import annotations

from torch import nn

from vbp.errors import ModelError
from vbp.models.initial import check_arguments, initialised
from vbp.models.known_specs import PILOTNET_SIZE
from vbp.models.spec import NetworkSpec

# Maps, kernel and stride of the five convolutions, without padding; then the dense layers before the output.
CONVOLUTIONS = ((24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1))
HIDDEN = (100, 50, 10)


class PilotNet(nn.Sequential):
    """Input (N, 3, 66, 200) float32; output (N, 1). The paper names no activation: ReLU, as all who build it take."""

    def __init__(self) -> None:
        features: list[nn.Module] = []
        maps, (rows, columns) = 3, PILOTNET_SIZE
        for outputs, kernel, stride in CONVOLUTIONS:
            features += [nn.Conv2d(maps, outputs, kernel, stride), nn.ReLU(inplace=True)]
            maps, rows, columns = outputs, (rows - kernel) // stride + 1, (columns - kernel) // stride + 1
        head: list[nn.Module] = [nn.Flatten()]
        fan = maps * rows * columns  # 1152, which the figure prints as 1164
        for units in HIDDEN:
            head += [nn.Linear(fan, units), nn.ReLU(inplace=True)]
            fan = units
        super().__init__()
        self.features = nn.Sequential(*features)
        self.head = nn.Sequential(*head, nn.Linear(fan, 1))


def build_pilotnet(spec: NetworkSpec) -> PilotNet:
    """PilotNet with fresh weights. Raises ModelError."""
    check_arguments(spec, {})
    if (spec.channels, spec.input_height, spec.input_width) != (3, *PILOTNET_SIZE):
        raise ModelError("PilotNet takes colour pictures of {}x{}".format(*PILOTNET_SIZE))
    return initialised(PilotNet)
