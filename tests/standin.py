"""A stand-in for a graphics card, on any CPU: tensors that say they are on another device, and nothing that reads them by mistake.

Inside `with StandIn() as card` a tensor that is moved to `DEVICE`, or made there, computes on the CPU and keeps the rules of a
card: together with a tensor of the host it raises, as PyTorch does there, and what is brought to the host is counted, as
each time the program waits for the card (`card.reads`, with the place that asked for it).
"""

from __future__ import annotations

import traceback
from contextlib import nullcontext
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
    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def __enter__(self) -> StandIn:
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(torch.cuda, "_lazy_init", lambda: None)
        self._patch.setattr(torch.cuda, "is_available", lambda: True)
        self._patch.setattr(torch.cuda, "device_count", lambda: 1)
        self._patch.setattr(torch.cuda, "get_device_name", lambda device=None: "stand-in")
        self._patch.setattr(torch.cuda, "synchronize", lambda device=None: None)
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
        device = kwargs.get("device")
        if device is None and name in MOVES:
            device = next((a for a in args[1:] if isinstance(a, torch.device)), None)
        wanted = torch.device(device) if device is not None else None
        if name in MOVES:
            target = (
                args[0]
                if name == "copy_"
                else (
                    args[1]
                    if isinstance(args[1:2], tuple) and len(args) > 1 and isinstance(args[1], torch.Tensor)
                    else None
                )
            )
            if target is not None:
                to_card = isinstance(target, OnCard)
            else:
                to_card = bool(on_card) if wanted is None else wanted.type == DEVICE.type
            if on_card and not to_card:
                self._read(name)
        else:
            if on_card:
                if stray := [t for t in tensors if not isinstance(t, OnCard) and t.dim()]:
                    raise RuntimeError(
                        f"{func}: expected all tensors on one device, and one of {tuple(stray[0].shape)} is on the host"
                    )
                masked = name in ("index", "index_put", "index_put_") and any(
                    t.dtype in (torch.bool, torch.uint8) for t in on_card[1:]
                )
                if name in SCALARS or name in OF_UNKNOWN_SIZE or masked:
                    self._read(name)
            to_card = bool(on_card) if wanted is None else wanted.type == DEVICE.type
        if wanted is not None:
            kwargs = {k: (torch.device("cpu") if k == "device" else v) for k, v in kwargs.items()}
            args = tuple(torch.device("cpu") if isinstance(a, torch.device) else a for a in args)
        bare = lambda t: t.host if isinstance(t, OnCard) else t  # noqa: E731
        out = func(*tree_map(bare, args), **tree_map(bare, kwargs))
        if not to_card:
            return out
        known = {id(t.host): t for t in on_card}  # of an operation in place, the tensor that it changed
        # What is looked at of a tensor that was made outside of inference mode is no tensor of inference mode either.
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        plain = is_view and not on_card[0].is_inference() if on_card else False
        with torch.inference_mode(False) if plain else nullcontext():
            return tree_map(
                lambda t: (
                    (known[id(t)] if id(t) in known else OnCard(t)) if isinstance(t, torch.Tensor) else t
                ),
                out,
            )

    def _read(self, name: str) -> None:
        ours = [f for f in traceback.extract_stack() if "/vbp/" in f.filename]
        at = f"{ours[-1].filename.rsplit('/vbp/', 1)[1]}:{ours[-1].name}" if ours else "?"
        self.reads.append(f"{name} in {at}")
