"""Files of recorded messages: found without being read, and read one by one.

A `MessageFile` knows where its messages are. Bags and MCAP files keep theirs in chunks, mostly
compressed as a whole: `ChunkedFile` goes through them once when a drive is opened, holding only a few
at a time, and keeps those of the last frames while it plays.
"""

from __future__ import annotations

import os
import struct
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from vbp.drives.ros_messages import Topic
from vbp.reading import open_file
from vbp.reading import unpack as unpack_bytes

RECORDS = 10**6  # that are gone through in any file
CHUNK_CACHE_BYTES = 32 * 2**20
_MAX_CHUNK = 2**27  # a compressed chunk that claims to be larger is left out; recorders make them of some MB


class DamagedError(Exception):
    """A part of a file does not hold what it should."""


class Allowance:
    """How many bytes the parts of a file may unpack to while it is opened, all together, and how many records may be gone
    through: much more than any recording's do, for zeros are packed a thousandfold and more."""

    def __init__(self, file_bytes: int) -> None:
        self._left = 2**29 + 200 * file_bytes
        self._records = RECORDS + file_bytes // 4

    def take(self, count: int) -> None:
        """Raises DamagedError where there are not so many left."""
        if count > self._left:
            raise DamagedError("it unpacks to too much")
        self._left -= count

    def take_record(self) -> None:
        """Raises DamagedError where there is none left."""
        if not self._records:
            raise DamagedError("it holds too many records")
        self._records -= 1


class Head(NamedTuple):
    """The beginning of one message, and the place where the rest is read again."""

    channel: int
    time_ns: int  # when it was recorded
    place: tuple[int, int]
    data: bytes


class MessageFile(ABC):
    """One file of a recording.

    topics: by the file's own channel number. counts: messages per channel, where known without reading.
    notes: what is wrong with the file, one sentence each.
    """

    path: Path
    topics: dict[int, Topic]
    counts: dict[int, int]
    notes: list[str]

    @abstractmethod
    def heads(self, wanted: Mapping[int, int]) -> Iterator[Head]:
        """All messages of the wanted channels, in any order. wanted: channel -> bytes needed, -1 for all.

        Damaged parts are left out and noted, never raised.
        """

    @abstractmethod
    def read(self, place: tuple[int, int]) -> bytes:
        """The whole message at a place. Raises DamagedError or OSError."""

    @abstractmethod
    def close(self) -> None:
        """Release the file until it is read again. Safe to call twice."""


class View(ABC):
    """A run of bytes that is read in pieces."""

    size: int

    @abstractmethod
    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes, fewer at the end."""


class MemoryView(View):
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size] if offset >= 0 else b""


class FileView(View):
    """A part of an open file; what lies after the end of the file is not there."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        size = min(size, self.size - offset)
        if offset < 0 or size <= 0:
            return b""
        self._file.seek(self._start + offset)
        return self._file.read(size)


class Record(NamedTuple):
    """A message's record in a chunk."""

    channel: int
    time_ns: int
    start: int  # of its payload
    size: int


class Place(NamedTuple):
    """Where an index says that a message is."""

    channel: int
    time_ns: int
    offset: int


@dataclass(slots=True)
class Chunk:
    """A chunk in the file: `size` bytes at `pos`, holding `raw_size` bytes of records."""

    pos: int
    size: int
    compression: str  # "", "bz2", "lz4", "zstd"
    raw_size: int
    counts: dict[int, int] | None = None  # messages per channel; None: unknown
    index: dict[int, int] = field(default_factory=dict)  # channel -> position of its index record


class ChunkedFile(MessageFile):
    """A file whose messages are in chunks. Formats say how to find the chunks and to read records."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topics = {}
        self.counts = {}
        self.notes = []
        self.chunks: list[Chunk] = []
        self._handle: BinaryIO | None = None
        self._size = 0
        self._cache: OrderedDict[int, MemoryView] = OrderedDict()
        self._cache_bytes = 0
        try:
            self._allowance = Allowance(self.size)
            self.load()
        except BaseException:
            self.close()
            raise

    # What a format provides

    @abstractmethod
    def load(self) -> None:
        """Find topics and chunks. Raises DriveError where nothing of the file can be used."""

    @abstractmethod
    def record_at(self, view: View, offset: int) -> Record:
        """The message record at an offset of a chunk. Raises DamagedError, struct.error."""

    @abstractmethod
    def places(self, chunk: Chunk, wanted: Mapping[int, int]) -> list[Place] | None:
        """The index of a chunk, for the wanted channels; None where it has none. Raises as `record_at`."""

    @abstractmethod
    def walk(self, view: View) -> Iterator[Place]:
        """All messages of a chunk, one after the other, until what is cut off or damaged."""

    def complete(self, chunk: Chunk) -> None:
        """Complete a chunk of which only the position is known. Raises as `record_at`."""

    # What is the same for all

    @property
    def file(self) -> BinaryIO:
        if self._handle is None:
            self._handle = open_file(self.path)
            self._size = os.fstat(self._handle.fileno()).st_size
        return self._handle

    @property
    def size(self) -> int:
        """Bytes of the file, as it was when opened."""
        _ = self.file
        return self._size

    def whole(self) -> FileView:
        return FileView(self.file, 0, self.size)

    def heads(self, wanted: Mapping[int, int]) -> Iterator[Head]:
        lost = 0
        for number, view in self._views(wanted):
            if view is None:
                lost += 1
                continue
            chunk = self.chunks[number]
            try:
                places = self.places(chunk, wanted)
                if places is not None:
                    places.sort(key=lambda place: place.offset)  # forwards through the file
                for channel, _, offset in self.walk(view) if places is None else places:
                    need = wanted.get(channel)
                    if need is None:
                        continue
                    record = self.record_at(view, offset)
                    if record.channel != channel or record.start + record.size > view.size:
                        raise DamagedError
                    size = record.size if need < 0 else min(need, record.size)
                    yield Head(channel, record.time_ns, (number, offset), view.read(record.start, size))
            except (DamagedError, struct.error):
                lost += 1
        if lost:
            self.notes.append(
                f"{self.path.name}: {lost} of its {len(self.chunks)} chunks are damaged, or unpack to more than {_MAX_CHUNK // 2**20} MiB, and left out"
            )

    def read(self, place: tuple[int, int]) -> bytes:
        number, offset = place
        chunk = self.chunks[number]
        try:
            view = (
                self._cached(number, chunk)
                if chunk.compression
                else FileView(self.file, chunk.pos, chunk.size)
            )
            record = self.record_at(view, offset)
        except struct.error:
            raise DamagedError("its record is damaged") from None
        data = view.read(record.start, record.size)
        if len(data) < record.size:
            raise DamagedError("its record is cut off")
        return data

    def view_of(self, chunk: Chunk) -> View:
        """The records of a completed chunk, unpacked. Raises DamagedError."""
        if chunk.compression:
            self._allowance.take(chunk.raw_size)
            return MemoryView(unpack(chunk.compression, self._stored(chunk), chunk.raw_size))
        return FileView(self.file, chunk.pos, chunk.size)

    def _cached(self, number: int, chunk: Chunk) -> MemoryView:
        view = self._cache.get(number)
        if view is not None:
            self._cache.move_to_end(number)
            return view
        view = MemoryView(unpack(chunk.compression, self._stored(chunk), chunk.raw_size))
        self._cache[number] = view
        self._cache_bytes += view.size
        while self._cache_bytes > CHUNK_CACHE_BYTES and len(self._cache) > 1:
            _, old = self._cache.popitem(last=False)
            self._cache_bytes -= old.size
        return view

    def _stored(self, chunk: Chunk) -> bytes:
        return self.whole().read(chunk.pos, chunk.size)

    def _views(self, wanted: Mapping[int, int]) -> Iterator[tuple[int, View | None]]:
        """The chunks that may hold wanted channels, in the file's order; None for one that is damaged.

        Compressed ones are unpacked a few ahead in threads: they take longer than everything else.
        """
        workers = min(4, os.cpu_count() or 1)
        ahead: deque[tuple[int, FileView | Future[bytes] | None]] = deque()
        # The pool starts no thread before something is submitted
        with ThreadPoolExecutor(workers, thread_name_prefix="unpack") as pool:
            for number, chunk in enumerate(self.chunks):
                if chunk.counts is not None and not (chunk.counts.keys() & wanted.keys()):
                    continue
                try:
                    self.complete(chunk)
                    if chunk.compression:
                        self._allowance.take(chunk.raw_size)
                        stored = self._stored(chunk)
                        ahead.append((number, pool.submit(unpack, chunk.compression, stored, chunk.raw_size)))
                    else:
                        ahead.append((number, FileView(self.file, chunk.pos, chunk.size)))
                except (DamagedError, struct.error):
                    ahead.append((number, None))
                # Large ones one at a time
                some = (
                    workers if 0 < chunk.raw_size < CHUNK_CACHE_BYTES // workers and chunk.compression else 0
                )
                while len(ahead) > some:
                    yield self._resolved(*ahead.popleft())
            while ahead:
                yield self._resolved(*ahead.popleft())

    @staticmethod
    def _resolved(number: int, item: FileView | Future[bytes] | None) -> tuple[int, View | None]:
        if not isinstance(item, Future):
            return number, item
        try:
            return number, MemoryView(item.result())
        except DamagedError:
            return number, None

    def close(self) -> None:
        self._cache.clear()
        self._cache_bytes = 0
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def unpack(compression: str, data: bytes, raw_size: int) -> bytes:
    """Decompress a chunk, as far as it goes where its end is missing. Raises DamagedError."""
    if not 0 <= raw_size <= _MAX_CHUNK:
        raise DamagedError("its size is impossible")
    try:
        return unpack_bytes(compression, data, raw_size)
    except ValueError as error:
        raise DamagedError("it does not decompress") from error
