"""The weights in an HDF5 file by Keras, for each layer in the order in which Keras keeps them."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from vbp.errors import ModelError
from vbp.models.hdf5 import Contents
from vbp.models.keras_config import Layer

PARTS = ("vars", "cell/vars", "layer/vars", "layer/cell/vars")  # of one layer's group, in Keras 3's files
FOLDERS = ("layers", "_layer_checkpoint_dependencies")

Entry = tuple[str, NDArray[np.float32] | str]  # a name, and an array or why it is not read


class Store:
    """The weights of a file. by_name: as Keras 1 and 2 wrote them, with a group for each layer, called as it is."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.root = "model_weights/" if "model_weights" in contents.attributes else ""
        self.version = str(self.attribute("", "keras_version") or "")
        self.theano = self.attribute(self.root.rstrip("/"), "backend") == "theano"
        self.by_name = self.names(self.root.rstrip("/"), "layer_names") is not None
        self.groups: dict[str, list[str]] = {}  # the arrays in each group, in order
        for path in contents.arrays:
            self.groups.setdefault(path.rpartition("/")[0], []).append(path)

    def attribute(self, group: str, name: str) -> str | list[str] | None:
        return self.contents.attributes.get(group, {}).get(name)

    def names(self, group: str, name: str) -> list[str] | None:
        """A list of names, which Keras writes in pieces (layer_names0, ...) where it is long."""
        whole = self.attribute(group, name)
        if whole is not None:
            return whole if isinstance(whole, list) else [whole]
        found: list[str] = []
        for i in range(1000):
            piece = self.attribute(group, f"{name}{i}")
            if piece is None:
                break
            found += piece if isinstance(piece, list) else [piece]
        return found or None

    def arrays(self, layers: list[Layer]) -> dict[int, list[Entry]]:
        """Those of each layer, by id(layer), of nested layers too. Raises ModelError."""
        found: dict[int, list[Entry]] = {}
        if not self.by_name:
            self._by_number(self.root, layers, found)
            return found
        for layer in layers:
            group = f"{self.root}{layer.name}"
            entries = [
                self._entry(name, f"{group}/{name}") for name in self.names(group, "weight_names") or ()
            ]
            if layer.model is None:
                found[id(layer)] = entries
            else:
                _distribute(entries, layer, found)
        return found

    def _entry(self, name: str, path: str) -> Entry:
        value = self.contents.arrays.get(path)
        while value is None and "/" in path:  # a group on the way may be a link
            path = path.rpartition("/")[0]
            value = self.contents.arrays.get(path)
        if value is None:
            raise ModelError(f"it lacks the weights {name[:80]}")
        return name, value

    def _by_number(self, above: str, layers: list[Layer], found: dict[int, list[Entry]]) -> None:
        """Keras 3 numbers the layers of a model by their class, in the order of the configuration."""
        folder = next((f for f in FOLDERS if any(g.startswith(f"{above}{f}/") for g in self.groups)), None)
        if folder is None:
            return
        counts: dict[str, int] = {}
        for layer in layers:
            kind = snake(layer.written_as)
            count = counts[kind] = counts.get(kind, -1) + 1
            own = f"{above}{folder}/{kind}_{count}" if count else f"{above}{folder}/{kind}"
            if layer.model is not None:
                self._by_number(f"{own}/", layer.model.layers, found)
                continue
            for part in PARTS:
                paths = [p for p in self.groups.get(f"{own}/{part}", ()) if p.rpartition("/")[2].isdecimal()]
                paths.sort(key=lambda p: int(p.rpartition("/")[2]))
                found.setdefault(id(layer), []).extend((p, self.contents.arrays[p]) for p in paths)


def _distribute(entries: list[Entry], layer: Layer, found: dict[int, list[Entry]]) -> None:
    """The weights of a model in a model stand in one group; their names begin with their layers' ("conv_1/kernel:0")."""
    leaves = list(_leaves(layer))
    for name, data in entries:
        parts = name.split("/")[:-1]
        inside = [leaf for leaf in leaves if leaf.name in parts]
        inside = inside or [leaf for leaf in leaves if name.startswith(f"{leaf.name}_")]
        if not inside:
            raise ModelError(f"it holds weights {name[:60]} of {layer.name}, which has no such layer")
        owner = max(inside, key=lambda leaf: len(leaf.name))
        found.setdefault(id(owner), []).append((name, data))


def _leaves(layer: Layer) -> list[Layer]:
    if layer.model is None:
        return [layer]
    return [leaf for inner in layer.model.layers for leaf in _leaves(inner)]


def snake(name: str) -> str:
    """As Keras names the groups of its classes: Conv2D conv2d, BatchNormalization batch_normalization."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def read_array(entry: Entry, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The numbers, which have to be of this shape. Raises ModelError of what is wrong with them."""
    values = entry[1]
    if isinstance(values, str):
        raise ModelError(f"its weights {entry[0][:80]} {values}")
    if values.shape != shape:
        raise ModelError(f"its weights are {size(values.shape)}, and {size(shape)} is expected")
    if not np.isfinite(values).all():
        raise ModelError("its weights hold values that are not finite; the network is broken")
    return values


def size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"


def shape_of(entry: Entry) -> tuple[int, ...]:
    return () if isinstance(entry[1], str) else entry[1].shape
