"""Clips, checked by ffprobe and by decoding them again."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exportmaker import HEIGHT, WIDTH, boxes, ffprobe, frame_times, frames_of, make_drive, make_job
from vbp.drives import open_drive
from vbp.engine import Engine, open_network
from vbp.errors import VbpError
from vbp.export.compose import Composer
from vbp.export.encoders import choose, works
from vbp.export.facts import Facts, facts_of
from vbp.export.frames import open_source
from vbp.export.job import LAYOUTS, PANELS, Settings
from vbp.export.registry import CancelledError, export
from vbp.export.timeline import timeline
from vbp.overlay import Rect, blend
from vbp.results import FrameResult, Layer, MapRequest, NetworkResult
from videomaker import linear, variable_times

N = 12


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_drive(tmp_path_factory.mktemp("drive"), N)


@pytest.fixture(scope="module")
def variable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_drive(tmp_path_factory.mktemp("variable"), N, variable_times(N))


# --- what players ask for -------------------------------------------------------------------------


def test_mp4_plays_everywhere(drive: Path, tmp_path: Path) -> None:
    output = tmp_path / "clip.mp4"
    assert export(make_job(drive, output, 2, 9, size=(321, 181))) == output
    found = ffprobe(output)
    stream = found["streams"][0]
    assert (stream["codec_name"], stream["codec_tag_string"], stream["pix_fmt"]) == (
        "h264",
        "avc1",
        "yuv420p",
    )
    assert (stream["width"], stream["height"]) == (320, 180)  # odd sizes are rounded down
    assert (stream["color_space"], stream["color_range"]) == ("bt709", "tv")
    assert int(stream["nb_read_frames"]) == 8
    assert float(found["format"]["start_time"]) == 0 and float(found["format"]["duration"]) == pytest.approx(
        0.4
    )
    kinds = boxes(output)
    assert kinds.index("moov") < kinds.index("mdat") and "moof" not in kinds
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(
    ("name", "codec", "tag"),
    [
        ("clip.mov", "h264", "avc1"),
        ("clip.mp4", "hevc", "hvc1"),
        ("clip.mkv", "h264", None),
        ("clip.mkv", "ffv1", None),
    ],
)
def test_other_codecs_and_containers(
    drive: Path, tmp_path: Path, name: str, codec: str, tag: str | None
) -> None:
    output = export(make_job(drive, tmp_path / name, 0, 4, codec=codec))
    stream = ffprobe(output)["streams"][0]
    assert (stream["codec_name"], int(stream["nb_read_frames"])) == (codec, 5)
    assert tag is None or stream["codec_tag_string"] == tag
    assert frame_times(output) == pytest.approx([0, 0.05, 0.1, 0.15, 0.2], abs=1e-3)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("name", "tick"), [("clip.mp4", 1 / 90_000), ("clip.mkv", 1 / 1000)])
def test_variable_rate_keeps_its_times(variable: Path, tmp_path: Path, name: str, tick: float) -> None:
    with open_drive(variable) as opened:
        stamps = opened.timestamps_ns
    assert len(set(np.diff(stamps).tolist())) > 5
    output = export(make_job(variable, tmp_path / name, 1, N - 1))
    assert frame_times(output) == pytest.approx(((stamps[1:] - stamps[1]) / 1e9).tolist(), abs=tick)


def test_fps_resamples(variable: Path, tmp_path: Path) -> None:
    output = export(make_job(variable, tmp_path / "clip.mp4", 0, N - 1, fps=25.0))
    times = frame_times(output)
    assert times == pytest.approx((np.arange(len(times)) / 25).tolist(), abs=1e-4)
    assert ffprobe(output)["streams"][0]["avg_frame_rate"] == "25/1"


@given(
    st.lists(st.integers(0, 400_000_000), min_size=0, max_size=30),
    st.one_of(st.none(), st.floats(0.5, 200)),
    st.sampled_from([100, 90_000]),
)
def test_timeline_is_that_of_the_frames(steps: list[int], fps: float | None, per_second: int) -> None:
    stamps = 1_479_425_476_000_000_123 + np.concatenate(
        [[0], np.cumsum(np.array(steps, dtype=np.int64))]
    ).astype(np.int64)
    line = timeline(stamps, fps)
    ticks = line.ticks(per_second)
    assert (np.diff(ticks) > 0).all() and len(ticks) == len(line) + 1
    assert (np.diff(line.picks) >= 0).all()
    shown = stamps[line.picks] - stamps[0]
    if fps is None:
        assert line.picks.tolist() == list(range(len(stamps))) and np.array_equal(line.times_ns, shown)
    else:
        nearest = np.abs((stamps - stamps[0])[None] - line.times_ns[:, None]).min(1)
        assert np.array_equal(np.abs(shown - line.times_ns), nearest)


# --- what is in the picture -----------------------------------------------------------------------


def masks_of(drive: Path, indices: range) -> list[tuple[np.ndarray, np.ndarray]]:
    """(picture with the mask, picture without) of each frame, straight from the engine."""
    engine = Engine(open_network("NetSVF"), "cpu")
    out = []
    with open_drive(drive) as opened:
        for i in indices:
            done = engine.run(opened.frame(i))
            picture = opened.frame(i)
            out.append((blend(picture, done.map("visualbackprop"), done.crop, "paper", 0.8), picture))
    return out


def test_the_mask_of_a_lossless_clip_is_the_engine_s(drive: Path, tmp_path: Path) -> None:
    job = make_job(
        drive,
        tmp_path / "c.mkv",
        3,
        6,
        codec="ffv1",
        panels=("camera",),
        layout="picture",
        size=(WIDTH, HEIGHT),
    )
    decoded = [rgb for _, rgb, _ in linear(export(job))]
    expected = masks_of(drive, range(3, 7))
    assert len(decoded) == 4
    crop = slice(HEIGHT - 62 + 2, HEIGHT - 2)  # what the network sees of it, without its outline
    for got, (masked, plain) in zip(decoded, expected):
        assert np.abs(masked[crop].astype(int) - plain[crop]).max() > 50  # there is something to see
        difference = np.abs(got[crop, 1:-1].astype(int) - masked[crop, 1:-1])
        assert np.percentile(difference, 99) <= 2  # batches round otherwise than single frames
        assert np.array_equal(got[100:170], plain[100:170])  # between the inset and the crop


def test_the_mask_of_an_h264_clip_is_where_it_should_be(drive: Path, tmp_path: Path) -> None:
    job = make_job(
        drive, tmp_path / "c.mp4", 3, 6, quality="best", panels=("camera",), layout="picture", size=(640, 480)
    )
    decoded = [rgb for _, rgb, _ in linear(export(job))]

    def redness(picture: np.ndarray) -> np.ndarray:
        p = picture.astype(float)
        return p[..., 0] - (p[..., 1] + p[..., 2]) / 2

    for got, (masked, plain) in zip(decoded, masks_of(drive, range(3, 7)), strict=True):
        small = got.reshape(HEIGHT, 2, WIDTH, 2, 3).mean((1, 3))
        part = slice(HEIGHT - 60, HEIGHT - 2)
        assert np.corrcoef(redness(small[part]).ravel(), redness(masked[part]).ravel())[0, 1] > 0.9
        assert np.abs(small[100:170] - plain[100:170]).mean() < 8


def test_each_panel_shows_its_picture(drive: Path) -> None:
    panels = ("camera", "plain", "visualbackprop", "lrp", "maps", "plot")
    for layout in LAYOUTS:
        if layout == "picture":
            continue
        job = make_job(drive, Path("x.mp4"), 0, N - 1, panels=panels, layout=layout, size=(1280, 720))
        with open_source(job) as source:
            composer = Composer(
                facts_of(source.drive, source.engine, np.arange(N), source.layers), job.settings
            )
            pictures = [composer.draw(a) for a in source.frames(range(3))]
        places = composer.places
        every = [*places.tiles, places.readout, places.plot]
        for n, a in enumerate(every):
            assert a.x >= 0 and a.y >= 0 and a.x + a.width <= 1280 and a.y + a.height <= 720
            part = pictures[2][a.y : a.y + a.height, a.x : a.x + a.width]
            assert part.std() > 4, (layout, n)
            for b in every[n + 1 :]:  # nothing lies over anything else
                assert (
                    a.x + a.width <= b.x
                    or b.x + b.width <= a.x
                    or a.y + a.height <= b.y
                    or b.y + b.height <= a.y
                )
        assert not np.array_equal(pictures[1], pictures[2])


@given(
    st.sampled_from(list(LAYOUTS)),
    st.lists(st.sampled_from([*PANELS, "visualbackprop", "lrp"]), min_size=1, max_size=6, unique=True),
    st.tuples(st.integers(160, 2000), st.integers(160, 2000)),
)
def test_any_choice_of_panels_can_be_drawn(layout: str, panels: list[str], size: tuple[int, int]) -> None:
    settings = Settings(panels=tuple(panels), layout=layout, size=size)
    if layout == "picture" and panels == ["plot"]:
        with pytest.raises(VbpError):
            picture_of(settings)
        return
    picture = picture_of(settings)
    assert picture.shape == (size[1] // 2 * 2, size[0] // 2 * 2, 3) and picture.dtype == np.uint8


def picture_of(settings: Settings) -> np.ndarray:
    """A picture of made-up facts: no network is needed to see whether it can be drawn."""
    stamps = np.arange(40, dtype=np.int64) * 50_000_000
    crop = Rect(0, 178, WIDTH, 62)
    facts = Facts(
        "Net",
        "drive",
        (WIDTH, HEIGHT),
        (WIDTH, 62),
        5,
        np.arange(40),
        stamps,
        stamps / 1e9,
        0,
        np.sin(stamps / 1e9),
        2,
    )
    grey, mask = np.full((62, WIDTH), 90, dtype=np.uint8), np.ones((62, WIDTH), dtype=np.float32)
    layers = tuple(Layer(f"conv {n}", 8, mask[::4, ::4], mask[::4, ::4]) for n in range(5))
    image = np.full((HEIGHT, WIDTH, 3), 120, dtype=np.uint8)
    maps = {MapRequest("visualbackprop"): mask, MapRequest("lrp"): -mask}
    result = NetworkResult("Net", -0.1, crop, grey, maps, layers=layers, warnings=("a warning",))
    frame = FrameResult(7, int(stamps[7]), image, driven_rad=0.1, speed_mps=9.0, results=(result,))
    return Composer(facts, settings).draw(frame)


def test_without_opencv_5_s_typeface_the_letters_are_strokes(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    monkeypatch.delattr(cv2, "FontFace", raising=False)
    for layout in LAYOUTS:
        drawn = picture_of(Settings(panels=("camera", "lrp", "maps", "plot"), layout=layout, size=(960, 540)))
        assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 100


def test_gaps_are_said_and_counted(tmp_path: Path) -> None:
    import cv2

    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(4):
        cv2.imwrite(str(folder / f"{i:03d}.png"), np.full((HEIGHT, WIDTH, 3), 40 * i, dtype=np.uint8))
    (folder / "002.png").write_bytes((folder / "002.png").read_bytes()[:60])
    job = make_job(folder, tmp_path / "clip.mp4", 0, 3)
    found = frames_of(job)
    assert [a.image is None for a in found] == [False, False, True, False]
    assert found[2].gap and np.isnan(found[2].predicted_rad)
    assert int(ffprobe(export(job))["streams"][0]["nb_read_frames"]) == 4


# --- threads, cancelling --------------------------------------------------------------------------


def test_cancelled_it_leaves_nothing_and_no_thread(drive: Path, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    for name in ("clip.mp4", "clip.mkv", "clip.gif", "one.png", "folder"):
        settings = {"format": "pictures"} if name == "folder" else {}
        last = 0 if name == "one.png" else N - 1
        with pytest.raises(CancelledError):
            export(make_job(drive, tmp_path / name, 0, last, **settings), lambda done, total: done < 3)
        assert list(tmp_path.iterdir()) == [], name
    assert set(threading.enumerate()) <= before


def test_interrupted_it_leaves_a_part_that_plays(drive: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> bool:
        if done == 9:
            raise KeyboardInterrupt
        return True

    for name in ("clip.mp4", "clip.mkv"):
        with pytest.raises(KeyboardInterrupt):
            export(make_job(drive, tmp_path / name, 0, N - 1), stop)
        part = tmp_path / name.replace("clip", "clip.part")
        assert list(tmp_path.iterdir()) == [part]
        assert int(ffprobe(part)["streams"][0]["nb_read_frames"]) == 9
        export(make_job(drive, tmp_path / name, 0, N - 1))  # which takes the part away
        assert [p.name for p in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()


def test_ctrl_c_waits_for_the_frame_under_way(drive: Path, tmp_path: Path) -> None:
    """A program that stops an export sends the signal and closes the pipe: two, one right after the other."""

    def stop(done: int, total: int) -> bool:
        if done == 9:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return True

    handler = signal.getsignal(signal.SIGINT)
    for name in ("clip.mp4", "clip.mkv"):
        with pytest.raises(KeyboardInterrupt):
            export(make_job(drive, tmp_path / name, 0, N - 1), stop)
        assert signal.getsignal(signal.SIGINT) is handler
        assert int(ffprobe(tmp_path / name.replace("clip", "clip.part"))["streams"][0]["nb_read_frames"]) == 9


def test_progress_counts_every_picture(drive: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    export(
        make_job(drive, tmp_path / "clip.mp4", 0, 5), lambda done, total: told.append((done, total)) or True
    )
    assert told == [(n, 6) for n in range(1, 7)]


def test_an_encoder_that_is_not_there_is_not_used() -> None:
    assert not works("no_such_encoder", (320, 180))
    assert works("libx264", (320, 180))
    settings = Settings()
    expected = "h264_nvenc" if works("h264_nvenc", (320, 180)) else "libx264"
    assert choose(settings, (320, 180)).encoder == expected
    assert choose(replace(settings, encoder="cpu"), (320, 180)).encoder == "libx264"


def test_metadata_says_what_it_is(drive: Path, tmp_path: Path) -> None:
    with av.open(str(export(make_job(drive, tmp_path / "clip.mp4", 0, 1)))) as container:
        assert container.metadata["comment"] == "Made by vbp"
        assert container.metadata["title"] == "NetSVF on drive.mkv"
