"""A network with its specification; saving and loading it without pickle."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from models.spec import ModelFileError, NetworkSpec
from models.steering import build_steering, seeded

SPEC_KEY = "vbp.spec"

# A new architecture is one file and one line here: spec -> module with fresh weights.
ARCHITECTURES = {"steering": build_steering}


@dataclass
class Network:
    """A module in eval mode and what is needed to use it. `trained` is False for fresh weights."""

    spec: NetworkSpec
    module: nn.Module
    path: Path | None = None
    trained: bool = True


def build(spec: NetworkSpec, seed: int = 0) -> Network:
    """A network with fresh, seeded weights. Raises ModelFileError."""
    builder = ARCHITECTURES.get(spec.architecture)
    if builder is None:
        known = ", ".join(ARCHITECTURES)
        raise ModelFileError(f"the architecture {spec.architecture!r} is not known; accepted: {known}")
    module = seeded(lambda: builder(spec), seed)
    return Network(spec, module.eval(), trained=False)


def save_checkpoint(network: Network, path: str | Path) -> None:
    """Write weights and specification as safetensors; the file is whole or not there."""
    path = Path(path)
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.module.state_dict().items()}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    os.close(handle)
    try:
        save_file(tensors, temporary, metadata={SPEC_KEY: network.spec.to_json()})
        # mkstemp makes files for their owner alone; give this one the rights any new file gets.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_checkpoint(path: str | Path) -> Network:
    """Read a network written by `save_checkpoint`. Raises ModelFileError with one sentence."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    if head[:2] == b"PK" or head[:1] == b"\x80":
        raise ModelFileError(
            f"{path} is a pickle, which can run code when it is opened; save the weights as safetensors instead"
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if SPEC_KEY not in metadata:
                raise ModelFileError(
                    f"{path} has weights but no vbp specification; only files written by vbp open by themselves"
                )
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(
            f"{path} is no network file that vbp knows; accepted: .safetensors by vbp"
        ) from error
    try:
        spec = NetworkSpec.from_json(metadata[SPEC_KEY])
        network = build(spec)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    _load_weights(network.module, tensors, path)
    network.path, network.trained = path, True
    return network


def _load_weights(module: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    wanted = module.state_dict()
    optional = {k for k in wanted if k.endswith("num_batches_tracked")}
    missing = sorted(set(wanted) - set(tensors) - optional)
    extra = sorted(set(tensors) - set(wanted))
    wrong = sorted(k for k in set(wanted) & set(tensors) if wanted[k].shape != tensors[k].shape)
    for what, names in (("lacks", missing), ("has unknown", extra), ("has other sizes in", wrong)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ModelFileError(f"{path} does not fit its own specification: it {what} {names[0]}{more}")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelFileError(
                f"{path} holds values that are not finite in {name}; it was saved from a broken training"
            )
    # Half-precision files are stored small and computed in float32.
    module.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}, strict=False
    )
