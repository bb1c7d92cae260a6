"""`vbp notes`: the notes of a session, with their pictures as a report (HTML), or as a table."""

from __future__ import annotations

import argparse
import base64
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
from tqdm import tqdm

from vbp.cli.common import whole_file
from vbp.cli.main import print_json
from vbp.drives import Drive, open_drive
from vbp.errors import VbpError
from vbp.evidence.report import page
from vbp.explain import METHODS
from vbp.frames import read_frame, run_frame
from vbp.frames.sampling import drive_usual
from vbp.frames.strengths import Usual, weights
from vbp.models.source import NetworkSource
from vbp.overlay import PAPER, lay
from vbp.readable import clock, count, printable, signed
from vbp.results import FrameResult
from vbp.session.document import Document, load
from vbp.session.fingerprint import fingerprint
from vbp.session.note import Note, placed
from vbp.session.table import write_notes

if TYPE_CHECKING:
    from vbp.engine import Engine


METHOD = "visualbackprop"
WIDTH = 480  # pixels of a picture
MARK = b"<!DOCTYPE html>"
TITLE = "Notes on "


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
            text = report(opened, args.device)
            with whole_file(args.output, _is_report, drive.info.path, args.force) as temporary:
                temporary.write_text(text, encoding="utf-8")
        _say(args, opened)
    return 0


def _say(args: argparse.Namespace, opened: Opened) -> None:
    start = _start(opened.drive)
    if args.json:
        print_json(
            {
                "source": opened.document.drive,
                "other_recording": opened.other,
                "notes": [vars(n) for n in opened.document.notes],
            }
        )
        return
    for note in opened.notes:
        frames = f"{note.frame}–{note.end}" if note.end > note.frame else str(note.frame)
        print(f"{_time(note, start):>9}{frames:>15}  {note.words}  {note.text}".rstrip())
    for words in _remarks(opened):
        print(words)
    for path in (args.csv, args.output):
        if path is not None:
            print(f"written to {printable(str(path))}")


def report(opened: Opened, device: str = "auto") -> str:
    """The page: each note with the picture where it begins (and ends) under its mask, and the angles there."""
    from vbp.engine import Engine, open_network

    drive, document = opened.drive, opened.document
    name = document.networks[0] if document.networks else "NetSVF"
    if NetworkSource.parse(name).is_factory:
        raise VbpError(
            f"{name} is your own code, which a session does not run; save the session with a network from a file"
        )
    network = open_network(name)
    crop = document.crop.at(drive.info.height, drive.info.width) if document.crop is not None else None
    engine = Engine(network, device, crop=crop)
    try:
        usual = drive_usual(drive, engine) if opened.notes else None
        parts = [_part(note, opened, engine, usual) for note in tqdm(opened.notes, unit="note", disable=None)]
    finally:
        engine.close()
    about = f"{count(len(opened.notes), 'note')} on {drive.info.name}; masks: {METHODS[METHOD].title} of {engine.name}."
    remarks = [
        *_remarks(opened),
        *([] if network.trained else [f"{engine.name} has random weights: its masks mean nothing."]),
    ]
    said = "".join(f'<p class="note">{escape(text)}</p>' for text in remarks)
    title = f"{TITLE}{drive.info.name}"
    return page(title, f'<h1>{escape(title)}</h1><p class="lead">{escape(about)}</p>{said}{"".join(parts)}')


def _part(note: Note, opened: Opened, engine: Engine, usual: Usual | None) -> str:
    frames = dict.fromkeys((note.frame, note.end))
    seen = [run_frame(read_frame(opened.drive, frame), [engine]) for frame in frames]
    pictures = "".join(f"<div>{_picture(frame, usual)}{escape(_facts(frame, usual))}</div>" for frame in seen)
    tag = f" <small>{escape(note.tag)}</small>" if note.tag else ""
    where = _time(note, _start(opened.drive))
    head = f"<h2>{escape(where)} {escape(note.name or 'Bookmark')}{tag}</h2>"
    text = f"<p>{escape(note.text)}</p>" if note.text else ""
    return f'{head}{text}<div class="gallery">{pictures}</div>'


def _picture(frame: FrameResult, usual: Usual | None) -> str:
    if frame.image is None or frame.result is None:
        return ""
    weighed = weights(frame.strength, usual, PAPER)
    image = lay(frame.image, frame.result.map(METHOD), frame.result.crop, PAPER, *weighed)
    height = max(1, round(image.shape[0] * WIDTH / image.shape[1]))
    small = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    coded = base64.b64encode(data.tobytes()).decode()
    return f'<img alt="frame {frame.index}" src="data:image/jpeg;base64,{coded}">'


def _facts(frame: FrameResult, usual: Usual | None) -> str:
    angles = (("driven", frame.driven_rad), ("predicted", frame.predicted_rad), ("error", frame.error_rad))
    known = [f"{words} {signed(value * 57.29577951308232)}°" for words, value in angles if value == value]
    warning = frame.result.warning if frame.result is not None else ""
    worth = usual.words(frame.strength, frame.spread) if usual is not None else ""
    return ", ".join(filter(None, (f"frame {frame.index}", *known, frame.gap, warning, worth)))


def _remarks(opened: Opened) -> Iterator[str]:
    if opened.other:
        yield "The recording is not the one that the session was written with: its size or contents differ."
    if opened.outside:
        yield f"{count(len(opened.outside), 'note')} outside of this recording."
    if not opened.document.notes:
        yield "There are no notes in this session."


def _start(drive: Drive) -> int:
    return int(drive.timestamps_ns[0]) if len(drive) else 0


def _time(note: Note, start_ns: int) -> str:
    return clock(((note.frame_ns or start_ns) - start_ns) / 1e9)


def _is_report(path: Path) -> bool:
    """Whether an existing file is empty, or a page of this command."""
    with path.open("rb") as file:
        head = file.read(2048)
    return not head or (head.startswith(MARK) and f"<title>{TITLE}".encode() in head)
