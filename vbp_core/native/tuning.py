"""Whether a network is to be run by the kernels: compiled, checked and timed while torch runs the passes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import torch
from torch import Tensor

from vbp.errors import VbpError
from vbp.graph.operations import Graph
from vbp.graph.trace import Trace
from vbp.native.build import Kernels, NotBuiltError, kernels, unavailable_reason
from vbp.native.forward import NativeForward

PATIENCE_S = 2.0  # a command that ends sooner does not start the compiler
CLOSE = 1e-4  # of a value's largest: rounding is far below, a kernel that is wrong is far above
ROUNDS = 5
_one_at_a_time = threading.Lock()


class Tuning:
    """Runs at once, in a thread that ends when the program does, or `stop` is called.

    by_torch: runs the passes until then; images: (1, C, H, W), what both are timed on. `native`: runs them from now on, None
    where torch is to. `unavailable_reason`: why, in words that follow "because"; "" while it is not known, and where the
    kernels are used.
    """

    def __init__(self, graph: Graph, by_torch: Callable[[Tensor], Trace], images: Tensor) -> None:
        self.native: NativeForward | None = None
        self._stopped = threading.Event()
        self.unavailable_reason = unavailable_reason()
        self._thread = threading.Thread(
            target=self._run,
            args=(graph, by_torch, images.clone(), torch.get_num_threads()),
            name="vbp kernels",
            daemon=False,
        )
        if not self.unavailable_reason:
            self._thread.start()

    def stop(self) -> None:
        """The result is no longer wanted."""
        self._stopped.set()

    def wait(self) -> None:
        """Until it is known."""
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self, graph: Graph, by_torch: Callable[[Tensor], Trace], images: Tensor, threads: int) -> None:
        try:
            with _one_at_a_time:
                torch.set_num_threads(threads)  # a thread's own
                fast = NativeForward(_compiled(self._is_wanted), graph)
                self.unavailable_reason = _reason_against(fast, by_torch, images, self._is_wanted)
                if not self.unavailable_reason:
                    self.native = fast
        except NotBuiltError as error:
            self.unavailable_reason = str(error)
        except (VbpError, RuntimeError, MemoryError) as error:
            self.unavailable_reason = f"the network does not run on them ({error})"

    def _is_wanted(self) -> bool:
        return threading.main_thread().is_alive() and not self._stopped.is_set()


def _compiled(is_wanted: Callable[[], bool]) -> Kernels:
    try:
        return kernels()
    except NotBuiltError:
        if unavailable_reason():
            raise
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if not is_wanted():
                raise
            time.sleep(0.05)
        return kernels(build=is_wanted)


def _reason_against(
    fast: NativeForward, by_torch: Callable[[Tensor], Trace], images: Tensor, is_wanted: Callable[[], bool]
) -> str:
    """ "" where `fast` gives what torch gives, and takes no longer."""
    if not fast.useful:
        return "the network has no convolution for them"
    wanted, got = by_torch(images), fast(images)
    for a, b in zip(wanted.values, got.values, strict=True):
        # The maps: what stands behind them is left to torch, and an angle may be near zero.
        if a.dim() == 4 and a.numel() and not float((a - b).abs().max()) <= CLOSE * float(a.abs().max()):
            return "on this network they gave other numbers, or none"
    own = torchs = float("inf")
    for _ in range(ROUNDS):
        if not is_wanted():
            return "the program ends"
        start = time.perf_counter()
        fast(images)
        between = time.perf_counter()
        by_torch(images)
        own, torchs = min(own, between - start), min(torchs, time.perf_counter() - between)
    return "" if own <= torchs else "they are slower on this network"
