"""Is a file by Keras? By what is in it, without reading it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from vbp.reading import open_file

SIGNATURE = b"\x89HDF\r\n\x1a\n"
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
HDF5_SUFFIXES = (".h5", ".hdf5")
BLOCKS = (0, *(512 << i for i in range(8)))  # where the signature may stand


def is_hdf5(path: Path) -> bool:
    """The signature may stand behind a block of the user's own, of 512, 1024, ... bytes."""
    try:
        with open_file(path) as file:
            for offset in BLOCKS:
                file.seek(offset)
                if file.read(8) == SIGNATURE:
                    return True
    except OSError:
        pass
    return False


def names_layers(path: Path) -> bool:
    """JSON, also inside a JSON string, with layers of Keras in it."""
    try:
        with open_file(path) as file:
            head = file.read(65536)
    except OSError:
        return False
    return head.lstrip()[:1] in (b"{", b'"') and b"class_name" in head


def is_keras_archive(path: Path) -> bool:
    """A .keras file: a zip with a configuration and weights."""
    try:
        with open_file(path) as file:
            if file.read(2) != b"PK":
                return False
        with zipfile.ZipFile(path) as archive:
            return {CONFIG, WEIGHTS} <= set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False
