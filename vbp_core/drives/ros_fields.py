"""Fields of a ROS message by name, after the definition that the recording itself carries.

The definition is parsed (by rosbags) into plain data, and a short list of steps over the bytes is made
from it. Nothing of a recording is turned into code, only the fields asked for are taken, and reading
stops after the last of them: an image's time stamp needs the first bytes of the message, not its pixels.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore

TIME = "builtin_interfaces/msg/Time"
HEADER = "std_msgs/msg/Header"

# struct's letter of each primitive; its size is also its alignment in CDR
_LETTERS = {
    "bool": "?",
    "byte": "B",
    "octet": "B",
    "char": "B",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
_IDL_RULE = "=" * 80 + "\n"
_MAX_DEPTH = 16
_MAX_STEPS = 10_000  # over the fields of a message; those of the standard ones are some hundred
_MAX_TEXT = 2**20  # characters of a definition

Types = Mapping[str, Any]  # type name -> (constants, fields), as rosbags' parser gives them


class MessageError(ValueError):
    """The bytes of a message, or its definition, do not hold what was asked for."""


def parse_definition(text: str, msgtype: str, syntax: str, encoding: str) -> dict[str, Any]:
    """Types of a definition with those it is made of.

    syntax: "msg", "idl", or "" where the recording has none. encoding: "ros1" or "cdr" (ROS 2), whose
    standard types fill what the text leaves out.
    Raises MessageError where it cannot be parsed, or is missing and the type is no standard one.
    """
    types = dict(standard_types(encoding))
    if not syntax:
        if msgtype not in types:
            raise MessageError(f"the recording carries no definition of {msgtype}")
        return types
    if len(text) > _MAX_TEXT:
        raise MessageError(f"the definition of {msgtype} in the recording is too long")
    try:
        if syntax == "idl":
            parts = text.split(_IDL_RULE)[1:] if text.startswith(_IDL_RULE + "IDL: ") else ["\n" + text]
            for part in parts:
                types.update(get_types_from_idl(part.partition("\n")[2]))
        else:
            types.update(get_types_from_msg(text.replace("\r\n", "\n"), msgtype))
    except (TypesysError, ValueError, KeyError, AssertionError, RecursionError) as error:
        raise MessageError(f"the definition of {msgtype} in the recording cannot be parsed") from error
    if msgtype not in types:
        raise MessageError(f"the definition of {msgtype} in the recording defines something else")
    return types


@lru_cache(maxsize=2)
def standard_types(encoding: str) -> dict[str, Any]:
    """The standard messages of ROS 1 ("ros1") or ROS 2 ("cdr"): they differ, ROS 1's Header has a `seq`."""
    return dict(get_typestore(Stores.ROS1_NOETIC if encoding == "ros1" else Stores.ROS2_HUMBLE).fielddefs)


def field_names(types: Types, msgtype: str) -> tuple[str, ...]:
    """Names of the fields of `msgtype`, in their order."""
    return tuple(name for name, _ in types[msgtype][1])


def is_bytes(types: Types, msgtype: str, name: str) -> bool:
    """Whether the field is an array of bytes, as an image's pixels are."""
    description = dict(types[msgtype][1]).get(name)
    if description is None or description[0] not in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        return False
    node, what = description[1][0]
    return bool(node == Nodetype.BASE and _LETTERS.get(what[0]) == "B")


def array_of_numbers(types: Types, msgtype: str, path: str) -> bool | None:
    """Whether the field at a dotted path is a list of numbers (True) or one (False); None where it is no number."""
    first, _, rest = path.partition(".")
    description = dict(types[msgtype][1]).get(first) if msgtype in types else None
    if description is None:
        return None
    many = description[0] in (Nodetype.ARRAY, Nodetype.SEQUENCE)
    node, what = description[1][0] if many else description
    if node == Nodetype.NAME:
        return array_of_numbers(types, what, rest) if rest and not many else None
    return many if not rest and what[0] in _LETTERS else None


def number_paths(types: Types, msgtype: str) -> list[str]:
    """Dotted paths of numbers, of a list its first: at most about 100, and those near the top first."""
    found: list[str] = []
    ahead, looked = deque([(msgtype, "")]), 0
    while ahead and len(found) < 100 and looked < 1000:
        name, prefix = ahead.popleft()
        looked += 1
        for field, description in types[name][1] if name in types else ():
            many = description[0] in (Nodetype.ARRAY, Nodetype.SEQUENCE)
            (node, what), _ = description[1] if many else (description, 0)
            if node == Nodetype.BASE and what[0] in _LETTERS:
                found.append(f"{prefix}{field}{'.0' if many else ''}")
            elif (
                node == Nodetype.NAME
                and not many
                and what not in (TIME, HEADER)
                and prefix.count(".") < _MAX_DEPTH
            ):
                ahead.append((what, f"{prefix}{field}."))
    return found


def time_path(types: Types, msgtype: str) -> str | None:
    """Dotted path of the message's own time stamp: a header's, or a field `timestamp` or `stamp`."""
    fields = dict(types[msgtype][1])
    header = fields.get("header")
    if header is not None and header[0] == Nodetype.NAME and header[1] in types:
        inner = dict(types[header[1]][1])
        if inner.get("stamp") == (Nodetype.NAME, TIME):
            return "header.stamp"
    for name in ("timestamp", "stamp"):
        if fields.get(name) == (Nodetype.NAME, TIME):
            return name
    return None


@dataclass(frozen=True)
class _Step:
    """One field on the way. kind: "one" primitive, "many" of them, "string", "strings", or "group" of steps."""

    kind: str
    packer: struct.Struct | None = None  # little endian
    packer_be: struct.Struct | None = None
    size: int = 0
    count: int = -1  # of an array, -1 where the message states it
    key: str | None = None  # dotted path where the value is wanted
    steps: tuple[_Step, ...] = ()


class FieldReader:
    """Reads chosen fields out of messages of one type.

    paths: dotted paths of primitives, strings, or arrays of either. encoding: "ros1" or "cdr".
    Raises MessageError for a path that the definition lacks.
    """

    def __init__(self, types: Types, msgtype: str, paths: Iterable[str], encoding: str) -> None:
        self._cdr = encoding == "cdr"
        left = set(paths)
        self._steps = _until_last(_steps(types, msgtype, "", left, 0, count()))
        if left:
            known = ", ".join(field_names(types, msgtype)) or "none"
            raise MessageError(f"{msgtype} has no field {', '.join(sorted(left))} (its fields: {known})")
        self.head_bytes = _head_bytes(self._steps, self._cdr)  # enough for all paths; -1: the whole message

    def read(self, data: bytes) -> dict[str, Any]:
        """Values by path; an array of bytes as a memoryview of `data`, of other numbers as a numpy array, of texts as a
        list. Raises MessageError if cut off."""
        out: dict[str, Any] = {}
        view = memoryview(data)
        big = False
        if self._cdr:
            # 00 00 is big endian, 00 01 little; the rest are encodings that ROS 2 does not write
            if len(view) < 4 or view[0] != 0 or view[1] > 1:
                raise MessageError("the message is not plain CDR")
            big = view[1] == 0
            view = view[4:]
        try:
            _walk(self._steps, view, 0, self._cdr, big, out)
        except struct.error:
            raise MessageError("the message is cut off") from None
        except UnicodeDecodeError:
            raise MessageError("a string in the message is not UTF-8") from None
        return out


def _steps(
    types: Types, msgtype: str, prefix: str, left: set[str] | None, depth: int, made: Iterator[int]
) -> tuple[_Step, ...]:
    """The steps over the fields of a type. Paths found are taken out of `left`, and once it is empty
    the rest is left out: it need not be understood. None: all fields, none of them wanted. made: counts them all, for
    a few types that hold each other several times make billions."""
    if depth > _MAX_DEPTH:
        raise MessageError(f"the definition of {msgtype} refers to itself")
    if msgtype not in types:
        raise MessageError(f"the recording carries no definition of {msgtype}")
    out = []
    for name, description in types[msgtype][1]:
        if left is not None and not left:
            break
        if next(made) >= _MAX_STEPS:
            raise MessageError(f"the definition of {msgtype} has more than {_MAX_STEPS} fields")
        path = prefix + name
        many = description[0] in (Nodetype.ARRAY, Nodetype.SEQUENCE)
        (node, what), size = description[1] if many else (description, 0)
        length = size if description[0] == Nodetype.ARRAY else -1
        if node == Nodetype.NAME:
            nested = _steps(types, what, path + ".", None if many else left, depth + 1, made)
            out.append(_Step("group", count=length if many else 1, steps=nested))
            continue
        key = path if left is not None and path in left else None
        step = _primitive(what[0], many, length, key)
        if left is not None and _has_key(step):
            left.discard(path)
        out.append(step)
    return tuple(out)


def _primitive(base: str, many: bool, count: int, key: str | None) -> _Step:
    if base == "string":
        return _Step("strings" if many else "string", count=count, key=key)
    letter = _LETTERS.get(base)
    if letter is None:
        raise MessageError(f"fields of type {base} cannot be read")
    little, big = struct.Struct("<" + letter), struct.Struct(">" + letter)
    return _Step("many" if many else "one", little, big, little.size, count, key)


def _has_key(step: _Step) -> bool:
    return step.key is not None or any(_has_key(s) for s in step.steps)


def _until_last(steps: tuple[_Step, ...]) -> tuple[_Step, ...]:
    """Without what comes after the last wanted field, at any depth."""
    last = max((i for i, s in enumerate(steps) if _has_key(s)), default=-1)
    if last < 0:
        return ()
    end = steps[last]
    if end.steps:
        end = replace(end, steps=_until_last(end.steps))
    return (*steps[:last], end)


def _head_bytes(steps: tuple[_Step, ...], cdr: bool, depth: int = 0) -> int:
    """Bytes that surely reach the end of `steps`, or -1 where texts or sequences come on the way."""
    total = 4 if cdr and depth == 0 else 0
    for step in steps:
        if step.kind == "one":
            total += step.size + (7 if cdr else 0)  # at most so much alignment
        elif step.kind == "group" and step.count == 1:
            inner = _head_bytes(step.steps, cdr, depth + 1)
            if inner < 0:
                return -1
            total += inner
        else:
            return -1
    return total


_LENGTH = struct.Struct("<I")
_LENGTH_BE = struct.Struct(">I")


def _walk(
    steps: tuple[_Step, ...], view: memoryview, pos: int, cdr: bool, big: bool, out: dict[str, Any]
) -> int:
    """Run the steps from `pos`; returns where they end. CDR aligns each primitive to its size."""
    length = _LENGTH_BE if big else _LENGTH
    for step in steps:
        kind = step.kind
        if kind == "one":
            if cdr:
                pos += -pos % step.size
            if step.key is not None:
                packer = step.packer_be if big else step.packer
                assert packer is not None
                out[step.key] = packer.unpack_from(view, pos)[0]
            pos += step.size
            continue
        if kind == "group" and step.count == 1:
            pos = _walk(step.steps, view, pos, cdr, big, out)
            continue
        n = 1 if kind == "string" else step.count
        if n < 0:
            if cdr:
                pos += -pos % 4
            n = length.unpack_from(view, pos)[0]
            pos += 4
        if kind in ("string", "strings"):
            texts = []
            for _ in range(n):
                if cdr:
                    pos += -pos % 4
                size = length.unpack_from(view, pos)[0]
                pos += 4
                if pos + size > len(view):
                    raise struct.error
                if step.key is not None:
                    texts.append(bytes(view[pos : pos + size]).rstrip(b"\0").decode())
                pos += size
            if step.key is not None:
                out[step.key] = texts[0] if kind == "string" else texts
        elif kind == "many":
            if cdr and n:
                pos += -pos % step.size
            if pos + n * step.size > len(view):
                raise struct.error
            if step.key is not None:
                packer = step.packer_be if big else step.packer
                assert packer is not None
                found = view[pos : pos + n * step.size]
                out[step.key] = found if packer.format[1:] == "B" else np.frombuffer(found, packer.format)
            pos += n * step.size
        elif step.steps:
            for _ in range(n):
                before = pos
                pos = _walk(step.steps, view, pos, cdr, big, out)
                if pos > len(view):
                    raise struct.error
                if pos == before:
                    break  # elements without content: a stated length of billions costs nothing
    return pos
