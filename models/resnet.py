"""Residual networks: ResNet-200 with pre-activation (He et al. 2016, "Identity mappings"), and ResNet-18 and -50.

Their layers are named as those who publish weights name them: with pre-activation as timm's resnetv2, the others as
torchvision's (version 1.5 of the bottleneck, with the stride in the 3x3 convolution).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

import torch
from torch import nn

from vbp.errors import ModelError
from vbp.models.initial import check_arguments, check_picture, initialised
from vbp.models.known_specs import IMAGENET_CLASSES
from vbp.models.spec import NetworkSpec
from vbp.models.wired import Wire, WiredNetwork, Wiring

WIDTHS = (64, 128, 256, 512)
# Blocks in each of the four stages. 18 and 34 are of two 3x3 convolutions a block, the others of 1x1, 3x3 and 1x1.
BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
EXPANSION = 4


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class PreActivationBlock(nn.Module):
    """x + conv3(relu(norm3(conv2(relu(norm2(conv1(relu(norm1(x)))))))), He et al. 2016, Figure 1b.

    Where the size changes, the skip is a 1x1 convolution of what comes after the first ReLU. `first`: without norm1, as
    its input comes from a ReLU.
    """

    def __init__(self, inputs: int, width: int, stride: int, first: bool) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.norm1 = None if first else nn.BatchNorm2d(inputs)
        self.conv1 = conv(inputs, width, 1)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride)
        self.norm3 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, outputs, 1)
        self.downsample = None
        if inputs != outputs:
            self.downsample = nn.Sequential(OrderedDict(conv=conv(inputs, outputs, 1, stride)))

    def wire(self, wiring: Wiring, x: int) -> int:
        active = x if self.norm1 is None else wiring.relu(self.norm1, wiring.layer(self.norm1, x))
        out = active
        for layer, norm in ((self.conv1, self.norm2), (self.conv2, self.norm3)):
            out = wiring.relu(norm, wiring.layer(norm, wiring.layer(layer, out)))
        skip = x if self.downsample is None else wiring.layer(self.downsample, active)
        return wiring.sum(self, wiring.layer(self.conv3, out), skip)


class PreActivationResNet(WiredNetwork):
    """Input (N, 3, height, width) float32; output (N, classes), scores.

    stem_norm: BatchNorm and ReLU right behind the first convolution, and none at the start of the first block, as in the
    paper (appendix) and the code that its ResNet-200 comes from; timm's resnetv2 goes without.
    """

    def __init__(self, blocks: tuple[int, ...], classes: int, stem_norm: bool) -> None:
        super().__init__()
        stem: OrderedDict[str, nn.Module] = OrderedDict(conv=conv(3, WIDTHS[0], 7, 2))
        if stem_norm:
            stem["norm"], stem["relu"] = nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(inplace=True)
        stem["pool"] = nn.MaxPool2d(3, 2, 1)
        self.stem = nn.Sequential(stem)
        stages = []
        inputs = WIDTHS[0]
        for stage, (width, count) in enumerate(zip(WIDTHS, blocks, strict=True)):
            layers = []
            for i in range(count):
                stride = 2 if stage and not i else 1
                layers.append(PreActivationBlock(inputs, width, stride, stem_norm and not stage and not i))
                inputs = width * EXPANSION
            stages.append(nn.Sequential(OrderedDict(blocks=nn.Sequential(*layers))))
        self.stages = nn.Sequential(*stages)
        self.norm = nn.BatchNorm2d(inputs)
        self.head = nn.Sequential(
            OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(inputs, classes))
        )

    def wires(self) -> list[Wire]:
        wiring = Wiring()
        x = wiring.layer(self.stem, 0)
        for block in _blocks(self.stages, PreActivationBlock):
            x = block.wire(wiring, x)
        wiring.layer(self.head, wiring.relu(self.norm, wiring.layer(self.norm, x)))
        return wiring.wires


class Block(nn.Module):
    """relu(x + norm(conv(...))), He et al. 2015, Figure 5: two 3x3 convolutions, or 1x1, 3x3 and 1x1."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = width * EXPANSION if bottleneck else width
        self.conv1 = conv(inputs, width, 1) if bottleneck else conv(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride if bottleneck else 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, outputs, 1) if bottleneck else None
        self.bn3 = nn.BatchNorm2d(outputs) if bottleneck else None
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def wire(self, wiring: Wiring, x: int) -> int:
        out = wiring.relu(self.bn1, wiring.layer(self.bn1, wiring.layer(self.conv1, x)))
        out = wiring.layer(self.bn2, wiring.layer(self.conv2, out))
        if self.conv3 is not None and self.bn3 is not None:
            out = wiring.layer(self.bn3, wiring.layer(self.conv3, wiring.relu(self.bn2, out)))
        skip = x if self.downsample is None else wiring.layer(self.downsample, x)
        return wiring.relu(self, wiring.sum(self, out, skip))


class ResNet(WiredNetwork):
    """The networks of He et al. 2015. Input (N, 3, height, width) float32; output (N, classes), scores."""

    def __init__(self, blocks: tuple[int, ...], classes: int, bottleneck: bool) -> None:
        super().__init__()
        self.conv1 = conv(3, WIDTHS[0], 7, 2)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = WIDTHS[0]
        for stage, (width, count) in enumerate(zip(WIDTHS, blocks, strict=True)):
            layers = []
            for i in range(count):
                layers.append(Block(inputs, width, 2 if stage and not i else 1, bottleneck))
                inputs = width * EXPANSION if bottleneck else width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(inputs, classes)

    def wires(self) -> list[Wire]:
        wiring = Wiring()
        x = wiring.relu(self.bn1, wiring.layer(self.bn1, wiring.layer(self.conv1, 0)))
        x = wiring.layer(self.maxpool, x)
        for block in _blocks(self, Block):
            x = block.wire(wiring, x)
        wiring.layer(self.fc, wiring.layer(self.flatten, wiring.layer(self.avgpool, x)))
        return wiring.wires


B = TypeVar("B", PreActivationBlock, Block)


def _blocks(module: nn.Module, kind: type[B]) -> list[B]:
    """In order, from the input to the output."""
    return [m for m in module.modules() if isinstance(m, kind)]


def build_resnet(spec: NetworkSpec) -> nn.Module:
    """The residual network that `spec` describes, with fresh weights. Raises ModelError.

    What the blocks add is scaled by one over the root of their number, so that the sum has the same size at any depth.
    """
    arguments = check_arguments(
        spec, {"depth": 200, "pre_activation": True, "stem_norm": True, "classes": IMAGENET_CLASSES}
    )
    depth, classes = int(str(arguments["depth"])), int(str(arguments["classes"]))
    pre_activation, stem_norm = bool(arguments["pre_activation"]), bool(arguments["stem_norm"])
    blocks = BOTTLENECK.get(depth) or ({} if pre_activation else BASIC).get(depth)
    if blocks is None:
        known = [*([] if pre_activation else BASIC), *BOTTLENECK]
        raise ModelError(f"there is no ResNet of depth {depth}; accepted: {', '.join(map(str, known))}")
    check_picture(spec)
    if spec.channels != 3 or min(spec.input_height, spec.input_width) < 32:
        raise ModelError("a ResNet takes colour pictures of at least 32x32")
    found = blocks
    if pre_activation:
        network: nn.Module = initialised(lambda: PreActivationResNet(found, classes, stem_norm))
    else:
        network = initialised(lambda: ResNet(found, classes, depth in BOTTLENECK))
    with torch.no_grad():
        for m in network.modules():
            if isinstance(m, PreActivationBlock | Block):
                (m.conv3 or m.conv2).weight.mul_(sum(blocks) ** -0.5)
    return network
