"""The formats that can be written. A new one is a file with `write(job, progress)` and a line here."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from vbp.errors import VbpError
from vbp.export.job import Job

# progress(done, total) -> False to cancel, which the writer answers with CancelledError.
Progress = Callable[[int, int], bool]

# A file's suffix, or the name of a format that no suffix tells -> the module that writes it. The module has
# `write(job, progress) -> Path`: what was written, whole and under its final name. It raises VbpError.
WRITERS: dict[str, str] = {
    ".mp4": "vbp.export.video",
    ".mov": "vbp.export.video",
    ".mkv": "vbp.export.video",
    ".gif": "vbp.export.gif",
    ".png": "vbp.export.picture",
    ".csv": "vbp.export.numbers",
    ".parquet": "vbp.export.numbers",
    ".mcap": "vbp.export.mcap_file",
    "pictures": "vbp.export.pictures",  # a folder of PNG files
    "notes": "vbp.export.notes",  # a page (HTML) of parts with what was noted on them
}
CLIPS = (".mp4", ".mov", ".mkv", ".gif")
OF_PARTS = (*CLIPS, "notes")


class CancelledError(VbpError):
    """The export was cancelled, and nothing of it is left."""


def format_of(job: Job) -> str:
    """The key of WRITERS that a job asks for, by its format or its output's suffix. Raises VbpError."""
    asked = job.settings.format.lower()
    for name in (asked, f".{asked}") if asked else (job.output.suffix.lower(),):
        if name in WRITERS:
            return name
    if asked:
        raise VbpError(f"there is no format {asked!r}; accepted: {', '.join(WRITERS)}")
    raise VbpError(
        f"{job.output} does not say what to write; end it in one of {', '.join(n for n in WRITERS if n.startswith('.'))}, "
        "or say --format pictures for a folder of PNG files"
    )


def export(job: Job, progress: Progress = lambda done, total: True) -> Path:
    """Write what `job` asks for. Raises VbpError; CancelledError when `progress` returned False."""
    kind = format_of(job)
    if job.parts and kind not in OF_PARTS:
        raise VbpError(
            f"{job.output} cannot be a reel, which is one clip; end it in one of {', '.join(CLIPS)}"
        )
    write: Callable[[Job, Progress], Path] = import_module(WRITERS[kind]).write
    return write(job, progress)
