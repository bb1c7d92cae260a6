"""HDF5 files of Keras, read by a process of their own: the library crashes on some damaged files, and must not take vbp with it.

The process gets the bytes and gives back plain data: attributes as JSON, numbers as float32. Links, virtual and external data
sets would lead out of the file; they are not followed.
"""

from __future__ import annotations

import io
import json
import math
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vbp.errors import ModelError

ROOTS = (
    "model_weights",
    "layers",
    "_layer_checkpoint_dependencies",
)  # where weights are; not those of the optimiser
ATTRIBUTES = ("model_config", "keras_version", "backend", "layer_names", "weight_names")
FILTERS = (1, 2, 3, 6)  # deflate, shuffle, fletcher32, scaleoffset
RATIO, ALWAYS = 20, 2**20  # of what a data set unpacks to what is stored; bytes that are no matter
MAX_OBJECTS, MAX_DEPTH = 50_000, 20
MAX_MEMORY = 8 * 2**30  # bytes, of the process
SECONDS = 120  # on the clock; of processor time less, so that nothing spins on where vbp itself was killed
CPU_SECONDS, BYTES_A_SECOND = 5, 10 * 2**20
MAGIC = b"vbp hdf5\n"  # before the answer; the library may print something first


@dataclass
class Contents:
    """attributes: texts, or lists of them, by group and name. arrays: by path, or why one is not read."""

    attributes: dict[str, dict[str, str | list[str]]] = field(default_factory=dict)
    arrays: dict[str, NDArray[np.float32] | str] = field(default_factory=dict)


def read_hdf5(data: bytes) -> Contents:
    """What is in the bytes of a file. Raises ModelError."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "vbp.models.hdf5"],
            input=data,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError("it is damaged: reading it takes for ever") from error
    if done.returncode == -getattr(signal, "SIGXCPU", 0) != 0:
        raise ModelError("it is damaged: reading it takes for ever")
    if done.returncode or MAGIC not in done.stdout:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise ModelError(f"it is damaged, HDF5 cannot read it ({last[0][:100] if last else 'it crashes'})")
    return understood(done.stdout)


def understood(answer: bytes) -> Contents:
    """What the process says."""
    line, _, numbers = answer.partition(MAGIC)[2].partition(b"\n")
    head = json.loads(line)
    found = Contents(head["attributes"])
    for path, entry in head["arrays"].items():
        if isinstance(entry, str):
            found.arrays[path] = entry
            continue
        count = math.prod(entry["shape"])
        values = np.frombuffer(numbers, np.float32, count, entry["start"])
        found.arrays[path] = values.reshape(entry["shape"])
    return found


# The process


def main() -> None:
    """The bytes of a file on stdin, its contents on stdout."""
    data = sys.stdin.buffer.read()
    _limit(CPU_SECONDS + len(data) // BYTES_A_SECOND)
    sys.stdout.buffer.write(answer(data))


def answer(data: bytes) -> bytes:
    """What `understood` understands. Raises, or crashes, as HDF5 does on what is damaged."""
    import h5py

    with h5py.File(io.BytesIO(data), "r") as file:
        reader = _Reader(h5py)
        reader.attributes_of(file, "")
        for name in file:
            if name in ROOTS or "layer_names" in file.attrs or "layer_names0" in file.attrs:
                reader.visit(file, name, "", 0)
    head = json.dumps({"attributes": reader.attributes, "arrays": reader.arrays})
    return b"".join((MAGIC, head.encode(), b"\n", *reader.parts))


def _limit(seconds: int) -> None:
    """Of memory, and of processor time from now on."""
    try:
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        end = math.ceil(used.ru_utime + used.ru_stime) + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (end, end + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    except (ImportError, ValueError, OSError):  # Windows, or a lower limit is set
        pass


class _Reader:
    def __init__(self, h5py: Any) -> None:
        self.h5py = h5py
        self.attributes: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, Any] = {}
        self.parts: list[bytes] = []
        self.start = self.objects = 0

    def attributes_of(self, holder: Any, path: str) -> None:
        found: dict[str, Any] = {}
        for name in holder.attrs:
            if name.rstrip("0123456789") in ATTRIBUTES:
                value = holder.attrs[name]
                if isinstance(value, np.ndarray):
                    found[name] = [_text(v) for v in value.ravel()[:100_000]]
                else:
                    found[name] = _text(value)
        if found:
            self.attributes[path] = found

    def visit(self, group: Any, name: str, above: str, depth: int) -> None:
        path = f"{above}/{name}" if above else name
        self.objects += 1
        if self.objects > MAX_OBJECTS or depth > MAX_DEPTH:
            raise ValueError("it holds too many groups")
        if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
            self.arrays[path] = "are a link, which is not followed"
            return
        found = group[name]
        if isinstance(found, self.h5py.Group):
            self.attributes_of(found, path)
            for key in found:
                self.visit(found, key, path, depth + 1)
        elif isinstance(found, self.h5py.Dataset):
            reason = self._refused(found)
            if reason:
                self.arrays[path] = reason
                return
            values = np.asarray(found[()], dtype=np.float32)
            self.arrays[path] = {"shape": values.shape, "start": self.start}
            self.start += values.nbytes
            self.parts.append(values.tobytes())

    def _refused(self, data: Any) -> str:
        """Why a data set is not read."""
        plist = data.id.get_create_plist()
        if data.is_virtual or data.external:
            return "lie in another file, which is not opened"
        if any(plist.get_filter(i)[0] not in FILTERS for i in range(plist.get_nfilters())):
            return "are compressed in a way that Keras does not use"
        if data.dtype.kind not in "fiu" or data.dtype.itemsize > 8:
            return f"are of type {data.dtype}; numbers are expected"
        stored = data.id.get_storage_size()
        if data.nbytes > ALWAYS + RATIO * stored:
            return f"are {data.nbytes:,} bytes, of which the file holds {stored:,}; it is damaged"
        return ""


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    main()
