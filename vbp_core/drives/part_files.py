"""Files of one kind in a folder, recognised by their first bytes."""

from __future__ import annotations

import os
from pathlib import Path

from vbp.drives.paths import natural_key


def has_magic(path: Path, magic: bytes) -> bool:
    """Whether a file starts with `magic`; False for anything that is no readable file."""
    try:
        if not path.is_file():
            return False  # reading a pipe or a device could block
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except (OSError, ValueError):
        return False


def parts_of(folder: Path, suffixes: tuple[str, ...], magic: bytes) -> list[Path]:
    """Files directly in a folder with one of the suffixes and the magic, in natural order of their names."""
    try:
        # As text: a folder of pictures has hundreds of thousands of other names.
        names = [n for n in os.listdir(folder) if n.lower().endswith(suffixes) and not n.startswith(".")]
    except OSError:
        return []
    return [folder / name for name in sorted(names, key=natural_key) if has_magic(folder / name, magic)]
