"""Frames that are alike to a network: by where it looked (its mask) and by what it made of that (its last hidden layer)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vbp.errors import VbpError
from vbp.fleet.dataset import Fleet
from vbp.fleet.schema import GRID_H, GRID_W

APART_NS = 1_000_000_000  # of a drive, what is nearer to a better one is the same moment
Floats = NDArray[np.float32]
_COLUMNS = ("drive", "frame", "timestamp_ns", "driven_deg", "predicted_deg", "error_deg", "speed_mps")


def features(table: pa.Table) -> tuple[Floats, NDArray[np.bool_]]:
    """Of rows with `mask` and `hidden`, (N, D): both with length 1 / sqrt(2), so that a product of two rows is the mean of the cosines of
    both; and (N,) which rows have both. The others are 0.
    """
    count = len(table)
    known = np.asarray(pc.is_valid(table["mask"])) & np.asarray(pc.is_valid(table["hidden"]))
    rows = table.filter(pa.array(known))
    if not len(rows):
        return np.zeros((count, 1), dtype=np.float32), known
    masks = _flat(rows["mask"]).reshape(-1, GRID_W * GRID_H)
    hidden = _flat(rows["hidden"]).reshape(len(rows), -1)
    both = np.concatenate([_unit(masks), _unit(hidden)], axis=1) * np.float32(np.sqrt(0.5))
    found = np.zeros((count, both.shape[1]), dtype=np.float32)
    found[known] = both
    return found, known


def _flat(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.combine_chunks().flatten().to_numpy(zero_copy_only=False), dtype=np.float32)


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1))


def alike(fleet: Fleet, which: str, most: int = 20) -> pa.Table:
    """The `most` moments most like frame `which`, "DRIVE:FRAME", the most alike first, itself left out; `alike` is -1 to 1.

    DRIVE: a path, or the end of one that only one drive has. Raises VbpError.
    """
    drive, frame = _parse(fleet, which)
    own = fleet.frames.to_table(
        columns=["mask", "hidden", "timestamp_ns"],
        filter=(pc.field("drive") == drive) & (pc.field("frame") == frame),
    )
    if not len(own):
        raise VbpError(f"{drive} has no frame {frame} in {fleet.folder}")
    wanted, known = features(own)
    if not known.all():
        raise VbpError(f"frame {frame} of {drive} has no mask to compare with; give another one")
    best: list[tuple[float, str, int]] = []
    for score, path, number in _moments(fleet, wanted[0], drive, own["timestamp_ns"][0].as_py()):
        item = (score, path, number)
        if len(best) < most:
            heapq.heappush(best, item)
        elif item > best[0]:
            heapq.heapreplace(best, item)
    return _rows(fleet, sorted(best, reverse=True))


def _parse(fleet: Fleet, which: str) -> tuple[str, int]:
    name, colon, number = which.rpartition(":")
    if not (colon and name and number.isascii() and number.isdecimal()):
        raise VbpError(f"--like {which} is not understood; give DRIVE:FRAME, as drives/monday.mp4:1200")
    paths = fleet.drives.to_table(columns=["drive"], filter=pc.field("error").is_null())["drive"].to_pylist()
    found = [p for p in paths if p == name] or [p for p in paths if p.endswith(name)]
    if len(found) != 1:
        raise VbpError(
            f"{name} is {'no drive' if not found else f'the end of {len(found)} drives'} of {fleet.folder}"
        )
    return found[0], int(number)


def _moments(fleet: Fleet, wanted: Floats, drive: str, when_ns: int) -> Iterator[tuple[float, str, int]]:
    """(how alike, drive, frame) of the best frame of each second of each drive."""
    for key in fleet.keys:
        table = fleet.frames_of(key, ["drive", "frame", "timestamp_ns", "mask", "hidden"])
        if not len(table):
            continue
        found, known = features(table)
        path, times, frames = (
            table["drive"][0].as_py(),
            table["timestamp_ns"].to_numpy(),
            table["frame"].to_numpy(),
        )
        if found.shape[1] != len(wanted) or not known.any():
            continue
        scores = np.where(known, found @ wanted, -np.inf)
        if path == drive:
            scores[np.abs(times - when_ns) < APART_NS] = -np.inf
        seconds = (times - times[0]) // APART_NS
        order = np.lexsort((-scores, seconds))
        firsts = order[np.unique(seconds[order], return_index=True)[1]]
        for row in firsts[np.isfinite(scores[firsts])]:
            yield float(scores[row]), path, int(frames[row])


def _rows(fleet: Fleet, best: list[tuple[float, str, int]]) -> pa.Table:
    tables = [
        fleet.frames.to_table(
            columns=list(_COLUMNS), filter=(pc.field("drive") == path) & (pc.field("frame") == frame)
        )
        for _, path, frame in best
    ]
    if not tables:
        return fleet.frames.schema.empty_table().select(_COLUMNS)
    table = pa.concat_tables(tables).unify_dictionaries()
    return table.add_column(2, "alike", pa.array([score for score, _, _ in best]))
