"""A drive cut into pieces, each of which can be read alone: they begin where decoding can start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SECONDS = 10.0  # of a piece, and up to the next key frame
MOST_FRAMES = 1_000  # of one whose times do not pass, as of pictures without any

Cut = tuple[int, int]  # first and last frame of a piece, both included


@dataclass(frozen=True)
class Piece:
    """Frames first..last of a drive, both included. path: absolute; key: of what is in it, see `vbp.fleet.keys`."""

    path: str
    key: str
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Plan:
    """A drive that opened, and its pieces: every frame is in one of them. path, key: as of a piece. looks: of its files,
    see `vbp.fleet.keys`. facts: what `vbp info --json` prints."""

    path: str
    key: str
    looks: str
    cuts: tuple[Cut, ...]
    facts: dict[str, Any]

    @property
    def frames(self) -> int:
        return self.cuts[-1][1] + 1 if self.cuts else 0

    @property
    def pieces(self) -> list[Piece]:
        return [Piece(self.path, self.key, first, last) for first, last in self.cuts]


def cut(
    timestamps_ns: NDArray[np.int64], start_before: Callable[[int], int], seconds: float = SECONDS
) -> list[Cut]:
    """Pieces of up to `seconds`, or up to the next key frame: each but the first begins at what `start_before` gives, the last
    frame up to one at which decoding can start. Every frame is in exactly one; of a drive with one key frame there is one piece.

    timestamps_ns: (N,) sorted nanoseconds.
    """
    count = len(timestamps_ns)
    firsts, target = [0] * min(count, 1), 0
    while target < count:
        due = int(np.searchsorted(timestamps_ns, int(timestamps_ns[target]) + round(seconds * 1e9)))
        target = min(max(due, target + 1), target + MOST_FRAMES)
        if target < count and (start := start_before(target)) > firsts[-1]:
            firsts.append(start)
            target = start
    return [(a, b - 1) for a, b in zip(firsts, [*firsts[1:], count], strict=False)]
