"""The kernels as a library: one was compiled for each set of instructions when vbp was built, and this processor's best is loaded."""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path

import torch

from vbp.native.structures import Layer, Step

FOLDER = Path(__file__).parent
SWITCH = "VBP_NATIVE"  # in the environment: 0, or the instruction set that is to be used
# The best first: what they are called, and on which processors, by PyTorch's names, they run; None: on all that vbp was built for.
INSTRUCTION_SETS: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "avx512": ("AVX-512", ("AVX512",)),
    "avx2": ("AVX2", ("AVX512", "AVX2")),
    "sse2": ("SSE2", None),
    "neon": ("NEON", None),
    "generic": ("plain C", None),
}
_lock = threading.Lock()


class NotLoadedError(Exception):
    """There are no kernels here, and why, in words that follow "because"."""


class Kernels:
    """What the library offers, as ctypes functions. `lanes`: floats in a vector; `scratch`: floats that a thread needs.

    name: of its instruction set, in words. Raises OSError or AttributeError for a library that is not it.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        # It has no OpenMP of its own: torch, which is imported above, has let its own be found by all.
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


def kernels() -> Kernels:
    """The kernels, for the instruction set that $VBP_NATIVE names, or else the best that this processor has.

    Raises NotLoadedError.
    """
    global _loaded
    with _lock:
        if os.environ.get(SWITCH) == "0":
            raise NotLoadedError(f"{SWITCH} is 0")
        if _loaded is None:
            _loaded = load(os.environ.get(SWITCH) or best())
        return _loaded


def load(name: str) -> Kernels:
    """The kernels for one of INSTRUCTION_SETS. Raises NotLoadedError where vbp or the processor does not have it."""
    if name not in INSTRUCTION_SETS:
        raise NotLoadedError(
            f"{SWITCH} is {name!r}, which is no set of instructions: 0, {', '.join(INSTRUCTION_SETS)} are known"
        )
    words, processors = INSTRUCTION_SETS[name]
    path = FOLDER / f"kernels_{name}.so"
    if not path.exists():
        raise NotLoadedError(f"vbp was installed without those for {words}")
    if processors is not None and torch.backends.cpu.get_cpu_capability() not in processors:
        raise NotLoadedError(f"this processor, or PyTorch on it, has no {words}")
    try:
        return Kernels(path, words)
    except (OSError, AttributeError) as error:
        raise NotLoadedError(f"{path.name} cannot be loaded ({error})") from error


def best() -> str:
    """Of INSTRUCTION_SETS the best that is here and that this processor has. Raises NotLoadedError where none is."""
    capability = torch.backends.cpu.get_cpu_capability()
    for name, (_, processors) in INSTRUCTION_SETS.items():
        if (processors is None or capability in processors) and (FOLDER / f"kernels_{name}.so").exists():
            return name
    raise NotLoadedError(
        "vbp was installed without them: no C compiler was found then, or it is by `pip install -e` without editable_mode=strict, "
        "or on Windows, for which they are not written"
    )


def loaded_kernels() -> Kernels | None:
    """The kernels, where this process has them already."""
    return _loaded
