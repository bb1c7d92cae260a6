"""The weights in an HDF5 file by Keras, for each layer in the order in which Keras keeps them.

Links, virtual and external data sets would lead out of the file; they are refused. Numbers are read when a layer has said
what shape it needs, so that a file cannot ask for more memory than a layer has.
"""

from __future__ import annotations

import math
import re
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vbp.errors import ModelError
from vbp.models.keras_config import Layer

RATIO = 200  # of what gzip unpacks to what is stored
PARTS = ("vars", "cell/vars", "layer/vars", "layer/cell/vars")  # of one layer's group, in Keras 3's files
FOLDERS = ("layers", "_layer_checkpoint_dependencies")
MAX_ARRAYS = 100  # of one layer
FILTERS = (1, 2, 3, 6)  # deflate, shuffle, fletcher32, scaleoffset


class Store:
    """An open file with weights. by_order: those that Keras 1 and 2 wrote, in which layers have names."""

    def __init__(self, file: h5py.File) -> None:
        self.file = file
        self.version = str(attribute(file, "keras_version") or "")
        root = child(file, "model_weights") if "model_weights" in file else file
        if not isinstance(root, h5py.Group):
            raise ModelError("model_weights in it is no group")
        self.root = root
        self.theano = attribute(root, "backend") == "theano"
        self.by_name = names(root, "layer_names") is not None

    def arrays(self, layers: list[Layer]) -> dict[int, list[h5py.Dataset]]:
        """Those of each layer, by id(layer), of nested layers too. Raises ModelError."""
        found: dict[int, list[h5py.Dataset]] = {}
        if not self.by_name:
            _by_number(self.root, layers, found)
            return found
        known = set(names(self.root, "layer_names") or ())
        for layer in layers:
            group = child(self.root, layer.name) if layer.name in known and layer.name in self.root else None
            entries = []
            if isinstance(group, h5py.Group):
                entries = [(name, dataset(group, name)) for name in names(group, "weight_names") or ()]
            if layer.model is None:
                found[id(layer)] = [data for _, data in entries]
            else:
                _distribute(entries, layer, found)
        return found


def _distribute(
    entries: list[tuple[str, h5py.Dataset]], layer: Layer, found: dict[int, list[h5py.Dataset]]
) -> None:
    """The weights of a model in a model stand in one group; their names begin with their layers' ("conv_1/kernel:0")."""
    leaves = list(_leaves(layer))
    for name, data in entries:
        parts = name.split("/")[:-1]
        inside = [leaf for leaf in leaves if leaf.name in parts]
        inside = inside or [leaf for leaf in leaves if name.startswith(f"{leaf.name}_")]
        if not inside:
            raise ModelError(f"it holds weights {name[:60]} of {layer.name}, which has no such layer")
        owner = max(inside, key=lambda leaf: len(leaf.name))
        found.setdefault(id(owner), []).append(data)


def _leaves(layer: Layer) -> list[Layer]:
    if layer.model is None:
        return [layer]
    return [leaf for inner in layer.model.layers for leaf in _leaves(inner)]


def _by_number(group: h5py.Group, layers: list[Layer], found: dict[int, list[h5py.Dataset]]) -> None:
    """Keras 3 numbers the layers of a model by their class, in the order of the configuration."""
    folder = next((name for name in FOLDERS if name in group), None)
    if folder is None:
        raise ModelError("it holds no weights that Keras has written: no layer_names, and no layers")
    inside, counts = child(group, folder), dict[str, int]()
    for layer in layers:
        kind = snake(layer.written_as)
        count = counts[kind] = counts.get(kind, -1) + 1
        key = f"{kind}_{count}" if count else kind
        if not isinstance(inside, h5py.Group) or key not in inside:
            continue
        own = child(inside, key)
        if not isinstance(own, h5py.Group):
            raise ModelError(f"{folder}/{key} in it is no group")
        if layer.model is not None:
            _by_number(own, layer.model.layers, found)
            continue
        for part in PARTS:
            variables = own
            for step in part.split("/"):
                variables = child(variables, step) if step in variables else None
                if not isinstance(variables, h5py.Group):
                    break
            else:
                numbers = sorted(int(k) for k in variables if k.isdecimal())[:MAX_ARRAYS]
                found.setdefault(id(layer), []).extend(dataset(variables, str(k)) for k in numbers)


def snake(name: str) -> str:
    """As Keras names the groups of its classes: Conv2D conv2d, BatchNormalization batch_normalization."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def read_array(data: h5py.Dataset, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The numbers of a data set that has to be of this shape. Raises ModelError of what is wrong with it."""
    if tuple(data.shape or ()) != shape:
        raise ModelError(f"its weights are {size(data.shape or ())}, and {size(shape)} is expected")
    if data.dtype.kind not in "fiu" or data.dtype.itemsize > 8:
        raise ModelError(f"its weights are of type {data.dtype}; numbers are expected")
    stored = data.id.get_storage_size()
    if data.nbytes > 65536 + RATIO * stored:
        raise ModelError(
            f"its weights are {data.nbytes:,} bytes, of which the file holds {stored:,}; it is damaged"
        )
    try:
        values = np.asarray(data[()], dtype=np.float32)
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"its weights cannot be read, the file is damaged ({str(error)[:80]})") from error
    if not np.isfinite(values).all():
        raise ModelError("its weights hold values that are not finite; the network is broken")
    return values


def size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"


def child(group: Any, name: str) -> Any:
    """What stands in a group under this name, if it stands in this very file."""
    for part in name.split("/"):
        if not isinstance(group, h5py.Group) or part in ("", ".", "..") or part not in group:
            raise ModelError(f"it lacks the weights {name[:80]}")
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ModelError(f"{name[:80]} in it is a link, which is not followed")
        group = group[part]
    return group


def dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    found = child(group, name)
    if not isinstance(found, h5py.Dataset):
        raise ModelError(f"{name[:80]} in it is no array")
    plist = found.id.get_create_plist()
    if found.is_virtual or found.external:
        raise ModelError(f"{name[:80]} in it lies in another file, which is not opened")
    if any(plist.get_filter(i)[0] not in FILTERS for i in range(plist.get_nfilters())):
        raise ModelError(f"{name[:80]} in it is compressed in a way that Keras does not use")
    if math.prod(found.shape or ()) > 2**31:
        raise ModelError(f"{name[:80]} in it has {math.prod(found.shape or ()):,} numbers, which is too many")
    return found


def attribute(holder: Any, name: str) -> Any:
    """An attribute as text, a list of texts, or None."""
    if name not in holder.attrs:
        return None
    value = holder.attrs[name]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in value.ravel()]
    return str(value)


def names(group: h5py.Group, name: str) -> list[str] | None:
    """A list of names, which Keras writes in pieces (layer_names0, ...) where it is long."""
    whole = attribute(group, name)
    if whole is not None:
        return whole if isinstance(whole, list) else [whole]
    found: list[str] = []
    for i in range(1000):
        piece = attribute(group, f"{name}{i}")
        if piece is None:
            break
        found += piece if isinstance(piece, list) else [piece]
    return found or None
