"""A clip as MP4, MOV or Matroska: written as a part that plays wherever it ends, and whole when it has its name."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av

from vbp.drives.base import Image
from vbp.ends import held
from vbp.errors import VbpError
from vbp.export.encoders import TICKS, Converter, Encoding, add_stream, check_codec, choose
from vbp.export.job import Job
from vbp.export.part_file import Growing, check_part, growing, reason
from vbp.export.registry import CancelledError, Progress, format_of
from vbp.export.render import Clip, open_clip
from vbp.export.timeline import Timeline
from vbp.files import check_target
from vbp.results import FrameResult

MADE_BY = "Made by vbp"
MUXERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
# Fragments of a second: a file that ends anywhere plays up to the last of them.
PART_OPTIONS = {
    "mp4": {"movflags": "empty_moov+default_base_moof+frag_keyframe", "frag_duration": "1000000"},
    "mov": {"movflags": "empty_moov+default_base_moof+frag_keyframe", "frag_duration": "1000000"},
    "matroska": {
        "cluster_time_limit": "1000",
        "avoid_negative_ts": "disabled",
    },  # it stores no times before 0
}


def write(job: Job, progress: Progress) -> Path:
    """The clip of `job`; raises VbpError, CancelledError. Interrupted (Ctrl-C), it leaves `clip.part.mp4`, which plays."""
    suffix = format_of(job)
    check_codec(job.settings, suffix)
    target = check_target(job.output, is_clip, job.drive_path, job.force)
    part_as = check_part(target, is_clip)
    with open_clip(job) as clip, growing(target, job.output) as part:
        part_as.unlink(missing_ok=True)  # of an export that was stopped
        encoding = choose(job.settings, clip.composer.size)
        try:
            packets = encode(part, MUXERS[suffix], clip, encoding, progress, part_as)
            if suffix == ".mkv":
                part.finish()
            else:
                with growing(target, job.output) as whole:
                    remux(part, whole, MUXERS[suffix], encoding, packets)
                    whole.finish()
        except av.FFmpegError as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            raise VbpError(f"{job.output} cannot be written: {why}") from error
    return job.output


def encode(
    part: Growing, muxer: str, clip: Clip, encoding: Encoding, progress: Progress, part_as: Path | None
) -> int:
    """Write the clip into `part`, which gets the name `part_as` as soon as it plays. Returns the number of packets."""
    timeline, packets = clip.timeline, 0
    try:
        with (
            held() as interrupted,
            av.open(
                part.path, "w", format=muxer, options={"flush_packets": "1", **PART_OPTIONS[muxer]}
            ) as out,
            closing(clip.pictures()) as pictures,
        ):
            out.metadata["comment"] = MADE_BY
            out.metadata["title"] = f"{clip.composer.facts.model} on {clip.composer.facts.drive}"
            stream = add_stream(out, encoding, clip.composer.size, timeline.rate)
            out.start_encoding()
            head = part.size
            convert = Converter(encoding.pixels)
            for packet in _packets(stream, pictures, timeline, convert, progress, interrupted):
                out.mux(packet)
                packets += 1
                if part_as is not None and part.shown is None and part.size > head:
                    part.show(part_as)
        if interrupted():  # after the last frame
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        if part_as is not None and part.shown is None and packets:
            part.show(part_as)  # what was waiting to be written is in it by now
        raise
    return packets


def _packets(
    stream: Any,
    pictures: Generator[tuple[int, FrameResult, Image], None, None],
    timeline: Timeline,
    convert: Converter,
    progress: Progress,
    interrupted: Callable[[], bool],
) -> Iterator[Any]:
    ticks, total = timeline.ticks(TICKS), len(timeline)
    try:
        for at, _, picture in pictures:
            frame = convert(picture)
            frame.pts, frame.time_base = int(ticks[at]), stream.codec_context.time_base
            frame.duration = int(ticks[at + 1] - ticks[at])
            yield from stream.encode(frame)
            if not progress(at + 1, total):
                raise CancelledError("the export was cancelled")
            if interrupted():
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        yield from stream.encode(None)  # so that the part has all that was encoded
        raise
    yield from stream.encode(None)


def remux(part: Growing, whole: Growing, muxer: str, encoding: Encoding, packets: int) -> None:
    """From fragments to one index, at the front, so that it plays while it loads. Nothing is encoded again."""
    copied = 0
    with (
        av.open(part.path) as source,
        av.open(whole.path, "w", format=muxer, options={"movflags": "faststart"}) as out,
    ):
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        copy.time_base = stream.time_base
        if encoding.tag:
            copy.codec_context.codec_tag = encoding.tag  # a copy gets the muxer's own idea otherwise
        for name in ("comment", "title"):
            out.metadata[name] = source.metadata.get(name, "")
        first: int | None = None
        for packet in source.demux(stream):
            if packet.size and packet.pts is not None:
                # Fragments begin when the decoder does; the clip begins with its first frame.
                first = packet.pts if first is None else first
                packet.pts -= first
                if packet.dts is not None:
                    packet.dts -= first
                packet.stream = copy
                out.mux(packet)
                copied += 1
    if copied != packets:  # what a disk that filled up did not take
        raise OSError(0, "not all of it could be written")


def is_clip(path: Path) -> bool:
    """Whether an existing file is empty, or a clip that this command wrote."""
    if path.stat().st_size == 0:
        return True
    try:
        with av.open(str(path)) as container:
            tags = {name.lower(): value for name, value in container.metadata.items()}
            return tags.get("comment") == MADE_BY
    except (av.FFmpegError, OSError, UnicodeError):
        return False
