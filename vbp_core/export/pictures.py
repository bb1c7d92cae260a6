"""A clip as a folder of PNG files, with a list of what each shows."""

from __future__ import annotations

import csv
import os
import shutil
from contextlib import closing, suppress
from pathlib import Path

from vbp.errors import VbpError
from vbp.export.job import Job
from vbp.export.part_file import busy, part_name, reason
from vbp.export.picture import to_png
from vbp.export.registry import CancelledError, Progress
from vbp.export.render import Clip, open_clip
from vbp.files import lock_file
from vbp.frames import table
from vbp.readable import cell
from vbp.reading import read_head

LIST = "frames.csv"
LOCK = ".vbp-lock"  # while they are being written
FIRST, LAST = "file", "time_ns"  # beside the columns of a frame; time_ns: in the clip, from 0
# How the list begins, of this version and of those before it.
HEADS = (f"{FIRST},{table.HEAD.decode()}", "file,time_ns,frame,timestamp_ns,driven_deg")


def write(job: Job, progress: Progress) -> Path:
    """Pictures 000000.png, ... in the folder `job.output`, which has its name when all are there.

    A folder that stands there is replaced only if it holds nothing but such pictures. Interrupted (Ctrl-C), it
    leaves them in `NAME.part`. Raises VbpError, CancelledError.
    """
    target = Path(os.path.realpath(job.output))
    _check(target, job)
    part = part_name(target)
    if part.exists() and not is_ours(part):
        raise VbpError(f"{part} is in the way and was not written by vbp; move it, or choose another name")
    with open_clip(job) as clip:
        try:
            part.mkdir(exist_ok=True)
            with lock_file(part / LOCK, busy(job.output)):
                try:
                    for left in part.iterdir():  # of an export that was stopped
                        if left.name != LOCK:
                            left.unlink()
                    _write_all(part, clip, progress)
                except (KeyboardInterrupt, SystemExit):
                    _remove_lock(part)
                    raise
                except BaseException:
                    shutil.rmtree(part, ignore_errors=True)
                    raise
                if os.name != "nt":  # there, the folder of an open file cannot be moved
                    _put(part, target)
            if os.name == "nt":
                _put(part, target)
        except OSError as error:
            raise VbpError(f"{job.output} cannot be written: {reason(error)}") from error
    return job.output


def _check(target: Path, job: Job) -> None:
    if not target.parent.is_dir():
        raise VbpError(f"{target.parent} is no folder; make it first, or write {target.name} elsewhere")
    if target.exists() and not target.is_dir():
        raise VbpError(f"{job.output} is a file; give the name of a folder for the pictures")
    if target.exists() and not is_ours(target):
        raise VbpError(f"{job.output} holds files that vbp did not export; choose another folder")
    if target == Path(os.path.realpath(job.drive_path)):
        raise VbpError(f"{job.output} is the recording itself; choose another folder")


def _write_all(part: Path, clip: Clip, progress: Progress) -> None:
    drive, engine, timeline = clip.source.drive.info.name, clip.source.engine, clip.timeline
    with (part / LIST).open("w", newline="", encoding="utf-8") as file, closing(clip.pictures()) as pictures:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow((FIRST, *table.columns_of(engine.spec), LAST))
        file.flush()  # by which what is left of a killed export is known
        for at, frame, picture in pictures:
            name = f"{at:06d}.png"
            unfinished = part / f"{name}.part"
            unfinished.write_bytes(to_png(picture))
            unfinished.replace(part / name)
            row = table.row_of(frame, drive, engine.name, engine.spec)
            rows.writerow((name, *map(cell, row), int(timeline.times_ns[at])))
            if not progress(at + 1, len(timeline)):
                raise CancelledError("the export was cancelled")


def _put(part: Path, target: Path) -> None:
    """A folder cannot be replaced in one step: the old one goes away first, and comes back if that fails."""
    old = part_name(part)
    if target.exists():
        target.rename(old)
    try:
        part.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    _remove_lock(target)
    shutil.rmtree(old, ignore_errors=True)


def _remove_lock(folder: Path) -> None:
    with suppress(OSError):  # on Windows, while it is held
        (folder / LOCK).unlink()


def is_ours(folder: Path) -> bool:
    """Whether a folder is empty, or holds the pictures of an export and nothing else."""
    if not folder.is_dir():
        return False
    names = {p.name for p in folder.iterdir()} - {LOCK}
    if not names:
        return True
    if LIST not in names:
        return False
    try:
        header = read_head(folder / LIST, 200).decode("utf-8", "replace").partition("\n")[0].strip()
    except OSError:  # it is no file
        return False
    stems = {n.removesuffix(".part").removesuffix(".png") for n in names - {LIST}}
    return header.startswith(HEADS) and all(s.isascii() and s.isdecimal() and len(s) == 6 for s in stems)
