"""Files by torch.save, with all that people put beside the weights: their tensors by name, and no code is run.

Read are the zip archives of PyTorch 1.6 and later, TorchScript's among them, and the files before it, which are pickles
with the numbers behind; and what pickle.dump wrote of tensors, each of which holds such a file. Numbers are read when they
are asked for: an optimiser's state takes no memory.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from vbp.errors import ModelError
from vbp.models.pickle_data import Made, Name, read_pickle
from vbp.reading import open_file, read_member

MAGIC = 0x1950A86A20F9469CFC6C  # before torch 1.6
MAX_DEPTH, MAX_VISITS = 30, 200_000  # of tables within tables
STORAGES = {
    "Float": torch.float32, "Double": torch.float64, "Half": torch.float16, "BFloat16": torch.bfloat16,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool, "ComplexFloat": torch.complex64, "ComplexDouble": torch.complex128, "Untyped": torch.uint8,
}  # fmt: skip
DTYPES = {f"torch.{name}": getattr(torch, name) for name in ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2")}  # fmt: skip
ODD = {"_rebuild_qtensor": "is quantised", "_rebuild_sparse_tensor": "is sparse", "_rebuild_nested_tensor": "is nested",
       "_rebuild_meta_tensor_no_storage": "has no numbers", "_rebuild_wrapper_subclass": "is of a class of its own"}  # fmt: skip
SAME = ("torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer", "torch.autograd.variable.Variable",
        "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor in a file. read: gives it, on the CPU; raises ModelError, ValueError and OSError."""

    shape: tuple[int, ...]
    read: Callable[[], Tensor]


@dataclass(frozen=True)
class _Storage:
    dtype: torch.dtype | None
    key: str
    first: int = 0  # of a view of another


@dataclass
class TorchFile:
    """tensors: by the names of the tables and objects that they lie in, as "state_dict.model.conv1.weight". module: the
    class of a whole network in it, or ""."""

    tensors: dict[str, Stored]
    module: str


@contextmanager
def open_torch(path: Path) -> Iterator[TorchFile]:
    """Raises whatever a damaged file makes of its reading; a ValueError says what is wrong."""
    with open_file(path) as file:
        if file.read(2) == b"PK":
            with zipfile.ZipFile(file) as archive:
                yield _Zip(archive, file.seek(0, os.SEEK_END)).read()
        else:
            file.seek(0)
            yield _Old(file).read()


class _Reader:
    """What both formats share."""

    big = False  # bytes of a number from the largest to the smallest

    def __init__(self) -> None:
        self._last: tuple[str, bytes] = ("", b"")

    def bytes_of(self, key: str) -> bytes:
        raise NotImplementedError

    def stored(self, given: Any) -> Any:
        """What a persistent id stands for: ("storage", its type, its key, where it was, its size, a view)."""
        if (
            isinstance(given, tuple)
            and len(given) > 2
            and given[0] == "storage"
            and isinstance(given[1], Name)
        ):
            kind = given[1].text.rpartition(".")[2].removesuffix("Storage")
            view = given[5] if len(given) > 5 else None
            first = view[1] if isinstance(view, tuple) and len(view) == 3 else 0
            return _Storage(STORAGES.get(kind), str(given[2]), first if isinstance(first, int) else -1)
        return given[1] if isinstance(given, tuple) and len(given) > 1 and given[0] == "module" else None

    def made(self, name: str, args: tuple[Any, ...]) -> Any:
        """The tensor that a call would make, None where it makes another thing."""
        if name in SAME and args and isinstance(args[0], Stored):
            return args[0]
        if name.endswith(("._rebuild_from_type", "._rebuild_from_type_v2")) and len(args) > 2:
            inner = args[0].text if isinstance(args[0], Name) else ""
            return self.made(inner, args[2]) if isinstance(args[2], tuple) else None
        if not name.startswith("torch._utils."):
            return None
        kind = name.removeprefix("torch._utils.")
        if kind in ODD:
            return Stored((), partial(_refuse, ODD[kind]))
        if kind in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3") and len(args) > 3:
            storage, first, shape, stride = args[:4]
            dtype = storage.dtype if isinstance(storage, _Storage) else None
            if kind == "_rebuild_tensor_v3" and len(args) > 6 and isinstance(args[6], Name):
                dtype = DTYPES.get(args[6].text)
            numbers = (first, *shape, *stride)
            if not isinstance(storage, _Storage) or not all(
                isinstance(n, int) and 0 <= n < 2**62 for n in numbers
            ):
                raise ValueError("a tensor in it is damaged")
            if len(shape) != len(stride) or len(shape) > 64:
                raise ValueError("a tensor in it is damaged")
            return Stored(shape, partial(self.tensor, storage, dtype, first + storage.first, shape, stride))
        return None

    def tensor(
        self,
        storage: _Storage,
        dtype: torch.dtype | None,
        first: int,
        shape: tuple[int, ...],
        stride: tuple[int, ...],
    ) -> Tensor:
        if dtype is None:
            raise ModelError("is of numbers of a kind that is not read")
        if self._last[0] != storage.key:
            self._last = storage.key, self.bytes_of(storage.key)
        data = self._last[1]
        if math.prod(shape) == 0:
            return torch.empty(shape, dtype=dtype)
        last = first + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        if first < 0 or last >= len(data) // dtype.itemsize:
            raise ModelError("is cut short")
        start, end = first * dtype.itemsize, (last + 1) * dtype.itemsize
        numbers = np.frombuffer(data[start:end], np.uint8).copy()
        if self.big:
            numbers = numbers.reshape(-1, dtype.itemsize)[:, ::-1].reshape(-1).copy()
        return torch.from_numpy(numbers).view(dtype).as_strided(shape, stride)

    def file_of(self, root: Any) -> TorchFile:
        found = _Walk()
        found.visit(root, "", 0)
        return TorchFile(found.tensors, found.module)


def _refuse(why: str) -> Tensor:
    raise ModelError(why)


class _Zip(_Reader):
    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        super().__init__()
        self.archive, self.size = archive, size

    def read(self) -> TorchFile:
        members = self.archive.infolist()
        names = [m.filename for m in members]
        data = next((name for name in names if name.endswith("/data.pkl")), None)
        if data is None:
            raise ValueError("it is a zip archive without the data.pkl that torch.save puts into one")
        self.folder = data.removesuffix("data.pkl")
        if sum(m.file_size for m in members if m.filename.startswith(f"{self.folder}data")) > self.size:
            raise ValueError("its members are larger than the file")  # torch.save packs no numbers
        if self.folder + "byteorder" in names:
            self.big = read_member(self.archive, self.folder + "byteorder", 16) == b"big"
        pickled = io.BytesIO(read_member(self.archive, data, self.size))
        return self.file_of(read_pickle(pickled, self.stored, self.made))

    def bytes_of(self, key: str) -> bytes:
        try:
            return read_member(self.archive, f"{self.folder}data/{key}", self.size)
        except KeyError as error:
            raise ModelError("has no numbers in the file") from error


class _Within:
    """A file of which no more is asked than it has: a text of 2**40 letters is not made room for."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size, self.tell, self.readline, self._read = size, file.tell, file.readline, file.read

    def read(self, count: int) -> bytes:
        return self._read(max(0, min(count, self.size - self.tell())))


class _Old(_Reader):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self.file = file
        self.types: dict[str, torch.dtype | None] = {}
        self.places: dict[str, tuple[int, int]] = {}
        self.dumped: dict[
            str, tuple[_Dumped, str]
        ] = {}  # by their keys here, where they lie and their keys there

    def stored(self, given: Any) -> Any:
        found = super().stored(given)
        if isinstance(found, _Storage):
            self.types[found.key] = found.dtype
        return found

    def made(self, name: str, args: tuple[Any, ...]) -> Any:
        if name == "_codecs.encode" and args and isinstance(args[0], str):
            return args[0].encode("latin1")  # as pickles of before Python 3 write bytes
        if name == "torch.storage._load_from_bytes" and args and isinstance(args[0], bytes):
            part = _Dumped(io.BytesIO(args[0]))
            storage = part.root()
            if not isinstance(storage, _Storage):
                raise ValueError("a tensor in it is damaged")
            key = f"{len(self.dumped)}/{storage.key}"
            self.dumped[key] = part, storage.key
            return replace(storage, key=key)
        return super().made(name, args)

    def read(self) -> TorchFile:
        return self.file_of(self.root())

    def root(self) -> Any:
        """What was saved."""
        size = self.file.seek(0, os.SEEK_END)
        self.file.seek(0)
        pickles = _Within(self.file, size)
        head = [read_pickle(pickles, self.stored, self.made)]
        if self.dumped:
            return head[0]
        if head[0] == MAGIC:
            head += [read_pickle(pickles, self.stored, self.made) for _ in range(2)]
        if len(head) < 3 or not isinstance(head[2], dict):
            raise ValueError("it is a pickle without tensors of PyTorch")
        self.big = head[2].get("little_endian") is False
        root = read_pickle(pickles, self.stored, self.made)
        keys = read_pickle(pickles, self.stored, self.made)
        for key in keys if isinstance(keys, list) else []:
            count = int.from_bytes(self.file.read(8), "little")
            dtype = self.types.get(str(key))
            if dtype is None:
                raise ValueError("the numbers in it are of a kind that is not read")
            start = self.file.tell()
            self.places[str(key)] = start, count * dtype.itemsize
            self.file.seek(start + min(count * dtype.itemsize, 2**62))
        return root

    def bytes_of(self, key: str) -> bytes:
        if key in self.dumped:
            part, own = self.dumped[key]
            return part.bytes_of(own)
        if key not in self.places:
            raise ModelError("has no numbers in the file")
        start, size = self.places[key]
        rest = self.file.seek(0, os.SEEK_END) - start
        if size > rest:
            raise ModelError("is cut short")
        self.file.seek(start)
        return self.file.read(size)


class _Dumped(_Old):
    """A tensor's numbers within what pickle.dump wrote, in which no other such file lies."""

    def made(self, name: str, args: tuple[Any, ...]) -> Any:
        return None


class _Walk:
    """Through tables, lists and objects, to the tensors in them."""

    def __init__(self) -> None:
        self.tensors: dict[str, Stored] = {}
        self.module = ""
        self.visits = 0

    def visit(self, value: Any, name: str, depth: int) -> None:
        self.visits += 1
        if self.visits > MAX_VISITS:
            raise ValueError("it holds more than is read of such a file")
        if isinstance(value, Stored):
            self.tensors[name] = value
        elif depth > MAX_DEPTH:
            return
        elif isinstance(value, Mapping):
            self.visit_all(value, name, depth)
        elif isinstance(value, list | tuple):
            self.visit_all(dict(enumerate(value)), name, depth)
        elif isinstance(value, Made) and isinstance(value.state.get("_modules"), dict):
            self.module = self.module or value.of
            hidden = value.state.get("_non_persistent_buffers_set")
            for part in ("_parameters", "_buffers", "_modules"):
                inner = value.state.get(part)
                if isinstance(inner, dict):
                    left = hidden if part == "_buffers" and isinstance(hidden, list) else []
                    self.visit_all({k: v for k, v in inner.items() if k not in left}, name, depth)
        elif isinstance(value, Made):
            self.visit_all(value.state, name, depth)
            self.visit_all(value.items, name, depth)
            self.visit_all(dict(enumerate(value.args)), name, depth)

    def visit_all(self, values: Mapping[Any, Any], name: str, depth: int) -> None:
        for key, value in values.items():
            if isinstance(value, Stored | Mapping | list | tuple | Made):
                self.visit(value, f"{name}.{key}" if name else str(key), depth + 1)
