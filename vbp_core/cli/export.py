"""`vbp export`: a clip, pictures or numbers of a drive with what the network saw and wanted."""

from __future__ import annotations

import _thread
import argparse
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from vbp.cli.common import add_crop, add_network, add_source, number, options_of
from vbp.cli.main import print_json
from vbp.cli.overlay import add_overlay, overlay_of
from vbp.cli.targets import add_target, check_target, read_settings
from vbp.drives import Drive, open_drive
from vbp.drives.holes import played_ns
from vbp.edits import Edits
from vbp.errors import VbpError
from vbp.explain.registry import METHODS
from vbp.export.job import CODECS, DEFAULT_PANELS, LAYOUTS, PANELS, QUALITIES, Job, Settings
from vbp.export.part_file import part_name
from vbp.export.registry import WRITERS, export, format_of
from vbp.readable import printable
from vbp.reading import read_file
from vbp.results import VBP

REPORT_EVERY_S = 0.2
BACKGROUND_NICENESS = 15
LONGEST_JOB = 2**24  # bytes; as much as a session with its notes may have
LOGGER = logging.getLogger("vbp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser, needed=False, rate="--source-fps")
    add_network(parser)
    add_crop(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help=f"what to write: {', '.join(w for w in WRITERS if w.startswith('.'))}",
    )
    parser.add_argument(
        "--format",
        default="",
        metavar="F",
        help="where the name does not say it: pictures is a folder of PNGs",
    )
    place = "a frame (1200) or a time (1:00.5, 60.5s)"
    parser.add_argument("--start", metavar="T", help=f"the first frame: {place}")
    parser.add_argument("--end", metavar="T", help=f"the last frame, included: {place}")
    parser.add_argument(
        "--panels",
        type=names,
        default=DEFAULT_PANELS,
        metavar="P,P",
        help=f"of {', '.join(PANELS)}, and any method (see vbp explain --help) (default: {','.join(DEFAULT_PANELS)})",
    )
    parser.add_argument("--layout", default="stage", metavar="L", help=_choices(LAYOUTS))
    add_overlay(parser)
    parser.add_argument(
        "--fps", type=number, metavar="N", help="a fixed rate (default: the drive's own times)"
    )
    parser.add_argument(
        "--size", type=size, metavar="WxH", help="of the picture (default: as the layout likes)"
    )
    parser.add_argument("--codec", default="h264", metavar="C", help=_choices(CODECS))
    parser.add_argument(
        "--quality",
        default="good",
        metavar="Q",
        help=f"{', '.join(QUALITIES)}, or a constant rate factor: 0 is best, 51 worst",
    )
    parser.add_argument(
        "--encoder", default="auto", metavar="E", help="auto (the graphics card's, where it has one), cpu"
    )
    add_target(parser)
    parser.add_argument("--eps", type=number, metavar="E", help="LRP's eps (100, as in the paper)")
    parser.add_argument("--no-bias", action="store_true", help="leave the bias out of LRP's denominator")
    parser.add_argument(
        "--edits", type=Path, metavar="FILE", help="change every picture before the network sees it (JSON)"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that vbp did not write")
    parser.add_argument("--json", action="store_true", help="print a summary for programs")
    parser.add_argument(
        "--job",
        choices=("-",),
        help="instead of all of the above: read what to do as a line of JSON from stdin (Job.to_json)",
    )
    parser.add_argument(
        "--json-progress",
        action="store_true",
        help="a line of JSON for each step; `cancel` on stdin, after the job, cancels, the end of stdin stops",
    )
    parser.add_argument("--background", action="store_true", help="give way to whatever else runs")


def check_meaning(kind: str, settings: Settings) -> None:
    """Raises VbpError for a setting that this kind of file would ignore."""
    useless = []
    if kind in (".csv", ".parquet", ".mcap"):
        given = (("--fps", settings.fps), ("--size", settings.size))
        useless = [option for option, value in given if value is not None]
    elif kind == ".png" and settings.fps is not None:
        useless = ["--fps"]
    if useless:
        what = "one picture has no rate" if kind == ".png" else "it keeps every frame as it was recorded"
        raise VbpError(
            f"{' and '.join(useless)} mean{'s' if len(useless) == 1 else ''} nothing for a {kind} file: {what}; leave it out"
        )


def _choices(table: dict[str, str]) -> str:
    return "; ".join(f"{name}: {words}" for name, words in table.items())


def names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; 1280x720 is one")
    return int(found[1]), int(found[2])


def run(args: argparse.Namespace) -> int:
    prepare(args.background)
    heard = b""
    if args.job:
        _check_alone(args)
        job, heard = read_job()
    else:
        job = job_of(args)
    kind = format_of(job)  # before a long recording is opened
    check_meaning(kind, job.settings)
    with open_drive(job.drive_path, job.options) as drive:
        if not args.job:
            first, last = chosen(drive, args.start, args.end, single=kind == ".png")
            job = replace(job, first=first, last=last)
        frames = range(job.first, min(job.last + 1, len(drive)))
        check_target(job.settings.target, drive, frames)
        times = played_ns(drive.timestamps_ns)[frames.start : frames.stop]
        seconds = (
            float(times[-1] - times[0]) / 1e9 if len(times) else 0.0
        )  # without the holes, which are jumped
    started = time.monotonic()
    try:
        with Reporter(args.json_progress, heard) as reporter:
            output = export(job, reporter.progress)
    except KeyboardInterrupt:
        say_part(job.output)
        raise
    took = time.monotonic() - started
    facts = {
        "output": str(output),
        "frames": len(frames),
        "seconds": seconds,
        "took_s": round(took, 2),
        "warnings": reporter.warnings,
    }
    if args.json_progress:
        print(json.dumps(facts), flush=True)
    elif args.json:
        print_json(facts)
    else:
        where = f"{seconds:.1f} s of the drive, written to {printable(str(output))}"
        print(f"frames {job.first} to {job.last}, {where} in {took:.1f} s")
    return 0


def job_of(args: argparse.Namespace) -> Job:
    """What the options say, but for the frames, which the drive has to be opened for. Raises VbpError."""
    if args.source is None or args.output is None:
        raise VbpError("name a recording, and with -o what to write; see vbp export --help")
    parameters = read_settings(args, [m for m in (VBP, *args.panels) if m in METHODS])
    if args.eps is not None or args.no_bias:
        if "lrp" not in args.panels:
            raise VbpError("--eps and --no-bias belong to LRP; add lrp to --panels")
        given = {"eps": args.eps} if args.eps is not None else {}
        parameters["lrp"] = parameters.get("lrp", {}) | given | ({"bias": 0.0} if args.no_bias else {})
    return Job(
        drive_path=Path(args.source).expanduser(),
        options=options_of(args),
        model=args.model,
        device=args.device,
        output=args.output,
        first=0,
        last=0,
        force=args.force,
        settings=Settings(
            format=args.format,
            panels=args.panels,
            layout=args.layout,
            overlay=overlay_of(args),
            fps=args.fps,
            size=args.size,
            codec=args.codec,
            quality=args.quality,
            encoder=args.encoder,
            target=args.target,
            parameters=parameters,
        ),
        crop=args.crop,
        edits=edits_of(args.edits),
    )


def _check_alone(args: argparse.Namespace) -> None:
    """Raises VbpError for what is said beside a job, which says it all."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    defaults = vars(parser.parse_args([]))
    kept = ("job", "json", "json_progress", "background")
    beside = [name for name, value in vars(args).items() if name not in kept and value != defaults[name]]
    if beside:
        raise VbpError(f"--job says all of the export; leave out: {', '.join(beside)}")


def read_job() -> tuple[Job, bytes]:
    """The job that stands in the first line of stdin, and what was read of the lines after it. Raises VbpError."""
    data = b""
    while b"\n" not in data and len(data) < LONGEST_JOB and (more := os.read(0, 65536)):
        data += more
    line, _, rest = data.partition(b"\n")
    return Job.from_json(line), rest


def prepare(background: bool) -> None:
    """Decoding, the network, drawing and encoding run side by side: each gets its share of the processors."""
    import cv2
    import torch

    able = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(min(torch.get_num_threads(), max(1, able // 2)))
    cv2.setNumThreads(1)
    if background and hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(BACKGROUND_NICENESS)


def chosen(drive: Drive, start: str | None, end: str | None, single: bool) -> tuple[int, int]:
    """The first and the last frame, both included; `single`: without an end, only the first. Raises VbpError."""
    count = len(drive)
    if not count:
        raise VbpError(f"{drive.info.path} has no frames to export")
    seconds = (drive.timestamps_ns - drive.timestamps_ns[0]) / 1e9
    first = last = 0
    if start is not None:
        at = _place("--start", start)
        first = at if isinstance(at, int) else int((seconds < at - 1e-9).sum())
    last = first if single else count - 1
    if end is not None:
        at = _place("--end", end)
        last = at if isinstance(at, int) else int((seconds <= at + 1e-9).sum()) - 1
    if not first <= last < count:
        asked = " ".join(f"{name} {text}" for name, text in (("--start", start), ("--end", end)) if text)
        raise VbpError(
            f"{asked} holds no frame of {drive.info.path}, which has frames 0 to {count - 1} in {seconds[-1]:.1f} s"
        )
    return first, last


def _place(name: str, text: str) -> int | float:
    """A frame as an int, or seconds as a float."""
    if text.isascii() and text.isdecimal():
        return int(text)
    found = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)(s?)", text)
    if not found or (found[2] is None and not found[4]):
        raise VbpError(f"{name} {text} is not understood; give a frame (1200) or a time (1:00.5 or 60.5s)")
    return int(found[1] or 0) * 3600 + int(found[2] or 0) * 60 + float(found[3])


def edits_of(path: Path | None) -> str:
    """The edits in a file, as a job has them. Raises VbpError."""
    if path is None:
        return ""
    try:
        return Edits.from_text(read_file(path, LONGEST_JOB)).to_text()
    except OSError as error:
        raise VbpError(f"{path} cannot be read: {error.strerror or error}") from error


def say_part(output: Path) -> None:
    """What an interrupted export left behind."""
    part = part_name(Path(os.path.realpath(output)))
    if part.exists():
        print(f"vbp: what was exported until now is in {part}", file=sys.stderr)


class Reporter(logging.Handler):
    """Progress with the time left: a bar for people, or lines of JSON for a program, which may answer.

    What is logged as a warning meanwhile is kept in `warnings`; `main` says it on stderr. heard: of stdin so far.
    """

    def __init__(self, as_json: bool, heard: bytes = b"") -> None:
        super().__init__(logging.WARNING)
        self.warnings: list[str] = []
        self._bar = None if as_json else tqdm(unit="frame", disable=None)
        self._reported = self._first = 0.0
        self._first_done = 0
        self._cancelled = threading.Event()
        if as_json:
            threading.Thread(target=self._listen, args=(heard,), name="vbp-export-stdin", daemon=True).start()

    def __enter__(self) -> Reporter:
        LOGGER.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        LOGGER.removeHandler(self)
        if self._bar is not None:
            self._bar.close()

    def emit(self, record: logging.LogRecord) -> None:
        self.warnings.append(record.getMessage())

    def progress(self, done: int, total: int) -> bool:
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
            return True
        now = time.monotonic()
        if not self._first:
            self._first, self._first_done = now, done
        if now - self._reported >= REPORT_EVERY_S or done == total:
            self._reported = now
            made = done - self._first_done
            left = (now - self._first) / made * (total - done) if made > 0 else None
            facts = {"done": done, "total": total, "seconds_left": None if left is None else round(left, 1)}
            try:
                print(json.dumps(facts), flush=True)
            except BrokenPipeError:
                raise KeyboardInterrupt from None  # nobody listens any more: stop, and leave the part
        return not self._cancelled.is_set()

    def _listen(self, heard: bytes) -> None:
        """Not through sys.stdin, whose lock a thread that waits would keep at the end of the process."""
        while b"cancel" not in heard:
            try:
                data = os.read(0, 1024)
            except OSError:
                data = b""
            if not data:
                _thread.interrupt_main(signal.SIGTERM)  # who asked for this is gone: stop, and leave the part
                return
            heard += data
        self._cancelled.set()
