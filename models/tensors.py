"""Safetensors files, whatever they are called: the library reads only those whose names are text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open


@contextmanager
def open_tensors(path: Path, framework: str) -> Iterator[Any]:
    """What `safetensors.safe_open` gives. framework: "pt" or "numpy". Raises SafetensorError, OSError."""
    try:
        str(path).encode()
    except (
        UnicodeEncodeError
    ):  # by the system's name for an open file, which it has wherever such names can be
        with path.open("rb") as file, safe_open(f"/dev/fd/{file.fileno()}", framework=framework) as tensors:
            yield tensors
    else:
        with safe_open(str(path), framework=framework) as tensors:
            yield tensors
