"""MCAP: both ROS versions, every compression, chunked or not, cut off and damaged; and image encodings."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.writer import IndexType, Writer

from bagmaker import START_NS, STEERING_TOPIC, Message, Ros, file_of, messages, picture, put_mcap, times
from vbp.drives import mcap_file, open_drive
from vbp.drives.ros_fields import MessageError
from vbp.drives.ros_images import decode_compressed, decode_raw
from vbp.errors import DriveError, FrameError

N = 20
TIMES = times(N)
STEER_TIMES = times(60, 50.0, START_NS - 100_000_000)
ANGLES = np.cos(np.arange(60) / 9).astype(np.float32)
SPEEDS = np.linspace(3, 12, 60).astype(np.float32)
PICTURES = [picture(i) for i in range(N)]

COMPRESSED_IMAGE = "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n"
RAW_IMAGE = (
    "builtin_interfaces/Time timestamp\nstring frame_id\nuint32 width\nuint32 height\n"
    "string encoding\nuint32 step\nuint8[] data\n"
)


def rows_of(ros: Ros, compressed: bool = True) -> list[Message]:
    return list(messages(ros, TIMES, PICTURES, STEER_TIMES, ANGLES, SPEEDS, compressed=compressed))


def check(path: Path, notes: int = 0) -> None:
    with open_drive(path) as drive:
        assert drive.info.kind == "mcap"
        assert drive.timestamps_ns.tolist() == TIMES
        expected = np.interp(TIMES, STEER_TIMES, ANGLES.astype(float))
        assert drive.angle_rad == pytest.approx(expected, abs=1e-4)
        assert len(drive.info.notes) == notes, drive.info.notes
        for i in (0, 1, 2, 19, 7, 3):
            assert np.array_equal(drive.frame(i), PICTURES[i])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
@pytest.mark.parametrize("compressed", [True, False])
def test_every_layout_gives_the_same_drive(
    tmp_path: Path, version: int, compression: str, compressed: bool
) -> None:
    ros = Ros(version)
    rows = rows_of(ros, compressed)
    check(put_mcap(tmp_path / "a.mcap", ros, rows, compression, chunk_size=30_000))


@pytest.mark.parametrize(
    "options",
    [
        {"use_chunking": False},
        {"index_types": IndexType.NONE},
        {"repeat_channels": False, "repeat_schemas": False},
        {"use_statistics": False},
        {"index_types": IndexType.CHUNK},
        {"index_types": IndexType.MESSAGE},
    ],
)
def test_what_a_writer_may_leave_out(tmp_path: Path, options: dict[str, object]) -> None:
    ros = Ros(2)
    check(put_mcap(tmp_path / "a.mcap", ros, rows_of(ros), chunk_size=30_000, **options))


def test_real_frames(shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "data/udacity-ch2/center").glob("*.jpg"))[:40]
    ros = Ros(1)
    rows = list(messages(ros, [int(f.stem) for f in files], [f.read_bytes() for f in files]))
    with open_drive(put_mcap(tmp_path / "a.mcap", ros, rows)) as drive:
        assert drive.timestamps_ns.tolist() == [int(f.stem) for f in files]
        for i in (0, 39, 20):
            assert np.array_equal(drive.frame(i), cv2.imread(str(files[i]))[..., ::-1])


def test_a_recording_without_an_end_is_recovered(tmp_path: Path) -> None:
    ros = Ros(1)
    for options in ({"chunk_size": 20_000}, {"use_chunking": False}):
        path = put_mcap(tmp_path / "a.mcap", ros, rows_of(ros), finish=False, **options)
        with open_drive(path) as drive:
            assert len(drive) >= 10  # the chunk being filled is lost with the recorder
            assert drive.timestamps_ns.tolist() == TIMES[: len(drive)]
            assert any("a.mcap is cut off after" in n for n in drive.info.notes)
            assert np.array_equal(drive.frame(len(drive) - 1), PICTURES[len(drive) - 1])


def test_parts_in_a_folder_are_one_drive(tmp_path: Path) -> None:
    ros = Ros(2)
    rows = rows_of(ros)
    half = len(rows) // 2
    put_mcap(tmp_path / "drive_10.mcap", ros, rows[half:])
    put_mcap(tmp_path / "drive_9.mcap", ros, rows[:half])
    check(tmp_path)


@pytest.mark.parametrize("kind", ["CompressedImage", "RawImage"])
def test_foxglove_images(tmp_path: Path, kind: str) -> None:
    name = f"foxglove_msgs/msg/{kind}"
    ros = Ros(2, {name: RAW_IMAGE if kind == "RawImage" else COMPRESSED_IMAGE})
    rows = []
    for i, ns in enumerate(TIMES):
        fields = {"timestamp": ros.time(ns), "frame_id": "cam"}
        if kind == "RawImage":
            fields |= {
                "width": 64,
                "height": 48,
                "encoding": "rgb8",
                "step": 192,
                "data": PICTURES[i].reshape(-1),
            }
        else:
            fields |= {"data": np.frombuffer(file_of(PICTURES[i]), np.uint8), "format": "png"}
        rows.append((ns + 5, "/camera", name, ros.make(name, **fields)))
    with open_drive(put_mcap(tmp_path / "a.mcap", ros, rows)) as drive:
        assert drive.timestamps_ns.tolist() == TIMES
        assert np.array_equal(drive.frame(4), PICTURES[4])


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_other_encodings_are_one_sentence(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        schema = writer.register_schema("foxglove.CompressedImage", "jsonschema", b"{}")
        writer.add_message(writer.register_channel("/cam", encoding, schema), 1, b"{}", 1)
        writer.finish()
    with pytest.raises(
        DriveError,
        match=rf"a.mcap has no camera.*messages of /cam are encoded as {encoding}; ros1 and cdr are read",
    ):
        open_drive(path)


def use(path: Path) -> None:
    """Open and read all of it: it works in part, or there is one sentence."""
    try:
        with open_drive(path) as drive:
            assert len(drive) > 0
            for i in range(len(drive)):
                try:
                    assert drive.frame(i).shape == (drive.info.height, drive.info.width, 3)
                except FrameError as error:
                    assert "\n" not in str(error)
    except DriveError as error:
        assert "\n" not in str(error)
        assert path.name in str(error)


@pytest.fixture(scope="module")
def sample_bytes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("mcap")
    out = {}
    for name in ("none", "lz4", "zstd", "loose"):
        ros = Ros(2)
        rows = list(
            messages(ros, TIMES[:8], [picture(i, 16, 12) for i in range(8)], STEER_TIMES, ANGLES, SPEEDS)
        )
        options = {"use_chunking": False} if name == "loose" else {"chunk_size": 2500, "compression": name}
        out[name] = put_mcap(folder / f"{name}.mcap", ros, rows, **options).read_bytes()
    return out


KINDS = st.sampled_from(["none", "lz4", "zstd", "loose"])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(kind=KINDS, part=st.floats(0, 1))
def test_cut_anywhere(sample_bytes: dict[str, bytes], tmp_path: Path, kind: str, part: float) -> None:
    path = tmp_path / "cut.mcap"
    path.write_bytes(sample_bytes[kind][: int(part * len(sample_bytes[kind]))])
    use(path)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=KINDS,
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=30),
    lose_summary=st.booleans(),
)
def test_damaged_anywhere(
    sample_bytes: dict[str, bytes],
    tmp_path: Path,
    kind: str,
    flips: list[tuple[float, int]],
    lose_summary: bool,
) -> None:
    data = bytearray(sample_bytes[kind])
    if lose_summary:
        del data[-300:]
    for part, value in flips:
        data[int(part * (len(data) - 1))] = value
    path = tmp_path / "damaged.mcap"
    path.write_bytes(bytes(data))
    use(path)


def test_sniff_never_raises(tmp_path: Path) -> None:
    (tmp_path / "x.mcap").write_bytes(b"\x89MCAP")
    assert not mcap_file.sniff(tmp_path)
    assert not mcap_file.sniff(tmp_path / "x.mcap")
    assert not mcap_file.sniff(tmp_path / "missing")


def test_half_a_file_is_read_up_to_its_last_whole_chunk(tmp_path: Path) -> None:
    ros = Ros(2)
    for compression in ("none", "lz4", "zstd"):
        path = put_mcap(tmp_path / f"{compression}.mcap", ros, rows_of(ros), compression, chunk_size=9_000)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with open_drive(path) as drive:
            assert len(drive) >= 6
            assert not np.isnan(drive.angle_rad[:5]).any()
            assert STEERING_TOPIC in drive.info.angle_source


# Image encodings, whatever they come in


@pytest.mark.parametrize(
    ("encoding", "pixel", "rgb"),
    [
        ("rgb8", [10, 20, 30], [10, 20, 30]),
        ("bgr8", [10, 20, 30], [30, 20, 10]),
        ("8UC3", [10, 20, 30], [30, 20, 10]),
        ("rgba8", [10, 20, 30, 99], [10, 20, 30]),
        ("bgra8", [10, 20, 30, 99], [30, 20, 10]),
        ("mono8", [77], [77, 77, 77]),
        ("8UC1", [77], [77, 77, 77]),
        ("mono16", [1, 200], [200, 200, 200]),
        ("rgb16", [9, 10, 9, 20, 9, 30], [10, 20, 30]),
    ],
)
def test_plain_encodings_with_padded_rows(encoding: str, pixel: list[int], rgb: list[int]) -> None:
    width, height, pad = 5, 4, 3
    row = np.array(pixel * width + [255] * pad, dtype=np.uint8)
    data = np.tile(row, height)
    image = decode_raw(memoryview(data), width, height, len(row), encoding)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert (image == rgb).all()
    if encoding.endswith("16"):
        swapped = np.array(pixel).reshape(-1, 2)[:, ::-1].reshape(-1).tolist()
        data = np.tile(np.array(swapped * width, dtype=np.uint8), height)
        assert (decode_raw(memoryview(data), width, height, 0, encoding, big_endian=True) == rgb).all()


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("colour", [(200, 0, 0), (0, 200, 0), (0, 0, 200)])
def test_bayer_patterns(pattern: str, colour: tuple[int, int, int]) -> None:
    mosaic = np.zeros((12, 12), dtype=np.uint8)
    for at, letter in enumerate(pattern):  # the first two are the first row, from the left
        mosaic[at // 2 :: 2, at % 2 :: 2] = colour["rgb".index(letter)]
    image = decode_raw(memoryview(mosaic.reshape(-1)), 12, 12, 12, f"bayer_{pattern}8")
    assert (image[3:-3, 3:-3] == colour).all()


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv(encoding: str) -> None:
    u_first = encoding in ("yuv422", "uyvy")
    pair = [90, 81, 240, 81] if u_first else [81, 90, 81, 240]  # red, as BT.601 writes it
    image = decode_raw(memoryview(np.array(pair * 6, dtype=np.uint8)), 4, 3, 8, encoding)
    assert np.abs(image.astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((4, 3, 12, "yuv444"), "encoding 'yuv444' is not known"),
        ((4, 3, 12, "rgb"), "encoding 'rgb' is not known"),
        ((4, 3, 12, ""), "encoding '' is not known"),
        ((4, 3, 11, "rgb8"), "is impossible"),
        ((0, 3, 12, "rgb8"), "is impossible"),
        ((4, 4, 12, "rgb8"), "cut off"),
        ((2**31, 2**31, 0, "rgb8"), "cut off"),
        ((3, 3, 6, "yuv422"), "cannot be 3 pixels wide"),
        ((9, 1, 9, "bayer_rggb8"), "cannot be 9x1"),
    ],
)
def test_images_that_make_no_sense(arguments: tuple[int, int, int, str], why: str) -> None:
    with pytest.raises(MessageError, match=why):
        decode_raw(memoryview(bytes(36)), *arguments)


def test_pictures_that_do_not_decode() -> None:
    jpeg = file_of(PICTURES[0], ".jpg")
    assert decode_compressed(memoryview(jpeg)).shape == (48, 64, 3)
    for data, why in (
        (b"", "empty"),
        (jpeg[:-40], "truncated"),
        (b"no picture", "not a picture of a known format"),
    ):
        with pytest.raises(MessageError, match=why):
            decode_compressed(memoryview(data))
