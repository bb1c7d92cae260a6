"""A stand-in for a graphics card, on any CPU: tensors that say they are on another device, and nothing that reads them by mistake.

Inside `with StandIn() as card` a tensor that is moved to `DEVICE`, or made there, computes on the CPU and keeps the rules of a
card: together with a tensor of the host it raises, as PyTorch does there, and what is brought to the host is counted, as
each time the program waits for the card (`card.reads`, with the place that asked for it).
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("cuda:0")
SCALARS = ("_local_scalar_dense", "is_nonzero", "equal", "item")
OF_UNKNOWN_SIZE = ("nonzero", "masked_select", "_unique2", "unique_dim", "repeat_interleave")
MOVES = ("to", "_to_copy", "copy_")
NO_PLACE = ("set_", "record_stream")


class OnCard(torch.Tensor):
    """A tensor of the stand-in; `host` holds its numbers."""

    host: torch.Tensor

    @staticmethod
    def __new__(cls, host: torch.Tensor) -> OnCard:
        made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            host.size(),
            strides=host.stride(),
            storage_offset=host.storage_offset(),
            dtype=host.dtype,
            layout=host.layout,
            device="meta",  # which PyTorch knows in every build: nothing is ever asked of it
            requires_grad=False,
        )
        made.host = host
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return DEVICE

    is_cuda = True
    is_cpu = is_meta = False

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy: copy it to the host first")

    def __repr__(self) -> str:
        return f"OnCard({self.host})"

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} outside of the stand-in")


class StandIn(TorchDispatchMode):
    """reads: what was brought to the host, or asked of the card by it; sends: what was brought to the card while the host waited."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.sends: list[str] = []
        self.recording: list[tuple[Any, Any, Any, Any]] | None = None

    @property
    def waits(self) -> list[str]:
        """All for which the host waited, whichever way."""
        return self.reads + self.sends

    def clear(self) -> None:
        self.reads.clear()
        self.sends.clear()

    def __enter__(self) -> StandIn:
        plain = threading.Thread.run

        def run(thread: threading.Thread) -> None:
            with _InThread(self):  # a mode is of the thread that entered it
                plain(thread)

        self._patch = pytest.MonkeyPatch()
        as_on_a_card = {
            "_lazy_init": lambda: None,
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "device_count": lambda: 1,
            "get_device_name": lambda device=None: "stand-in",
            "synchronize": lambda device=None: self.reads.append("synchronize"),
            "mem_get_info": lambda device=None: (2**34, 2**34),
            "is_bf16_supported": lambda including_emulation=True: False,
            "get_rng_state": lambda device=None: torch.zeros(1, dtype=torch.uint8),
            "set_rng_state": lambda state, device=None: None,
            "device": lambda device: nullcontext(),
            "Stream": _Stream,
            "current_stream": lambda device=None: _Stream(),
            "stream": lambda stream: nullcontext(),
            "CUDAGraph": _Graph,
            "graph": self._record,
        }
        for name, function in as_on_a_card.items():
            self._patch.setattr(torch.cuda, name, function)
        self._patch.setattr(torch.Tensor, "pin_memory", _pinned)
        self._patch.setattr(threading.Thread, "run", run)
        for name in ("tensor", "as_tensor"):  # which no mode is asked of
            self._patch.setattr(torch, name, _moved_after(getattr(torch, name)))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._patch.undo()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func.overloadpacket.__name__
        tensors = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)]
        on_card = [t for t in tensors if isinstance(t, OnCard)]
        to_card = _ends_on_card(name, args, kwargs, bool(on_card))
        if name in MOVES:
            self._watch_move(name, args, kwargs, to_card)
        elif on_card:
            self._watch(func, name, tensors, on_card)
        if on_card or to_card:
            args, kwargs = tree_map(_on_host, args), tree_map(_on_host, kwargs)
        out = func(*args, **kwargs)
        if self.recording is not None:
            self.recording.append((func, args, kwargs, out))
        if not to_card:
            return out
        known = {id(t.host): t for t in on_card}  # of an operation in place, the tensor that it changed
        # What is looked at of a tensor that was made outside of inference mode is no tensor of inference mode either.
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        plain = is_view and not on_card[0].is_inference() if on_card else False
        with torch.inference_mode(False) if plain else nullcontext():
            return tree_map(lambda t: _as_on_card(t, known), out)

    def _watch_move(self, name: str, args: Any, kwargs: Any, to_card: bool) -> None:
        source = args[1] if name == "copy_" else args[0]
        asynchronous = bool(kwargs.get("non_blocking", False)) or (name == "copy_" and True in args[2:3])
        if isinstance(source, OnCard) and not to_card:
            if asynchronous:
                raise RuntimeError(
                    "what comes to the host is not waited for, and may be read before it is there"
                )
            self._note(self.reads, name)
        elif (
            to_card
            and not isinstance(source, OnCard)
            and source.dim()
            and not (asynchronous and getattr(source, "is_of_pinned_memory", False))
        ):
            self._note(self.sends, name)

    def _watch(self, func: Any, name: str, tensors: list[torch.Tensor], on_card: list[OnCard]) -> None:
        if stray := [t for t in tensors if not isinstance(t, OnCard) and t.dim()]:
            raise RuntimeError(
                f"{func}: expected all tensors on one device, and one of {tuple(stray[0].shape)} is on the host"
            )
        masked = name in ("index", "index_put", "index_put_") and any(
            t.dtype in (torch.bool, torch.uint8) for t in on_card[1:]
        )
        if name in SCALARS or name in OF_UNKNOWN_SIZE or masked:
            self._note(self.reads, name)

    @contextmanager
    def _record(self, graph: _Graph, stream: _Stream, capture_error_mode: str) -> Iterator[None]:
        self.recording = graph.steps
        try:
            yield
        finally:
            self.recording = None

    def _note(self, where: list[str], name: str) -> None:
        if self.recording is not None:
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({name})")
        ours = [f for f in traceback.extract_stack() if "/vbp/" in f.filename]
        at = f"{ours[-1].filename.rsplit('/vbp/', 1)[1]}:{ours[-1].name}" if ours else "?"
        where.append(f"{name} in {at}")


class _Stream:
    def wait_stream(self, other: _Stream) -> None: ...


class _Graph:
    """What was recorded is done again, with the numbers that lie in the very same places by then."""

    def __init__(self) -> None:
        self.steps: list[tuple[Any, Any, Any, Any]] = []

    def replay(self) -> None:
        with torch.inference_mode():
            for func, args, kwargs, out in self.steps:
                again = func(*args, **kwargs)
                for old, new in zip(tree_flatten(out)[0], tree_flatten(again)[0], strict=True):
                    if isinstance(old, torch.Tensor) and old is not new:
                        old.copy_(new)


class _InThread(TorchDispatchMode):
    """The same stand-in in another thread."""

    def __init__(self, stand_in: StandIn) -> None:
        super().__init__()
        self.stand_in = stand_in

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.stand_in.__torch_dispatch__(func, types, args, kwargs)


def _moved_after(make: Any) -> Any:
    def run(values: Any, *, device: Any = None, **others: Any) -> torch.Tensor:
        made = make(values, **others)
        return made if device is None else made.to(device)

    return run


def _as_on_card(value: Any, known: dict[int, OnCard]) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return known[id(value)] if id(value) in known else OnCard(value)


def _pinned(tensor: torch.Tensor) -> torch.Tensor:
    pinned = tensor.clone()
    pinned.is_of_pinned_memory = True  # type: ignore[attr-defined]
    return pinned


def _ends_on_card(name: str, args: Any, kwargs: Any, any_on_card: bool) -> bool:
    """Whether what comes out of an operation lies on the card."""
    if name == "copy_":
        return isinstance(args[0], OnCard)
    if name == "to" and len(args) > 1 and isinstance(args[1], torch.Tensor):
        return isinstance(args[1], OnCard)
    device = kwargs.get("device") or next((a for a in args[1:] if isinstance(a, torch.device)), None)
    # "meta" is what PyTorch itself takes an OnCard to be on, and asks for as "where it is".
    if device is None or (any_on_card and torch.device(device).type == "meta"):
        return any_on_card
    return torch.device(device).type == DEVICE.type


def _on_host(value: Any) -> Any:
    if isinstance(value, OnCard):
        return value.host
    is_card = isinstance(value, torch.device) and value.type in (DEVICE.type, "meta")
    return torch.device("cpu") if is_card else value
