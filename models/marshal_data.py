"""Python's marshal format of versions 2.7 to 3.13, read as data: code objects become records that nothing can run.

marshal.loads trusts what it is given and can crash on it; here every length is checked against what is there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 100_000
MAX_DEPTH = 16


class MarshalError(ValueError):
    """These bytes are not what marshal writes."""


@dataclass(frozen=True)
class Code:
    """What of a code object says what it computes. layout: "2.7", "3.0" (to 3.7), "3.8" (to 3.10) or "3.11" (and later).

    local: names of arguments and variables, the arguments first; outer: of what comes from around the function.
    """

    layout: str
    arguments: int
    code: bytes
    constants: tuple[Any, ...]
    names: tuple[str, ...]
    local: tuple[str, ...]
    outer: tuple[str, ...]


# The whole numbers at the beginning: of which the first is the number of arguments.
HEADS = {"2.7": 4, "3.0": 5, "3.8": 6, "3.11": 5}


def read_code(data: bytes) -> list[Code]:
    """The code object in the bytes, as each version whose layout fits to the last byte has it. Raises MarshalError."""
    if len(data) > MAX_BYTES:
        raise MarshalError("there is more of it than any layer needs")
    found = []
    for layout in HEADS:
        try:
            reader = _Reader(data, layout)
            value = reader.value(0)
        except (MarshalError, struct.error, UnicodeDecodeError, ValueError):
            continue
        if isinstance(value, Code) and reader.at == len(data):
            found.append(value)
    if not found:
        raise MarshalError("it is no code of Python 2.7 to 3.13")
    return found


class _Reader:
    def __init__(self, data: bytes, layout: str) -> None:
        self.data, self.layout, self.at = data, layout, 0
        self.refs: list[Any] = []
        self.strings: list[Any] = []  # Python 2's interned ones

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise MarshalError("it ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, form: str = "<i") -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise MarshalError("its parts are nested too deep")
        kind = self.take(1)[0]
        place = -1
        if kind & 0x80:
            place = len(self.refs)
            self.refs.append(None)
        found = self._of_kind(chr(kind & 0x7F), depth)
        if place >= 0:
            self.refs[place] = found
        return found

    def _of_kind(self, kind: str, depth: int) -> Any:
        if kind in SINGLE:
            return SINGLE[kind]
        if kind == "i":
            return self.number()
        if kind == "I":
            return self.number("<q")
        if kind == "g":
            return self.number("<d")
        if kind == "f":
            return float(self.take(self.number("B")))
        if kind == "y":
            return complex(self.number("<d"), self.number("<d"))
        if kind == "l":
            return self._long()
        if kind == "s":
            return self.take(self.number())
        if kind in "tuaA":
            text = self.take(self.number()).decode("utf-8", "surrogatepass")
            if kind == "t":
                self.strings.append(text)
            return text
        if kind in "zZ":
            return self.take(self.number("B")).decode("latin-1")
        if kind == "R":
            return self._known(self.strings)
        if kind == "r":
            return self._known(self.refs)
        if kind in "()[<>":
            count = self.number("B") if kind == ")" else self.number()
            if not 0 <= count <= len(self.data) - self.at:
                raise MarshalError("it has a length that cannot be")
            return tuple(self.value(depth + 1) for _ in range(count))
        if kind == "c":
            return self._code(depth)
        raise MarshalError(f"it holds a part of kind {kind!r}")

    def _known(self, table: list[Any]) -> Any:
        index = self.number()
        if not 0 <= index < len(table):
            raise MarshalError("it refers to what is not there")
        return table[index]

    def _long(self) -> int:
        """Digits of 15 bits, the lowest first; the sign is that of their number."""
        count = self.number()
        digits = self.take(2 * abs(count))
        value = sum(int(d[0]) << (15 * i) for i, d in enumerate(struct.iter_unpack("<H", digits)))
        return -value if count < 0 else value

    def _code(self, depth: int) -> Code:
        head = [self.number() for _ in range(HEADS[self.layout])]
        code = self.value(depth + 1)
        constants, names, local = (self.value(depth + 1) for _ in range(3))
        if self.layout == "3.11":
            kinds = self.value(depth + 1)
            outer: Any = ()
            if isinstance(kinds, bytes) and isinstance(local, tuple):
                outer = tuple(name for name, kind in zip(local, kinds, strict=False) if kind & 0x80)
            rest = [str, str, str, int, bytes, bytes]
        else:
            free, cells = self.value(depth + 1), self.value(depth + 1)
            if not _texts(free) or not _texts(cells):
                raise MarshalError("it is no code of this version")
            outer = (*cells, *free)
            rest = [str, str, int, bytes]
        for kind in rest:
            value = self.number() if kind is int else self.value(depth + 1)
            if not isinstance(value, kind) and not (self.layout == "2.7" and isinstance(value, bytes | str)):
                raise MarshalError("it is no code of this version")
        if self.layout == "2.7":
            names, local = _decoded(names), _decoded(local)
        good = isinstance(code, bytes) and isinstance(constants, tuple) and _texts(names) and _texts(local)
        if not good or not all(0 <= n < 2**31 for n in head) or head[0] > len(local):
            raise MarshalError("it is no code of this version")
        return Code(self.layout, head[0], code, constants, names, local, outer)


def _texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(v, str | bytes) for v in value)


def _decoded(value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    return tuple(v.decode("latin-1") if isinstance(v, bytes) else v for v in value)


SINGLE: dict[str, Any] = {"N": None, "T": True, "F": False, ".": ...}
