"""Whether a network is to be run by the kernels: checked on the first picture, and timed in the background from then on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

from vbp.errors import VbpError
from vbp.graph.operations import Graph
from vbp.graph.trace import Trace, trace
from vbp.native.forward import NativeForward
from vbp.native.library import NotLoadedError, kernels

CLOSE = 1e-4  # of a value's largest: rounding is far below, a kernel that is wrong is far above
ROUNDS = 5
PAUSE_S = 2.0  # before they are timed: the first picture is waited for, and a command that ends sooner has no use for it
LOOK_S = 0.05
_one_at_a_time = threading.Lock()


class Tuning:
    """Checks at once, and times in a thread that ends when the program does, or `stop` is called.

    by_torch: the other way to run a pass; images: (1, C, H, W), what both are checked and timed on. `native`: runs the passes,
    None where torch is to. `unavailable_reason`: why, in words that follow "because"; "" where the kernels are used.
    Raises ExplainError for sizes that do not fit the network.
    """

    def __init__(self, graph: Graph, by_torch: Callable[[Tensor], Trace], images: Tensor) -> None:
        self.native: NativeForward | None = None
        self.unavailable_reason = ""
        self._stopped, self._now = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        try:
            fast = NativeForward(kernels(), graph)
        except NotLoadedError as error:
            self.unavailable_reason = str(error)
            return
        self.unavailable_reason = _reason_against(fast, graph, images)
        if not self.unavailable_reason:
            self.native = fast
            self._thread = threading.Thread(
                target=self._time,
                args=(fast, by_torch, images.clone(), torch.get_num_threads()),
                name="vbp kernels",
                daemon=False,
            )
            self._thread.start()

    def stop(self) -> None:
        """The result is no longer wanted."""
        self._stopped.set()
        self._now.set()

    def wait(self) -> None:
        """Until it is known, which then is found out at once."""
        self._now.set()
        if self._thread is not None:
            self._thread.join()

    def _time(
        self, fast: NativeForward, by_torch: Callable[[Tensor], Trace], images: Tensor, threads: int
    ) -> None:
        """The kernels are taken back where torch is faster."""
        for _ in range(round(PAUSE_S / LOOK_S)):
            if self._now.wait(LOOK_S) or not threading.main_thread().is_alive():
                break
        # A pass that there is no room for says nothing: what runs goes on.
        with _one_at_a_time, suppress(RuntimeError, MemoryError):
            torch.set_num_threads(threads)  # a thread's own
            if self._is_wanted():
                by_torch(images)  # its weights are laid out
            own = torchs = float("inf")
            for _ in range(ROUNDS):
                if not self._is_wanted():
                    return
                start = time.perf_counter()
                fast(images)
                between = time.perf_counter()
                by_torch(images)
                own, torchs = min(own, between - start), min(torchs, time.perf_counter() - between)
            if own > torchs:
                self.native, self.unavailable_reason = None, "they are slower on this network"

    def _is_wanted(self) -> bool:
        return threading.main_thread().is_alive() and not self._stopped.is_set()


def _reason_against(fast: NativeForward, graph: Graph, images: Tensor) -> str:
    """ "" where `fast` gives what torch gives."""
    if not fast.useful:
        return "the network has no convolution for them"
    wanted = trace(graph, images)
    try:
        got = fast(images, plain=wanted)
    except (VbpError, RuntimeError, MemoryError) as error:
        return f"the network does not run on them ({error})"
    for a, b in zip(wanted.values, got.values, strict=True):
        # The maps: what stands behind them is left to torch, and an angle may be near zero.
        if a.dim() == 4 and a.numel() and not float((a - b).abs().max()) <= CLOSE * float(a.abs().max()):
            return "on this network they gave other numbers, or none"
    return ""
