"""ROS2 bags: a folder with metadata.yaml and SQLite or MCAP files, or one .db3 file.

Everything needed is in those files. Of metadata.yaml only the list of files is used, to say what is
missing: it is also what a crashed recorder does not write.
"""

from __future__ import annotations

from pathlib import Path

from vbp.drives import mcap_file
from vbp.drives.bag_drive import open_files
from vbp.drives.base import Drive, OpenOptions
from vbp.drives.mcap_records import MAGIC as MCAP_MAGIC
from vbp.drives.mcap_records import McapFile
from vbp.drives.message_file import MessageFile
from vbp.drives.part_files import compressed_parts, how_to_unpack, parts_of
from vbp.drives.rosbag2_db import MAGIC, Rosbag2Db
from vbp.drives.tables import note_read
from vbp.errors import DriveError
from vbp.reading import has_magic, read_head

METADATA = "metadata.yaml"
SUFFIXES = (".db3", ".db3.active")

_MAX_METADATA = 2**24
_SHOWN = 20  # names in a message


def sniff(path: Path) -> bool:
    """Whether it is an SQLite file, or a folder of a ROS2 bag."""
    if path.is_dir():
        return _metadata(path) is not None or bool(parts_of(path, SUFFIXES, MAGIC))
    return has_magic(path, MAGIC)


def open(path: Path, options: OpenOptions) -> Drive:
    """Open the folder of a ROS2 bag, or one of its SQLite files. Raises DriveError."""
    if not path.is_dir():
        return open_files("rosbag2", path, [path], Rosbag2Db, options)
    parts = parts_of(path, SUFFIXES, MAGIC) + parts_of(path, mcap_file.SUFFIXES, MCAP_MAGIC)
    packed = compressed_parts(path)
    if not parts and packed:
        raise DriveError(how_to_unpack(packed))
    if not parts:
        raise DriveError(f"{path} has a {METADATA} but no readable .db3 or .mcap file beside it")
    have = {part.name for part in parts} | {file.stem for file in packed}
    missing = [name for name in _listed(_metadata(path) or "") if name.removesuffix(".zstd") not in have]
    drive = open_files("rosbag2", path, parts, _make, options)
    note_read(path / METADATA)
    if missing:
        listed = ", ".join(missing[:_SHOWN]) + (
            f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        )
        drive.info.notes.append(f"{METADATA} lists files that are missing or damaged: {listed}")
    return drive


def _make(path: Path) -> MessageFile:
    return McapFile(path) if has_magic(path, MCAP_MAGIC) else Rosbag2Db(path)


def _listed(metadata: str) -> list[str]:
    """Names of the bag's files. Line by line: of `relative_file_paths` alone, or (version 5 and later) of `files` too.

    `- a_0.db3`, `- path: a_0.db3`, `path: "a_0.db3"`, `relative_file_paths: [a_0.db3, a_1.db3]`
    """
    names: dict[str, None] = {}
    for line in metadata.splitlines():
        for item in line.partition("[")[2].split(",") if "[" in line else [line]:
            name = item.strip(" \t-{}]").removeprefix("path:").strip(" \t'\"")
            if name.removesuffix(".zstd").endswith((".db3", ".mcap")):
                names[Path(name).name] = None
    return list(names)


def _metadata(folder: Path) -> str | None:
    """Text of a ROS2 bag's metadata.yaml; None where there is none."""
    try:
        text = read_head(folder / METADATA, _MAX_METADATA).decode("utf-8", "replace")
    except OSError:
        return None
    return text if "rosbag2_bagfile_information" in text else None
