"""Frames of a camera that wait for their predictions before they are recorded."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace

from vbp.live.records import LiveFrame
from vbp.results import NetworkResult

PATIENCE_S = 2.0  # how long a frame waits for its prediction; a process that is killed loses that much
WAITING_BYTES = 128 * 2**20  # of pictures; the oldest then goes without its prediction
MOST_BYTES = 256 * 2**20  # while a recording is being opened; what comes then is lost


class WaitingFrames:
    """In the order of their arrival. Belongs to whoever holds the session's lock. lost: frames that found no room."""

    def __init__(self) -> None:
        self._frames: deque[LiveFrame] = deque()
        self._results: dict[int, tuple[NetworkResult, ...]] = {}
        self._bytes = self.lost = 0
        self._newest_result = 0  # the newest frame that the networks have seen
        self._newest_taken = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: LiveFrame) -> None:
        if self._bytes >= MOST_BYTES:
            self.lost += 1
            return
        self._frames.append(frame)
        self._bytes += frame.bytes

    def add_results(self, frame: LiveFrame) -> None:
        """What networks made of a frame. Of it is kept what is recorded: maps and activations are large."""
        self._newest_result = max(self._newest_result, frame.index)
        if frame.index > self._newest_taken:
            self._results[frame.index] = tuple(
                replace(result, maps={}, layers=(), trace=None) for result in frame.results
            )

    def add_unpredicted(self, frame: LiveFrame) -> None:
        """No prediction will come of this frame."""
        if frame.index > self._newest_taken:
            self._results.setdefault(frame.index, ())

    @property
    def ready(self) -> bool:
        """Whether all that will be known of the oldest frame is known: its prediction, or that it was skipped."""
        if not self._frames:
            return False
        frame = self._frames[0]
        late = time.monotonic_ns() - frame.arrived_ns > PATIENCE_S * 1e9
        known = self._newest_result >= frame.index or frame.index in self._results
        return known or late or self._bytes > WAITING_BYTES

    def take(self, everything: bool = False) -> list[LiveFrame]:
        """The frames that are ready, or all, with their results."""
        taken = []
        while self._frames and (everything or self.ready):
            frame = self._frames.popleft()
            self._bytes -= frame.bytes
            self._newest_taken = frame.index
            taken.append(replace(frame, results=self._results.pop(frame.index, ())))
        if taken:  # results of frames that are gone, or were lost
            self._results = {i: r for i, r in self._results.items() if i > self._newest_taken}
        return taken

    def clear(self) -> None:
        self._frames.clear()
        self._results.clear()
        self._bytes = self.lost = 0
