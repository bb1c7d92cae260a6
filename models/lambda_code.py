"""What the code in a Lambda layer computes, found by following its instructions with symbols; nothing is run."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from vbp.models.marshal_data import Code, MarshalError, read_code


@dataclass(frozen=True)
class Affine:
    """x * scale + offset"""

    scale: float
    offset: float


@dataclass(frozen=True)
class Slices:
    """x[:, parts...]: of each axis after the batch, the first ones first."""

    parts: tuple[slice, ...]


@dataclass(frozen=True)
class Resize:
    """how: bilinear, or bilinear-1 as in TensorFlow 1."""

    rows: int
    columns: int
    how: str


MORE = "it is more than arithmetic with numbers and slices"
Step: TypeAlias = Affine | Slices | Resize


class NotRecognisedError(ValueError):
    """The code computes something else. numbers: those in it."""

    def __init__(self, text: str, numbers: tuple[float, ...] = ()) -> None:
        super().__init__(text)
        self.numbers = numbers


def read_lambda(config: dict[str, Any]) -> list[Step]:
    """What a Lambda layer's arguments say that it computes, step by step. Raises NotRecognisedError."""
    function = config.get("function")
    if isinstance(function, dict) and isinstance(function.get("config"), dict):  # Keras 3
        given = function["config"]
        function = [given.get("code"), given.get("defaults"), given.get("closure")]
    if not isinstance(function, list) or not function or not isinstance(function[0], str):
        name = function if isinstance(function, str) else "none"
        raise NotRecognisedError(f"the file has only the name of a function, {name[:60]}")
    codes = _codes(function[0])
    values = [v if isinstance(v, list) else [] for v in (*function[1:3], None, None)[:2]]
    if isinstance(arguments := config.get("arguments"), dict) and arguments:
        raise NotRecognisedError("it has further arguments", _numbers(codes[0]))
    found: list[list[Step]] = []
    reasons: list[str] = []
    for code in codes:
        for version in VERSIONS[code.layout]:
            try:
                steps = _Reader(code, version, values[0], values[1]).steps()
            except NotRecognisedError as error:
                reasons.append(str(error))
                continue
            except (IndexError, TypeError, ValueError, OverflowError):  # instructions of another version
                continue
            if steps not in found:
                found.append(steps)
    if len(found) != 1:
        telling = [reason for reason in reasons if reason != MORE]
        raise NotRecognisedError((telling or [MORE])[0], _numbers(codes[0]))
    return found[0]


def _codes(text: str) -> list[Code]:
    """Keras 1 writes the bytes as characters, later ones in base64."""
    readings = []
    with suppress(binascii.Error, ValueError):
        readings.append(base64.b64decode("".join(text.split()), validate=True))
    with suppress(UnicodeEncodeError):
        readings.append(text.encode("raw_unicode_escape"))
    reason = "its code cannot be read"
    for data in readings:
        try:
            return read_code(data)
        except MarshalError as error:
            reason = f"its code cannot be read: {error}"
    raise NotRecognisedError(reason)


def _numbers(code: Code) -> tuple[float, ...]:
    """The numbers in the code, those in tuples too."""
    flat = [v for c in code.constants for v in (c if isinstance(c, tuple) else (c,))]
    return tuple(
        v for v in flat if isinstance(v, int | float) and not isinstance(v, bool) and -1e15 < v < 1e15
    )


# The instructions that are followed, by the numbers that the versions of Python give them.

OLD = {
    1: "POP_TOP", 9: "NOP", 10: "POSITIVE", 11: "NEGATIVE", 19: "**", 20: "*", 21: "/", 23: "+", 24: "-", 25: "SUBSCR",
    27: "/", 55: "+", 56: "-", 57: "*", 29: "/", 58: "/", 67: "**", 83: "RETURN", 100: "CONST", 102: "TUPLE", 103: "TUPLE",
    106: "ATTR", 108: "IMPORT", 116: "GLOBAL", 124: "FAST", 125: "STORE", 131: "CALL_OLD", 133: "SLICE", 136: "DEREF",
}  # fmt: skip
WORDS = {**OLD, 131: "CALL_PLAIN", 141: "CALL_NAMED", 160: "METHOD_OLD", 161: "CALL_METHOD", 162: "EXTEND"}
MIDDLE = {
    0: "NOP", 1: "POP_TOP", 2: "NULL", 9: "NOP", 10: "POSITIVE", 11: "NEGATIVE", 25: "SUBSCR", 83: "RETURN", 100: "CONST",
    102: "TUPLE", 103: "TUPLE", 106: "ATTR", 108: "IMPORT", 116: "GLOBAL_NULL", 122: "BINARY", 124: "FAST", 125: "STORE",
    133: "SLICE", 137: "LOCAL", 149: "NOP", 151: "NOP", 160: "METHOD_OLD", 162: "EXTEND", 166: "NOP", 171: "CALL",
    172: "KEYWORDS",
}  # fmt: skip
TWELVE = {**MIDDLE, 106: "ATTR_METHOD", 121: "RETURN_CONST", 127: "FAST"}
del TWELVE[160]
THIRTEEN = {
    0: "NOP", 5: "SUBSCR", 30: "NOP", 32: "POP_TOP", 34: "NULL", 36: "RETURN", 42: "NEGATIVE", 45: "BINARY", 47: "TUPLE",
    50: "SLICE", 52: "TUPLE", 53: "CALL", 57: "CALL_NAMES", 62: "NOP", 75: "IMPORT", 81: "EXTEND", 82: "ATTR_METHOD",
    83: "CONST", 84: "LOCAL", 85: "FAST", 87: "FAST", 88: "FAST_FAST", 91: "GLOBAL_NULL", 110: "STORE", 111: "STORE_FAST",
    103: "RETURN_CONST", 149: "NOP",
}  # fmt: skip
# (instructions, whether each is two bytes): of every layout, the versions that have it.
VERSIONS: dict[str, tuple[tuple[dict[int, str], bool], ...]] = {
    "2.7": ((OLD, False),),
    "3.0": ((OLD, False), (WORDS, True)),
    "3.8": ((WORDS, True),),
    "3.11": ((MIDDLE, True), (TWELVE, True), (THIRTEEN, True)),
}
HAVE_ARGUMENT = 90
BINARY = {0: "+", 5: "*", 8: "**", 10: "-", 11: "/", 13: "+", 18: "*", 21: "**", 23: "-", 24: "/"}
NULL = object()
SAME = ("cast", "to_float", "identity")  # to another type of numbers with a point
RESIZE = {
    "image.resize_images": "bilinear-1",
    "image.resize_bilinear": "bilinear-1",
    "image.resize": "bilinear",
}


@dataclass(frozen=True)
class Picture:
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Name:
    """Something outside of the code, by its dotted path."""

    path: str


@dataclass
class _Reader:
    code: Code
    version: tuple[dict[int, str], bool]
    defaults: list[Any]
    closure: list[Any]
    stack: list[Any] = field(default_factory=list)
    local: dict[int, Any] = field(default_factory=dict)
    keywords: tuple[str, ...] = ()

    def steps(self) -> list[Step]:
        """Raises NotRecognisedError, or whatever comes of instructions that are another version's."""
        self.local[0] = Picture()
        if self.code.arguments < 1:
            raise NotRecognisedError("it takes nothing")
        given = range(self.code.arguments - len(self.defaults), self.code.arguments)
        self.local.update(zip(given, map(_constant, self.defaults), strict=False) if self.defaults else ())
        self.local[0] = Picture()
        for name, argument in self._instructions():
            if name in ("RETURN", "RETURN_CONST"):
                result = self.stack.pop() if name == "RETURN" else self.code.constants[argument]
                if isinstance(result, Picture) and not self.stack:
                    return list(result.steps)
                break
            self._follow(name, argument)
        raise NotRecognisedError("it does not return the picture")

    def _instructions(self) -> Iterator[tuple[str, int]]:
        names, words = self.version
        code, at, high = self.code.code, 0, 0
        while at < len(code):
            op = code[at]
            if words:
                argument, at = code[at + 1] | high, at + 2
            elif op >= HAVE_ARGUMENT:
                argument, at = code[at + 1] | code[at + 2] << 8, at + 3
            else:
                argument, at = 0, at + 1
            if op not in names:
                raise NotRecognisedError(MORE)
            yield names[op], argument

    def _follow(self, name: str, n: int) -> None:
        stack, push = self.stack, self.stack.append
        if name == "FAST":
            push(self._local(n))
        elif name == "FAST_FAST":
            push(self._local(n >> 4))
            push(self._local(n & 15))
        elif name == "STORE":
            self.local[n] = stack.pop()
        elif name == "STORE_FAST":
            self.local[n >> 4] = stack.pop()
            push(self._local(n & 15))
        elif name == "CONST":
            push(self.code.constants[n])
        elif name in ("DEREF", "LOCAL"):
            push(self._outer(self.code.outer[n] if name == "DEREF" else self.code.local[n]))
        elif name in ("+", "-", "*", "/", "**", "BINARY"):
            right, left = stack.pop(), stack.pop()
            push(_binary(name if name != "BINARY" else BINARY.get(n, ""), left, right))
        elif name in ("NEGATIVE", "POSITIVE"):
            value = stack.pop()
            push(_binary("*", value, -1) if name == "NEGATIVE" else value)
        elif name == "TUPLE":
            parts = stack[len(stack) - n :]
            del stack[len(stack) - n :]
            push(tuple(parts))
        elif name == "EXTEND":
            more = stack.pop()
            push((*stack.pop(), *more))
        elif name == "SLICE":
            parts = stack[-n:]
            del stack[-n:]
            push(slice(*parts))
        elif name == "SUBSCR":
            index = stack.pop()
            push(_subscript(stack.pop(), index))
        elif name == "POP_TOP":
            stack.pop()
        elif name != "NOP":
            self._outside(name, n)

    def _outside(self, name: str, n: int) -> None:
        """Names that the code does not explain itself, and calls of them."""
        stack, push, names = self.stack, self.stack.append, self.code.names
        if name == "NULL":
            push(NULL)
        elif name == "GLOBAL":
            push(Name(names[n]))
        elif name == "GLOBAL_NULL":
            push(Name(names[n >> 1]))
            if n & 1:
                push(NULL)
        elif name == "IMPORT":
            del stack[-2:]
            push(Name(names[n]))
        elif name in ("ATTR", "METHOD_OLD", "ATTR_METHOD"):
            owner = stack.pop()
            attribute = names[n >> 1 if name == "ATTR_METHOD" else n]
            if not isinstance(owner, Name):
                raise NotRecognisedError(f"it uses .{attribute[:40]} of the picture")
            push(Name(f"{owner.path}.{attribute}"))
            if name == "METHOD_OLD" or (name == "ATTR_METHOD" and n & 1):
                push(NULL)
        elif name == "KEYWORDS":
            self.keywords = self.code.constants[n]
        else:
            self._call(name, n)

    def _call(self, name: str, n: int) -> None:
        stack = self.stack
        keywords: tuple[Any, ...] = self.keywords
        self.keywords = ()
        given: dict[Any, Any] = {}
        if name == "CALL_OLD":
            n, named = n & 255, n >> 8
            for _ in range(named):
                value = stack.pop()
                given[stack.pop()] = value
        elif name in ("CALL_NAMED", "CALL_NAMES"):
            keywords = stack.pop()
        values = [stack.pop() for _ in range(n)][::-1]
        if keywords:
            given.update(zip(keywords, values[-len(keywords) :], strict=True))
            values = values[: -len(keywords)]
        function = stack.pop()
        if name in ("CALL", "CALL_NAMES", "CALL_METHOD"):
            other = stack.pop()
            function = other if function is NULL else function
        if not isinstance(function, Name):
            raise NotRecognisedError("it calls something that is not known")
        stack.append(_called(function.path, values, given))

    def _local(self, n: int) -> Any:
        if n not in self.local:
            raise NotRecognisedError(f"it uses {self.code.local[n][:40]}, which has no value")
        return self.local[n]

    def _outer(self, name: str) -> Any:
        values = (
            dict(zip(self.code.outer[-len(self.closure) :], self.closure, strict=False))
            if self.closure
            else {}
        )
        if name not in values or isinstance(values[name], bool) or not isinstance(values[name], int | float):
            raise NotRecognisedError(f"it uses {name[:40]}, which stands outside of it")
        return values[name]


def _constant(value: Any) -> Any:
    return tuple(map(_constant, value)) if isinstance(value, list) else value


def _number(value: Any) -> float:
    if isinstance(value, Name):
        raise NotRecognisedError(f"it uses {value.path[:60]}, which stands outside of it")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise NotRecognisedError(MORE)
    return float(value)


def _binary(op: str, left: Any, right: Any) -> Any:
    if isinstance(left, Picture) and isinstance(right, Picture):
        raise NotRecognisedError("it uses the picture twice")
    if isinstance(left, Picture):
        number = _number(right)
        if op == "/" and number:
            return _affine(left, 1 / number, 0.0)
        return _line(op, left, number, reverse=False)
    if isinstance(right, Picture):
        return _line(op, right, _number(left), reverse=True)
    a, b = _number(left), _number(right)
    if op == "**":
        return math.pow(a, b)
    found = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else math.nan}
    return _number(found.get(op, math.nan))


def _line(op: str, picture: Picture, number: float, reverse: bool) -> Picture:
    if op == "+":
        return _affine(picture, 1.0, number)
    if op == "*":
        return _affine(picture, number, 0.0)
    if op == "-":
        return _affine(picture, -1.0, number) if reverse else _affine(picture, 1.0, -number)
    raise NotRecognisedError(MORE)


def _affine(picture: Picture, scale: float, offset: float) -> Picture:
    *before, last = picture.steps or (None,)
    if not isinstance(last, Affine):
        before, last = list(picture.steps), Affine(1.0, 0.0)
    return Picture((*before, Affine(_number(last.scale * scale), _number(last.offset * scale + offset))))


def _subscript(owner: Any, index: Any) -> Any:
    if not isinstance(owner, Picture):
        raise NotRecognisedError("it takes a part of something that is no picture")
    parts = index if isinstance(index, tuple) else (index,)
    if not parts or not all(isinstance(p, slice) for p in parts) or parts[0] != slice(None):
        raise NotRecognisedError("it takes single rows, columns or pictures")
    for part in parts:
        if not all(
            v is None or (isinstance(v, int) and not isinstance(v, bool))
            for v in (part.start, part.stop, part.step)
        ):
            raise NotRecognisedError("it slices by what is no number")
    return Picture((*owner.steps, Slices(tuple(parts[1:]))))


def _called(path: str, values: list[Any], given: dict[Any, Any]) -> Any:
    """A function by its name alone: those of TensorFlow that change nothing, or the size."""
    if not values or not isinstance(values[0], Picture):
        raise NotRecognisedError(f"it calls {path[:60]}")
    picture: Picture = values[0]
    tail = path.rpartition(".")[2]
    if tail in SAME and all("float" in str(v) for v in (*values[1:], *given.values())):
        return picture
    size = given.get("size", values[1] if len(values) > 1 else None)
    for name, how in RESIZE.items():
        whole = (
            isinstance(size, tuple)
            and len(size) == 2
            and all(isinstance(n, int) and 0 < n < 2**16 for n in size)
        )
        if path.endswith(name) and whole and len(values) <= 2 and not set(given) - {"size"}:
            assert isinstance(size, tuple)
            return Picture((*picture.steps, Resize(size[0], size[1], how)))
    raise NotRecognisedError(f"it calls {path[:60]}")
