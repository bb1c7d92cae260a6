"""`vbp notes`: the notes of a session, with their pictures as a page (HTML), or as a table."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vbp.cli.export import Reporter
from vbp.cli.main import print_json
from vbp.drives import Drive, open_drive
from vbp.errors import VbpError
from vbp.export.job import Job, Part, Settings
from vbp.export.registry import export
from vbp.models.source import NetworkSource
from vbp.overlay import Overlay
from vbp.readable import clock, count, printable
from vbp.session.document import Document, load
from vbp.session.fingerprint import fingerprint
from vbp.session.note import Note, placed, title_of
from vbp.session.table import write_notes


@dataclass(frozen=True)
class Opened:
    """A session's recording, and its notes where they stand in it. outside: those that do not."""

    document: Document
    drive: Drive
    notes: list[Note]
    outside: list[Note]
    other: bool  # the recording is not the one that the session was written with


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", type=Path, metavar="FILE.vbp.json", help="a session that the window saved")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.html", help="write a report with pictures and masks"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE.csv", help="write the notes to a table")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--force", action="store_true", help="replace a file that vbp did not write")
    parser.add_argument("--json", action="store_true", help="print the notes as JSON")


def run(args: argparse.Namespace) -> int:
    session = load(args.session)
    if not session.drive:
        raise VbpError(f"{args.session} names no recording; save a session while one is open")
    if not Path(session.drive).exists():
        raise VbpError(
            f"{session.drive}, the recording of {args.session}, is not there; put it there, or open the session in the window"
        )
    known = session.fingerprint
    other = known is not None and fingerprint(Path(session.drive)) != known
    with open_drive(session.drive, session.options) as drive:
        opened = Opened(session, drive, *placed(session.notes, drive.timestamps_ns), other)
        if args.csv is not None:
            write_notes(session.notes, args.csv, drive.info.path, args.force)
        if args.output is not None:
            job = job_of(opened, args.output, args.device, args.force)
            with Reporter(as_json=False) as reporter:
                export(job, reporter.progress)
        _say(args, opened)
    return 0


def job_of(opened: Opened, output: Path, device: str, force: bool) -> Job:
    """The page of a session's notes, as an export: with its network, crop, edits and overlay. Raises VbpError."""
    document, info = opened.document, opened.drive.info
    name = document.networks[0] if document.networks else "NetSVF"
    if NetworkSource.parse(name).is_factory:
        raise VbpError(
            f"{name} is your own code, which a session does not run; save the session with a network from a file"
        )
    parts = tuple(Part(note.frame, note.end, title_of(note)) for note in opened.notes)
    return Job(
        drive_path=Path(document.drive),
        options=document.options,
        model=name,
        device=device,
        output=output,
        first=0,
        last=0,
        force=force,
        settings=Settings(format="notes", overlay=document.overlay or Overlay()),
        crop=document.crop.at(info.height, info.width) if document.crop is not None else None,
        edits=document.edits.to_text() if document.edits else "",
        parts=parts,
        remarks=tuple(_remarks(opened)),
    )


def _say(args: argparse.Namespace, opened: Opened) -> None:
    if args.json:
        print_json(
            {
                "source": opened.document.drive,
                "other_recording": opened.other,
                "notes": [vars(n) for n in opened.document.notes],
            }
        )
        return
    start = int(opened.drive.timestamps_ns[0]) if len(opened.drive) else 0
    for note in opened.notes:
        frames = f"{note.frame}–{note.end}" if note.end > note.frame else str(note.frame)
        time = clock(((note.frame_ns or start) - start) / 1e9)
        print(f"{time:>9}{frames:>15}  {note.words}  {note.text}".rstrip())
    for words in _remarks(opened):
        print(words)
    for path in (args.csv, args.output):
        if path is not None:
            print(f"written to {printable(str(path))}")


def _remarks(opened: Opened) -> Iterator[str]:
    if opened.other:
        yield "The recording is not the one that the session was written with: its size or contents differ."
    if opened.outside:
        yield f"{count(len(opened.outside), 'note')} outside of this recording."
    if not opened.document.notes:
        yield "There are no notes in this session."
