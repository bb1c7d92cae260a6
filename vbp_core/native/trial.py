"""Whether the kernels serve a network: built, right and faster, found out beside the passes that are served otherwise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import torch
from torch import Tensor

from vbp.errors import VbpError
from vbp.graph.operations import Graph
from vbp.graph.trace import Trace
from vbp.native.build import Kernels, NotBuiltError, hopeless, kernels
from vbp.native.forward import NativeForward

PATIENCE_S = 2.0  # a command that is done by then does not start the compiler
CLOSE = 1e-4  # of a value's largest: rounding is far below, a kernel that is wrong is far above
ROUNDS = 5
_one_at_a_time = threading.Lock()


class Trial:
    """Runs at once, in a thread that ends when the program does, or `stop` is called.

    other: what serves until then; images: (1, C, H, W), what it is tried on. `found`: what is to serve from now on, None
    where that stays `other`. `why`: in words that follow "because"; "" while it is not known, and where the kernels serve.
    """

    def __init__(self, graph: Graph, other: Callable[[Tensor], Trace], images: Tensor) -> None:
        self.found: NativeForward | None = None
        self._stopped = threading.Event()
        self.why = hopeless()
        self._thread = threading.Thread(
            target=self._run,
            args=(graph, other, images.clone(), torch.get_num_threads()),
            name="vbp kernels",
            daemon=False,
        )
        if not self.why:
            self._thread.start()

    def stop(self) -> None:
        """Nobody wants to know any more."""
        self._stopped.set()

    def wait(self) -> None:
        """Until it is known."""
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self, graph: Graph, other: Callable[[Tensor], Trace], images: Tensor, threads: int) -> None:
        try:
            with _one_at_a_time:
                torch.set_num_threads(threads)  # a thread's own
                fast = NativeForward(_kernels(self._goes_on), graph)
                self.why = _verdict(fast, other, images, self._goes_on)
                if not self.why:
                    self.found = fast
        except NotBuiltError as error:
            self.why = str(error)
        except (VbpError, RuntimeError, MemoryError) as error:
            self.why = f"the network does not run on them ({error})"

    def _goes_on(self) -> bool:
        return threading.main_thread().is_alive() and not self._stopped.is_set()


def _kernels(goes_on: Callable[[], bool]) -> Kernels:
    try:
        return kernels()
    except NotBuiltError:
        if hopeless():
            raise
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if not goes_on():
                raise
            time.sleep(0.05)
        return kernels(build=goes_on)


def _verdict(
    fast: NativeForward, other: Callable[[Tensor], Trace], images: Tensor, goes_on: Callable[[], bool]
) -> str:
    """ "" where `fast` gives what `other` gives, and no later."""
    if not fast.useful:
        return "the network has no convolution for them"
    wanted, got = other(images), fast(images)
    for a, b in zip(wanted.values, got.values, strict=True):
        # The maps: what stands behind them is left to torch, and an angle may be near zero.
        if a.dim() == 4 and a.numel() and not float((a - b).abs().max()) <= CLOSE * float(a.abs().max()):
            return "on this network they gave other numbers, or none"
    mine = others = float("inf")
    for _ in range(ROUNDS):
        if not goes_on():
            return "the program ends"
        start = time.perf_counter()
        fast(images)
        between = time.perf_counter()
        other(images)
        mine, others = min(mine, between - start), min(others, time.perf_counter() - between)
    return "" if mine <= others else "they are slower on this network"
