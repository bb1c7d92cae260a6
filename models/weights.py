"""Weights of any network from a file: safetensors, or what torch.save wrote, with all that people save beside them.

Nothing in the file is run. The network's tensors are found by name and shape, under whatever name they lie there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from vbp.errors import ModelError
from vbp.models.fitting import COUNTER, chosen, left_out, places
from vbp.models.tensors import open_tensors
from vbp.models.torch_file import Stored, TorchFile, open_torch
from vbp.reading import read_head

WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "ema")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
ROUNDING = (
    1e-7  # below 0: that of a variance in float32, and a hundredth of the smallest eps that is added to it
)


def load_weights(module: nn.Module, path: str | Path, who: str) -> str:
    """Put the weights in `path` into the module, every one that it has; a sentence on what the file holds besides, or "".

    Accepted are safetensors and files by torch.save: state dicts, alone or beside anything else, of Lightning, DataParallel,
    torch.compile, under any prefix; whole modules and TorchScript, of which only the tensors are read. FILE#NAME says
    which where several in it fit. who: the network, for people. Raises ModelError that names what does not fit.
    """
    path, which = file_and_name(path)
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    with open_weights(path) as file:
        found = chosen(file.tensors, wanted, which, path, who)
        put_weights(module, {k: _read(v, k, path) for k, (_, v) in found.items()}, path, who)
        return left_out(file.tensors, {name for name, _ in found.values()}, path)


def file_and_name(text: str | Path) -> tuple[Path, str]:
    """A file, and which of the networks in it."""
    path = Path(text).expanduser()
    file, mark, which = str(path).rpartition("#")
    return (Path(file), which) if mark and not path.exists() else (path, "")


def put_weights(module: nn.Module, found: dict[str, Tensor], path: Path, who: str) -> None:
    """Put all of `found`, which is by the module's own names, into it, each in the module's own precision.

    path: where they are from, who: what they are for, for people. Raises ModelError that names the first layers that do
    not fit.
    """
    wanted = {**module.state_dict()}
    missing = [k for k in wanted if k not in found and not k.endswith(COUNTER)]
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
        if name.endswith("running_var"):
            if bool((tensor < -ROUNDING).any()):
                raise ModelError(f"{path} holds a variance below 0 in {name}; its weights are damaged")
            found = {**found, name: tensor.clamp_min(0)}
    module.load_state_dict(found, strict=False)


def read_weights(path: Path, wanted: Iterable[str] = ()) -> dict[str, Tensor]:
    """A network's tensors in the file, by their names there, on the CPU. Nothing in it is run. Raises ModelError.

    wanted: names of some of them; what lies beside the most of these is taken. Where none is known: all, or what
    lies in a table that is called as people call a network's weights.
    """
    with open_weights(path) as file:
        found = places(file.tensors, wanted)
        start = max(found, key=lambda place: len(found[place]), default="")
        while not found:
            inner = next((w for w in WRAPPERS if any(n.startswith(f"{start}{w}.") for n in file.tensors)), "")
            if not inner:
                break
            start += f"{inner}."
        start = f"{start}." if start and found else start
        return {
            name[len(start) :]: _read(tensor, name, path)
            for name, tensor in file.tensors.items()
            if name.startswith(start)
        }


@contextmanager
def open_weights(path: Path) -> Iterator[TorchFile]:
    """The tensors in the file by their names, to be read while it is open. Raises ModelError."""
    if holds_pickle(path):
        try:
            with open_torch(path) as file:
                yield file
        except (ModelError, MemoryError):
            raise
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
        except Exception as error:  # whatever a damaged or hostile file makes of it
            why = str(error)[:100] if isinstance(error, ValueError) else type(error).__name__
            raise ModelError(
                f"{path} is damaged, or no file of torch.save ({why}): copy it again, or save the network's "
                "state_dict() alone, best as .safetensors"
            ) from error
        return
    try:
        with open_tensors(path, "pt") as tensors:
            names = list(tensors.keys())
            shapes = {name: tuple(tensors.get_slice(name).get_shape()) for name in names}
            yield TorchFile(
                {name: Stored(shapes[name], partial(tensors.get_tensor, name)) for name in names}, ""
            )
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{path} is no weights file; accepted: .safetensors, or a file by torch.save that holds a network's weights"
        ) from error


def _read(stored: Stored, name: str, path: Path) -> Tensor:
    try:
        return stored.read()
    except ModelError as error:
        raise ModelError(f"{path}: {name} {error}") from error


def holds_pickle(path: Path) -> bool:
    """Whether it is a file by torch.save, or another pickle. Raises ModelError where there is no file that can be read."""
    try:
        head = read_head(path, 16)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    # A safetensors file begins with the length of its header, which may begin as a pickle does; then comes the header.
    return head[:2] == b"PK" or (head[:1] == b"\x80" and head[8:9] != b"{")


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
