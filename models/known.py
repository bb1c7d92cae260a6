"""Which networks are known by name, said without torch. A new one is a line here; its specification is made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
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
    "NetSVF": _spec("known_specs.netsvf"),
    "NetHVF": _spec("known_specs.nethvf"),
    "NetSign": _spec("signs.netsign"),
    "PilotNet": _spec("known_specs.pilotnet"),
    "VGG-16": _spec("known_specs.vgg16"),
    "VGG-16-BN": _spec("known_specs.vgg16", batch_norm=True),
    "ResNet-18": _spec("known_specs.resnet", 18),
    "ResNet-50": _spec("known_specs.resnet", 50),
    "ResNet-200": _spec("known_specs.resnet200"),
    "ResNetV2-50": _spec("known_specs.resnetv2"),
}

# Those of them whose weights others publish, which published.py reads.
PUBLISHED = ("VGG-16", "VGG-16-BN", "ResNet-18", "ResNet-50", "ResNet-200", "ResNetV2-50")

WEIGHTS = Path(__file__).parent / "weights"  # that ship with the program
SPEC_KEY = "vbp.spec"  # of the specification in a file of weights


@dataclass(frozen=True)
class NetworkEntry:
    """A name that `load_network` takes, its weights file (None: fresh weights), and a word on it."""

    name: str
    path: Path | None
    note: str

    def spec(self) -> NetworkSpec:
        """As it stands in the weights file, where there is one. Raises SafetensorError, OSError."""
        if self.path is None:
            return SPECS[self.name]()
        from vbp.models.spec import NetworkSpec
        from vbp.models.tensors import open_tensors

        with open_tensors(self.path, "numpy") as file:
            return NetworkSpec.from_json(file.metadata()[SPEC_KEY])


def available() -> list[NetworkEntry]:
    entries = []
    for name in SPECS:
        path = WEIGHTS / f"{name.lower()}.safetensors"
        if path.exists():
            entries.append(NetworkEntry(name, path, "trained"))
        else:
            entries.append(NetworkEntry(name, None, "untrained: random weights"))
    return entries
