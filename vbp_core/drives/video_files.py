"""Which files are videos, and which steering CSV belongs to which of them."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path

from vbp.drives.csv_layout import lists_steering, require_layout
from vbp.drives.paths import leads_out, natural_key
from vbp.drives.tables import first_columns, read_table
from vbp.errors import DriveError
from vbp.reading import read_head

VIDEO_SUFFIXES = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".ts",
        ".mts",
        ".m2ts",
        ".mpg",
        ".mpeg",
        ".flv",
        ".wmv",
        ".asf",
        ".ogv",
        ".3gp",
        ".y4m",
        ".ivf",
        ".mxf",
        ".h264",
        ".h265",
        ".hevc",
        ".264",
        ".265",
        ".nut",
    ]
)
_PICTURE_SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"])

_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"pnot", b"uuid")
_PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
_STARTS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"OggS",
    b"DKIF",
    b"YUV4MPEG2",
    b"nut/multimedia container",
    b"\x06\x0e\x2b\x34",  # MXF
    b"\0\0\1\xba",  # MPEG program stream
    b"\0\0\1\xb3",  # MPEG video
    b"\0\0\0\1\x67",  # H.264
    b"\0\0\1\x67",
    b"\0\0\0\1\x40\x01",  # H.265
)
_PICTURE_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6", b"RIFF")

_MANY = 20_000  # files of a folder that are looked at


def looks_like_video(path: Path) -> bool:
    """By the first bytes; by the name alone only for what is no picture. Never raises."""
    try:
        head = read_head(path, 600)
    except (OSError, ValueError):
        return False
    if head[4:8] in _BOXES:
        return head[8:12] not in _PICTURE_BRANDS
    if head.startswith(_STARTS) or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return True
    if any(len(head) > at + 2 * n and head[at] == head[at + n] == head[at + 2 * n] == 0x47 for at, n in _TS):
        return True
    # A file that calls itself a video deserves to be told what is wrong with it as one.
    return path.suffix.lower() in VIDEO_SUFFIXES and not head.startswith(_PICTURE_STARTS)


_TS = ((0, 188), (4, 192))  # where the sync bytes of a transport stream are, and how far apart


def videos_in(folder: Path) -> list[Path]:
    """The videos directly in `folder`, in natural order; none if it is a folder of pictures."""
    found, pictures = [], 0
    with os.scandir(folder) as entries:
        for entry in islice(entries, _MANY):
            suffix = os.path.splitext(entry.name)[1].lower()
            if suffix in _PICTURE_SUFFIXES:
                pictures += 1
                if pictures > 1:
                    return []
            elif suffix in VIDEO_SUFFIXES and not entry.name.startswith("."):
                path = Path(entry.path)
                if looks_like_video(path) and not leads_out(path, folder):
                    found.append(path)
    return sorted(found, key=lambda p: natural_key(p.name))


def csv_for(video: Path) -> tuple[Path | None, list[str]]:
    """(the steering CSV that belongs to `video`, notes). Raises DriveError where that cannot be told."""
    beside = [p for p in _files(video.parent, {".csv"}) if lists_steering(p)]
    fits = {p: _fit(video, p) for p in beside}
    best = max(fits.values(), default=0)
    if best == 0:
        if len(beside) == 1 and len(_files(video.parent, VIDEO_SUFFIXES)) == 1:
            return beside[0], [
                f"the steering angles were taken from {beside[0].name}, the only CSV beside the video"
            ]
        if beside:
            return None, [f"no steering CSV matches the video's name: {_names(beside)}"]
        return None, _unused(video)
    taken = [p for p in beside if fits[p] == best]
    if len(taken) > 1:
        raise DriveError(
            f"several steering CSVs match {video}: {_names(taken)}; open the right one, "
            f"or rename it {video.stem}.csv"
        )
    others = [p for p in beside if 0 < fits[p] < best]
    notes = (
        [f"the steering angles were taken from {taken[0].name}; {_names(others)} would match too"]
        if others
        else []
    )
    return taken[0], notes


def _unused(video: Path) -> list[str]:
    """Why a CSV that bears the video's name gives no steering."""
    for path in _files(video.parent, {".csv"}):
        if path.stem.casefold() == video.stem.casefold():
            try:
                require_layout(read_table(path, keep=()).columns, path)
            except DriveError as error:
                return [f"no steering: {error}"]
    return []


def video_for(csv: Path) -> tuple[Path, list[str]]:
    """(the video that a steering CSV belongs to, notes). Raises DriveError."""
    beside = [
        p for p in _files(csv.parent, VIDEO_SUFFIXES) if looks_like_video(p) and not leads_out(p, csv.parent)
    ]
    if not beside:
        raise DriveError(
            f"{csv} has steering angles, but there is no video beside it; put the video into its folder"
        )
    fits = {p: _fit(p, csv) for p in beside}
    best = max(fits.values())
    taken = [p for p in beside if fits[p] == best]
    if len(taken) > 1:
        raise DriveError(
            f"{csv} could belong to several videos: {_names(taken)}; open the right video, "
            f"or name the CSV after it"
        )
    note = f"the video {taken[0].name} is used, the only one beside {csv.name}"
    return taken[0], [note] if best == 0 else []


def _fit(video: Path, csv: Path) -> int:
    """How well the names belong together: 0 not at all."""
    v, c = video.stem.casefold(), csv.stem.casefold()
    steering = 1 if "steer" in c else 0
    if "predicted_deg" in first_columns(csv):
        steering -= 1  # written by `vbp predict`, perhaps from the very CSV that is looked for
    if v == c:
        return 9 + steering
    if c.startswith(v) and c[len(v)] in "_-. ":
        return 6 + steering
    v_words, c_words = re.split(r"[_\-. ]+", v), re.split(r"[_\-. ]+", c)
    if len(v_words) > 1 and v_words[:-1] == c_words[:-1]:
        return 3 + steering
    return 0


def _files(folder: Path, suffixes: frozenset[str] | set[str]) -> list[Path]:
    with os.scandir(folder) as entries:
        names = [e.name for e in islice(entries, _MANY) if os.path.splitext(e.name)[1].lower() in suffixes]
    return [folder / name for name in sorted(names, key=natural_key) if not name.startswith(".")]


def _names(paths: list[Path]) -> str:
    return ", ".join(p.name for p in paths[:10]) + (f" and {len(paths) - 10} more" if len(paths) > 10 else "")
