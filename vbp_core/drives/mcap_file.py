"""MCAP recordings with ROS1 or ROS2 messages: one file, or a folder of parts, as one drive."""

from __future__ import annotations

from pathlib import Path

from vbp.drives.bag_drive import open_files
from vbp.drives.base import Drive, OpenOptions
from vbp.drives.mcap_records import MAGIC, McapFile
from vbp.drives.part_files import parts_of
from vbp.reading import has_magic

SUFFIXES = (".mcap", ".mcap.active")


def sniff(path: Path) -> bool:
    """Whether it is an MCAP file, or a folder with such files in it."""
    if path.is_dir():
        return bool(parts_of(path, SUFFIXES, MAGIC))
    return has_magic(path, MAGIC)


def open(path: Path, options: OpenOptions) -> Drive:
    """Open an MCAP file or a folder of them. Raises DriveError."""
    parts = parts_of(path, SUFFIXES, MAGIC) if path.is_dir() else [path]
    return open_files("mcap", path, parts, McapFile, options)
