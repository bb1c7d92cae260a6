"""The work on a fleet, as functions of plain data: plan a drive, index a piece. Any process on any machine may be asked."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vbp.drives.base import Drive
from vbp.drives.opening import open_drive
from vbp.drives.summary import summary
from vbp.errors import DriveError
from vbp.fleet.finish import finish_if_whole
from vbp.fleet.keys import drive_key, looks, network_key, print_of
from vbp.fleet.pieces import Piece, Plan, cut
from vbp.fleet.places import is_done, part_path, written
from vbp.fleet.rows import Rows, write_part
from vbp.fleet.settings import Settings
from vbp.frames.running import CACHE_BYTES, run_frames
from vbp.results import VBP, FrameRequest, MapRequest

if TYPE_CHECKING:
    from vbp.engine import Engine

REQUEST = FrameRequest(maps=(MapRequest(VBP),), hidden=True)


@dataclass(frozen=True)
class Task:
    """What a worker is told once. folder: of the fleet, which all machines see. device: as `pick_device` has it. threads: that
    torch may take, 0 for its own number."""

    folder: Path
    settings: Settings
    device: str = "auto"
    threads: int = 0


@dataclass
class Laps:
    """Seconds of one thread each, where they went: decoding, the networks and their masks, what is made of them, writing."""

    decode: float = 0.0
    network: float = 0.0
    mask: float = 0.0
    rows: float = 0.0
    write: float = 0.0


class Worker:
    """Does the work of a task. It keeps the networks, and the drive that it read last."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.laps = Laps()
        self._engines: list[Engine] = []
        self._drive: Drive | None = None
        self._key = ""

    def plan(self, path: str) -> Plan:
        """Open a drive and cut it into pieces. Raises DriveError."""
        before, now = print_of(Path(path)), looks(Path(path))
        with open_drive(path, self.task.settings.options) as drive:
            cuts = cut(drive.timestamps_ns, drive.start_before, self.task.settings.seconds)
            key = drive_key(drive, before)
            return Plan(path, key, now, tuple(cuts), summary(drive))

    def index_piece(self, piece: Piece) -> Path:
        """Run the networks on the frames of a piece, and write its rows, unless they are there: the file.

        Who writes the last piece of a drive finishes it, if its plan is written (`write_plan`). Raises DriveError, also where the drive is gone or is another one
        than was planned, FolderError, VbpError.
        """
        path = part_path(self.task.folder, piece)
        if path.exists() or is_done(self.task.folder, piece.key):
            return path
        rows = self._rows(piece)
        began = time.perf_counter()
        with written(path) as temporary:
            write_part(temporary, rows)
        self.laps.write += time.perf_counter() - began
        finish_if_whole(self.task.folder, piece.key, self.task.settings)
        return path

    def _rows(self, piece: Piece) -> Rows:
        drive, engines = self._open(piece), self.engines()
        rows = Rows(piece, self.task.settings, engines[0].spec)
        gaps = False
        wanted = range(piece.first, piece.last + 1)
        with closing(run_frames(drive, engines, REQUEST, wanted)) as frames:
            for frame in frames:
                began = time.perf_counter()
                rows.add(frame)
                self.laps.rows += time.perf_counter() - began
                self.laps.decode += frame.decode_ms / 1e3
                for result in frame.results:
                    mask = result.stages_ms.get(VBP, 0.0)
                    self.laps.mask += mask / 1e3
                    self.laps.network += (sum(result.stages_ms.values()) - mask) / 1e3
                gaps |= bool(frame.gap)
        if gaps:  # of a drive that is gone or written to, all that is left are gaps
            self._check(piece, drive)
        return rows

    def engines(self) -> list[Engine]:
        """A and B on the device, ready: it is known how they run best. Raises VbpError, also where they are others than the fleet's."""
        if self._engines:
            return self._engines
        import numpy as np
        import torch

        from vbp.engine import Engine, open_network

        if self.task.threads:
            torch.set_num_threads(self.task.threads)
        for side in self.task.settings.sides:
            network = open_network(side.source)
            if network_key(network, side.source) != side.key:
                raise DriveError(f"{side.source} has changed since the fleet was begun; give another folder")
            engine = Engine(network, self.task.device, crop=self.task.settings.crop)
            size = (engine.spec.input_height, engine.spec.input_width)
            channels = (3,) if engine.spec.channels == 3 else ()
            engine.trace(np.zeros((4, *size, *channels), dtype=np.uint8))
            engine.wait_until_tuned()
            self._engines.append(engine)
        return self._engines

    def _open(self, piece: Piece) -> Drive:
        if self._drive is not None and self._key == piece.key:
            return self._drive
        self.close_drive()
        drive = open_drive(piece.path, self.task.settings.options)
        try:
            self._check(piece, drive)
        except BaseException:
            drive.close()
            raise
        drive.limit_cache(CACHE_BYTES)
        self._drive, self._key = drive, piece.key
        return drive

    @staticmethod
    def _check(piece: Piece, drive: Drive) -> None:
        if drive_key(drive, print_of(Path(piece.path))) != piece.key:
            raise DriveError(f"{piece.path} was changed while it was indexed; give the same command again")

    def close_drive(self) -> None:
        if self._drive is not None:
            self._drive.close()
        self._drive, self._key = None, ""

    def close(self) -> None:
        self.close_drive()
        for engine in self._engines:
            engine.close()
        self._engines.clear()


def core_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
