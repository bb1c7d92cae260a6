"""The kernels, compiled for this processor the first time, and kept in the user's cache folder from then on."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vbp.files import cache_folder
from vbp.models.atomic import PART, sync, temporary_file
from vbp.native.structures import Layer, Step

SOURCES = Path(__file__).parent / "c"
FLAGS = ("-O3", "-ffp-contract=fast", "-fno-math-errno", "-fopenmp", "-shared", "-fPIC")
FOR_THIS_PROCESSOR = {"x86_64": ("-march=native", "-mprefer-vector-width=512"), "aarch64": ("-mcpu=native",)}
SWITCH = "VBP_NATIVE"  # 0 in the environment: never compile, never load
LONGEST_S = 900.0  # at the lowest priority, beside whatever else runs
_lock = threading.Lock()


class NotBuiltError(Exception):
    """There are no kernels here, and why, in words that follow "because"."""


class AbortedError(Exception):
    """Not now, but it may be tried again."""


class Kernels:
    """What the library offers, as ctypes functions. `lanes`: floats in a vector; `scratch`: floats that a thread needs.

    Raises OSError or AttributeError for a library that is not it.
    """

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        whole = ctypes.c_long
        pointer, number = ctypes.c_void_p, ctypes.c_int
        self.run = library.run
        self.run.argtypes, self.run.restype = (pointer, whole, number, pointer), None
        self.lrp = library.lrp
        self.lrp.argtypes, self.lrp.restype = (pointer, pointer, whole, number, pointer), ctypes.c_double
        self.mask = library.mask
        self.mask.argtypes = (
            *(pointer, whole, whole, pointer, whole, pointer, whole, pointer, whole, pointer, number),
        )
        self.mask.restype = None
        self.halves = library.halves
        self.halves.argtypes, self.halves.restype = (pointer, whole, whole, pointer, number), None
        library.lanes.restype = library.scratch_floats.restype = whole
        library.size_of_layer.restype = library.size_of_step.restype = whole
        self.lanes: int = library.lanes()
        self.scratch: int = library.scratch_floats()
        ours, theirs = (
            ctypes.sizeof(Layer) + ctypes.sizeof(Step),
            library.size_of_layer() + library.size_of_step(),
        )
        if ours != theirs:
            raise OSError(f"the kernels take structures of {theirs} bytes, not {ours}")


_loaded: Kernels | None = None
_failed = ""


def kernels(build: Callable[[], bool] | None = None) -> Kernels:
    """The kernels, from the cache folder or, where `build` is given, compiled now (seconds).

    build: asked again and again while the compiler runs; False ends it. Raises NotBuiltError; once compiling has
    failed it is not tried again by this process.
    """
    global _loaded, _failed
    with _lock:
        if _loaded is not None:
            return _loaded
        if unavailable_reason():
            raise NotBuiltError(unavailable_reason())
        try:
            _loaded = _load(_built(build))
        except AbortedError as error:
            raise NotBuiltError(str(error)) from error
        except (NotBuiltError, OSError, subprocess.SubprocessError) as error:
            _failed = str(error)
            raise NotBuiltError(_failed) from error
        return _loaded


def _load(path: Path) -> Kernels:
    try:
        return Kernels(path)
    except (OSError, AttributeError) as error:
        path.unlink(missing_ok=True)  # damaged: the next start compiles anew
        raise NotBuiltError(f"what was compiled cannot be loaded ({error})") from error


def unavailable_reason() -> str:
    """Why this process cannot have the kernels, in words that follow "because"; "" while it may."""
    return f"{SWITCH} is 0" if os.environ.get(SWITCH) == "0" else _failed


def loaded_kernels() -> Kernels | None:
    """The kernels, where this process has them already."""
    return _loaded


def _built(build: Callable[[], bool] | None) -> Path:
    compiler = _compiler()
    command = (compiler, *FOR_THIS_PROCESSOR.get(platform.machine(), ()), *FLAGS)
    version = subprocess.run((compiler, "--version"), capture_output=True, timeout=10, check=False).stdout
    contents = (
        repr(command).encode()
        + version
        + _processor()
        + b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))
    )
    try:
        folder = cache_folder("kernels")
    except (OSError, RuntimeError) as error:
        raise NotBuiltError(f"the cache folder cannot be written to ({error})") from error
    key = _digest(contents)
    if (cached := _cached(folder, key)) is not None:
        return cached
    if build is None:
        raise AbortedError("they are not compiled yet")
    _remove_leftovers(folder)
    with temporary_file(folder / key) as part:
        _compile((*command, str(SOURCES / "kernels.c"), "-o", str(part), "-lm"), build)
        sync(part)
        target = folder / f"{key}-{_digest(part.read_bytes())}.so"
        part.replace(target)
    return target


def _cached(folder: Path, key: str) -> Path | None:
    """The library of before, if it is whole: to load one that was cut short would end the program. Others are removed."""
    for path in sorted(folder.glob(f"{key}-*.so")):
        if _is_ours(path) and path.stem == f"{key}-{_digest(path.read_bytes())}":
            return path
        path.unlink(missing_ok=True)
    return None


def _remove_leftovers(folder: Path) -> None:
    """Files that programs which were killed had half compiled."""
    for path in folder.glob(f"*{PART}"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > LONGEST_S:
                path.unlink()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _compiler() -> str:
    if sys.platform == "win32":
        raise NotBuiltError("they have not been written for Windows")
    for name in (os.environ.get("CC", ""), "gcc", "cc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise NotBuiltError("there is no C compiler (gcc, cc or clang) here")


def _is_ours(path: Path) -> bool:
    """It is there, and nobody but this user can have written it."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return (
        path.is_file() and not path.is_symlink() and found.st_uid == os.getuid() and not found.st_mode & 0o022
    )


def _compile(command: tuple[str, ...], is_wanted: Callable[[], bool]) -> None:
    with tempfile.TemporaryFile() as output:
        # At the lowest priority, so that the picture does not falter.
        low = ("nice", "-n", "19") if shutil.which("nice") else ()
        running = subprocess.Popen((*low, *command), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        until = time.monotonic() + LONGEST_S
        try:
            while running.poll() is None:
                if not is_wanted():
                    raise AbortedError("the program ends")
                if time.monotonic() > until:
                    raise NotBuiltError("the compiler did not come to an end")
                time.sleep(0.05)
        finally:
            running.kill()
            running.wait()
        if running.returncode:
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines()
            raise NotBuiltError(
                f"{command[0]} failed ({lines[0] if lines else f'exit status {running.returncode}'})"
            )


def _processor() -> bytes:
    """Which processor this is: a cache folder may be shared by machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor().encode()
    kinds = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(kinds)})).encode()
