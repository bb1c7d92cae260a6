"""A packet that libav never comes to an end with is a gap with a sentence; what does not need it is shown."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from test_drive_ros_video import DEFINITIONS, GROUP, VIDEO, N, packets, rows

import vbp.drives.ros_video
import vbp.drives.video_reader
from bagmaker import Ros, put_mcap
from vbp.drives import open_drive
from vbp.drives.base import Drive
from vbp.drives.patience import NEVER_DECODED, decode_packet, unless
from vbp.errors import DriveError, FrameError
from videomaker import CLOSED_GOP, scenes, write_video

ENDLESS = 30


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """libav, which comes to no end with the packets of these numbers."""
    let_go, numbers = threading.Event(), [ENDLESS]

    def decode(codec, packet):
        if packet is not None and packet.pts in numbers:
            let_go.wait()
        return decode_packet(codec, packet)

    for module in (vbp.drives.video_reader, vbp.drives.ros_video):
        monkeypatch.setattr(module, "decode_packet", decode)
        monkeypatch.setattr(module, "DECODING_S", 0.02)
    yield numbers
    let_go.set()


def looked_at(drive: Drive) -> tuple[dict[int, np.ndarray], dict[int, str]]:
    shown, gaps = {}, {}
    for i in range(len(drive)):
        try:
            shown[i] = drive.frame(i)
        except FrameError as error:
            gaps[i] = str(error)
    return shown, gaps


def test_in_a_video(tmp_path: Path, stuck: list[int]) -> None:
    path = write_video(tmp_path / "drive.mp4", scenes(60), options=CLOSED_GOP)  # key frames at 0, 20, 40
    with open_drive(path) as drive:
        shown, gaps = looked_at(drive)
    assert set(range(20)) | set(range(40, 60)) <= set(shown)
    assert gaps and all(20 < i < 40 for i in gaps)
    assert any(NEVER_DECODED in text for text in gaps.values())
    stuck.clear()
    with open_drive(path) as drive:
        for i, image in shown.items():
            np.testing.assert_array_equal(drive.frame(i), image)


def test_in_a_bag(tmp_path: Path, stuck: list[int]) -> None:
    sent, ros = packets("libx264"), Ros(2, DEFINITIONS)
    path = put_mcap(tmp_path / "drive.mcap", ros, rows(ros, sent, VIDEO, "h264"))
    with open_drive(path) as drive:
        shown, gaps = looked_at(drive)
    key = ENDLESS // GROUP * GROUP
    assert set(gaps) == set(range(ENDLESS, key + GROUP)) and set(shown) == set(range(N)) - set(gaps)
    assert all(NEVER_DECODED in text for text in gaps.values())


def test_closing_a_drive_gives_it_up(tmp_path: Path, stuck: list[int], monkeypatch) -> None:
    monkeypatch.setattr(vbp.drives.video_reader, "DECODING_S", 1e9)
    path = write_video(tmp_path / "drive.mp4", scenes(60), options=CLOSED_GOP)
    with open_drive(path) as drive:
        drive.frame(0)
        with unless(lambda: True), pytest.raises(DriveError, match="given up"):
            drive.frame(ENDLESS + 5)
        stuck.clear()
        assert drive.frame(ENDLESS + 5).shape == drive.frame(0).shape
