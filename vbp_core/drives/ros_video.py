"""Video in messages, a packet in each: foxglove.CompressedVideo, FFMPEGPacket, CompressedImage of H.264 or H.265.

A picture is decoded from the key frame before it on. Nothing is indexed: key frames are found by looking back from the
picture that is asked for, by the first slice of each packet (ITU-T H.264 and H.265, Annex B and the NAL unit header).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from vbp.drives.base import Image
from vbp.drives.patience import DECODING_S, NEVER_DECODED, Helper, check_wanted, decode_packet
from vbp.drives.picture_files import MAX_PIXELS
from vbp.drives.ros_fields import MessageError
from vbp.errors import DriveError

if TYPE_CHECKING:  # FFmpeg takes a while to load, and every folder is asked whether it is a bag
    import av
    from av.video.codeccontext import VideoCodecContext

Keep = Callable[[int, Image], None]  # called with (packet number, image) for pictures decoded on the way

_FAR_BEHIND = 32  # packets that a decoder may hold back before a picture counts as lost
_NAL = re.compile(rb"\x00\x00\x01(.)(..)", re.DOTALL)


def codec_of(text: str) -> str | None:
    """libav's name of the coding that a message states: "h264", "hevc"; None for pictures."""
    text = text.lower().partition(";")[0]
    if re.search(r"264|avc", text):
        return "h264"
    return "hevc" if re.search(r"265|hevc", text) else None


def is_key(codec: str, data: bytes) -> bool:
    """Whether decoding can start at this packet, in which the first slice counts."""
    headed = False
    for nal in _NAL.finditer(data):
        first, rest = nal.group(1)[0], nal.group(2)
        if codec == "hevc":
            kind = first >> 1 & 63
            if kind < 32:  # a slice: of an IDR, BLA or CRA picture, or of one that is built on others
                return 16 <= kind <= 21
            continue
        kind = first & 31
        if kind == 5:
            return True
        if kind == 1:  # an I slice (of kind 7, or 2) behind a header: an open group of pictures, or a refresh
            return headed and (rest[0] == 0x88 or rest[0] >> 4 == 0xB)
        headed |= kind == 7
    return False


class PacketDecoder:
    """Pictures of `count` packets. read: a packet by its number, in the order of decoding. Raises what `read` raises."""

    def __init__(self, codec: str, count: int, read: Callable[[int], bytes]) -> None:
        self._name, self._count, self._read = codec, count, read
        self._codec: VideoCodecContext | None = None
        self._decoding = Helper()
        self._endless: set[int] = set()  # packets that libav does not come to an end with
        self._next = 0  # the packet that is decoded next
        self._held: set[int] = set()  # packets whose pictures the decoder has not given yet
        self._damaged = False  # since the last key frame
        self._is_key: dict[int, bool] = {}

    def close(self) -> None:
        self._codec = None
        self._decoding.close()

    def picture(self, n: int, keep: Keep, before: int = 0) -> Image:
        """The picture of packet `n`, RGB uint8 (H, W, 3). Up to `before` pictures before it, and those that come after
        it anyway, are given to `keep`. Raises MessageError where it cannot be decoded."""
        key = self.key_before(n)
        if any(key <= i <= n for i in self._endless):
            raise MessageError(NEVER_DECODED)
        if key < 0:
            raise MessageError("there is no key frame before it")
        if self._codec is None or key > self._next or not (n >= self._next or n in self._held):
            self._start(key)
        image = self._decode_to(n, keep, before)
        if image is None and (earlier := self.key_before(key - 1)) >= 0:
            self._start(
                earlier
            )  # shown before the key frame that it comes after: it needs the one before, too
            image = self._decode_to(n, keep, before)
        if image is None:
            raise MessageError("its data, or data of frames that it is built on, are damaged")
        return image

    def key_before(self, n: int) -> int:
        """The last packet up to `n` at which decoding can start, -1 for none."""
        for i in range(n, -1, -1):
            if self._key(i):
                return i
        return -1

    def first_key(self) -> int:
        """The first packet at which decoding can start, -1 for none."""
        return next((i for i in range(self._count) if self._key(i)), -1)

    def _key(self, i: int) -> bool:
        if i not in self._is_key:
            try:
                self._is_key[i] = is_key(self._name, self._read(i))
            except MessageError:
                self._is_key[i] = False
        return self._is_key[i]

    def _start(self, key: int) -> None:
        import av
        from av.video.codeccontext import VideoCodecContext

        codec = av.CodecContext.create(self._name, "r")
        assert isinstance(codec, VideoCodecContext)
        codec.thread_count = 1
        codec.options = {"max_pixels": str(MAX_PIXELS)}
        self._codec, self._next, self._damaged = codec, key, False
        self._held.clear()

    def _decode_to(self, n: int, keep: Keep, before: int) -> Image | None:
        found = None
        while found is None and self._codec is not None and (self._next <= n or n in self._held):
            for number, frame in self._decode_next(self._next < min(self._count, n + _FAR_BEHIND)):
                if n - before <= number <= n + _FAR_BEHIND:
                    image = (
                        frame.reformat(format="rgb24", threads=1).to_ndarray().astype(np.uint8, copy=False)
                    )
                    keep(number, image)
                    found = image if number == n else found
        return found

    def _decode_next(self, more: bool) -> list[tuple[int, av.VideoFrame]]:
        """Feed the next packet, or ask for what is held back. Only pictures of which nothing is damaged."""
        import av

        assert self._codec is not None
        number, codec = self._next, self._codec
        try:
            if more:
                self._next += 1
                self._held.add(number)
                if self._key(number):
                    self._damaged = False
                packet = av.Packet(self._read(number))
                packet.pts = packet.dts = number
            else:
                self._codec, packet = None, None
            frames = self._decoded(number, codec, packet)
        except (av.FFmpegError, MessageError):
            if number in self._endless:
                raise
            self._damaged = True
            self._held.discard(number)
            return []
        out = []
        for frame in frames:
            if frame.pts is None:
                continue
            self._held.discard(frame.pts)
            self._damaged |= frame.is_corrupt
            if not self._damaged:
                out.append((frame.pts, frame))
        return out

    def _decoded(
        self, number: int, codec: VideoCodecContext, packet: av.Packet[Any] | None
    ) -> list[av.VideoFrame]:
        try:
            decode = partial(decode_packet, codec, packet)
            return self._decoding.run(DECODING_S, decode, NEVER_DECODED, reads=False)
        except DriveError as error:
            self._codec = None  # it belongs to the thread that is at work on it
            check_wanted()
            self._endless.add(number)
            raise MessageError(NEVER_DECODED) from error
