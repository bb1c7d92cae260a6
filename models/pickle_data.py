"""Pickles read as data: their instructions are followed by a machine that makes texts, numbers, lists and tables, and calls nothing.

What a pickle would make by calling a class or a function, whichever it names, becomes a `Made`: its name, what it would be
called with, and the state it would be given. So a checkpoint is read that holds its author's own classes.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

MAX_STEPS = 1_000_000  # instructions; a network of a thousand layers with its optimiser's state has 200 000
MAX_KEY = 1000  # letters of a name
TABLES = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict")
LISTS = ("builtins.set", "__builtin__.set", "builtins.frozenset", "__builtin__.frozenset", "builtins.list")


@dataclass(eq=False, slots=True)
class Name:
    """A class or function that a pickle names, as "package.module.name"."""

    text: str


@dataclass(eq=False, slots=True)
class Made:
    """What would have been made by calling `of`. items: what was put into it as into a table."""

    of: str
    args: tuple[Any, ...] = ()
    state: dict[Any, Any] = field(default_factory=dict)
    items: dict[Any, Any] = field(default_factory=dict)


class Readable(Protocol):
    """What a pickle is read from, which must make no room for more than it has."""

    @property
    def tell(self) -> Callable[[], int]: ...
    @property
    def readline(self) -> Callable[[], bytes]: ...
    def read(self, count: int, /) -> bytes: ...


Hook = Callable[[str, tuple[Any, ...]], Any]
_MARK = object()
_VALUES = frozenset({
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING"),
    *("SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES"),
    *("BINBYTES8", "BYTEARRAY8"),
})  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}


def read_pickle(file: Readable, stored: Callable[[Any], Any], made: Hook) -> Any:
    """What the next pickle in the file holds, as data.

    stored: gives what stands for a persistent id, as torch.save writes of a storage. made: is asked, with its name and
    arguments, what stands for a call; None: nothing, it becomes a `Made`. Raises ValueError and LookupError for one that is damaged.
    """
    machine = _Machine(stored, made)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):  # type: ignore[arg-type]
        if opcode.name == "STOP":
            return machine.stack[-1]
        if count > MAX_STEPS:
            raise ValueError("it holds more than is read of such a file")
        machine.step(opcode.name, argument)
    raise ValueError("it ends early")


class _Machine:
    def __init__(self, stored: Callable[[Any], Any], made: Hook) -> None:
        self.stored, self.made = stored, made
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self.memo[argument])
        elif name not in ("PROTO", "FRAME"):
            getattr(self, f"_{name.lower()}", self._unknown)(argument)

    def _unknown(self, _: Any) -> None:
        raise ValueError("it holds what is in no file of torch.save")

    def _mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def _pop(self, _: Any = None) -> Any:
        return self.stack.pop()

    def _pop_mark(self, _: Any = None) -> list[Any]:
        stack = self.stack
        at = next((i for i in range(len(stack) - 1, -1, -1) if stack[i] is _MARK), None)
        if at is None:
            raise ValueError("it is damaged")
        found = stack[at + 1 :]
        del stack[at:]
        return found

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    # Lists and tables

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._pop_mark()))

    def _tuple1(self, _: Any, count: int = 1) -> None:
        found = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(found)

    def _tuple2(self, _: Any) -> None:
        self._tuple1(None, 2)

    def _tuple3(self, _: Any) -> None:
        self._tuple1(None, 3)

    def _list(self, _: Any) -> None:
        self.stack.append(self._pop_mark())

    _frozenset = _list

    def _dict(self, _: Any) -> None:
        values = self._pop_mark()
        self.stack.append({})
        self._put(self.stack[-1], values)

    def _append(self, _: Any) -> None:
        value = self.stack.pop()
        self._extend([value])

    def _appends(self, _: Any) -> None:
        self._extend(self._pop_mark())

    _additems = _appends

    def _extend(self, values: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(values)

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._put(self.stack[-1], [key, value])

    def _setitems(self, _: Any) -> None:
        values = self._pop_mark()
        self._put(self.stack[-1], values)

    def _put(self, table: Any, values: list[Any]) -> None:
        """Keys that name something; others, whose hashes could be chosen to collide, name no weights."""
        table = table.items if isinstance(table, Made) else table
        if isinstance(table, dict):
            for key, value in zip(values[::2], values[1::2], strict=True):
                if (isinstance(key, str) and len(key) <= MAX_KEY) or (
                    isinstance(key, int) and abs(key) < 2**63
                ):
                    table[key] = value

    # What would be called

    def _global(self, argument: str) -> None:
        self.stack.append(Name(argument.replace(" ", ".")))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(Name(f"{module}.{name}"))

    def _ext1(self, argument: Any) -> None:
        self.stack.append(Name(f"copyreg.{argument}"))

    _ext2 = _ext4 = _ext1

    def _reduce(self, _: Any) -> None:
        args, of = self.stack.pop(), self.stack.pop()
        self._call(of, args)

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        self.stack.pop()
        self._reduce(None)

    def _inst(self, argument: str) -> None:
        self._call(Name(argument.replace(" ", ".")), tuple(self._pop_mark()))

    def _obj(self, _: Any) -> None:
        of, *args = self._pop_mark()
        self._call(of, tuple(args))

    def _call(self, of: Any, args: Any) -> None:
        text = of.text if isinstance(of, Name) else type(of).__name__
        args = args if isinstance(args, tuple) else ()
        if text == "copyreg._reconstructor" or text == "copy_reg._reconstructor":
            text, args = args[0].text if args and isinstance(args[0], Name) else text, ()
        if text in TABLES:
            self.stack.append({})
            pairs = args[0] if args and isinstance(args[0], list) else []
            for pair in pairs:  # as Python 2 wrote an OrderedDict
                self._put(self.stack[-1], list(pair))
        elif text in LISTS:
            self.stack.append(list(args[0]) if args and isinstance(args[0], list | tuple) else [])
        else:
            found = self.made(text, args)
            self.stack.append(Made(text, args) if found is None else found)

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Made):
            for part in state if isinstance(state, tuple) else (state,):  # a tuple has that of __slots__, too
                if isinstance(part, dict):
                    target.state.update(part)

    def _binpersid(self, _: Any) -> None:
        self.stack.append(self.stored(self.stack.pop()))

    def _persid(self, argument: Any) -> None:
        self.stack.append(self.stored(argument))
