"""A clip as an animated GIF: at a lower rate, with colours chosen for the whole of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.filter

from vbp.errors import VbpError
from vbp.export.encoders import Encoding
from vbp.export.job import Job
from vbp.export.part_file import Growing, growing, reason
from vbp.export.registry import Progress
from vbp.export.render import open_clip
from vbp.export.video import encode
from vbp.files import check_target

FPS = 10.0
MOST_FPS = 50.0  # browsers slow down what is faster
SIZE = (800, 450)
TICKS = 100  # of a GIF, per second
LONGEST = 2**16 - 1  # ticks for which a picture can stay
COMMENT = b"Made by vbp"


def write(job: Job, progress: Progress) -> Path:
    """The clip of `job` as a GIF, at 10 frames per second unless it says otherwise. Raises VbpError, CancelledError."""
    settings = job.settings
    if settings.fps is not None and settings.fps > MOST_FPS:
        raise VbpError(
            f"a GIF of {settings.fps:g} frames per second does not play at its speed; give at most 50"
        )
    fitting = SIZE if settings.layout in ("stage", "grid") else None
    job = replace(job, settings=replace(settings, fps=settings.fps or FPS, size=settings.size or fitting))
    target = check_target(job.output, is_gif, job.drive_path, job.force)
    with (
        open_clip(job, repeats=False) as clip,
        growing(target, job.output) as lossless,
        growing(target, job.output) as whole,
    ):
        try:
            # GIF has 256 colours: which, is known at the end. Until then the pictures are on disk, not in memory.
            encode(lossless, "matroska", clip, Encoding("ffv1", "bgr0", {"level": "3"}), progress, None)
            ticks = clip.timeline.ticks(TICKS)
            _convert(lossless, whole, int(ticks[-1] - ticks[-2]))
            whole.finish()
        except av.FFmpegError as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            raise VbpError(f"{job.output} cannot be written: {why}") from error
    return job.output


def _convert(lossless: Growing, whole: Growing, last: int) -> None:
    """last: how long the last picture stays, in ticks."""
    palette = _palette(lossless)
    options = {"final_delay": str(min(last, LONGEST))}
    with av.open(whole.path, "w", format="gif", options=options) as out:  # repeats for ever, by default
        stream: Any = None
        for frame in _mapped(lossless, palette):
            if stream is None:
                stream = out.add_stream("gif", rate=TICKS)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "pal8"
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with open(whole.path, "r+b") as file:
        _add_comment(file)


def _palette(lossless: Growing) -> av.VideoFrame:
    """The 256 colours that suit all pictures."""
    with av.open(lossless.path) as source:
        graph: Any = av.filter.Graph()
        entry = graph.add_buffer(template=source.streams.video[0])
        chooser, sink = graph.add("palettegen"), graph.add("buffersink")
        entry.link_to(chooser)
        chooser.link_to(sink)
        graph.configure()
        for frame in source.decode(video=0):
            entry.push(frame)
        entry.push(None)
        return sink.pull()  # type: ignore[no-any-return]


def _mapped(lossless: Growing, palette: av.VideoFrame) -> Iterator[av.VideoFrame]:
    with av.open(lossless.path) as source:
        graph: Any = av.filter.Graph()
        entry = graph.add_buffer(template=source.streams.video[0])
        colours = graph.add_buffer(
            width=palette.width, height=palette.height, format=palette.format, time_base=Fraction(1, 1000)
        )
        mapper, sink = (
            graph.add("paletteuse", "dither=sierra2_4a:diff_mode=rectangle"),
            graph.add("buffersink"),
        )
        entry.link_to(mapper, 0, 0)
        colours.link_to(mapper, 0, 1)
        mapper.link_to(sink)
        graph.configure()
        colours.push(palette)
        colours.push(None)
        for frame in chain(source.decode(video=0), (None,)):
            entry.push(frame)
            yield from _pull(sink)


def _pull(sink: Any) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = sink.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        frame.pts = round(frame.pts * frame.time_base * TICKS)
        frame.time_base = Fraction(1, TICKS)
        yield frame


def _add_comment(file: BinaryIO) -> None:
    """A comment block before the end mark, by which a file of ours is known."""
    file.seek(-1, 2)
    if file.read(1) == b";":
        file.seek(-1, 2)
        file.write(b"\x21\xfe" + bytes([len(COMMENT)]) + COMMENT + b"\x00;")


def is_gif(path: Path) -> bool:
    """Whether an existing file is empty, or a GIF that this command wrote."""
    data = path.read_bytes() if path.stat().st_size < 1024 else _ends(path)
    return not data or (data.startswith(b"GIF8") and data.endswith(COMMENT + b"\x00;"))


def _ends(path: Path) -> bytes:
    with path.open("rb") as file:
        start = file.read(64)
        file.seek(-64, 2)
        return start + file.read()
