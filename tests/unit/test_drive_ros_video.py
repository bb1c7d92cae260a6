"""Video in messages: H.264 and H.265 of each kind of message, in any order, from the middle on, with losses."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from bagmaker import Message, Ros, put_mcap, put_rosbag1, put_rosbag2, times
from vbp.drives import open_drive
from vbp.errors import DriveError, FrameError

N, GROUP = 50, 12
TIMES = times(N)
VIDEO, FFMPEG = "foxglove_msgs/msg/CompressedVideo", "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
DEFINITIONS = {
    VIDEO: "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n",
    FFMPEG: "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\nuint8 flags\n"
    "bool is_bigendian\nuint8[] data\n",
}


def scene(i: int) -> np.ndarray:
    out = np.full((96, 128, 3), (60, 110, 70), np.uint8)
    cv2.putText(out, str(i), (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (230, 60, 40), 3)
    out[80:90, : i * 2 + 4] = (40, 80, 220)
    return out


def packets(codec: str, b_frames: int = 0, open_group: bool = False) -> list[tuple[int, bytes]]:
    """(frame, packet) in the order of decoding, as an encoder on a robot sends them."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 128, 96, "yuv420p", Fraction(1, 20)
    encoder.gop_size, encoder.max_b_frames, encoder.thread_count = GROUP, b_frames, 1
    name = codec.removeprefix("lib")
    group = f"open-gop={int(open_group)}:scenecut=0:keyint={GROUP}:min-keyint={GROUP}:repeat-headers=1:bframes={b_frames}"
    encoder.options = {f"{name}-params": group + (":log-level=none:pools=1" if name == "x265" else "")}
    out = []
    for i in [*range(N), None]:
        frame = None
        if i is not None:
            frame = av.VideoFrame.from_ndarray(scene(i), format="rgb24")
            frame.pts = i
        out += [(int(p.pts or 0), bytes(p)) for p in encoder.encode(frame)]
    return out


def decoded(sent: list[tuple[int, bytes]], codec: str) -> dict[int, np.ndarray]:
    """The pictures as libav decodes them from the first packet to the last."""
    decoder, out = av.CodecContext.create({"libx264": "h264", "libx265": "hevc"}[codec], "r"), {}
    for i, data in [*sent, (0, None)]:
        packet = None if data is None else av.Packet(data)
        if packet is not None:
            packet.pts = i
        for frame in decoder.decode(packet):
            out[frame.pts] = frame.to_ndarray(format="rgb24")
    return out


def rows(ros: Ros, sent: list[tuple[int, bytes]], msgtype: str, text: str) -> list[Message]:
    out = []
    for at, (i, data) in enumerate(sent):
        body = {"data": np.frombuffer(data, np.uint8)}
        if msgtype == VIDEO:
            message = ros.make(msgtype, timestamp=ros.time(TIMES[i]), frame_id="", format=text, **body)
        elif msgtype == FFMPEG:
            more = {"width": 128, "height": 96, "pts": i, "flags": 0, "is_bigendian": False}
            message = ros.make(msgtype, header=ros.header(TIMES[i]), encoding=text, **more, **body)
        else:
            message = ros.compressed(TIMES[i], data, text)
        out.append((TIMES[at] + 5, "/camera/video", msgtype, message))
    return out


@pytest.fixture(scope="module")
def plain() -> list[tuple[int, bytes]]:
    return packets("libx264")


KINDS = [
    ("mcap", VIDEO, "h264", "libx264", 0),
    ("mcap", VIDEO, "h265", "libx265", 0),
    ("db3", FFMPEG, "h264", "libx264", 2),
    ("db3", FFMPEG, "hevc;yuv420p;bgr8;bgr8", "libx265", 3),
    ("bag", "sensor_msgs/msg/CompressedImage", "h264", "libx264", 0),
    ("mcap", "sensor_msgs/msg/CompressedImage", "H265", "libx265", 2),
]


@pytest.mark.parametrize(("kind", "msgtype", "text", "codec", "b_frames"), KINDS)
def test_every_frame_in_any_order(
    tmp_path: Path, kind: str, msgtype: str, text: str, codec: str, b_frames: int
) -> None:
    sent = packets(codec, b_frames, open_group=b_frames > 0)
    expected = decoded(sent, codec)
    assert len(expected) == N
    ros = Ros(1 if kind == "bag" else 2, DEFINITIONS)
    path = tmp_path / "drive"
    {"bag": put_rosbag1, "db3": put_rosbag2, "mcap": put_mcap}[kind](
        path, ros, rows(ros, sent, msgtype, text)
    )  # type: ignore[operator]
    order = [*range(N), *range(N - 1, -1, -1), *random.Random(1).sample(range(N), N)]
    with open_drive(path) as drive:
        assert drive.timestamps_ns.tolist() == TIMES
        assert (drive.info.width, drive.info.height) == (128, 96)
        drive.limit_cache(1)  # each frame is decoded when it is asked for
        for i in order:
            assert np.array_equal(drive.frame(i), expected[i]), i
        assert drive.info.gaps == []
        assert drive.encoded(3) is None


def test_backwards_each_stretch_is_decoded_once(
    tmp_path: Path, plain: list[tuple[int, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ros = Ros(2, DEFINITIONS)
    read = []
    with open_drive(put_mcap(tmp_path / "a.mcap", ros, rows(ros, plain, VIDEO, "h264"))) as drive:
        whole = drive._message  # type: ignore[attr-defined]
        drive.frame(N - 1)
        monkeypatch.setattr(drive, "_message", lambda i: read.append(i) or whole(i))
        for i in range(N - 1, -1, -1):
            drive.frame(i)
    assert len(read) < 5 * N


def test_a_recording_that_begins_between_key_frames(tmp_path: Path, plain: list[tuple[int, bytes]]) -> None:
    ros = Ros(2, DEFINITIONS)
    expected = decoded(plain, "libx264")
    with open_drive(put_mcap(tmp_path / "a.mcap", ros, rows(ros, plain[3:], VIDEO, "h264"))) as drive:
        first = GROUP - 3
        assert [(g.first, g.last, g.reason) for g in drive.info.gaps] == [
            (0, first - 1, "there is no key frame before it")
        ]
        with pytest.raises(FrameError, match="there is no key frame before it"):
            drive.frame(2)
        assert np.array_equal(drive.frame(first), expected[GROUP])
    with pytest.raises(
        DriveError, match=r"no picture of /camera/video can be shown: .*no key frame before it"
    ):
        open_drive(put_mcap(tmp_path / "b.mcap", ros, rows(ros, plain[3:9], VIDEO, "h264")))


def test_what_is_built_on_damage_is_a_gap_up_to_the_next_key_frame(
    tmp_path: Path, plain: list[tuple[int, bytes]]
) -> None:
    ros = Ros(2, DEFINITIONS)
    expected = decoded(plain, "libx264")
    broken = list(plain)
    data = bytearray(broken[15][1])
    data[len(data) // 3 :] = b"\xff" * (len(data) - len(data) // 3)
    broken[15] = (15, bytes(data))
    with open_drive(put_mcap(tmp_path / "a.mcap", ros, rows(ros, broken, VIDEO, "h264"))) as drive:
        for i in [*range(N), *range(N - 1, -1, -1)]:
            if 15 <= i < 2 * GROUP:
                with pytest.raises(FrameError, match="cannot be shown: its data, or data of frames"):
                    drive.frame(i)
            else:
                assert np.array_equal(drive.frame(i), expected[i]), i


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\1", b"\0\0\0\1\x67\xff\xff\xff", b"\0\0\1\x65" + b"\x88" * 60, bytes(200)]
)
def test_packets_that_are_none_are_one_sentence(tmp_path: Path, data: bytes) -> None:
    ros = Ros(2, DEFINITIONS)
    with pytest.raises(DriveError, match="no picture of /camera/video can be shown") as error:
        open_drive(put_mcap(tmp_path / "a.mcap", ros, rows(ros, [(0, data), (1, data)], VIDEO, "h264")))
    assert "\n" not in str(error.value)
