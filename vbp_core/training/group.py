"""Several processes that train one network together (`torchrun`), or this one alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from vbp.devices import pick_device
from vbp.errors import VbpError

# The first process decodes all drives while the others wait.
PATIENCE = timedelta(hours=24)


@dataclass(frozen=True)
class Group:
    """This process's number, of how many, and its device."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """This process's part of a batch of `count`, the same for all (what is left over is left out)."""
        part = count // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def sum(self, values: list[float]) -> list[float]:
        """Each number, summed over all processes."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return [float(v) for v in tensor.tolist()]

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined(device: str) -> Iterator[Group]:
    """The group that torchrun's environment names; without torchrun, this process alone. Raises VbpError."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group(0, 1, pick_device(device))
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    kind = pick_device(device).type
    if kind == "cuda":
        if local >= torch.cuda.device_count():
            raise VbpError(
                f"torchrun started {local + 1} or more processes, and there are {torch.cuda.device_count()} CUDA devices"
            )
        torch.cuda.set_device(local)
        chosen = torch.device("cuda", local)
    else:
        chosen = torch.device("cpu")
    dist.init_process_group("nccl" if kind == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Group(dist.get_rank(), size, chosen)
    finally:
        dist.destroy_process_group()
