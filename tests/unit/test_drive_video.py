"""Frames of a video are the frames asked for, whatever the file, the order of asking, and the decoder's habits."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vbp.drives import OpenOptions, open_drive, video
from vbp.drives.video_drive import VideoDrive
from vbp.drives.video_index import build_index
from vbp.drives.video_reader import VideoReader
from vbp.errors import DriveError, FrameError
from videomaker import CLOSED_GOP, OPEN_GOP, linear, remux, scenes, variable_times, write_video

COUNT = 90
SMALL_CACHE = 8 * 160 * 120 * 3  # eight frames: nearly every access decodes


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    return scenes(COUNT)


# name -> (codec, encoder options, further arguments of write_video)
KINDS: dict[str, tuple[str, dict[str, str], dict]] = {
    "vfr-bframes.mp4": ("libx264", CLOSED_GOP, {"times_ms": variable_times(COUNT)}),
    "vfr-open.mkv": ("libx264", OPEN_GOP, {"times_ms": variable_times(COUNT, 2)}),
    "open.mp4": ("libx264", OPEN_GOP, {}),
    "open.ts": ("libx264", OPEN_GOP, {}),
    "one-key.mp4": ("libx264", {"x264-params": "keyint=250:bframes=3:b-pyramid=normal"}, {}),
    "closed.mov": ("libx264", CLOSED_GOP, {}),
    "closed.flv": ("libx264", CLOSED_GOP, {}),
    "bframes.avi": ("libx264", CLOSED_GOP, {}),  # AVI holds no presentation times
    "open.avi": ("libx264", OPEN_GOP, {}),
    "raw.h264": ("libx264", CLOSED_GOP, {}),  # nor does this, nor an index
    "refresh.mp4": ("libx264", {"x264-params": "keyint=20:scenecut=0:bframes=0:intra-refresh=1"}, {}),
    "fragments.mp4": ("libx264", CLOSED_GOP, {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
    "hevc.mp4": ("libx265", {"x265-params": "keyint=20:bframes=3:log-level=none"}, {}),
    "hidden.webm": ("libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "good"}, {}),
    "vp9.webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, {}),
    "bframes-mpeg4.avi": ("mpeg4", {}, {"max_b_frames": 2}),
    "mpeg2.mpg": ("mpeg2video", {}, {"max_b_frames": 2}),
    "pictures.avi": ("mjpeg", {}, {"pix_fmt": "yuvj420p"}),
    "windows.wmv": ("wmv2", {}, {}),
    "plain.y4m": ("wrapped_avframe", {}, {}),
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, pictures: list[np.ndarray]):
    """name -> (path, its frames by a linear decode); made once."""
    folder = tmp_path_factory.mktemp("videos")
    done: dict[str, tuple[Path, list]] = {}

    def make(name: str) -> tuple[Path, list]:
        if name not in done:
            codec, options, more = KINDS[name]
            path = write_video(folder / name, pictures, codec, options, **more)
            done[name] = path, linear(path)
        return done[name]

    return make


def small_drive(path: Path) -> VideoDrive:
    return VideoDrive(build_index(path), cache_bytes=SMALL_CACHE)


def accesses(n: int) -> list[int]:
    rng = random.Random(n)
    return (
        [rng.randrange(n) for _ in range(120)]
        + [0, n - 1, n - 1, 0]
        + list(range(20))
        + list(range(40, 20, -1))
    )


@pytest.mark.parametrize("name", KINDS)
def test_every_seek_gives_the_frame_of_its_time_stamp(name: str, made) -> None:
    path, frames = made(name)
    assert len({image.tobytes() for _, image, _ in frames}) == len(frames), (
        "a neighbour could pass for a frame"
    )
    with small_drive(path) as drive:
        assert len(drive) == len(frames) == COUNT
        for i in accesses(COUNT):
            assert np.array_equal(drive.frame(i), frames[i][1]), (name, i)
        assert drive.info.gaps == []


@pytest.mark.parametrize(
    "name", [k for k in KINDS if Path(k).suffix in (".mp4", ".mkv", ".mov", ".ts", ".webm")]
)
def test_time_stamps_are_those_of_the_frames(name: str, made) -> None:
    path, frames = made(name)
    with av.open(str(path)) as container:
        base = container.streams.video[0].time_base
    expected = [round((pts - frames[0][0]) * base * 10**9) for pts, _, _ in frames]
    with small_drive(path) as drive:
        assert drive.timestamps_ns.dtype == np.int64
        assert np.abs(drive.timestamps_ns - expected).max() <= 1


def test_variable_rate_keeps_its_times(made) -> None:
    drive = small_drive(made("vfr-open.mkv")[0])
    times = np.array(variable_times(COUNT, 2)) * 1_000_000
    assert np.array_equal(drive.timestamps_ns, times - times[0])


@pytest.mark.parametrize("name", ["vfr-bframes.mp4", "open.mp4", "fragments.mp4", "vfr-open.mkv"])
def test_frames_are_those_that_ffprobe_lists(name: str, made) -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("needs ffprobe")
    path, _ = made(name)
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "json"]
    shown = subprocess.run(
        [*command, "-show_entries", "frame=best_effort_timestamp_time", str(path)],
        capture_output=True,
        check=True,
        timeout=60,
    )
    listed = [float(f["best_effort_timestamp_time"]) for f in json.loads(shown.stdout)["frames"]]
    times = small_drive(path).timestamps_ns / 1e9
    assert np.allclose(times, np.array(listed) - listed[0], atol=2e-6)


# "next" and "back" step, "same" repeats, a number jumps there
STEPS = st.lists(
    st.one_of(st.sampled_from(["next", "next", "back", "same"]), st.integers(0, COUNT - 1)),
    min_size=5,
    max_size=40,
)


@pytest.mark.parametrize("name", ["vfr-bframes.mp4", "vfr-open.mkv", "bframes.avi", "one-key.mp4"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, threads=st.sampled_from([1, 3]))
def test_any_order_of_asking(name: str, steps: list, threads: int, made) -> None:
    path, frames = made(name)
    drive = small_drive(path)
    drive._reader = VideoReader(build_index(path), threads)
    at = 0
    for step in steps:
        at = {"next": at + 1, "back": at - 1, "same": at}.get(step, step)
        at = min(max(at, 0), COUNT - 1)
        assert np.array_equal(drive.frame(at), frames[at][1])
    drive.close()


def test_edit_list_hides_the_frames_before_its_start(tmp_path: Path, made) -> None:
    source, frames = made("open.mp4")
    path = remux(source, tmp_path / "cut.mp4", -7, avoid_negative_ts="disabled", use_editlist="1")
    oracle = linear(path)
    with small_drive(path) as drive:
        assert 0 < len(oracle) < len(frames)
        assert len(drive) == len(oracle)
        for i in accesses(len(oracle)):
            assert np.array_equal(drive.frame(i), oracle[i][1]), i


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_times_need_not_start_at_zero(tmp_path: Path, suffix: str, made) -> None:
    source, frames = made("open.mp4")
    path = remux(source, tmp_path / f"late{suffix}", 20 * 3600)
    with small_drive(path) as drive:
        assert drive.timestamps_ns[0] == 0 and len(drive) == COUNT
        for i in accesses(COUNT)[::3]:
            assert np.array_equal(drive.frame(i), frames[i][1])


def test_recordings_put_end_to_end_come_one_after_the_other(tmp_path: Path, made) -> None:
    source, frames = made("open.ts")
    path = tmp_path / "twice.ts"
    path.write_bytes(source.read_bytes() * 2)
    with small_drive(path) as drive:
        assert len(drive) == 2 * COUNT and (np.diff(drive.timestamps_ns) > 0).all()
        assert any("its clock restarts" in note for note in drive.info.notes)
        for i in (0, 50, 85, 100, 150, 179, 3):
            assert np.array_equal(drive.frame(i), frames[i % COUNT][1])


def test_false_key_frames_are_found_out(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    source = write_video(tmp_path / "a.mp4", pictures, "mpeg4", {"g": "40", "sc_threshold": "1000000000"})
    frames = linear(source)
    path = tmp_path / "liar.mp4"
    with av.open(str(source)) as a, av.open(str(path), "w") as b:
        stream = b.add_stream_from_template(a.streams.video[0])
        for packet in a.demux(video=0):
            if packet.size:
                packet.is_keyframe, packet.stream = True, stream
                b.mux(packet)
    index = build_index(path)
    assert index.is_key.sum() > 3
    with VideoDrive(index, cache_bytes=SMALL_CACHE) as drive:
        for i in (70, 39, 5, 60, 1, 89):
            assert np.array_equal(drive.frame(i), frames[i][1]), i


def test_opened_in_one_thread_read_in_another(made) -> None:
    path, frames = made("vfr-bframes.mp4")
    drive = open_drive(path)
    seen: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: seen.extend(drive.frame(i) for i in (50, 51, 3)))
    thread.start()
    thread.join()
    assert [np.array_equal(a, frames[i][1]) for a, i in zip(seen, (50, 51, 3), strict=True)] == [True] * 3
    drive.close()
    drive.close()


def test_the_cache_stays_within_its_limit(made) -> None:
    drive = small_drive(made("one-key.mp4")[0])
    for i in (89, 10, 60, 88):
        drive.frame(i)
        assert drive._cache_bytes <= SMALL_CACHE
        assert not drive.frame(i).flags.writeable
    with pytest.raises(IndexError):
        drive.frame(COUNT)


def test_stepping_back_decodes_each_stretch_once(made, monkeypatch: pytest.MonkeyPatch) -> None:
    drive = VideoDrive(build_index(made("one-key.mp4")[0]))
    starts: list[int] = []
    restart = VideoReader._restart
    monkeypatch.setattr(
        VideoReader, "_restart", lambda self, key: (starts.append(key), restart(self, key))[1]
    )
    for i in range(COUNT - 1, -1, -1):
        drive.frame(i)
    assert len(starts) <= 1


def test_a_jump_converts_the_frame_and_what_comes_after_it_alone(
    made, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = VideoDrive(build_index(made("one-key.mp4")[0]))
    converted: list[int] = []
    image = VideoReader._image
    monkeypatch.setattr(
        VideoReader, "_image", lambda self, at, frame: (converted.append(at), image(self, at, frame))[1]
    )
    far = COUNT - 3
    drive.forget()
    drive.frame(far)
    assert min(converted) == far
    for i in range(far - 1, far - 9, -1):  # stepping back, the way to the first of them is kept
        drive.frame(i)
    assert sorted(converted) == list(range(far + 1))


# --- pictures: size, turn, colour ---------------------------------------------------------------


@pytest.mark.parametrize("size", [(161, 121), (33, 17), (2, 2)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    pictures = [np.full((size[1], size[0], 3), 10 * i, np.uint8) for i in range(10)]
    path = write_video(tmp_path / "odd.mkv", pictures, "ffv1", pix_fmt="bgr0")
    with open_drive(path) as drive:
        assert (drive.info.width, drive.info.height) == size
        assert np.array_equal(drive.frame(7), pictures[7])


@pytest.mark.parametrize(
    "pix_fmt", ["gray", "gray10le", "yuv444p12le", "yuv422p10le", "gbrp10le", "rgb48le", "bgra"]
)
def test_pixel_formats_become_rgb8(tmp_path: Path, pix_fmt: str) -> None:
    grey = np.repeat(np.arange(0, 256, 4, np.uint8)[None, :, None], 32, 0).repeat(3, 2)
    path = write_video(tmp_path / "deep.mkv", [np.ascontiguousarray(grey)] * 3, "ffv1", pix_fmt=pix_fmt)
    with open_drive(path) as drive:
        image = drive.frame(1)
        assert image.dtype == np.uint8 and image.shape == (32, 64, 3)
        assert np.abs(image.astype(int) - grey).max() <= 3


@pytest.mark.parametrize(("pix_fmt", "black", "white"), [("yuvj420p", 0, 255), ("yuv420p", 16, 235)])
def test_colour_range(tmp_path: Path, pix_fmt: str, black: int, white: int) -> None:
    """Full-range and limited-range luma that mean the same black and white are shown the same."""
    with av.open(str(tmp_path / "range.avi"), "w") as out:
        stream = out.add_stream("mjpeg" if black == 0 else "mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pix_fmt
        stream.codec_context.qmin = stream.codec_context.qmax = 1
        planes = np.full((96, 64), 128, np.uint8)
        planes[:64, :32], planes[:64, 32:] = black, white
        out.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format=pix_fmt)))
        out.mux(stream.encode(None))
    with open_drive(tmp_path / "range.avi") as drive:
        image = drive.frame(0)
    assert image[:, :24].max() <= 3 and image[:, 40:].min() >= 252


def test_a_change_of_size_is_a_gap_not_a_scaled_picture(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    small = [np.ascontiguousarray(p[::2, ::2]) for p in pictures[:20]]
    a = write_video(tmp_path / "a.ts", pictures[:20], options=CLOSED_GOP)
    b = write_video(tmp_path / "b.ts", small, options=CLOSED_GOP)
    path = tmp_path / "both.ts"
    path.write_bytes(a.read_bytes() + b.read_bytes())
    oracle = linear(a)
    with open_drive(path) as drive:
        assert len(drive) == 40
        with pytest.raises(FrameError, match="80x60"):
            drive.frame(30)
        assert np.array_equal(drive.frame(10), oracle[10][1])
        assert any(g.first <= 30 <= g.last and "80x60" in g.reason for g in drive.info.gaps)


# --- what is claimed ------------------------------------------------------------------------------


def test_sniff_claims_videos_and_no_pictures(tmp_path: Path, made) -> None:
    for name in (
        "open.mp4",
        "vfr-open.mkv",
        "open.ts",
        "bframes.avi",
        "raw.h264",
        "windows.wmv",
        "mpeg2.mpg",
    ):
        bare = tmp_path / "recording"  # by content: no suffix helps
        shutil.copy(made(name)[0], bare)
        assert video.sniff(bare), name
    others = {
        "a.jpg": b"\xff\xd8\xff\xe0" + bytes(50),
        "jpeg.mp4": b"\xff\xd8\xff\xe0" + bytes(50),
        "a.txt": b"hello",
        "a.bag": b"#ROSBAG V2.0\n",
        "photo.heic": b"\0\0\0\x18ftypheic" + bytes(40),
        "list.m3u8": b"#EXTM3U\nhttp://127.0.0.1/x.ts\n",
        "list.ffconcat": b"ffconcat version 1.0\nfile /etc/hostname\n",
        "empty": b"",
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        assert not video.sniff(tmp_path / name), name
    assert not video.sniff(tmp_path / "absent.mp4")


def test_a_folder_named_as_a_video_is_a_folder(tmp_path: Path, made) -> None:
    folder = tmp_path / "x.mp4"
    folder.mkdir()
    assert not video.sniff(folder)
    shutil.copy(made("open.mp4")[0], folder / "inside.mp4")
    with open_drive(folder) as drive:
        assert drive.info.path == folder / "inside.mp4" and len(drive) == COUNT
    shutil.copy(made("open.mp4")[0], folder / "second.mp4")
    with pytest.raises(DriveError, match=r"inside\.mp4, second\.mp4"):
        open_drive(folder)


def test_a_folder_of_pictures_is_not_claimed_for_one_clip_in_it(tmp_path: Path, made) -> None:
    shutil.copy(made("open.mp4")[0], tmp_path / "clip.mp4")
    for i in range(3):
        (tmp_path / f"{i}.jpg").write_bytes(b"\xff\xd8\xff")
    assert not video.sniff(tmp_path)


def test_names_are_not_taken_for_protocols_or_patterns(tmp_path: Path, made, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.mp4", "img%03d.mp4", "-i.mp4", "ärger 日本.mp4"):
        shutil.copy(made("open.mp4")[0], tmp_path / name)
        with video.open(Path(name), OpenOptions()) as drive:
            assert len(drive) == COUNT


# --- the real recordings --------------------------------------------------------------------------


def test_ch2_as_video(shared: Path) -> None:
    """2807 frames; 60 random ones against a linear decode of the first 700."""
    path = shared / "data" / "udacity-ch2-video" / "ch2_first_half.mp4"
    wanted = sorted(random.Random(7).sample(range(700), 60))
    oracle = {}
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i in wanted:
                oracle[i] = frame.to_ndarray(format="rgb24")
            if i >= 700:
                break
    random.Random(8).shuffle(wanted)
    with open_drive(path) as drive:
        assert len(drive) == 2807 and (drive.info.width, drive.info.height) == (640, 480)
        for i in wanted:
            assert np.array_equal(drive.frame(i), oracle[i]), i
