"""Exact frames of an indexed video: by the packet that they were decoded from, never by nearness."""

from __future__ import annotations

import os
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from functools import partial

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from vbp.drives.base import Image
from vbp.drives.patience import DECODING_S, NEVER_DECODED, Helper, check_wanted, decode_packet
from vbp.drives.picture_files import MAX_PIXELS
from vbp.drives.picture_turn import Turn, turn_of, turned
from vbp.drives.video_index import DEEPEST, VideoIndex, VideoPacket, ident_of, open_container, seek_time
from vbp.errors import DriveError, FrameError

Keep = Callable[[int, Image], None]  # called with (frame number, image) for frames decoded on the way

_FAR_BEHIND = 32  # packets a decoder may hold back before a picture counts as lost
_SHORT_WAY = 8  # packets worth decoding rather than seeking over

_NO_KEY = "there is no key frame before it"
_NO_PICTURE = "the decoder produces no picture from its data"
_DAMAGED = "its data, or the data of its reference frames, are damaged"
_ORDER = "data are missing around it, and the file does not say in which order frames are shown"


class _AgainError(Exception):
    """What was believed of the file has changed (a false key frame, an error to be located): once more."""


class VideoReader:
    """Decodes frames of one video. Each packet is marked with its number, which the decoder hands on to
    the picture, so a picture is known for certain whatever the time stamps are.

    After a seek, decoding starts at a key frame at or before the frame. A picture that the decoder calls
    damaged is not shown, nor what is decoded after it up to the next key frame. Not safe for two threads
    at once; may be used from any one at a time.
    """

    def __init__(self, index: VideoIndex, threads: int | None = None) -> None:
        self._index = index
        self._threads = threads or 0  # 0: decided by the size of the pictures
        self._is_key = index.is_key.copy()
        self._order, self._rank = index.order.copy(), index.rank.copy()
        self._sorted_ident = np.argsort(index.ident, kind="stable")
        self._resolved: set[int] = set()  # groups whose order of presentation is known, by their key
        self._damaged: list[int] = []  # sorted packets that others are decoded from
        self.lost: dict[int, str] = {}  # frame -> why it cannot be shown, as far as known
        self.size: tuple[int, int] | None = None  # (height, width) as coded, of the first frame decoded
        self.turn: Turn = (False, False, False)
        self._container: InputContainer | None = None
        self._stream: VideoStream | None = None
        self._decoding = Helper()
        self._endless: set[int] = set()  # packets that libav does not come to an end with
        self._feed: Iterator[tuple[int, VideoPacket]] | None = None  # None: no run is going on
        self._start = 0  # the key frame that the run started at
        self._next = 0  # the packet that is decoded next
        self._newest: int | None = None  # the latest presentation time that has come out
        self._refreshes = False  # a key frame was found that is none
        self._in_step = False  # the run's key frame itself has come out
        first = int(np.flatnonzero(self._is_key)[0])
        for packet in self._order[(self._order < first) | (index.when[self._order] < index.when[first])]:
            self.lost[int(self._rank[packet])] = _NO_KEY
        for i in range(max(len(self._order) - index.unsure_tail, 0), len(self._order)):
            self.lost.setdefault(i, _ORDER)

    def close(self) -> None:
        self._decoding.close()
        self._feed = None
        if self._container is not None:
            self._container.close()
        self._container = self._stream = None

    def read(self, i: int, keep: Keep, before: int = 0) -> Image:
        """Frame `i`, RGB uint8 (H, W, 3). Up to `before` frames before it, and those that come after it
        anyway, are given to `keep`. Raises FrameError."""
        while True:
            try:
                if i in self.lost:
                    raise self._error(i)
                if self._index.by_output:
                    self._resolve(int(self._order[i]))
                    if i in self.lost:
                        raise self._error(i)
                image = self._find(i, keep, before)
            except _AgainError:
                continue
            if image is None:
                self.lost.setdefault(i, _NO_PICTURE)
                raise self._error(i)
            return image

    def _error(self, i: int) -> FrameError:
        return FrameError(f"frame {i} of {self._index.path} cannot be shown: {self.lost[i]}")

    # --- from frames to packets -------------------------------------------------------------

    def _key_of(self, packet: int) -> int:
        """The last key frame from which `packet` can be decoded; -1 if there is none."""
        when = self._index.when
        for start in range(packet, -1, -4096):
            block = np.arange(max(start - 4095, 0), start + 1)
            good = block[self._is_key[block] & (when[block] <= when[packet])]
            if len(good):
                return int(good[-1])
        return -1

    def _find(self, i: int, keep: Keep, before: int) -> Image | None:
        packet = int(self._order[i])
        key = self._key_of(packet)
        if not self._can_go_on(packet, key):
            self._restart(key)
        image = self._decode_to(i, keep, before)
        if image is None and i not in self.lost:
            self._doubt_start()
        return image

    def _can_go_on(self, packet: int, key: int) -> bool:
        when = self._index.when
        return (
            self._feed is not None
            and self._start <= packet
            and when[self._start] <= when[packet]
            and (self._newest is None or self._newest < when[packet])
            and key <= self._next + _SHORT_WAY
        )

    def _decode_to(self, i: int, keep: Keep, before: int) -> Image | None:
        packet, found = int(self._order[i]), None
        wanted = int(self._index.when[self._order[max(i - before, 0)]])
        while found is None and self._feed is not None:
            check_wanted()  # from the key frame before, it may be a long way
            for number, frame in self._decode_next(wanted):
                at = int(self._rank[number])
                if at < 0 or at in self.lost or not (at == i or i - before <= at <= i + _FAR_BEHIND):
                    continue
                if self._index.by_output and self._key_of(number) not in self._resolved:
                    continue
                image = self._image(at, frame)
                if image is None:
                    continue
                if at == i:
                    found = image
                else:
                    keep(at, image)
            if i in self.lost or self._next > packet + _FAR_BEHIND + self._threads:
                break
        return found

    def _resolve(self, packet: int) -> None:
        """Learn in which order the frames of a group are shown, by decoding the group."""
        key = self._key_of(packet)
        if key in self._resolved:
            return
        later = np.flatnonzero(self._is_key[key + 1 :])
        end = key + 1 + int(later[0]) if len(later) else self._index.packets()
        self._restart(key)
        shown: list[int] = []
        while len(shown) < end - key and self._feed is not None and self._next <= end + 2 * _FAR_BEHIND:
            check_wanted()
            shown += [number for number, _ in self._decode_next() if key <= number < end]
        missing = sorted(set(range(key, end)) - set(shown))
        if missing:
            # A missing picture shifts those that are shown after it. Of the pictures decoded before it, the
            # deepest reordering can have held back so many; the ones in front of those are certain.
            for at in range(max(missing[0] - DEEPEST, key), end):
                self.lost[at] = _ORDER
        order = np.array([*shown, *missing], np.int64)
        self._order[key:end] = order
        self._rank[order] = np.arange(key, end)
        self._resolved.add(key)
        self._feed = None

    # --- decoding ---------------------------------------------------------------------------

    def _decode_next(self, wanted: int | None = None) -> list[tuple[int, VideoFrame]]:
        """Decode one packet, or drain the decoder at the end: (packet number, good or lost picture).

        Pictures that are shown before the time `wanted`, and that no other picture is built on, may be left out:
        on a long way from a key frame that is half of the work.
        """
        assert self._feed is not None and self._stream is not None
        entry = next(self._feed, None)
        if entry is not None:
            leave_out = wanted is not None and int(self._index.when[entry[0]]) < wanted and self._in_step
            self._stream.codec_context.skip_frame = "NONREF" if leave_out else "DEFAULT"
        try:
            if entry is None:
                self._feed = None
                pictures = self._decoded(None)
            else:
                self._next = entry[0] + 1
                if entry[0] in self._endless:
                    return []
                pictures = self._decoded(entry[1])
        except DriveError:
            self._container = self._stream = self._feed = (
                None  # they belong to the thread that is at work on them
            )
            check_wanted()
            self._endless.add(self._next - 1)
            self._mark_damaged(self._next - 1, NEVER_DECODED)
            raise _AgainError from None
        except (av.FFmpegError, OSError) as error:
            if self._threads > 1:
                # With threads an error may belong to an earlier packet: from here on one thread only.
                self._threads = 1
                self.close()
                raise _AgainError from error
            if entry is not None:
                self._mark_damaged(entry[0])
            return []
        out = []
        for picture in pictures:
            number = picture.pts
            if number is None or not self._start <= number < self._index.packets():
                continue
            if self._index.when[number] < self._index.when[self._start]:
                continue  # leads an open group: built on frames before the start
            if number == self._start:
                self._in_step = True
                self._check_key(number, picture)
            elif not self._in_step:
                self._doubt_start()
            self._newest = max(int(self._index.when[number]), self._newest or int(self._index.when[number]))
            if picture.is_corrupt or self._index.is_damaged[number]:
                self._mark_damaged(number)
            elif self._built_on_damage(number):
                self._lose(number, _DAMAGED)
            out.append((number, picture))
        return out

    def _decoded(self, packet: VideoPacket | None) -> list[VideoFrame]:
        assert self._stream is not None
        decode = partial(decode_packet, self._stream.codec_context, packet)
        return self._decoding.run(DECODING_S, decode, NEVER_DECODED, reads=False)

    def _check_key(self, number: int, picture: VideoFrame) -> None:
        if picture.key_frame or picture.pict_type == PictureType.I or not self._has_key_before(number):
            return
        self._is_key[number] = False  # marked by a careless program; nothing can start here
        self._feed = None
        raise _AgainError

    def _doubt_start(self) -> None:
        """The run's key frame did not come out, and is not damaged: it only begins a gradual refresh, after
        which pictures need not be exact. Start earlier; if it happens again, only at the beginning."""
        if self._in_step or self._start in self._damaged or not self._has_key_before(self._start):
            return
        if self._refreshes:
            self._is_key[np.flatnonzero(self._is_key)[1:]] = False
        self._refreshes = True
        self._is_key[self._start] = False
        self._feed = None
        raise _AgainError

    def _has_key_before(self, packet: int) -> bool:
        return bool(self._is_key[:packet].any())

    def _mark_damaged(self, number: int, reason: str = _DAMAGED) -> None:
        self._lose(number, reason)
        if not self._index.is_disposable[number] and number not in self._damaged:
            insort(self._damaged, number)

    def _built_on_damage(self, number: int) -> bool:
        if not self._damaged:
            return False
        at = bisect_left(self._damaged, self._key_of(number))
        return at < len(self._damaged) and self._damaged[at] < number

    def _lose(self, number: int, reason: str) -> None:
        if self._rank[number] >= 0:
            self.lost.setdefault(int(self._rank[number]), reason)

    def _image(self, at: int, frame: VideoFrame) -> Image | None:
        size = (frame.height, frame.width)
        if self.size is None:
            self.size, self.turn = size, turn_of(frame)
        if size != self.size:
            # Scaled, it would show the network pixels that the camera never made.
            self.lost[at] = (
                f"it has {size[1]}x{size[0]} pixels, the drive's first frame {self.size[1]}x{self.size[0]}"
            )
            return None
        try:
            # one thread: waking others costs more than the conversion
            rgb = frame.reformat(format="rgb24", threads=1).to_ndarray()
        except (av.FFmpegError, ValueError, MemoryError) as error:
            self.lost[at] = f"its pixel format {frame.format.name} cannot be converted ({error})"
            return None
        return turned(rgb.astype(np.uint8, copy=False), self.turn)

    # --- finding packets --------------------------------------------------------------------

    def _restart(self, key: int) -> None:
        """Begin to decode at packet `key`. Afterwards `_feed` gives it and all that follow."""
        self._start, self._next, self._newest, self._in_step = key, key, None, False
        self._feed = None
        found = self._seek(key)
        if found is None:
            found = self._reopened()
        self._feed = self._from(key, *found)

    def _seek(self, key: int) -> tuple[Iterator[VideoPacket], VideoPacket | None, int] | None:
        """Seek to `key` or before: (packets after the first, the first, its number). None if that fails."""
        if key == 0 or not self._index.ident_kind:
            return None
        if self._container is None or self._stream is None:
            self._reopened()
        assert self._container is not None and self._stream is not None
        keys = np.flatnonzero(self._is_key[: key + 1])[::-1]
        for target in keys[[0, 1, 3, 7][: min(len(keys).bit_length(), 4)]]:
            time = seek_time(self._index, int(target))
            if time is None:
                return None
            try:
                self._container.seek(time, stream=self._stream)
                packets = iter(self._container.demux(self._stream))
                first = next((p for p in packets if p.size), None)
            except (av.FFmpegError, OSError):
                continue
            number = None if first is None else self._number(first, key)
            if number is not None and number <= key:
                return packets, first, number
        return None

    def _reopened(self) -> tuple[Iterator[VideoPacket], VideoPacket | None, int]:
        """From the beginning of the file."""
        self.close()
        self._container = open_container(self._index.path)
        stream = self._container.streams[self._index.stream_index]
        if not isinstance(stream, VideoStream):
            raise DriveError(f"{self._index.path} has changed since it was opened; open it again")
        self._stream = stream
        self._threads = self._threads or _threads_for(stream)
        stream.codec_context.thread_type = "AUTO" if self._threads > 1 else "NONE"
        stream.codec_context.thread_count = self._threads
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        packets = iter(self._container.demux(stream))
        return packets, None, 0

    def _number(self, packet: VideoPacket, expected: int) -> int | None:
        """Which packet of the index this is."""
        ident = self._index.ident
        value = ident_of(packet, self._index.ident_kind)
        if expected < len(ident) and ident[expected] == value:
            return expected
        at = int(np.searchsorted(ident, value, sorter=self._sorted_ident))
        if at == len(ident) or ident[self._sorted_ident[at]] != value:
            return None
        return int(self._sorted_ident[at])

    def _from(
        self, key: int, packets: Iterator[VideoPacket], first: VideoPacket | None, number: int
    ) -> Iterator[tuple[int, VideoPacket]]:
        """(number, packet) from `key` on, each packet carrying its number in place of its time."""
        expected, checks = number, first is not None
        try:
            for packet in _chain(first, packets):
                if not packet.size:
                    continue  # drained by the caller; to a decoder this would be the end
                found = self._number(packet, expected) if checks else expected
                if found is None or found >= self._index.packets():
                    continue  # half a packet at the place of the seek, or the file is still growing
                expected = found + 1
                if found >= key:
                    packet.pts = packet.dts = found
                    yield found, packet
        except (av.FFmpegError, OSError):
            return  # the index ends here too


def _threads_for(stream: VideoStream) -> int:
    """One thread, but for large pictures on a large machine: at 640x480 on two cores more threads do not
    decode faster beside other work, and make seeking slower by half."""
    cores = os.cpu_count() or 1
    return min(cores // 2, 4) if cores >= 4 and stream.width * stream.height >= 1920 * 1080 else 1


def _chain(first: VideoPacket | None, rest: Iterator[VideoPacket]) -> Iterator[VideoPacket]:
    if first is not None:
        yield first
    yield from rest
