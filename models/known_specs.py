"""The specifications of the networks known by name, as they are before training; signs.py has NetSign's."""

from __future__ import annotations

from dataclasses import replace

from vbp.models.spec import CropRule, NetworkSpec

# Table 1: the same convolutions for NetSVF and NetHVF, kernel 3x3, no padding.
WIDTHS = (32, 32, 48, 48, 64, 64, 96, 96, 128, 128)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 2, 1, 2)
HIDDEN = (1024, 512)
# Table 1 gives 349 -> 173 columns for NetHVF's second convolution, where a 3x3 window with stride 2 has
# room for 174. Leaving out the last of the 349 columns makes every row equal the table.
NETHVF_TRIMS = (0, 1, 0, 0, 0, 0, 0, 0, 0, 0)

PILOTNET_SIZE = (66, 200)  # height, width

# Of the pictures that published weights were trained on, RGB from 0 to 1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IMAGENET_CLASSES = 1000


def netsvf(rows: int = 125) -> NetworkSpec:
    """NetSVF, small vertical field of view: the bottom `rows` rows of a 640x480 frame, unscaled.

    125 rows give Table 1's sizes; the text says 135, which fits the same weights.
    """
    return _of_table_1("NetSVF", rows, 640)


def nethvf(rows: int = 125) -> NetworkSpec:
    """NetHVF, high vertical field of view: the bottom 228 rows (for 125) of 640x480, scaled by 351/640."""
    return _of_table_1("NetHVF", rows, 351, trims=list(NETHVF_TRIMS))


def _of_table_1(name: str, rows: int, columns: int, **more: list[int]) -> NetworkSpec:
    return NetworkSpec(
        name=name,
        architecture="steering",
        arguments={"widths": list(WIDTHS), "strides": list(STRIDES), "hidden": list(HIDDEN), **more},
        input_height=rows,
        input_width=columns,
        crop=CropRule("bottom", rows=round(rows * 640 / columns), of_width=640),
    )


def pilotnet() -> NetworkSpec:
    """PilotNet on the bottom of a 640x480 frame, in YUV; its output is the inverse turning radius in 1/m, left positive.

    The paper's first layer, a normalisation that is not learnt, is the specification's: from 0 to 255 to -1 to 1.
    To become a steering wheel angle, 1/r needs a car: here the Lincoln MKZ of the Udacity recordings.
    """
    return NetworkSpec(
        name="PilotNet",
        architecture="pilotnet",
        arguments={},
        input_height=PILOTNET_SIZE[0],
        input_width=PILOTNET_SIZE[1],
        channels=3,
        colour="yuv",
        mean=0.5,
        std=0.5,
        crop=CropRule("bottom", rows=211, of_width=640),  # 211 of 640 is 66 of 200
        output_unit="1/m",
        wheelbase_m=2.85,
        steering_ratio=14.8,
    )


def vgg16(batch_norm: bool = False) -> NetworkSpec:
    """VGG-16 for the 1000 classes of ImageNet, with a BatchNorm after each convolution or without."""
    return imagenet(
        "VGG-16-BN" if batch_norm else "VGG-16",
        "vgg",
        {"classes": IMAGENET_CLASSES, "batch_norm": batch_norm},
    )


def imagenet(name: str, architecture: str, arguments: dict[str, object]) -> NetworkSpec:
    """A classifier of ImageNet's pictures, 224x224 RGB, normalised as published weights expect it."""
    return NetworkSpec(
        name=name,
        architecture=architecture,
        arguments=arguments,
        input_height=224,
        input_width=224,
        channels=3,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        output="class",
    )


def resnet200() -> NetworkSpec:
    """ResNet-200 of He et al. 2016: pre-activation, 3 + 24 + 36 + 3 bottleneck blocks."""
    return imagenet(
        "ResNet-200",
        "resnet",
        {"depth": 200, "pre_activation": True, "stem_norm": True, "classes": IMAGENET_CLASSES},
    )


def resnetv2(depth: int = 50) -> NetworkSpec:
    """The same with as many layers, as timm builds and normalises its resnetv2_50, _101 and _152."""
    arguments: dict[str, object] = {
        "depth": depth,
        "pre_activation": True,
        "stem_norm": False,
        "classes": IMAGENET_CLASSES,
    }
    return replace(imagenet(f"ResNetV2-{depth}", "resnet", arguments), mean=0.5, std=0.5)


def resnet(depth: int) -> NetworkSpec:
    """ResNet-18, -34, -50, -101 or -152 of He et al. 2015, with the ReLU after the sum."""
    arguments: dict[str, object] = {"depth": depth, "pre_activation": False, "classes": IMAGENET_CLASSES}
    return imagenet(f"ResNet-{depth}", "resnet", arguments)
