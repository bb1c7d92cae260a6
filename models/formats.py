"""In which formats networks lie in files: by what a file is known, and what reads it. Nothing heavy is here."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vbp.models.keras_sniff import HDF5_SUFFIXES, is_hdf5, is_keras_archive, names_layers
from vbp.reading import open_file, read_head

OLD_MODEL = "serialized_exported_program.json"  # torch 2.5 to 2.7


@dataclass(frozen=True)
class NetworkFormat:
    """suffixes: of files that are of it, whatever is in them. sniff: by what is in a file. module: has load(path, source).

    shared: suffixes that files of other kinds have, too.
    """

    suffixes: tuple[str, ...]
    sniff: Callable[[Path], bool]
    module: str
    shared: tuple[str, ...] = ()


def is_keras(path: Path) -> bool:
    """HDF5, a zip with a configuration, or JSON that names layers."""
    return is_hdf5(path) or names_layers(path) or is_keras_archive(path)


def is_program(name: str) -> bool:
    """Of a member of a .pt2 archive: the JSON of a program."""
    parts = name.split("/")
    return len(parts) == 3 and parts[1] == "models" and parts[2].endswith(".json")


def is_pt2(path: Path) -> bool:
    """A zip archive with a program's JSON."""
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            return any(is_program(name) or name == OLD_MODEL for name in archive.namelist())
    except Exception:  # whatever a damaged archive makes of zipfile
        return False


def is_onnx(path: Path) -> bool:
    """A protobuf message that begins with the version of ONNX's format, as all writers do."""
    try:
        head = read_head(path, 3)
    except OSError:
        return False
    # field 1 (ir_version) and a small number; then the producer's name, the opsets, the graph or the like
    return (
        len(head) == 3
        and head[0] == 0x08
        and 1 <= head[1] <= 32
        and head[2] in (0x12, 0x1A, 0x22, 0x28, 0x3A, 0x42)
    )


# A new format is a module with load(path, source) and a line here. Files with a specification of their own come last.
FORMATS = (
    NetworkFormat((*HDF5_SUFFIXES, ".keras"), is_keras, "vbp.models.keras", shared=(".json",)),
    NetworkFormat((".pt2",), is_pt2, "vbp.models.pt2"),
    NetworkFormat((".onnx",), is_onnx, "vbp.models.onnx_file"),
)
SUFFIXES = (".safetensors", *(suffix for known in FORMATS for suffix in known.suffixes))
ALL_SUFFIXES = (*SUFFIXES, *(suffix for known in FORMATS for suffix in known.shared))


def format_of(path: Path) -> NetworkFormat | None:
    """Of a file: by what is in it, or else by its name. None of a file by vbp, and of what is no network."""
    suffix = path.suffix.lower()
    named = (known for known in FORMATS if suffix in (*known.suffixes, *known.shared))
    return next((known for known in FORMATS if known.sniff(path)), None) or next(named, None)


def looks_like_network(path: Path) -> bool:
    """A file that is a network, and no recording: by its name, or, as Donkeycar's have none, by what is in it."""
    return path.is_file() and (path.suffix.lower() in SUFFIXES or any(f.sniff(path) for f in FORMATS))
