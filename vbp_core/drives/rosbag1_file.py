"""The ROS1 bag format, version 2.0: one file as a `MessageFile`.

A bag is a row of records: header length, header (fields `name=value`), data length, data. Messages are
in chunks, each followed by its index records; an index of the whole comes last and is what a crash of
the recorder leaves out. Without it the chunks are found one after the other from the start of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

import numpy as np

from vbp.drives.message_file import Chunk, ChunkedFile, DamagedError, Place, Record, View
from vbp.drives.ros_messages import Topic
from vbp.errors import DriveError

MAGIC = b"#ROSBAG V2.0\n"
ANY_VERSION = b"#ROSBAG V"

_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION = 2, 3, 4, 5, 6, 7
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_TIME = struct.Struct("<II")
_PROBE = 128  # holds the header of most records, so one read is enough
_MAX_HEADER = 2**24
_INDEX_ENTRY = np.dtype([("sec", "<u4"), ("nsec", "<u4"), ("offset", "<u4")])

Header = dict[bytes, bytes]


def parse_header(data: bytes) -> Header:
    """Fields of a record header. Raises DamagedError, struct.error."""
    out: Header = {}
    pos = 0
    while pos < len(data):
        size = _U32.unpack_from(data, pos)[0]
        pos += 4
        name, equals, value = data[pos : pos + size].partition(b"=")
        if not equals or pos + size > len(data):
            raise DamagedError("a record header is damaged")
        out[name] = value
        pos += size
    return out


def read_record(view: View, offset: int) -> tuple[int, Header, int, int]:
    """The record at an offset: its kind, its header, and start and size of its data (maybe past the end).

    Raises DamagedError, struct.error.
    """
    probe = view.read(offset, _PROBE)
    size = _U32.unpack_from(probe, 0)[0]
    if size > _MAX_HEADER:
        raise DamagedError("a record header is damaged")
    if 8 + size > len(probe):
        probe = view.read(offset, 8 + size)
    header = parse_header(probe[4 : 4 + size])
    length = _U32.unpack_from(probe, 4 + size)[0]
    op = header.get(b"op", b"")
    if len(op) != 1:
        raise DamagedError("a record has no kind")
    return op[0], header, offset + 8 + size, length


def _u32(header: Header, name: bytes) -> int:
    return int(_U32.unpack(header.get(name, b""))[0])


def _text(header: Header, name: bytes) -> str:
    return header.get(name, b"").decode("utf-8", "replace")


class Rosbag1File(ChunkedFile):
    """A .bag file. Raises DriveError where nothing of it can be used, OSError where it cannot be read."""

    def load(self) -> None:
        path = self.path
        if self.whole().read(0, len(MAGIC)) != MAGIC:
            version = self.whole().read(len(ANY_VERSION), 3).decode("ascii", "replace").strip()
            raise DriveError(
                f"{path} is a bag of version {version!r}; version 2.0 is read (rosbag fix converts it)"
            )
        try:
            kind, header, _, _ = read_record(self.whole(), len(MAGIC))
            if kind != _BAG:
                raise DamagedError
            encryptor = _text(header, b"encryptor")
            index_pos = _U64.unpack(header.get(b"index_pos", b""))[0]
            expected = _u32(header, b"conn_count"), _u32(header, b"chunk_count")
        except (DamagedError, struct.error):
            raise DriveError(f"{path} is cut off or damaged in its first bytes, and cannot be read") from None
        if encryptor:
            raise DriveError(f"{path} is encrypted ({encryptor}); decrypt it first")
        if not self._read_index(index_pos, *expected):
            self._rebuild(index_pos)

    # The index at the end of the file

    def _read_index(self, pos: int, connections: int, chunks: int) -> bool:
        """Read the index of the whole; False where it is not there or not whole."""
        if pos <= 0 or pos > self.size:
            return False
        view = self.whole()
        seen = 0
        try:
            while seen < connections + chunks:
                kind, header, start, length = read_record(view, pos)
                pos = start + length
                if pos > self.size:
                    return self._forget()
                if kind == _CONNECTION:
                    self._connection(view, header, start, length)
                elif kind == _CHUNK_INFO:
                    pairs = np.frombuffer(view.read(start, length), dtype="<u4").reshape(-1, 2)
                    counts = {int(c): int(n) for c, n in pairs}
                    chunk_pos = _U64.unpack(header.get(b"chunk_pos", b""))[0]
                    self.chunks.append(Chunk(chunk_pos, -1, "", -1, counts))  # the rest when it is needed
                else:
                    return self._forget()
                seen += 1
        except (DamagedError, struct.error, ValueError):
            return self._forget()
        self._sum_counts()
        return True

    def _forget(self) -> bool:
        self.chunks.clear()
        self.topics.clear()
        return False

    def _sum_counts(self) -> None:
        self.counts = dict.fromkeys(self.topics, 0)
        for chunk in self.chunks:
            for channel, n in (chunk.counts or {}).items():
                self.counts[channel] = self.counts.get(channel, 0) + n

    def complete(self, chunk: Chunk) -> None:
        if chunk.size >= 0:
            return
        kind, header, start, length = read_record(self.whole(), chunk.pos)
        if kind != _CHUNK:
            raise DamagedError("its index points to something that is not a chunk")
        self._fill(chunk, header, start, length)
        self._collect_index(chunk, start + length)

    def _fill(self, chunk: Chunk, header: Header, start: int, length: int) -> None:
        name = _text(header, b"compression")
        chunk.compression = "" if name == "none" else name
        chunk.raw_size = _u32(header, b"size")
        chunk.pos, chunk.size = start, min(length, self.size - start)

    def _collect_index(self, chunk: Chunk, pos: int) -> int:
        """Note the positions of the index records behind a chunk; returns where they end."""
        view = self.whole()
        while pos < self.size:
            kind, header, start, length = read_record(view, pos)
            if kind != _INDEX or start + length > self.size:
                break
            chunk.index[_u32(header, b"conn")] = pos
            pos = start + length
        return pos

    # Without it

    def _rebuild(self, index_pos: int) -> None:
        """Find the chunks from the start of the file on, as far as it is whole."""
        view = self.whole()
        pos = len(MAGIC)
        try:
            while pos < self.size:
                kind, header, start, length = read_record(view, pos)
                pos = start + length
                if kind == _CONNECTION:
                    self._connection(view, header, start, length)
                if kind != _CHUNK:
                    continue
                chunk = Chunk(start, 0, "", 0)
                self.chunks.append(chunk)
                self._fill(chunk, header, start, length)
                pos = self._collect_index(chunk, pos)
                self._count(chunk, whole=start + length < self.size)
        except (DamagedError, struct.error):
            pass  # what came before it is used
        self._sum_counts()
        why = "was not closed by its recorder" if index_pos == 0 else f"is cut off after {self.size} bytes"
        self.notes.append(f"{self.path.name} {why}: its index is lost; what is intact was recovered")

    def _count(self, chunk: Chunk, whole: bool) -> None:
        """Messages per topic, from the chunk's index, or from the chunk itself where that is needed."""
        counts: dict[int, int] = {}
        for channel, pos in chunk.index.items():
            counts[channel] = read_record(self.whole(), pos)[3] // _INDEX_ENTRY.itemsize
        if not chunk.index or not whole or counts.keys() - self.topics.keys():
            # Topics are declared inside the chunks, at their first message
            walked: dict[int, int] = {}
            for place in self.walk(self.view_of(chunk)):
                walked[place.channel] = walked.get(place.channel, 0) + 1
            counts = counts or walked
        chunk.counts = counts

    # Records inside of a chunk

    def places(self, chunk: Chunk, wanted: Mapping[int, int]) -> list[Place] | None:
        if not chunk.index:
            return None
        out: list[Place] = []
        for channel, pos in chunk.index.items():
            if channel not in wanted:
                continue
            _, _, start, length = read_record(self.whole(), pos)
            data = self.whole().read(start, length)
            if len(data) % _INDEX_ENTRY.itemsize:
                raise DamagedError("its index is cut off")
            for sec, nsec, offset in np.frombuffer(data, dtype=_INDEX_ENTRY).tolist():
                out.append(Place(channel, sec * 10**9 + nsec, offset))
        return out

    def record_at(self, view: View, offset: int) -> Record:
        while True:
            kind, header, start, length = read_record(view, offset)
            if kind != _CONNECTION:
                break
            offset = start + length  # some writers index the declaration before the message
        if kind != _MESSAGE:
            raise DamagedError("there is no message at its position")
        sec, nsec = _TIME.unpack(header.get(b"time", b""))
        return Record(_u32(header, b"conn"), sec * 10**9 + nsec, start, length)

    def walk(self, view: View) -> Iterator[Place]:
        pos = 0
        while pos < view.size:
            try:
                self._allowance.take_record()
                kind, header, start, length = read_record(view, pos)
                if start + length > view.size:
                    return
                if kind == _CONNECTION:
                    self._connection(view, header, start, length)
                elif kind == _MESSAGE:
                    sec, nsec = _TIME.unpack(header.get(b"time", b""))
                    yield Place(_u32(header, b"conn"), sec * 10**9 + nsec, pos)
            except (DamagedError, struct.error):
                return
            pos = start + length

    def _connection(self, view: View, header: Header, start: int, length: int) -> None:
        """Note a topic and its definition."""
        inner = parse_header(view.read(start, length))
        name = _text(header, b"topic") or _text(inner, b"topic")
        msgtype = _text(inner, b"type")
        self.topics[_u32(header, b"conn")] = Topic.declared(
            name, msgtype, _text(inner, b"message_definition"), "msg", "ros1"
        )
