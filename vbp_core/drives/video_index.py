"""The index of a video file: every packet once, in file order, without decoding."""

from __future__ import annotations

import shlex
from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias, TypeVar

import av
import av.logging
import av.stream
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vbp.drives.camera_choice import choose_camera
from vbp.drives.patience import check_wanted, within
from vbp.drives.picture_files import MAX_PIXELS
from vbp.errors import DriveError
from vbp.reading import check_inside

av.logging.set_level(None)  # libav writes to stderr by itself otherwise

# Only files, and only true recordings: playlists (hls, concat) could reach other files or hosts, and
# libav would also take text for "ANSI art" and pictures for one-frame videos.
_OPEN_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,ivf,yuv4mpegpipe,"
    "h264,hevc,m4v,mxf,nut,rm,dv,obu",
}

_PATIENCE_S = 2.5  # of a processor; to open a good file takes some hundredths
_BYTES_PER_S = 10 * 2**20

T = TypeVar("T")
VideoPacket: TypeAlias = "av.Packet[VideoStream]"

ACCEPTED = "MP4, MOV, MKV, WebM, AVI, MPEG, TS, FLV, WMV and the like are accepted"

DEEPEST = 16  # pictures that H.264 and H.265 hold back at most

_MOST_S = 2**30  # of a time; what is beyond is damaged
_MOST_JOINED_S = 2**32  # which in nanoseconds fits int64
_LONGEST_STEP_S = 3600  # between two frames that have no times

_UNKNOWN = np.iinfo(np.int64).min
_TIMES_OF_DECODING = ("avi", "h264", "hevc")  # formats that hold no presentation times


@dataclass(frozen=True)
class VideoIndex:
    """Packets in file order (P of them) and frames in the order of presentation (N of them).

    ident: (P,) int64, what a packet is recognised by after a seek; empty if nothing is unique.
    ident_kind: "pos", "pts" or "" (nothing is unique).
    seek_pts, seek_dts: (P,) int64, as the container has them, `_UNKNOWN` where it has none.
    is_key: (P,) bool, decoding can start here; leading pictures of an open group need the key before.
    is_damaged: (P,) bool, the container itself says so. is_disposable: (P,) bool, nothing refers to it.
    when: (P,) int64, presentation times in ticks, pieces of a broken clock put one after the other.
    order: (N,) int64, the packet of each frame. rank: (P,) int64, the frame of each packet, -1 for none.
    times_ns: (N,) int64, sorted, 0 at the first frame.
    by_output: the container holds no presentation times; only decoding tells the order within a group
    of pictures, and until then `order` and `when` are those of decoding.
    unsure_tail: so many frames at the end may have been shown later than it seems (an AVI cut short).
    promised: the number of frames that the container's header states, 0 where it states none.
    camera, cameras: the number of the video stream, and all of them, where there are several.
    timed: False for a raw stream without times that states no rate either: `times_ns` are those of 25 frames per second.
    """

    path: Path
    stream_index: int
    ident: NDArray[np.int64]
    ident_kind: str
    seek_pts: NDArray[np.int64]
    seek_dts: NDArray[np.int64]
    is_key: NDArray[np.bool_]
    is_damaged: NDArray[np.bool_]
    is_disposable: NDArray[np.bool_]
    when: NDArray[np.int64]
    order: NDArray[np.int64]
    rank: NDArray[np.int64]
    times_ns: NDArray[np.int64]
    by_output: bool
    promised: int
    timed: bool
    unsure_tail: int
    notes: tuple[str, ...]
    camera: str = ""
    cameras: tuple[str, ...] = ()

    def packets(self) -> int:
        return len(self.rank)


def ident_of(packet: VideoPacket, kind: str) -> int:
    """What `packet` is recognised by: see `VideoIndex.ident`."""
    value = packet.pos if kind == "pos" else packet.pts
    return _UNKNOWN if value is None else value


def seek_time(index: VideoIndex, packet: int) -> int | None:
    """A time stamp, in the stream's time base, at which a seek lands on `packet` or before it."""
    times = [int(t[packet]) for t in (index.seek_pts, index.seek_dts) if t[packet] != _UNKNOWN]
    return min(times) if times else None


def open_container(path: Path) -> InputContainer:
    """Open a local file with libav. Raises DriveError with one sentence."""
    try:
        check_inside(path)
        # "file:" keeps a name such as "concat:x" from being taken for a protocol
        return av.open(
            f"file:{path.absolute()}",
            options={"max_pixels": str(MAX_PIXELS)},
            container_options=_OPEN_OPTIONS,
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        raise DriveError(f"{path} is not a video that can be read ({_reason(error)}); {ACCEPTED}") from error


def pick_stream(container: InputContainer, path: Path, camera: int = 0) -> VideoStream:
    """The video stream to show, the first by default, of those that are no cover pictures. Raises DriveError."""
    moving = [s for s in container.streams.video if not _is_cover(s)]
    if not moving:
        raise DriveError(f"{path} has no video, only {_kinds(container)}; {ACCEPTED}")
    stream = moving[camera]
    if stream.codec_context is None:
        raise DriveError(f"{path} has video in an unknown codec; {ACCEPTED}")
    if stream.width * stream.height > MAX_PIXELS:
        raise DriveError(
            f"{path} has pictures of {stream.width} x {stream.height} pixels; up to {MAX_PIXELS // 10**6} million are read"
        )
    for other in container.streams:
        if other.index != stream.index:
            with suppress(AttributeError):  # older PyAV: the packets are read and passed over
                other.discard = av.stream.Discard.all
    return stream


def in_time(path: Path, work: Callable[[], T]) -> T:
    """What libav makes of the file, unless it takes longer than a file of that size can. Raises DriveError."""
    size = path.stat().st_size if path.is_file() else 0
    return within(
        _PATIENCE_S + size / _BYTES_PER_S,
        work,
        f"{path} is damaged: libav is at work on it far longer than a file of its size takes; "
        f"`ffmpeg -i {shlex.quote(path.name)} -c copy NEW.mkv` may repair it",
    )


def build_index(path: Path, camera: str | None = None) -> VideoIndex:
    """Index a video file. Time and memory grow with the number of packets only. Raises DriveError.

    camera: of a file with several video streams, the number of one; by default the first that has more than one picture.
    """
    return in_time(path, lambda: _build_index(path, camera))


def _build_index(path: Path, camera: str | None) -> VideoIndex:
    with open_container(path) as container:
        count = sum(not _is_cover(s) for s in container.streams.video)
    if count < 2:
        return _index_stream(path, 0)
    names = tuple(str(k) for k in range(count))
    at = int(choose_camera(names, camera, path))
    index = _index_stream(path, at)
    while (
        camera is None and len(index.order) == 1 and at + 1 < count
    ):  # a picture, as of a cover or a preview
        at += 1
        index = _index_stream(path, at)
    note = f"the file has {count} video streams; {names[at]} is shown"
    return replace(index, camera=names[at], cameras=names, notes=(note, *index.notes))


def _index_stream(path: Path, camera: int) -> VideoIndex:
    with open_container(path) as container:
        stream = pick_stream(container, path, camera)
        notes: list[str] = []
        name = stream.codec_context.name
        reorders = bool(stream.codec_context.has_b_frames)
        untimed = reorders and any(f in _TIMES_OF_DECODING for f in container.format.name.split(","))
        raw = _Packets()
        try:
            for packet in container.demux(stream):
                check_wanted()
                if packet.size:  # no size: the end, or "show the last picture again"
                    raw.add(packet, name, untimed)
        except (av.FFmpegError, OSError) as error:
            notes.append(
                f"reading stopped after {len(raw.pts)} frames ({_reason(error)}): the file is damaged"
            )
        if not any(raw.shown):
            raise DriveError(f"{path} has no frames: it is cut short or was never finished; {ACCEPTED}")
        if "mpegts" in container.format.name.split(",") and all(path.stat().st_size % n for n in (188, 192)):
            raw.damaged[-1] = 1  # cut within a packet: libav gives what is there of the picture as whole
        time_base = stream.time_base or Fraction(1, 1000)
        return _assemble(path, stream, raw, untimed, time_base, notes)


class _Packets:
    """What is kept of each packet: 28 bytes."""

    def __init__(self) -> None:
        self.pts, self.dts, self.pos = array("q"), array("q"), array("q")
        self.key, self.closed, self.damaged = bytearray(), bytearray(), bytearray()
        self.disposable, self.shown = bytearray(), bytearray()

    def add(self, packet: VideoPacket, codec: str, untimed: bool) -> None:
        self.pts.append(_UNKNOWN if packet.pts is None else packet.pts)
        self.dts.append(_UNKNOWN if packet.dts is None else packet.dts)
        self.pos.append(_UNKNOWN if packet.pos is None else packet.pos)
        self.key.append(packet.is_keyframe)
        self.damaged.append(packet.is_corrupt)
        self.disposable.append(packet.is_disposable)
        self.closed.append(untimed and packet.is_keyframe and _starts_anew(packet, codec))
        # discarded by an edit list; VP8 reference pictures that are never shown
        hidden = packet.is_discard or (codec in ("vp8", "libvpx") and not memoryview(packet)[0] >> 4 & 1)
        self.shown.append(not hidden)


def _starts_anew(packet: VideoPacket, codec: str) -> bool:
    """Is this an IDR picture of H.264 or H.265 (Annex B): nothing after it is shown before it."""
    head = bytes(memoryview(packet)[:65536])
    at = head.find(b"\0\0\1")
    while 0 <= at < len(head) - 3:
        if codec == "h264":
            kind = head[at + 3] & 31
            if 1 <= kind <= 5:
                return kind == 5
        else:
            kind = head[at + 3] >> 1 & 63
            if kind < 32:
                return kind in (19, 20)
        at = head.find(b"\0\0\1", at + 3)
    return False


def _assemble(
    path: Path, stream: VideoStream, raw: _Packets, untimed: bool, time_base: Fraction, notes: list[str]
) -> VideoIndex:
    pts, dts, pos = (np.array(values, np.int64) for values in (raw.pts, raw.dts, raw.pos))
    most = max(int(_MOST_S / time_base), 1)
    for times in (pts, dts):  # a damaged one, as if there were none
        times[(times > most) | (times < -most)] = _UNKNOWN
    is_key = np.array(raw.key, np.bool_)
    kind, ident = "", np.empty(0, np.int64)
    for name, values in (("pos", pos), ("pts", pts)):
        if (values != _UNKNOWN).all() and len(np.unique(values)) == len(values):
            kind, ident = name, values
            break
    step = _frame_step(stream, time_base)
    when = _filled(pts, dts, step)
    # Times that only ever grow, in a stream that reorders its pictures, are those of decoding.
    by_output = untimed and (bool((pts == _UNKNOWN).all()) or bool((np.diff(when) > 0).all()))
    if by_output:
        is_key = np.array(raw.closed, np.bool_)
    if not is_key.any():
        is_key[0] = True  # a container that marks none
    when, joins = _joined(path, when, dts, step, time_base)
    if joins:
        notes.append(f"its clock restarts {joins} times; the pieces were joined in order")
    packets = np.flatnonzero(np.array(raw.shown, np.bool_))
    order = packets[np.argsort(when[packets], kind="stable")]
    rank = np.full(len(pts), -1, np.int64)
    rank[order] = np.arange(len(order))
    promised = int(stream.frames)
    if promised > len(order):
        notes.append(f"its header claims {promised} frames, but the file has {len(order)}")
    unsure_tail = 0
    half = int(raw.damaged[-1])  # the last packet ends too early
    if untimed and "avi" in stream.container.format.name.split(",") and (half or promised != len(order)):
        # What is cut off may have been shown before the last of what is there; MPEG-4 holds back one.
        unsure_tail = half + (DEEPEST if stream.codec_context.name in ("h264", "hevc") else 1)
    return VideoIndex(
        path=path,
        stream_index=stream.index,
        ident=ident,
        ident_kind=kind,
        seek_pts=pts,
        seek_dts=dts,
        is_key=is_key,
        is_damaged=np.array(raw.damaged, np.bool_),
        is_disposable=np.array(raw.disposable, np.bool_),
        when=when,
        order=order,
        rank=rank,
        times_ns=_nanoseconds(when[order] - when[order[0]], time_base),
        by_output=by_output,
        promised=promised,
        timed=not _is_raw(stream) or bool(stream.codec_context.framerate),
        unsure_tail=unsure_tail,
        notes=tuple(notes),
    )


def _nanoseconds(ticks: NDArray[np.int64], time_base: Fraction) -> NDArray[np.int64]:
    """Exact, rounded to the nearest, without leaving int64: whole multiples of the denominator first."""
    whole, rest = np.divmod(ticks, time_base.denominator)
    scale = time_base.numerator * 1_000_000_000
    out: NDArray[np.int64] = (
        whole * scale + (rest * scale + time_base.denominator // 2) // time_base.denominator
    )
    return out


def _filled(pts: NDArray[np.int64], dts: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """Presentation times with the missing ones taken from decoding, or from the frame before."""
    times = np.where(pts != _UNKNOWN, pts, dts)
    for i in np.flatnonzero(times == _UNKNOWN):
        times[i] = times[i - 1] + step if i else 0
    return times


def _joined(
    path: Path, times: NDArray[np.int64], dts: NDArray[np.int64], step: int, time_base: Fraction
) -> tuple[NDArray[np.int64], int]:
    """Times of recordings that were put end to end (clock back by over 1/4 s): one after the other."""
    decode = np.where(dts != _UNKNOWN, dts, times)
    back = np.flatnonzero(np.diff(decode) < -max(int(0.25 / time_base), 1)) + 1
    if not len(back):
        return times, 0
    out = times.copy()
    for start, end in zip(back, [*back[1:], len(times)], strict=True):
        later = int(out[:start].max()) + step - int(times[start:end].min())
        if later + int(times[start:end].max()) > int(_MOST_JOINED_S / time_base):
            raise DriveError(
                f"{path} is damaged: its clock restarts again and again, each time after many years"
            )
        out[start:end] += later
    return out, len(back)


def _is_raw(stream: VideoStream) -> bool:
    """A stream of coded pictures without a container, and without times."""
    return stream.container.format.name in ("h264", "hevc", "obu")


def _frame_step(stream: VideoStream, time_base: Fraction) -> int:
    """One frame's duration in ticks, for streams that hold no times."""
    stated = (
        stream.codec_context.framerate if _is_raw(stream) else stream.average_rate
    )  # of a raw one libav says 25
    rate = stated or stream.guessed_rate or Fraction(25)
    return max(min(round(1 / (rate * time_base)), int(_LONGEST_STEP_S / time_base)), 1)


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _kinds(container: InputContainer) -> str:
    kinds = sorted({"a cover picture" if s.type == "video" else s.type for s in container.streams})
    return ", ".join(kinds) or "nothing"


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).removesuffix(".").lower()
