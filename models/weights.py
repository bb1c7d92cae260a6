"""Weights of any network from a file: safetensors, or a state dict of torch.save, read without running its pickle."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from vbp.errors import ModelError
from vbp.models.tensors import open_tensors
from vbp.reading import open_file, read_head

WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "ema")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")


def load_weights(module: nn.Module, path: str | Path, who: str) -> None:
    """Put the weights in `path` into the module, every one of them, and no others.

    Accepted are safetensors and state dicts by torch.save, also inside {"state_dict": ...} and with the "module." of
    DataParallel before each name. who: the network, for people. Raises ModelError that names what does not fit.
    """
    path = Path(path).expanduser()
    put_weights(module, without_prefix(read_weights(path), set(module.state_dict())), path, who)


def put_weights(module: nn.Module, found: dict[str, Tensor], path: Path, who: str) -> None:
    """Put all of `found`, which is by the module's own names, into it, each in the module's own precision.

    path: where they are from, who: what they are for, for people. Raises ModelError that names the first layers that do
    not fit.
    """
    wanted = {**module.state_dict()}
    missing = [k for k in wanted if k not in found and not k.endswith("num_batches_tracked")]
    extra = [k for k in found if k not in wanted]
    if missing or extra:
        parts = [f"it lacks {_first_three(missing)}"] * bool(missing) + [
            f"it has {_first_three(extra)}, which the network has not"
        ] * bool(extra)
        raise ModelError(f"{path} does not fit {who}: {'; '.join(parts)}")
    for name, tensor in found.items():
        if tensor.shape != wanted[name].shape:
            sizes = ("x".join(map(str, t.shape)) or "one number" for t in (tensor, wanted[name]))
            raise ModelError(
                f"{path} does not fit {who}: {name} is {next(sizes)}, and {next(sizes)} is expected"
            )
        if wanted[name].is_floating_point() and not tensor.is_floating_point():
            raise ModelError(f"{path} holds weights of type {tensor.dtype} in {name}; floats are accepted")
        if not bool(torch.isfinite(tensor.to(wanted[name].dtype)).all()):
            raise ModelError(f"{path} holds values that are not finite in {name}; its weights are broken")
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise ModelError(f"{path} holds a variance below 0 in {name}; its weights are damaged")
    module.load_state_dict(found, strict=False)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Every tensor in the file by its name, on the CPU. Nothing in it is run. Raises ModelError."""
    if holds_pickle(path):
        return _state_dict(path)
    try:
        with open_tensors(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{path} is no weights file; accepted: .safetensors, or a state dict by torch.save"
        ) from error


def holds_pickle(path: Path) -> bool:
    """Whether it is a file by torch.save, or another pickle. Raises ModelError where there is no file that can be read."""
    try:
        head = read_head(path, 16)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    # A safetensors file begins with the length of its header, which may begin as a pickle does; then comes the header.
    return head[:2] == b"PK" or (head[:1] == b"\x80" and head[8:9] != b"{")


def _check_size(path: Path) -> None:
    """torch.save packs nothing: members that are more than the file are there to fill the memory."""
    with open_file(path) as file:
        if not zipfile.is_zipfile(file):
            return  # an older one, which is no archive
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > file.seek(0, os.SEEK_END):
            raise ValueError("its members are larger than the file")


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        _check_size(path)
        with warnings.catch_warnings():  # of what it takes the file for; the sentence below says it
            warnings.simplefilter("ignore")
            data: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile file makes of it
        raise ModelError(
            f"{path} holds more than tensors, or is damaged, and opening it could run code; "
            "save its state_dict() alone, best as .safetensors, and use --model package.module:factory --weights FILE"
        ) from error
    for _ in range(3):
        inner = next(
            (data[k] for k in WRAPPERS if isinstance(data, Mapping) and isinstance(data.get(k), Mapping)),
            None,
        )
        if inner is None:
            break
        data = inner
    if not isinstance(data, Mapping) or not data:
        raise ModelError(f"{path} holds no state dict: a table of tensors by name is wanted")
    for name, tensor in data.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor) or tensor.layout != torch.strided:
            raise ModelError(f"{path} holds no state dict: {str(name)[:60]} is no tensor")
    return dict(data)


def without_prefix(found: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """Names without what wrappers put before each of them."""
    for _ in range(3):
        prefix = next((p for p in PREFIXES if found and all(k.startswith(p) for k in found)), None)
        if prefix is None or set(found) <= wanted:
            break
        found = {k[len(prefix) :]: v for k, v in found.items()}
    return found


def _first_three(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
