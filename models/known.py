"""Which networks are known by name. A new one is a line here; its file is loaded when its specification is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from vbp.models.spec import NetworkSpec


def _spec(place: str, *arguments: Any, **named: Any) -> Callable[[], NetworkSpec]:
    """What makes a specification: the function at "FILE.FUNCTION" of this package, with these arguments."""

    def make() -> NetworkSpec:
        file, name = place.split(".")
        function = getattr(import_module(f"vbp.models.{file}"), name)
        return cast("NetworkSpec", function(*arguments, **named))

    return make


SPECS: dict[str, Callable[[], NetworkSpec]] = {
    "NetSVF": _spec("steering.netsvf"),
    "NetHVF": _spec("steering.nethvf"),
    "NetSign": _spec("signs.netsign"),
    "PilotNet": _spec("pilotnet.pilotnet"),
    "VGG-16": _spec("vgg.vgg16"),
    "VGG-16-BN": _spec("vgg.vgg16", batch_norm=True),
    "ResNet-18": _spec("resnet.resnet", 18),
    "ResNet-50": _spec("resnet.resnet", 50),
    "ResNet-200": _spec("resnet.resnet200"),
    "ResNetV2-50": _spec("resnet.resnetv2"),
}

# Those of them whose weights others publish, which published.py reads.
PUBLISHED = ("VGG-16", "VGG-16-BN", "ResNet-18", "ResNet-50", "ResNet-200", "ResNetV2-50")
