"""NumPy's .npy files, whatever they are called: plain numbers, never a pickle."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vbp.errors import DriveError
from vbp.reading import read_file

MOST_BYTES = 2**26
MOST_S = 4e9  # of a time; in nanoseconds it fits int64
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_numbers(path: Path) -> NDArray[np.float64]:
    """The numbers of an array (N,) or (N, 1), as float64 (N,). Raises DriveError for any other file.

    Not by `numpy.load`, which takes as much memory as the header asks for.
    """
    try:
        data = read_file(path, MOST_BYTES)
    except OSError as error:
        raise DriveError(f"{path} cannot be read: {error.strerror or error}") from error
    file = io.BytesIO(data)
    try:
        shape, _, dtype = _HEADERS[npy.read_magic(file)](file)
    except Exception as error:  # the header is text for Python's parser: it may hold anything
        raise DriveError(f"{path} is not a NumPy array, or its header is damaged") from error
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise DriveError(f"{path} holds no numbers but {str(dtype)[:40]}")
    if len(shape) not in (1, 2) or shape[1:] not in ((), (1,)) or shape[0] < 0:
        raise DriveError(f"{path} is an array of the shape {str(shape)[:40]}, not a list of numbers")
    count = math.prod(shape)
    if count * dtype.itemsize > len(data) - file.tell():
        raise DriveError(f"{path} is cut short: its header states {str(count)[:20]} numbers")
    return np.frombuffer(data, dtype, count, file.tell()).astype(np.float64)


def nanoseconds(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64 (N,) of times that are all less than MOST_S."""
    return np.round(seconds * 1e9).astype(np.int64)
