"""Which devices can run a network, and how long they take."""

from __future__ import annotations

import functools
import logging
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vbp.errors import DeviceError, VbpError

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def devices() -> list[str]:
    """Names that `pick_device` takes, the fastest first: "cuda:0", ..., "mps", "cpu"."""
    found = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if _cuda_is_usable() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def pick_device(name: str = "auto", dtype: torch.dtype = torch.float32) -> torch.device:
    """ "auto" takes the first of `devices()` that computes in `dtype`: mps has no float64.

    A card whose driver PyTorch cannot use is the CPU, which is logged as a warning.
    Raises VbpError for a device that this machine lacks, or that lacks the precision.
    """
    known = devices()
    able = [d for d in known if d != "mps" or dtype != torch.float64]
    if name == "auto":
        return torch.device(able[0])
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in known and re.fullmatch(r"cuda:\d+", wanted) and _unusable:
        return torch.device("cpu")
    if wanted not in known:
        raise VbpError(f"there is no device {name!r} here; accepted: auto, {', '.join(known)}")
    if wanted not in able:
        raise VbpError(
            f"{wanted} has no double precision; choose single precision, or one of: {', '.join(able)}"
        )
    return torch.device(wanted)


_unusable: set[str] = set()  # why CUDA cannot be used where there is a card, each said once


def _cuda_is_usable() -> bool:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    for text in (str(warning.message) for warning in said):
        if "CUDA" in text and not usable and text not in _unusable:
            _unusable.add(text)
            reason = text.removeprefix("CUDA initialization: ").split(". ")[0]
            log.warning(
                "CUDA cannot be used, so the CPU is (%s); update the driver, or install the PyTorch that is made for it",
                reason,
            )
    return usable


def describe_device(device: str | torch.device) -> str:
    """A device as a user knows it: "cuda:0 NVIDIA H200", "CPU, 2 threads"."""
    device = torch.device(device)
    if device.type == "cuda":
        return f"{device} {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"CPU, {threads} thread{'s' if threads != 1 else ''}"
    return str(device)


def to_device(array: NDArray[Any], device: torch.device | str) -> Tensor:
    """The array as a tensor on the device; for a graphics card through pinned memory, so that the host does not wait."""
    if not array.flags.writeable:  # torch warns of those
        array = array.copy()
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


_inside = threading.Lock()
_depth = 0
_before: list[str | bool] = []


@contextmanager
def full_float32() -> Iterator[None]:
    """Within it a graphics card multiplies float32 as float32; PyTorch lets convolutions round it to 10 bits (TF32).

    The setting is the process's: it is put back when the last of the threads that are within it leaves.
    """
    global _depth, _before
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        yield
        return
    with _inside:
        if not _depth:
            _before = _multiplying(["ieee"] * 3 if _BY_NAME else [False] * 2)
        _depth += 1
    try:
        yield
    finally:
        with _inside:
            _depth -= 1
            if not _depth:
                _multiplying(_before)


_BY_NAME = hasattr(
    torch.backends.cudnn, "conv"
)  # PyTorch 2.9 and later, where the switches must not be mixed with these


def _multiplying(wanted: list[Any]) -> list[Any]:
    """Set how convolutions, recurrent layers and matrix products round float32; what it was before."""
    cudnn: Any = torch.backends.cudnn
    places = (
        (cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul)
        if _BY_NAME
        else (cudnn, torch.backends.cuda.matmul)
    )
    name = "fp32_precision" if _BY_NAME else "allow_tf32"
    before = [getattr(place, name) for place in places]
    for place, value in zip(places, wanted, strict=True):
        setattr(place, name, value)
    return before


_OF_DEVICE = (
    "CUDA error",
    "CUDA out of memory",
    "cuDNN error",
    "NVIDIA driver",
    "CUDA driver",
    "No CUDA GPUs",
)


@contextmanager
def same_each_time(device: torch.device) -> Iterator[None]:
    """Within it a graphics card's convolutions sum in the same order each time, which PyTorch does not ask of cuDNN unless told to."""
    cudnn: Any = torch.backends.cudnn
    before = cudnn.deterministic
    cudnn.deterministic = before or device.type == "cuda"
    try:
        yield
    finally:
        cudnn.deterministic = before


def is_of_device(error: Exception) -> bool:
    """Whether the device failed, and not what was asked of it: its memory is full, or it answers no more."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in _OF_DEVICE)


def device_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Where the device fails in `function`, a DeviceError says so in one sentence."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            if not is_of_device(error):
                raise
            what = str(error).splitlines()[0]
            full = (
                isinstance(error, torch.OutOfMemoryError) or "out of memory" in what or "ALLOC_FAILED" in what
            )
            if full:
                text = "the device's memory is full; end what else uses it, or choose the device cpu"
            else:
                text = (
                    f"the device does not answer any more ({what}); start vbp again, or choose the device cpu"
                )
            raise DeviceError(text) from error

    return run


class Placed(Protocol):
    """What runs on a device, and can go on by the CPU."""

    @property
    def device(self) -> str: ...

    def go_on_by_cpu(self, error: DeviceError) -> None: ...


W = TypeVar("W", bound=Placed)


def or_by_cpu(function: Callable[Concatenate[W, P], R]) -> Callable[Concatenate[W, P], R]:
    """Where the card fails in a method, its object moves to the CPU and does it there; a DeviceError where that fails, too."""
    checked = device_errors(function)

    @functools.wraps(function)
    def run(placed: W, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return checked(placed, *args, **kwargs)
        except DeviceError as error:
            if placed.device == "cpu":
                raise
            placed.go_on_by_cpu(error)
        return checked(placed, *args, **kwargs)

    return run


class Clock:
    """Milliseconds between laps. A stage that ends by reading its result from the device bears its own time: no lap waits for it."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = (now - self._last) * 1e3
        self._last = now
