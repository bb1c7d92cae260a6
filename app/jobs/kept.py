"""Predictions that are kept from one day to the next: looked for and written behind the window."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vbp.app.jobs.worker import Worker
from vbp.drives.base import Drive, OpenOptions
from vbp.frames import kept
from vbp.frames.table import FrameTable

if TYPE_CHECKING:
    from vbp.models.network import Network
    from vbp.overlay import Rect


@dataclass(frozen=True)
class Wanted:
    """What is kept of this recording by this network with this crop is to be found; `table` is to hold it."""

    table: FrameTable
    drive: Drive
    options: OpenOptions
    network: Network
    crop: Rect | None


@dataclass(frozen=True)
class Found:
    """key: under which it is kept from now on; "" where it cannot be. kept: None where there is nothing yet."""

    table: FrameTable
    key: str
    kept: kept.Kept | None


@dataclass(frozen=True)
class KeepRequest:
    """saves: (key, table) to write first, shared by all requests. wanted: what to look for then."""

    where: Path
    saves: deque[tuple[str, FrameTable]] = field(default_factory=deque)
    wanted: Wanted | None = None


def keep(request: KeepRequest, worker: Worker[KeepRequest]) -> None:
    """Tells `Found`."""
    write_all(request)
    if (wanted := request.wanted) is not None:
        key, found = "", None
        try:
            key = kept.key_of(wanted.drive, wanted.options, wanted.network, wanted.crop)
            found = kept.load(key, len(wanted.table), request.where) if key else None
        finally:
            worker.tell(Found(wanted.table, key, found))


def write_all(request: KeepRequest) -> None:
    """Raises OSError."""
    while request.saves:
        kept.save(*request.saves.popleft(), request.where)
