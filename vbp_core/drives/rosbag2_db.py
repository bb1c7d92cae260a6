"""ROS2 bags in SQLite: one .db3 file as a `MessageFile`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from vbp.drives.message_file import Allowance, DamagedError, Head, MessageFile
from vbp.drives.ros_messages import Topic
from vbp.errors import DriveError
from vbp.readable import clean
from vbp.reading import read_head, unpack

MAGIC = b"SQLite format 3\0"

_ZSTD = b"\x28\xb5\x2f\xfd"  # a plain message starts with 0
_MOST_BYTES = 2**27  # of a message, and of any value that SQLite makes
_MOST_LABEL = (
    2**20
)  # of a message that is read whole before any picture is: a steering report has some hundred
_MOST_TOPICS = 10_000
_SYNTAX = {"ros2msg": "msg", "ros2idl": "idl"}


class Rosbag2Db(MessageFile):
    """A .db3 file. Raises DriveError where it is no ROS2 bag, or nothing of it can be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topics = {}
        self.counts = {}
        self.notes = []
        self._handle: sqlite3.Connection | None = None
        self._allowance = Allowance(path.stat().st_size)
        try:
            self._read_topics()
        except BaseException as error:
            self.close()
            if isinstance(error, (sqlite3.Error, TypeError, ValueError)):
                raise DriveError(
                    f"{path} is damaged or cut off, SQLite cannot read it ({clean(str(error))}); "
                    "`sqlite3 FILE .recover` may recover a part of it"
                ) from None
            raise

    @property
    def _db(self) -> sqlite3.Connection:
        if self._handle is None:
            self._handle = _connect(self.path.resolve())
        return self._handle

    def _read_topics(self) -> None:
        self._check_stored()
        tables = {row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"topics", "messages"} <= tables:
            raise DriveError(
                f"{self.path} is an SQLite file but no ROS2 bag: it lacks the tables topics and messages"
            )
        definitions: dict[str, tuple[str, str]] = {}
        if "message_definitions" in tables:
            rows = self._db.execute(
                "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
            )
            definitions = {str(name): (_SYNTAX.get(str(how), ""), str(text)) for name, how, text in rows}
        for number, name, msgtype, encoding in self._db.execute(
            f"SELECT id, name, type, serialization_format FROM topics LIMIT {_MOST_TOPICS}"
        ):
            syntax, text = definitions.get(str(msgtype), ("", ""))
            self.topics[int(number)] = Topic.declared(str(name), str(msgtype), text, syntax, str(encoding))
        try:
            rows = self._db.execute("SELECT topic_id, count(*) FROM messages GROUP BY topic_id")
            self.counts = {int(number): int(n) for number, n in rows}
        except sqlite3.Error:
            pass  # cut off; what is there is found by `heads`

    def _check_stored(self) -> None:
        """A table may compute its columns, as long and as large as it likes; a recorder's never does."""
        for name, sql in self._db.execute(
            "SELECT name, sql FROM sqlite_master WHERE name IN ('topics', 'messages', 'message_definitions')"
        ):
            rows = self._db.execute("SELECT hidden FROM pragma_table_xinfo(?)", (name,)).fetchall()
            if any(hidden for (hidden,) in rows) or not str(sql).upper().startswith("CREATE TABLE"):
                raise DriveError(
                    f"{self.path} is no ROS2 bag: what its table {name} holds is computed, not recorded"
                )

    def heads(self, wanted: Mapping[int, int]) -> Iterator[Head]:
        lost = 0
        try:
            marks = ",".join("?" * len(wanted))
            rows = self._db.execute(
                f"SELECT id, topic_id, timestamp FROM messages WHERE topic_id IN ({marks}) ORDER BY id",
                tuple(wanted),
            )
            for row, channel, time in rows:
                try:
                    data = self._data(row, wanted[channel] if wanted[channel] >= 0 else _MOST_LABEL)
                    self._allowance.take(len(data))
                    head = Head(int(channel), int(time), (0, int(row)), data)
                except (DamagedError, sqlite3.Error, KeyError, TypeError, ValueError):
                    lost += 1  # SQLite holds a column to no type
                    continue
                yield head
        except sqlite3.Error as error:
            self.notes.append(
                f"{self.path.name} is damaged or cut off ({error}); the part before that is used"
            )
        if lost:
            self.notes.append(f"{self.path.name}: {lost} messages are damaged and left out")

    def _data(self, row: int, size: int) -> bytes:
        """The first bytes of a message, without reading the rest of it."""
        with self._db.blobopen("messages", "data", row, readonly=True) as blob:
            start = blob.read(4)
            if start == _ZSTD:  # compressed one by one
                return _unzip(start + blob.read(), size)
            return start + blob.read(size - len(start) if size > len(start) else 0)

    def read(self, place: tuple[int, int]) -> bytes:
        try:
            return self._data(place[1], _MOST_BYTES)
        except sqlite3.Error as error:
            raise DamagedError(str(error)) from None

    def close(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def _connect(path: Path) -> sqlite3.Connection:
    """Open for reading, in a way that leaves no file beside the user's. Raises sqlite3.Error, OSError.

    A database with a write-ahead log (WAL) is read with an index that SQLite writes to `PATH-shm` and, as it may not
    write otherwise, leaves there. https://www.sqlite.org/wal.html#noshm
    """
    log, shared = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    keeps_log = read_head(path, 20)[18:20] == b"\2\2"  # https://www.sqlite.org/fileformat.html
    if not keeps_log or shared.exists():  # a recorder may be at work
        how = "mode=ro"
    elif log.exists() and log.stat().st_size:
        how = f"mode=ro&vfs={'win32' if os.name == 'nt' else 'unix'}-none"  # the index in memory
    else:
        how = "immutable=1"
    # The drive may be opened in one thread and read in another, one at a time
    db = sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, check_same_thread=False)
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    try:
        if "vfs" in how:
            db.execute("PRAGMA locking_mode = exclusive")
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        # A bag with an open journal on a medium that cannot be written to
        db.close()
        db = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True, check_same_thread=False)
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    return db


def _unzip(data: bytes, most: int) -> bytes:
    try:
        return unpack("zstd", data, most)
    except ValueError as error:
        raise DamagedError("it does not decompress") from error
