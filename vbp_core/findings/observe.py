"""One pass over the frames: what is known of each, as the arrays that findings are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive
from vbp.findings.attention import Attention
from vbp.findings.finding import Observed
from vbp.frames.strengths import Usual, sample_of, usual_of
from vbp.frames.table import FrameTable
from vbp.results import VBP, FrameRequest, FrameResult, MapRequest

MASK = MapRequest(VBP)


def request_for(masks: bool) -> FrameRequest:
    """What is asked of the network for `observe`."""
    return FrameRequest(maps=(MASK,) if masks else ())


def observe(drive: Drive, table: FrameTable, frames: Iterable[FrameResult]) -> Observed:
    """Of frames in the order of time, as `run_frames` gives them, what the first network says; `table` is filled.

    Memory does not grow with the pictures.
    """
    attention, before = Attention(), -2
    rows: list[tuple[float, float]] = []
    indices: list[int] = []
    dead: list[bool] = []
    no_masks = ""
    for frame in frames:
        table.add(frame)
        result = frame.result
        if result is None or frame.index != before + 1:
            attention.forget()
        before = frame.index
        indices.append(frame.index)
        if result is None:
            rows.append((math.nan, math.nan))
        else:
            rows.append(attention.add(result))
            no_masks = no_masks or result.missing.get(MASK, "")
        dead.append(result is not None and bool(result.dead))
    return observed_of(
        drive,
        table,
        np.array(indices, dtype=np.int64),
        np.array(rows, dtype=np.float64).reshape(-1, 2),
        np.array(dead, dtype=np.bool_),
        no_masks,
    )


def observed_of(
    drive: Drive,
    table: FrameTable,
    indices: NDArray[np.int64] | None = None,
    masks: NDArray[np.float64] | None = None,
    dead: NDArray[np.bool_] | None = None,
    no_masks: str = "the masks were not looked at",
) -> Observed:
    """Of what the table has of frames `indices` (default: all), in the order of time.

    masks: (N, 2), moved and unlike of each, see `Observed`.
    """
    at = np.arange(len(table)) if indices is None else indices
    known = np.full((len(at), 2), np.nan) if masks is None else masks
    return Observed(
        at,
        drive.timestamps_ns[at],
        table.driven[at],
        table.predicted[at],
        drive.speed_mps[at],
        table.strength[at],
        table.spread[at],
        known[:, 0],
        known[:, 1],
        np.zeros(len(at), dtype=np.bool_) if dead is None else dead,
        table.of_classes,
        no_masks,
        _usual(table),
    )


def _usual(table: FrameTable) -> Usual | None:
    """By the frames that stand for the drive, while others are not known: what was played does not weigh more than the rest."""
    known, sample = table.known, sample_of(len(table))
    if known.all() or not known[sample].all():
        return None
    return usual_of(table.strength[sample], table.spread[sample])
