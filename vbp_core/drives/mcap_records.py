"""The MCAP format: one file as a `MessageFile`.

A file is a row of records: kind (1 byte), length (8), content. Messages are in chunks, each followed by
its index records, or stand alone; a summary comes last and is what a crash of the recorder leaves out.
Without it the records are gone through from the start of the file, skipping their contents.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from vbp.drives.message_file import Chunk, ChunkedFile, DamagedError, Place, Record, View
from vbp.drives.ros_messages import Topic
from vbp.errors import DriveError

MAGIC = b"\x89MCAP0\r\n"

_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _INDEX, _CHUNK_INDEX, _STATISTICS = 2, 3, 4, 5, 6, 7, 8, 11
_RECORD = struct.Struct("<BQ")
_MESSAGE_HEAD = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
_CHUNK_HEAD = struct.Struct("<QQQI")  # first and last time, raw size, CRC; then compression, stored size
_FOOTER_BYTES = _RECORD.size + 20 + len(MAGIC)
_INDEX_ENTRY = np.dtype([("time", "<u8"), ("offset", "<u8")])
_MAX_SCHEMA = 2**26

_SYNTAX = {"ros1msg": "msg", "ros2msg": "msg", "ros2idl": "idl"}


class Content:
    """Takes numbers and texts from the content of a record. Raises struct.error at its end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0

    def number(self, letter: str) -> int:
        packer = struct.Struct("<" + letter)
        value = packer.unpack_from(self.data, self.pos)[0]
        self.pos += packer.size
        return int(value)

    def block(self) -> bytes:
        size = self.number("I")
        if self.pos + size > len(self.data):
            raise struct.error
        self.pos += size
        return self.data[self.pos - size : self.pos]

    def text(self) -> str:
        return self.block().decode("utf-8", "replace")

    def pairs(self, letter: str) -> dict[int, int]:
        """A map of uint16 to numbers, given by its size in bytes."""
        inner = Content(self.block())
        out = {}
        while inner.pos < len(inner.data):
            key = inner.number("H")
            out[key] = inner.number(letter)
        return out


def record_head(view: View, pos: int) -> tuple[int, int, int]:
    """Kind, start and size of the content (maybe past the end) of the record at `pos`. Raises struct.error."""
    kind, size = _RECORD.unpack(view.read(pos, _RECORD.size))
    return kind, pos + _RECORD.size, size


class McapFile(ChunkedFile):
    """An .mcap file. Raises DriveError where nothing of it can be used, OSError where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._schemas: dict[int, tuple[str, str, str]] = {}  # name, encoding, definition
        super().__init__(path)

    def load(self) -> None:
        if self.whole().read(0, len(MAGIC)) != MAGIC:
            raise DriveError(f"{self.path} is not an MCAP file")
        if not self._read_summary():
            self._rebuild()

    # The summary at the end of the file

    def _read_summary(self) -> bool:
        """Read the summary; False where it is not there, not whole, or names no chunks."""
        view = self.whole()
        try:
            kind, start, size = record_head(view, self.size - _FOOTER_BYTES)
            if kind != _FOOTER or size != 20 or view.read(self.size - len(MAGIC), 8) != MAGIC:
                return False
            pos = Content(view.read(start, 8)).number("Q")
            end = self.size - _FOOTER_BYTES
            while 0 < pos < end:
                kind, start, size = record_head(view, pos)
                pos = start + size
                if pos > end:
                    return self._forget()
                if kind in (_SCHEMA, _CHANNEL):
                    self._declare(kind, view, start, size)
                elif kind == _CHUNK_INDEX:
                    self._chunk_index(Content(view.read(start, size)))
                elif kind == _STATISTICS:
                    content = Content(view.read(start, size))
                    content.pos = 8 + 2 + 4 * 4 + 8 + 8
                    self.counts = content.pairs("Q")
        except (DamagedError, struct.error):
            return self._forget()
        declared = self.topics.keys()
        if not self.chunks or any((c.counts or {}).keys() - declared for c in self.chunks):
            return self._forget()
        return True

    def _forget(self) -> bool:
        self.chunks.clear()
        self.topics.clear()
        self.counts = {}
        return False

    def _chunk_index(self, content: Content) -> None:
        content.pos = 16
        pos = content.number("Q")
        content.pos += 8
        index = content.pairs("Q")
        # Without index records behind it, what the chunk holds is not known
        counts = dict.fromkeys(index, 1) if index else None
        self.chunks.append(Chunk(pos, -1, "", -1, counts, index))

    def complete(self, chunk: Chunk) -> None:
        if chunk.size >= 0:
            return
        kind, start, size = record_head(self.whole(), chunk.pos)
        if kind != _CHUNK:
            raise DamagedError("the summary points to something that is not a chunk")
        self._fill(chunk, start, size)

    def _fill(self, chunk: Chunk, start: int, size: int) -> None:
        content = Content(self.whole().read(start, min(size, 256)))
        chunk.raw_size = _CHUNK_HEAD.unpack_from(content.data)[2]
        content.pos = _CHUNK_HEAD.size
        chunk.compression = content.text()
        stored = content.number("Q")
        chunk.pos = start + content.pos
        chunk.size = max(0, min(stored, self.size - chunk.pos))

    # Without it

    def _rebuild(self) -> None:
        """Find the chunks, and messages outside of them, from the start of the file as far as it is whole."""
        view = self.whole()
        whole = False
        loose = False
        pos = len(MAGIC)
        chunk: Chunk | None = None
        try:
            while pos < self.size:
                kind, start, size = record_head(view, pos)
                here, pos = pos, start + size
                if kind == _CHUNK:
                    self._count(chunk)
                    chunk = Chunk(start, 0, "", 0)
                    self._fill(chunk, start, size)
                    self.chunks.append(chunk)
                elif pos > self.size:
                    break
                elif kind in (_SCHEMA, _CHANNEL):
                    self._declare(kind, view, start, size)
                elif kind == _INDEX and chunk is not None:
                    chunk.index[Content(view.read(start, 2)).number("H")] = here
                elif kind == _MESSAGE:
                    loose = True
                    channel = Content(view.read(start, 2)).number("H")
                    self.counts[channel] = self.counts.get(channel, 0) + 1
                elif kind == _FOOTER:
                    whole = True
                    break
        except (DamagedError, struct.error):
            pass  # what came before it is used
        self._count(chunk, complete=whole)
        if loose:
            # A walk over the whole file skips the chunks and takes what is between them
            self.chunks.append(Chunk(len(MAGIC), self.size - len(MAGIC), "", self.size))
        if not whole:
            self.notes.append(
                f"{self.path.name} is cut off after {self.size} bytes: "
                "its summary is lost; what is intact was recovered"
            )

    def _count(self, chunk: Chunk | None, complete: bool = True) -> None:
        """Messages per topic, from a chunk's index, or from the chunk itself where that is needed."""
        if chunk is None:
            return
        counts: dict[int, int] = {}
        for channel, pos in chunk.index.items():
            counts[channel] = record_head(self.whole(), pos)[2] // _INDEX_ENTRY.itemsize
        if not counts or not complete or counts.keys() - self.topics.keys():
            # Index records can be left out or cut off, and topics are declared inside the chunks too
            walked: dict[int, int] = {}
            try:
                for place in self.walk(self.view_of(chunk)):
                    walked[place.channel] = walked.get(place.channel, 0) + 1
            except DamagedError:
                pass  # it is found again, and noted, when the messages are
            if walked.keys() - counts.keys():
                counts = walked
                chunk.index = {}
        chunk.counts = counts
        for channel, n in counts.items():
            self.counts[channel] = self.counts.get(channel, 0) + n

    # Records inside of a chunk

    def places(self, chunk: Chunk, wanted: Mapping[int, int]) -> list[Place] | None:
        if not chunk.index:
            return None
        out: list[Place] = []
        for channel, pos in chunk.index.items():
            if channel not in wanted:
                continue
            kind, start, size = record_head(self.whole(), pos)
            if kind != _INDEX or start + size > self.size:
                raise DamagedError("its index is damaged")
            content = Content(self.whole().read(start, size))
            content.pos = 2
            entries = content.block()
            if len(entries) % _INDEX_ENTRY.itemsize:
                raise DamagedError("its index is damaged")
            for time, offset in np.frombuffer(entries, dtype=_INDEX_ENTRY).tolist():
                out.append(Place(channel, time, offset))
        return out

    def record_at(self, view: View, offset: int) -> Record:
        data = view.read(offset, _RECORD.size + _MESSAGE_HEAD.size)
        kind, size = _RECORD.unpack_from(data)
        if kind != _MESSAGE or size < _MESSAGE_HEAD.size:
            raise DamagedError("there is no message at its position")
        channel, _, log_time, _ = _MESSAGE_HEAD.unpack_from(data, _RECORD.size)
        return Record(channel, log_time, offset + len(data), size - _MESSAGE_HEAD.size)

    def walk(self, view: View) -> Iterator[Place]:
        pos = 0
        while pos < view.size:
            try:
                self._allowance.take_record()
                kind, start, size = record_head(view, pos)
                if start + size > view.size or kind == _FOOTER:
                    return
                if kind in (_SCHEMA, _CHANNEL):
                    self._declare(kind, view, start, size)
                elif kind == _MESSAGE:
                    record = self.record_at(view, pos)
                    yield Place(record.channel, record.time_ns, pos)
            except (DamagedError, struct.error):
                return
            pos = start + size

    def _declare(self, kind: int, view: View, start: int, size: int) -> None:
        """Note a schema, or a topic and its definition."""
        if size > _MAX_SCHEMA:
            raise DamagedError("a declaration is damaged")
        content = Content(view.read(start, size))
        number = content.number("H")
        if kind == _SCHEMA:
            name, encoding = content.text(), content.text()
            self._schemas[number] = name, encoding, content.text()
            return
        schema = content.number("H")
        topic, encoding = content.text(), content.text()
        name, syntax, definition = self._schemas.get(schema, ("", "", ""))
        if encoding in ("ros1", "cdr") and syntax not in _SYNTAX and definition:
            encoding = f"{encoding} with a schema in {syntax or 'no language'}"
        self.topics[number] = Topic.declared(topic, name, definition, _SYNTAX.get(syntax, ""), encoding)
