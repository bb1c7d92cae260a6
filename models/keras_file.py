"""Keras files: .h5 and .hdf5 (with any name), .keras, and model.json with weights; what is in them, as data."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbp.errors import ModelError
from vbp.models.hdf5 import read_hdf5
from vbp.models.keras_sniff import CONFIG, HDF5_SUFFIXES, SIGNATURE, WEIGHTS, is_hdf5, names_layers
from vbp.models.keras_weights import Store
from vbp.reading import read_file, read_head, read_member

MAX_JSON = 64_000_000  # bytes; those in public files have up to 30 000
MAX_WEIGHTS = 2_000_000_000  # bytes
RATIO = 20  # of what deflate unpacks to what is stored; more is no honest file


@dataclass
class KerasFile:
    """config: the architecture, as the JSON in the file. weights: the numbers. version: of Keras, as text."""

    config: dict[str, Any]
    weights: Store
    version: str


def read_keras(path: Path, weights: Path | None = None) -> KerasFile:
    """What is in the file. weights: a file with the weights of an architecture in JSON.

    Raises ModelError, OSError, and whatever a damaged file makes of its reading.
    """
    if read_head(path, 2) == b"PK":
        _no_weights_beside(path, weights)
        return _zip(path)
    if is_hdf5(path):
        return _hdf5(path, weights)
    if path.suffix.lower() in HDF5_SUFFIXES:
        raise ModelError(f"it is no HDF5 file, which its name says it is; {AGAIN}")
    config = _json(path)
    found = weights or _beside(path, lambda p: p.suffix.lower() in HDF5_SUFFIXES and is_hdf5(p))
    if found is None:
        raise ModelError(
            "it is an architecture without weights: give --weights FILE.h5, or put the weights beside it, as "
            f"{path.with_suffix('.h5').name}"
        )
    return _with_weights(config, found)


AGAIN = "copy it again, or save it again from Keras with model.save"


def _no_weights_beside(path: Path, weights: Path | None) -> None:
    if weights is not None:
        raise ModelError(f"it has weights of its own, and {weights} was given too; leave it out")


def _beside(path: Path, fits: Any) -> Path | None:
    """The file of the same name with another suffix, or the only one beside it that fits; none that leads out of the folder."""
    folder = path.resolve().parent
    try:
        names = sorted(folder.iterdir())[:1000]
    except OSError:
        return None
    found = [p for p in names if p.is_file() and p.resolve().parent == folder and fits(p)]
    same = [p for p in found if p.name.split(".")[0] == path.name.split(".")[0]]
    return same[0] if same else found[0] if len(found) == 1 else None


def _json(path: Path) -> dict[str, Any]:
    return parse(read_file(path, MAX_JSON), path.name)


def parse(text: Any, where: str) -> dict[str, Any]:
    """JSON, also inside a JSON string. Raises ModelError."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    for _ in range(3):
        if not isinstance(text, str):
            break
        try:
            text = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(
                f"the configuration in {where} is no JSON ({str(error)[:80]}); {AGAIN}"
            ) from error
    if not isinstance(text, dict):
        raise ModelError(f"the configuration in {where} describes no Keras model")
    return text


def _hdf5(path: Path, weights: Path | None) -> KerasFile:
    store = Store(read_hdf5(_bytes(path)))
    text = store.attribute("", "model_config")
    if text is None:
        config = _beside(path, _is_architecture) if weights is None else None
        if config is None:
            raise ModelError(
                "it holds weights and no architecture: open the model.json that belongs to it (--model model.json "
                f"--weights {path.name}), or save the whole model from Keras with model.save"
            )
        return _with_weights(_json(config), path, store)
    _no_weights_beside(path, weights)
    return KerasFile(parse(text, "model_config"), store, store.version)


def _is_architecture(path: Path) -> bool:
    return path.suffix.lower() == ".json" and names_layers(path)


def _bytes(path: Path) -> bytes:
    """All of a file; as much memory as it has bytes."""
    size = path.stat().st_size
    if size > MAX_WEIGHTS:
        raise ModelError(f"it has {size:,} bytes; at most {MAX_WEIGHTS:,} are read")
    return read_file(path, size)


def _with_weights(config: dict[str, Any], path: Path, store: Store | None = None) -> KerasFile:
    if not path.is_file():
        raise ModelError(f"there is no weights file {path}")
    if not is_hdf5(path):
        raise ModelError(f"its weights {path} are no HDF5 file; {AGAIN}")
    store = store or Store(read_hdf5(_bytes(path)))
    return KerasFile(config, store, str(config.get("keras_version") or store.version))


def _zip(path: Path) -> KerasFile:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist()}
        missing = [name for name in (CONFIG, WEIGHTS) if name not in members]
        if missing:
            raise ModelError(f"it lacks {' and '.join(missing)}, which every .keras file has; {AGAIN}")
        config = parse(_member(archive, members[CONFIG], MAX_JSON), CONFIG)
        data = _member(archive, members[WEIGHTS], MAX_WEIGHTS)
        version = ""
        if "metadata.json" in members:
            version = str(
                parse(_member(archive, members["metadata.json"], 65536), "metadata.json").get("keras_version")
            )
    if data[:8] != SIGNATURE:
        raise ModelError(f"{WEIGHTS} in it is no HDF5 file; {AGAIN}")
    return KerasFile(config, Store(read_hdf5(data)), version)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    if info.flag_bits & 1:
        raise ModelError(f"{info.filename} in it is encrypted")
    if info.file_size > most or info.file_size > 2**20 + RATIO * info.compress_size:
        raise ModelError(
            f"{info.filename} in it unpacks to {info.file_size:,} bytes, which is too large to be true"
        )
    return read_member(archive, info.filename, info.file_size)
