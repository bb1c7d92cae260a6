"""ROS1 bags: one .bag file, or a folder of bags split by sensor or by time, as one drive."""

from __future__ import annotations

from pathlib import Path

from vbp.drives.bag_drive import open_files
from vbp.drives.base import Drive, OpenOptions
from vbp.drives.part_files import parts_of
from vbp.drives.rosbag1_file import ANY_VERSION, Rosbag1File
from vbp.reading import has_magic

SUFFIXES = (".bag", ".bag.active")  # .active: left by a recorder that crashed


def sniff(path: Path) -> bool:
    """Whether it is a bag, or a folder with bags in it."""
    if path.is_dir():
        return bool(parts_of(path, SUFFIXES, ANY_VERSION))
    return has_magic(path, ANY_VERSION)


def open(path: Path, options: OpenOptions) -> Drive:
    """Open a bag or a folder of bags. Raises DriveError."""
    parts = parts_of(path, SUFFIXES, ANY_VERSION) if path.is_dir() else [path]
    return open_files("rosbag1", path, parts, Rosbag1File, options)
