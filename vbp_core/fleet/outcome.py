"""What is asked of a worker, and what came of it; whatever happens to one drive is a row of text, and the rest goes on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from vbp.errors import VbpError
from vbp.fleet.pieces import Piece, Plan
from vbp.fleet.places import FolderError
from vbp.fleet.work import Laps, Worker

PLAN, INDEX = "plan", "index"


@dataclass(frozen=True)
class Item:
    """kind: PLAN of a path, INDEX of a Piece."""

    kind: str
    value: str | Piece

    @property
    def path(self) -> str:
        return self.value if isinstance(self.value, str) else self.value.path


@dataclass(frozen=True)
class Outcome:
    """error: why it could not be done, one sentence; ends: nothing can, as with a full disk. laps: seconds."""

    item: Item
    plan: Plan | None = None
    error: str = ""
    ends: bool = False
    laps: dict[str, float] = field(default_factory=dict)


def attempt(worker: Worker, item: Item) -> Outcome:
    """Do it. Only what ends the process is raised."""
    worker.laps = Laps()
    try:
        if item.kind == INDEX:
            worker.engines()
    except VbpError as error:  # of the network or the device
        return Outcome(item, error=str(error), ends=True)
    try:
        plan: Plan | None = None
        if isinstance(item.value, str):
            plan = worker.plan(item.value)
        else:
            worker.index_piece(item.value)
        return Outcome(item, plan, laps=asdict(worker.laps))
    except FolderError as error:
        return Outcome(item, error=str(error), ends=True)
    except Exception as error:  # whatever a damaged drive makes of a reader: the others are not damaged
        worker.close_drive()
        return Outcome(item, error=_words(error, item.path))


def _words(error: Exception, path: str) -> str:
    if isinstance(error, VbpError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{path}: there is not enough memory for it"
    what: Any = (
        error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__} {error}"
    )
    return f"{path} cannot be indexed: {what}"
