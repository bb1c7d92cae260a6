"""Whether a kept layout can be handed to Qt, which reads it without looking: of bytes that somebody changed it crashes."""

from __future__ import annotations

import struct
from collections.abc import Collection

# As QMainWindow.saveState writes it: markers, areas, and how much a number may be.
WINDOW, DOCKS, TABS, ROW, PANEL, BARS = 0xFF, 0xFD, 0xFA, 0xFC, 0xFB, 0xFC
AREAS, CORNERS, DIRECTIONS = range(4), (1, 2, 4, 8), (1, 2)
FAR = 2**17  # pixels
LARGEST = 2**25  # more than the largest size of a widget and its tabs
DEEPEST = 8  # rows within columns within rows
FLOATING = 2  # a flag of a panel, as VISIBLE = 1


def is_sound(state: bytes, version: int, docks: Collection[str], bars: Collection[str]) -> bool:
    """Whether `state` places some of these docks and toolbars, by their object names, and nothing else."""
    try:
        _Reader(state, docks, bars).window(version)
    except (ValueError, struct.error):
        return False
    return True


class _Reader:
    """Raises ValueError or struct.error of what is not as it must be."""

    def __init__(self, data: bytes, docks: Collection[str], bars: Collection[str]) -> None:
        self._data, self._at = data, 0
        self._docks, self._bars = set(docks), set(bars)  # those that were not met yet

    def _byte(self, *allowed: int) -> int:
        (found,) = struct.unpack_from(">B", self._data, self._at)
        self._at += 1
        if found not in allowed:
            raise ValueError
        return int(found)

    def _whole(self, low: int, high: int) -> int:
        (found,) = struct.unpack_from(">i", self._data, self._at)
        self._at += 4
        if not low <= found <= high:
            raise ValueError
        return int(found)

    def _sizes(self, count: int, low: int = -1, high: int = FAR) -> None:
        for _ in range(count):
            self._whole(low, high)

    def _name(self, left: set[str]) -> None:
        length = self._whole(0, 200)
        text = self._data[self._at : self._at + length].decode("utf-16-be")
        self._at += length
        if text not in left:
            raise ValueError
        left.remove(text)

    def window(self, version: int) -> None:
        self._whole(WINDOW, WINDOW)
        self._whole(version, version)
        self._byte(DOCKS)
        before = -1
        for _ in range(self._whole(0, len(AREAS))):
            before = self._whole(before + 1, AREAS[-1])
            self._sizes(2)
            self._group(0)
        self._sizes(2)  # of what stands in the middle
        for _ in CORNERS:
            if self._whole(1, CORNERS[-1]) not in CORNERS:
                raise ValueError
        self._byte(BARS)
        for _ in range(self._whole(0, len(self._bars))):
            self._whole(AREAS[0], AREAS[-1])
            for _ in range(self._whole(0, len(self._bars))):
                self._name(self._bars)
                self._byte(0, 1)
                self._sizes(2)
                self._sizes(2, 0, 0)  # where it floats, which ours never do
        if self._at != len(self._data):
            raise ValueError

    def _group(self, deep: int) -> None:
        """Panels beside, below or behind each other."""
        tabs = self._byte(TABS, ROW) == TABS
        chosen = self._whole(-1, FAR) if tabs else -1
        self._byte(*DIRECTIONS)
        count = self._whole(0, 2 * len(self._docks))
        if chosen >= count or deep > DEEPEST:
            raise ValueError
        for _ in range(count):
            if self._byte(PANEL, ROW) == PANEL:
                self._name(self._docks)
                floats = self._byte(0, 1, 2, 3) & FLOATING
                self._place(bool(floats))
            else:
                self._place()
                self._group(deep + 1)

    def _place(self, floats: bool = False) -> None:
        """Where it begins and how long it is, and how short and long it may be; or where it floats, and its size."""
        if floats:
            self._sizes(4, -FAR)
        else:
            self._sizes(2)
            self._sizes(2, 0, LARGEST)
