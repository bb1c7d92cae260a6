"""Notes as one page (HTML): each with the pictures where it begins, in its middle and where it ends, under their masks, and
the angles there."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from vbp.errors import VbpError
from vbp.explain.registry import METHODS
from vbp.export.facts import check_settings
from vbp.export.frames import Source, open_source
from vbp.export.job import Job, Part
from vbp.export.registry import CancelledError, Progress
from vbp.files import whole_file
from vbp.frames.strengths import weights
from vbp.html_page import MARK, gallery, jpeg, page
from vbp.overlay import lay
from vbp.readable import clock, count, signed
from vbp.results import VBP, FrameResult, MapRequest

WIDTH = 480  # pixels of a picture
TITLE = "Notes on "


def write(job: Job, progress: Progress) -> Path:
    """Each of `job.parts` is a note: its title's first line is what it is called, the others what it says.

    Raises VbpError, CancelledError.
    """
    if not job.parts:
        raise VbpError(
            "there are no notes to write a page of; write some in the window (Shift+B), and save the session"
        )
    check_settings(job.settings)
    with whole_file(job.output, is_ours, job.drive_path, job.force) as temporary, open_source(job) as source:
        temporary.write_text(_page(source, _pictures(source, progress)), encoding="utf-8")
    return job.output


@dataclass(frozen=True)
class _Picture:
    """data: JPEG; empty of a gap."""

    data: bytes
    said: str


def _shown(part: Part) -> list[int]:
    return list(dict.fromkeys((part.first, (part.first + part.last) // 2, part.last)))


def _pictures(source: Source, progress: Progress) -> dict[int, _Picture]:
    """By the frame. Raises CancelledError."""
    indices = np.unique([frame for part in source.job.parts for frame in _shown(part)])
    made: dict[int, _Picture] = {}
    with closing(source.frames(indices, (MapRequest(),), layers=False)) as frames:
        for frame in frames:
            made[frame.index] = _Picture(_drawn(frame, source), _said(frame, source))
            if not progress(len(made), len(indices)):
                raise CancelledError("the export was cancelled")
    return made


def _drawn(frame: FrameResult, source: Source) -> bytes:
    if frame.image is None:
        return b""
    overlay, result = source.job.settings.overlay, frame.result
    mask, rect = (result.map(), result.crop) if result is not None else (None, None)
    return jpeg(lay(frame.image, mask, rect, overlay, *weights(frame.strength, source.usual, overlay)), WIDTH)


def _said(frame: FrameResult, source: Source) -> str:
    result, usual = frame.result, source.usual
    angles = (("driven", frame.driven_rad), ("predicted", frame.predicted_rad), ("error", frame.error_rad))
    known = [f"{name} {signed(float(np.degrees(value)))}°" for name, value in angles if np.isfinite(value)]
    if result is not None and (classes := result.classes) is not None:
        known = [f"{classes.name} {100 * classes.probability:.0f} %"]
        known += [f"true class {classes.label_name}"] * (classes.label >= 0)
    weak = usual.words(frame.strength, frame.spread) if usual is not None and result is not None else ""
    warning = (result.warning if result is not None else "") or weak
    return ", ".join(filter(None, (f"frame {frame.index}", *known, frame.gap, warning, frame.edits.words)))


def _page(source: Source, pictures: dict[int, _Picture]) -> str:
    job, drive, engine = source.job, source.drive, source.engine
    title = f"{TITLE}{drive.info.name}"
    about = (
        f"{count(len(job.parts), 'note')} on {drive.info.name}; masks: {METHODS[VBP].title} of {engine.name}."
    )
    remarks = list(job.remarks)
    if not engine.network.trained:
        remarks.append(f"{engine.name} has random weights: its masks mean nothing.")
    said = "".join(f'<p class="note">{escape(text)}</p>' for text in remarks)
    start = int(drive.timestamps_ns[0])
    notes = "".join(_note(part, int(drive.timestamps_ns[part.first]) - start, pictures) for part in job.parts)
    return page(title, f'<h1>{escape(title)}</h1><p class="lead">{escape(about)}</p>{said}{notes}')


def _note(part: Part, ns: int, pictures: dict[int, _Picture]) -> str:
    """ns: nanoseconds from the drive's first frame."""
    name, *lines = part.title or ("",)
    shown = [pictures[frame] for frame in _shown(part)]
    drawn = gallery([(p.said, p.data) for p in shown if p.data])
    without = [p.said for p in shown if not p.data]
    text = "".join(f"<p>{escape(line)}</p>" for line in (*lines, *without) if line)
    return f"<h2>{escape(clock(ns / 1e9))} {escape(name)}</h2>{text}{drawn}"


def is_ours(path: Path) -> bool:
    """Whether an existing file is empty, or a page of notes."""
    with path.open("rb") as file:
        head = file.read(2048)
    return not head or (head.startswith(MARK) and f"<title>{TITLE}".encode() in head)
