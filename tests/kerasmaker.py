"""Files as Keras 1 and 2 wrote them, made without Keras."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from vbp.models import hdf5, keras_file

RANDOM = np.random.default_rng(0)


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.3, shape).astype(np.float32)


def write(path, config, layers, **attributes):
    """layers: by their names, the arrays of each, by theirs. As Keras 1 and 2 write a whole model."""
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        for name, value in attributes.items():
            file.attrs[name] = value
        root = file.create_group("model_weights") if config is not None else file
        root.attrs["layer_names"] = np.array(list(layers), dtype="S")
        for name, arrays in layers.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = np.array(list(arrays), dtype="S") if arrays else []
            for key, values in arrays.items():
                group[key] = values
    return path


def layer(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, **config}}


def sequential(*layers):
    return {"class_name": "Sequential", "config": list(layers)}


def tiny(path, units=1, kernel=None, bias=None, extra=(), **attributes):
    """A picture of 4x5x3, flattened, and a dense layer."""
    config = sequential(
        *extra,
        layer("Flatten", "flat", batch_input_shape=[None, 4, 5, 3]),
        layer("Dense", "out", units=units),
    )
    arrays = {
        "out/kernel:0": numbers(60, 1) if kernel is None else kernel,
        "out/bias:0": numbers(1) if bias is None else bias,
    }
    return write(path, config, {"flat": {}, "out": arrays}, keras_version="2.2.4", **attributes)


def read_here(patch: pytest.MonkeyPatch) -> None:
    """HDF5 files that are whole are read in the test's own process, which is as right, and quicker."""
    patch.setattr(keras_file, "read_hdf5", lambda data: hdf5.understood(hdf5.answer(data)))
