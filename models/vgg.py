"""VGG-16 (Simonyan and Zisserman 2015, configuration D), layer by layer as torchvision names it."""

from __future__ import annotations

from torch import nn

from vbp.errors import ModelError
from vbp.models.initial import check_arguments, check_picture, initialised
from vbp.models.known_specs import IMAGENET_CLASSES
from vbp.models.spec import NetworkSpec

# Table 1, column D: 3x3 convolutions of so many maps, each block followed by a 2x2 max-pooling.
BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
HIDDEN = 4096
SIDE = 7  # of the last maps, at 224x224


class VGG(nn.Sequential):
    """Input (N, 3, height, width) float32, each a multiple of 224; output (N, classes), scores."""

    def __init__(self, height: int, width: int, classes: int, batch_norm: bool) -> None:
        features: list[nn.Module] = []
        maps = 3
        for block in BLOCKS:
            for width_ in block:
                features.append(nn.Conv2d(maps, width_, 3, padding=1))
                features += [nn.BatchNorm2d(width_)] * batch_norm
                features.append(nn.ReLU(inplace=True))
                maps = width_
            features.append(nn.MaxPool2d(2, 2))
        super().__init__()
        self.features = nn.Sequential(*features)
        if (height, width) != (32 * SIDE, 32 * SIDE):
            self.avgpool = nn.AdaptiveAvgPool2d(SIDE)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Linear(maps * SIDE * SIDE, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(HIDDEN, classes),
        )


def build_vgg(spec: NetworkSpec) -> VGG:
    """VGG-16 as `spec` describes it, with fresh weights. Raises ModelError."""
    arguments = check_arguments(spec, {"classes": IMAGENET_CLASSES, "batch_norm": False})
    height, width = spec.input_height, spec.input_width
    check_picture(spec)
    if spec.channels != 3 or height % (32 * SIDE) or width % (32 * SIDE):
        raise ModelError(
            f"VGG-16 takes colour pictures whose sides are multiples of 224, not {height}x{width} with "
            f"{spec.channels} channels"
        )
    classes, batch_norm = int(str(arguments["classes"])), bool(arguments["batch_norm"])
    return initialised(lambda: VGG(height, width, classes, batch_norm))
