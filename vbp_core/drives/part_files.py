"""Files of one kind in a folder, recognised by their first bytes."""

from __future__ import annotations

from pathlib import Path

from vbp_core.drives.paths import natural_key


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
        names = [
            p for p in folder.iterdir() if p.name.lower().endswith(suffixes) and not p.name.startswith(".")
        ]
    except OSError:
        return []
    return sorted((p for p in names if has_magic(p, magic)), key=lambda p: natural_key(p.name))
