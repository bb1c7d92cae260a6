"""Damaged, cut and lying videos: what is good is shown exactly, the rest is a gap, or one sentence says why not."""

from __future__ import annotations

import random
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vbp.drives import OpenOptions, open_drive, video
from vbp.drives.base import Drive
from vbp.drives.video_index import build_index
from vbp.errors import DriveError, FrameError
from videomaker import CLOSED_GOP, OPEN_GOP, linear, scenes, write_video

# file -> (frames, width, height, gaps as (first, last)); or the words of the error.
# Frames and sizes are those that ffprobe 5.1 and 8.0 list; gaps were found by looking at the pictures.
BROKEN: dict[str, tuple[int, int, int, list[tuple[int, int]]] | str] = {
    "AudioVideoInterleave.avi": "has no frames",  # headers only: 1x1 MPEG-4, no packet
    "bikes.mp4": (250, 640, 272, []),
    "chunk_out_of_range.mp4": "is not a video that can be read",  # its tables point outside the file
    # one reference frame is overwritten with 0xff, and there is but one key frame: smeared to the end
    "corrupted.mp4": (50, 1280, 720, [(29, 49)]),
    "h264_10bits.mp4": (30, 200, 200, []),
    "invalid_userdata.mp4": "has no frames",  # 5544 frames promised, cut after the header
    "nasa_13013.mp4": (325, 320, 180, []),  # two videos, subtitles, chapters
    "no_timescale.mp4": "damaged",  # all seven key frames have damaged macroblocks
    "sample.avi": (96, 960, 400, []),  # 98 promised; two are "show the last one again"
    "sample.mkv": (30, 1080, 720, []),
    "sample_av1.mp4": (30, 1080, 720, []),
    "sample_fragmented.mp4": (30, 1080, 720, []),
    "sample_mdat_too_long.mp4": (30, 1080, 720, []),
    "sample_with_htc_rotation_track_name.mkv": (30, 1080, 720, []),  # only its name speaks of turning
    "sample_with_increasing_timestamps.mp4": (30, 1920, 1080, []),  # full-range colours
    "video_rotation_90.mp4": (1, 60, 100, []),  # 100x60 coded, to be turned clockwise
}


def read_all(drive: Drive, order: list[int]) -> dict[int, np.ndarray]:
    shown = {}
    for i in order:
        try:
            shown[i] = drive.frame(i)
        except FrameError as error:
            assert "\n" not in str(error)
    return shown


def test_the_table_names_every_broken_video(shared: Path) -> None:
    folder = shared / "data" / "broken-media"
    assert set(BROKEN) == {p.name for p in folder.iterdir() if p.suffix in (".mp4", ".mkv", ".avi")}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_media(name: str, shared: Path) -> None:
    path, expected = shared / "data" / "broken-media" / name, BROKEN[name]
    if isinstance(expected, str):
        with pytest.raises(DriveError, match=expected) as caught:
            open_drive(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
        return
    frames, width, height, gaps = expected
    oracle = [entry for entry in linear(path) if not entry[2]]
    if name == "video_rotation_90.mp4":
        oracle = [(pts, np.rot90(image, -1), damaged) for pts, image, damaged in oracle]
    with open_drive(path) as drive:
        assert (len(drive), drive.info.width, drive.info.height) == (frames, width, height)
        order = list(range(frames))
        random.Random(1).shuffle(order)
        shown = read_all(drive, order[:60] + [0, frames - 1] + [i for gap in gaps for i in gap])
        assert [(g.first, g.last) for g in drive.info.gaps] == gaps
        for i, image in shown.items():
            assert not any(first <= i <= last for first, last in gaps)
            assert np.array_equal(image, oracle[i][1]), i


def test_two_videos_and_a_lying_count_are_noted(shared: Path) -> None:
    folder = shared / "data" / "broken-media"
    with open_drive(folder / "nasa_13013.mp4") as drive:
        assert any("2 video streams; 0 is shown" in note for note in drive.info.notes)
    with open_drive(folder / "sample.avi") as drive:
        assert any("claims 98 frames" in note for note in drive.info.notes)


def two_streams(path: Path, first: int, second: int) -> Path:
    """A dark and a bright video in one file, of so many frames."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream(codec, rate=20) for codec in ("mjpeg", "mpeg4")]
        for stream, kind in zip(streams, ("yuvj420p", "yuv420p"), strict=True):
            stream.width, stream.height, stream.pix_fmt = 64, 48, kind
        for stream, count, value in zip(streams, (first, second), (40, 200), strict=True):
            for k in range(count):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), value, np.uint8), "rgb24")
                frame.pts = k
                container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("first", "camera", "shown", "frames", "level"),
    [
        (5, None, "0", 5, 40),
        (5, "0", "0", 5, 40),
        (5, "1", "1", 8, 200),
        (1, None, "1", 8, 200),
        (1, "0", "0", 1, 40),
    ],
)
def test_one_of_several_videos_in_a_file_is_chosen(
    tmp_path: Path, first, camera, shown, frames, level
) -> None:
    file = two_streams(tmp_path / "v.mkv", first, 8)
    with open_drive(file, OpenOptions(camera=camera)) as drive:
        assert (drive.info.camera, drive.info.cameras) == (shown, ("0", "1"))
        assert len(drive) == frames
        assert abs(float(drive.frame(frames - 1).mean()) - level) < 4
        assert f"{shown} is shown" in drive.info.notes[0]


def test_a_video_that_is_not_in_the_file_is_named(tmp_path: Path) -> None:
    file = two_streams(tmp_path / "v.mkv", 2, 2)
    for camera in ("2", "-1", "left"):
        with pytest.raises(DriveError, match="has no camera .*; it has: 0, 1"):
            open_drive(file, OpenOptions(camera=camera))


# --- cut anywhere ---------------------------------------------------------------------------------

CUT = {
    "end.mp4": ("libx264", CLOSED_GOP, {}),
    "start.mp4": ("libx264", CLOSED_GOP, {"container_options": {"movflags": "faststart"}}),
    "fragments.mp4": ("libx264", CLOSED_GOP, {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
    "cut.mkv": ("libx264", OPEN_GOP, {}),
    "cut.avi": ("mpeg4", {}, {"max_b_frames": 2}),
    "untimed.avi": ("libx264", CLOSED_GOP, {}),
    "cut.ts": ("libx264", OPEN_GOP, {}),
    "cut.webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, {}),
}


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("whole")
    done: dict[str, tuple[bytes, dict[int, np.ndarray]]] = {}
    pictures = scenes(60, 96, 72)

    def make(name: str) -> tuple[bytes, dict[int, np.ndarray]]:
        if name not in done:
            codec, options, more = CUT[name]
            path = write_video(folder / name, pictures, codec, options, **more)
            frames = [image for _, image, _ in linear(path)]
            assert len(frames) == 60
            # 20 per second, to the millisecond of Matroska
            done[name] = path.read_bytes(), {50 * i: image for i, image in enumerate(frames)}
        return done[name]

    return make


@pytest.mark.parametrize("name", CUT)
@settings(max_examples=14, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0.0, 1.0), seed=st.integers(0, 99))
def test_a_video_cut_anywhere_shows_only_true_frames(
    name: str, part: float, seed: int, whole, tmp_path
) -> None:
    data, truth = whole(name)
    path = tmp_path / f"cut{Path(name).suffix}"
    length = int(part * len(data))
    # a transport stream has no lengths: cut just between two packets, its last picture may seem whole
    path.write_bytes(data[: max(length - (length % 188 == 0), 0)])
    try:
        drive = open_drive(path)
    except DriveError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return
    with drive:
        order = list(range(len(drive)))
        random.Random(seed).shuffle(order)
        for i, image in read_all(drive, order).items():
            time = round(int(drive.timestamps_ns[i]) / 50_000_000) * 50
            assert np.array_equal(image, truth[time]), (i, time)


@pytest.mark.parametrize("name", ["start.mp4", "cut.mkv", "cut.ts", "untimed.avi", "cut.avi"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_overwritten_bytes_never_end_the_drive(name: str, seed: int, whole, tmp_path: Path) -> None:
    """And what lies in front of them is shown as if nothing had happened."""
    original, truth = whole(name)
    data = bytearray(original)
    rng = random.Random(seed)
    path = tmp_path / f"hurt{Path(name).suffix}"
    path.write_bytes(data)
    index = build_index(path)
    with av.open(str(path)) as container:
        starts = [p.pos for p in container.demux(video=0) if p.size]
    places = [rng.randrange(starts[5], len(data) - 40) for _ in range(rng.randint(1, 4))]
    for at in places:
        data[at : at + 40] = rng.randbytes(40)
    path.write_bytes(data)
    first = max(i for i, start in enumerate(starts) if start <= min(places))
    key = max(k for k in np.flatnonzero(index.is_key) if k <= first)
    # An open group's leading frames come after its key frame; where only decoding tells the order of the
    # frames, a damaged key frame joins its group to the one before.
    untouched = int(index.rank[key]) - (36 if name == "untimed.avi" else 4)
    try:
        drive = open_drive(path)
    except DriveError as error:
        assert "\n" not in str(error)
        return
    with drive:
        order = list(range(len(drive)))
        rng.shuffle(order)
        shown = read_all(drive, order)
        for gap in drive.info.gaps:
            assert not set(read_all(drive, [gap.first, gap.last])) & {gap.first, gap.last}
        for i in range(untouched):
            assert np.array_equal(shown[i], truth[50 * i]), i


def test_a_decoding_error_in_the_middle_costs_no_more_than_its_group(tmp_path: Path, whole) -> None:
    data, truth = whole("start.mp4")
    path = tmp_path / "hurt.mp4"
    path.write_bytes(data)
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    hurt = bytearray(data)
    at, size = packets[25]  # the groups are 0..19, 20..39, 40..59
    hurt[at : at + size] = b"\xff" * size
    path.write_bytes(hurt)
    with open_drive(path) as drive:
        order = list(range(60))
        random.Random(3).shuffle(order)
        shown = read_all(drive, order)
        assert set(range(20)) | set(range(40, 60)) <= set(shown)
        assert 0 < 60 - len(shown) < 20
        assert sum(g.last - g.first + 1 for g in drive.info.gaps) == 60 - len(shown)
        assert all(np.array_equal(image, truth[50 * i]) for i, image in shown.items())


def test_a_start_without_key_frame_is_a_gap(tmp_path: Path) -> None:
    path = write_video(tmp_path / "whole.ts", scenes(60, 96, 72), options=CLOSED_GOP)
    truth = [image for _, image, _ in linear(path)]
    with av.open(str(path)) as container:
        cut = [p.pos for p in container.demux(video=0) if p.size][6]
    data = path.read_bytes()
    head = data[: 3 * 188]  # the tables
    (tmp_path / "late.ts").write_bytes(head + data[cut:])
    with open_drive(tmp_path / "late.ts") as drive:
        first = drive.info.gaps[0]
        assert first.first == 0 and "key frame" in first.reason
        with pytest.raises(FrameError):
            drive.frame(0)
        good = first.last + 1
        assert np.array_equal(drive.frame(good), truth[20])
        assert np.array_equal(drive.frame(len(drive) - 1), truth[-1])


# --- no video at all ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"frame,angle\n1,2\n" * 50,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile '/etc/hostname'\n",
        b"\x1b[31mansi art" * 100,
        bytes(1000),
        b"\0\0\0\x18ftypisom\0\0\0\0isom" + bytes(100),
        b"RIFF\x10\0\0\0AVI LIST" + bytes(30),
        b"\x1a\x45\xdf\xa3" + bytes(60),
    ],
)
def test_what_only_calls_itself_a_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fake.mp4"
    path.write_bytes(content)
    assert video.sniff(path)
    with pytest.raises(DriveError) as caught:
        video.open(path, OpenOptions())
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_sound_only(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sound{suffix}"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48000)
        for i in range(20):
            sound = av.AudioFrame.from_ndarray(
                np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
            )
            sound.sample_rate, sound.pts = 48000, 1024 * i
            out.mux(stream.encode(sound))
        out.mux(stream.encode(None))
    with pytest.raises(DriveError, match="no video, only audio"):
        open_drive(path)


def test_a_video_that_vanishes_is_one_sentence_per_frame(tmp_path: Path, whole) -> None:
    path = tmp_path / "gone.mp4"
    path.write_bytes(whole("end.mp4")[0])
    drive = open_drive(path)
    drive._reader.close()  # type: ignore[attr-defined]
    path.unlink()
    with pytest.raises(FrameError, match="gone"):
        drive.frame(50)
