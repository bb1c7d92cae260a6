"""All that a run needs to go on exactly where it was, in one safetensors file: no pickle."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from vbp.errors import VbpError
from vbp.models.atomic import atomic_write
from vbp.models.tensors import open_tensors
from vbp.training.folder import STATE, Row
from vbp.training.optimise import RunningMean, optimizer_tensors, restore_optimizer

FILE = "state.safetensors"
KEY = "vbp.state"


@dataclass
class Progress:
    """Where a run stands. Order, augmentation and noise follow from the seed and the step alone.

    step: steps done. loss_sum, loss_count: of the steps since the last row of metrics. best: the task's
    metric at its best so far. frames: digest of the frames that are trained on.
    """

    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best: float | None = None
    seconds: float = 0.0
    frames: str = ""
    rows: list[Row] = field(default_factory=list)


def save_state(
    folder: Path,
    progress: Progress,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    mean: RunningMean | None,
) -> None:
    tensors = {f"model:{k}": v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    tensors |= {f"optimizer:{k}": v for k, v in optimizer_tensors(optimizer, module).items()}
    if mean is not None:
        tensors |= {f"mean:{k}": v.cpu().contiguous() for k, v in mean.module.state_dict().items()}
    with atomic_write(folder / STATE / FILE) as temporary:
        # json writes floats so that they are read back to the bit.
        save_file(tensors, temporary, metadata={KEY: json.dumps(asdict(progress))})


def restore_state(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, mean: RunningMean | None
) -> Progress | None:
    """Put everything back as it was; None where the run was stopped before its first state. Raises VbpError."""
    path = folder / STATE / FILE
    if not path.is_file():
        return None
    try:
        with open_tensors(path, "pt") as file:
            data = json.loads((file.metadata() or {})[KEY])
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - no mapping
        progress = Progress(rows=[Row(**row) for row in data.pop("rows")], **data)
        module.load_state_dict(_part(tensors, "model:"))
        restore_optimizer(optimizer, module, _part(tensors, "optimizer:"))
        if mean is not None:
            mean.module.load_state_dict(_part(tensors, "mean:"))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise VbpError(
            f"{path} is damaged, so the run cannot go on; its checkpoints can still be used"
        ) from error
    return progress


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
