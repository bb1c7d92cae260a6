"""A video as a drive: frames from the reader, time stamps and labels from outside or from the file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import CACHE_BYTES, Drive, DriveInfo, Gap, Image, median_fps
from vbp.drives.video_index import ACCEPTED, VideoIndex, in_time
from vbp.drives.video_reader import VideoReader
from vbp.errors import DriveError, FrameError

_STEP_BACK = 32  # frames: further back is a jump
_PROBES = 12  # key frames tried before a video counts as unreadable


class VideoDrive(Drive):
    """An indexed video. Time stamps start at 0 and there are no labels until `set_times`, `set_labels`.

    Gaps that are found while frames are read are added to `info.gaps`: to know all of them beforehand
    would mean to decode the whole recording.
    """

    def __init__(self, index: VideoIndex, cache_bytes: int = CACHE_BYTES) -> None:
        super().__init__(cache_bytes)
        self._reader = VideoReader(index)
        self._starts = np.sort(index.rank[index.is_key & (index.rank >= 0)])
        self._known_lost = -1
        self._asked, self._stepping_back = 0, False
        self.timestamps_ns = index.times_ns
        self.angle_rad = np.full(len(index.order), np.nan)
        self.speed_mps = np.full(len(index.order), np.nan)
        height, width = in_time(index.path, lambda: self._probe(index))
        self.info = DriveInfo("video", index.path, width, height, median_fps(index.times_ns))
        self.info.camera, self.info.cameras = index.camera, index.cameras
        self.info.notes.extend(index.notes)
        self._note_gaps()

    def _probe(self, index: VideoIndex) -> tuple[int, int]:
        """(height, width) of the first frame that decodes. Raises DriveError if none of some does."""
        keys = np.flatnonzero(index.is_key & (index.rank >= 0))
        some = keys[np.unique(np.linspace(0, len(keys) - 1, _PROBES).astype(int))] if len(keys) else keys
        for i in dict.fromkeys([0, *(int(index.rank[k]) for k in some)]):
            try:
                image = self._reader.read(i, self._remember)
            except FrameError:
                continue
            self._remember(i, image)
            return image.shape[0], image.shape[1]
        self._reader.close()
        raise DriveError(
            f"{index.path} is damaged: none of the frames tried can be decoded "
            f"({self._reader.lost.get(0, 'no picture')}); {ACCEPTED}"
        )

    def set_times(self, timestamps_ns: NDArray[np.int64]) -> None:
        """The frames' own times, (N,) int64, sorted, when a file beside the video has them."""
        self.timestamps_ns = timestamps_ns
        self.info.fps = median_fps(timestamps_ns)

    def set_labels(self, angle_rad: NDArray[np.float64], speed_mps: NDArray[np.float64]) -> None:
        """(N,) float64 each, NaN where unknown; radians of the steering wheel, left positive, and m/s."""
        self.angle_rad, self.speed_mps = angle_rad, speed_mps

    def start_before(self, i: int) -> int:
        at = int(np.searchsorted(self._starts, super().start_before(i), side="right")) - 1
        return int(self._starts[at]) if at >= 0 else 0

    def frame(self, i: int) -> Image:
        self._stepping_back = 0 < self._asked - i <= _STEP_BACK
        self._asked = i
        return super().frame(i)

    def _decode(self, i: int) -> Image:
        # Half the cache for the way to a frame: stepping backwards then decodes each stretch once. On a jump
        # what lies on the way is not wanted, and what no other picture is built on need not be decoded.
        size = max(self.info.width * self.info.height * 3, 1)
        before = self._cache_limit // 2 // size if self._stepping_back else 0
        try:
            return self._reader.read(i, self._remember, before)
        except FrameError:
            raise
        except DriveError as error:  # the file is gone, or another one
            raise FrameError(str(error)) from error
        finally:
            self._note_gaps()

    def _note_gaps(self) -> None:
        lost = self._reader.lost
        if len(lost) == self._known_lost:
            return
        self._known_lost = len(lost)
        self.info.gaps = _merged(lost)
        with self._cache_lock:
            # a frame can come out before the damage in what it is built on is noticed
            for i in [i for i in self._cache if i in lost]:
                self._cache_bytes -= self._cache.pop(i).nbytes

    def close(self) -> None:
        self._reader.close()
        super().close()


def _merged(lost: dict[int, str]) -> list[Gap]:
    """Neighbours with the same reason as one gap."""
    gaps: list[Gap] = []
    for i in sorted(lost):
        if gaps and gaps[-1].last == i - 1 and gaps[-1].reason == lost[i]:
            gaps[-1] = Gap(gaps[-1].first, i, lost[i])
        else:
            gaps.append(Gap(i, i, lost[i]))
    return gaps
