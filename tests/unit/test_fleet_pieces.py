"""Which drives are found, how they are dealt to jobs, and how one is cut into pieces: every frame in exactly one."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetmaker import make_drives
from roadmaker import write_drive
from vbp.drives import open_drive
from vbp.errors import VbpError
from vbp.fleet.discover import find_drives, parse_shard, shard_of
from vbp.fleet.pieces import MOST_FRAMES, cut
from videomaker import CLOSED_GOP, OPEN_GOP, scenes, write_video


@st.composite
def drives(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float]:
    """Times, with holes, frames at one time and steps of any size; the frames at which decoding can start; seconds of a piece."""
    steps = draw(st.lists(st.sampled_from([0, 1, 10**6, 5 * 10**7, 10**9, 10**12]), max_size=300))
    first = draw(st.integers(-(2**60), 2**60))
    times = np.cumsum([first, *steps]) if draw(st.booleans()) else np.array([first] * 0)
    keys = draw(st.lists(st.integers(0, max(len(times) - 1, 0)), max_size=40))
    every = draw(st.booleans())
    starts = np.arange(len(times)) if every else np.unique(np.array([0, *keys], dtype=np.int64))
    return times.astype(np.int64), starts, draw(st.sampled_from([0.05, 1.0, 10.0, 1e4]))


@given(drives())
def test_every_frame_is_in_exactly_one_piece_which_begins_at_a_key_frame(made) -> None:
    times, starts, seconds = made
    pieces = cut(times, lambda i: int(starts[np.searchsorted(starts, i, side="right") - 1]), seconds)
    covered = [frame for first, last in pieces for frame in range(first, last + 1)]
    assert covered == list(range(len(times)))
    assert all(first in starts for first, _ in pieces)
    for first, last in pieces:
        due = min(int(np.searchsorted(times, times[first] + round(seconds * 1e9))), first + MOST_FRAMES)
        due = max(due, first + 1)
        early = starts[(starts > first) & (starts <= due)]
        # it ends at the last key frame that it may; and is longer only where there is none
        if len(early):
            assert due >= len(times) or last + 1 == early[-1]
        else:
            assert last + 1 >= min(due, len(times))


@pytest.mark.parametrize("options", [CLOSED_GOP, OPEN_GOP])
def test_a_videos_pieces_begin_at_its_key_frames(tmp_path: Path, options: dict[str, str]) -> None:
    path = write_video(tmp_path / "v.mp4", scenes(130), options=options)
    with av.open(str(path)) as container:
        keys = {k for k, frame in enumerate(container.decode(video=0)) if frame.key_frame}
    with open_drive(path) as drive:
        pieces = cut(drive.timestamps_ns, drive.start_before, 1.5)
        assert len(pieces) > 2 and {first for first, _ in pieces} <= keys
        assert [drive.start_before(i) for i in (0, 19, 20, 129)] == [0, 0, 20, 120]
        with pytest.raises(IndexError):
            drive.start_before(130)


def test_recordings_are_found_under_folders(tmp_path: Path) -> None:
    make_drives(tmp_path / "b" / "road", 2, 3)
    (tmp_path / "a" / "one").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    video = write_video(tmp_path / "a" / "one" / "x.mp4", scenes(3))
    other = write_video(tmp_path / "a" / "two.mkv", scenes(3))
    (tmp_path / "a" / "bad.mp4").write_bytes(b"not a video")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.txt").write_text("words")
    write_video(tmp_path / ".hidden" / "h.mp4", scenes(3))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "vbp-fleet.json").write_text("{}")
    write_drive(tmp_path / "out" / "drive", 3)
    found = find_drives([tmp_path, video, tmp_path / "gone.bag"])
    roads = [tmp_path / "b" / "road" / f"drive{k}" for k in range(2)]
    assert found == [tmp_path / "a" / "bad.mp4", other, video, *roads, tmp_path / "gone.bag"]
    with pytest.raises(VbpError, match=r"notes holds no recording"):
        find_drives([tmp_path / "notes"])


@pytest.mark.parametrize("count", [1, 3, 7])
def test_each_drive_is_one_jobs_whatever_the_order(tmp_path: Path, count: int) -> None:
    paths = []
    for k in range(5):
        paths.append(tmp_path / f"{k}.bag")
        paths[-1].write_bytes(b"x" * (k + 1))
    twin = tmp_path / "twin.bag"
    twin.write_bytes(paths[2].read_bytes())
    parts = [shard_of([*paths, twin], k, count) for k in range(1, count + 1)]
    assert parts == [shard_of([twin, *reversed(paths)], k, count) for k in range(1, count + 1)]
    assert sorted(p for part in parts for p in part) == sorted([*paths, twin])
    assert sum(twin in part and paths[2] in part for part in parts) == 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/2", "1/2/3", "²/4"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(VbpError, match="is not understood; give K/N"):
        parse_shard(text)
    assert parse_shard("3/64") == (3, 64)
