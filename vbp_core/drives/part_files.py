"""Files of one kind in a folder, recognised by their first bytes."""

from __future__ import annotations

import os
import shlex
from itertools import islice
from pathlib import Path

from vbp.drives.paths import leads_out, natural_key
from vbp.reading import LFS, has_magic

# As a whole: the recorders and `rosbag compress` compress parts of a file, which is read as it is
_UNPACK = {
    ".zst": "zstd -d",
    ".zstd": "zstd -d",
    ".lz4": "lz4 -d",
    ".gz": "gzip -dc",
    ".xz": "xz -dc",
    ".bz2": "bzip2 -dc",
}

_MANY = 2_000  # files of a folder that are looked at


def lfs_pointer(path: Path) -> Path | None:
    """The file if it is a Git LFS pointer, or of a folder the first that is one, there or a folder below."""
    if path.is_file():
        return path if has_magic(path, LFS) else None
    if not path.is_dir():
        return None
    files = (
        Path(place, name)
        for place, below, names in os.walk(path)
        if not _deep(place, path, below)
        for name in names
    )
    return next((file for file in islice(files, _MANY) if has_magic(file, LFS)), None)


def _deep(place: str, root: Path, below: list[str]) -> bool:
    below.sort(key=natural_key)
    return len(Path(place).relative_to(root).parts) > 1


def parts_of(folder: Path, suffixes: tuple[str, ...], magic: bytes) -> list[Path]:
    """Files directly in a folder with one of the suffixes and the magic, in natural order of their names."""
    try:
        # As text: a folder of pictures has hundreds of thousands of other names.
        names = [n for n in os.listdir(folder) if n.lower().endswith(suffixes) and not n.startswith(".")]
    except OSError:
        return []
    paths = [folder / name for name in sorted(names, key=natural_key)]
    return [path for path in paths if has_magic(path, magic) and not leads_out(path, folder)]


def compressed_parts(path: Path) -> list[Path]:
    """Bags that a compressor went over and that are not unpacked beside it: `path` itself, or those directly in it."""
    packed = tuple(suffix + end for suffix in (".bag", ".db3", ".mcap") for end in _UNPACK)
    folder = path if path.is_dir() else path.parent
    try:
        names = os.listdir(folder) if folder == path else [path.name]
    except OSError:
        return []
    found = [folder / name for name in sorted(names, key=natural_key) if name.lower().endswith(packed)]
    return [file for file in found if not file.with_suffix("").exists()]


def how_to_unpack(files: list[Path]) -> str:
    """One sentence on files that are compressed as a whole."""
    first = files[0]
    command, unpacked = _UNPACK[first.suffix.lower()], shlex.quote(first.stem)
    to = f"> {unpacked}" if command.endswith("-dc") else f"-o {unpacked}" if "zstd" in command else unpacked
    return (
        f"{first} is compressed as a whole; unpack it with `{command} {shlex.quote(first.name)} {to}` and open "
        + ("it again" if len(files) == 1 else "the folder again when all are unpacked")
    )
