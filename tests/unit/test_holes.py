"""Holes in a recording's time: found by one function, jumped wherever the drive is played, and said."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exportmaker import ffprobe, frame_times, make_drive, make_job
from vbp.cli.main import main
from vbp.drives import open_drive
from vbp.drives.holes import find_holes, played_ns
from vbp.export.compose import Composer
from vbp.export.facts import facts_of
from vbp.export.frames import open_source
from vbp.export.registry import export
from vbp.export.timeline import timeline
from vbp.overlay import Rect
from vbp.readable import clock_ticks, how_long

MS, S = 10**6, 10**9
YEAR = 365 * 24 * 3600 * S
START = 1_479_425_476_188_653_632


def stamps(*seconds: float) -> np.ndarray:
    return START + np.array([round(s * S) for s in seconds], dtype=np.int64)


@pytest.mark.parametrize(
    ("seconds", "found", "played"),
    [
        ((0, 0.1, 0.2, 600.3, 600.4), [(2, 600.1)], (0, 0.1, 0.2, 0.3, 0.4)),
        ((0, 0.1, 0.2, 1.1, 1.2), [], (0, 0.1, 0.2, 1.1, 1.2)),  # a camera that paused
        ((0, 5, 10, 15, 40, 45), [], (0, 5, 10, 15, 40, 45)),  # seldom is no hole
        ((0, 5, 10, 15, 76, 81), [(3, 61.0)], (0, 5, 10, 15, 16, 21)),
        ((0, 365 * 86400), [(0, 365 * 86400.0)], (0, 1)),
        ((0, 0.05, 28800), [(1, 28799.95)], (0, 0.05, 0.1)),
        ((0, 0, 0, 0.1, 100), [(3, 99.9)], (0, 0, 0, 0.1, 0.2)),
        ((7,), [], (0,)),
        ((), [], ()),
    ],
)
def test_what_is_a_hole_and_how_it_is_played(seconds, found, played) -> None:
    times = stamps(*seconds)
    assert find_holes(times) == [(i, pytest.approx(s)) for i, s in found]
    assert (played_ns(times) / 1e9).tolist() == pytest.approx(list(played))


def steps_with_holes() -> st.SearchStrategy[tuple[list[int], list[int]]]:
    """Steps of a recording in ns, and the places of its holes among them, which are never the most."""
    step = st.integers(10 * MS, 400 * MS)
    hole = st.integers(5 * S, 3 * YEAR)
    few = st.lists(st.one_of(step, step, step, hole), min_size=1, max_size=60)
    kept = few.filter(lambda steps: 2 * sum(s >= 5 * S for s in steps) < len(steps))
    return kept.map(lambda steps: (steps, [i for i, s in enumerate(steps) if s >= 5 * S]))


@given(
    steps_with_holes(), st.sampled_from([None, 0.5, 5.0, 10.0, 30.0, 50.0]), st.sampled_from([100, 90_000])
)
def test_a_clip_is_as_long_as_what_was_recorded(made, fps, per_second) -> None:
    steps, holes = made
    times = START + np.concatenate([[0], np.cumsum(np.array(steps, dtype=np.int64))]).astype(np.int64)
    found = find_holes(times)
    assert [i for i, _ in found] == holes
    assert [round(s * S) for _, s in found] == pytest.approx([steps[i] for i in holes], rel=1e-9)
    ordinary = [s for i, s in enumerate(steps) if i not in holes]
    played = played_ns(times)
    usual = sorted(ordinary)[(len(ordinary) - 1) // 2]
    assert np.diff(played).tolist() == [usual if i in holes else s for i, s in enumerate(steps)]
    line = timeline(played, fps)
    whole = sum(ordinary) + len(holes) * usual
    if fps is None:
        assert line.picks.tolist() == list(range(len(times)))  # every frame, once
        assert whole < line.end_ns <= whole + max(ordinary)
    else:  # no more pictures than such a rate has in that time
        assert len(line) <= (whole + max(ordinary)) * fps / S + 1
    ticks = line.ticks(per_second)
    assert (np.diff(ticks) > 0).all() and ticks[-1] < 2**31


# --- in files, as ffprobe reads them --------------------------------------------------------------

RECORDED = [
    0,
    100,
    200,
    300,
    28_800_400,
    28_800_500,
    28_800_600,
    60_000_000,
    60_000_100,
]  # ms: 8 h, and 8.7 h
PLAYED = [n / 10 for n in range(len(RECORDED))]


@pytest.fixture(scope="module")
def holed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_drive(tmp_path_factory.mktemp("holed"), len(RECORDED), RECORDED)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.mkv", "clip.gif"])
def test_a_clip_jumps_holes(holed: Path, tmp_path: Path, name: str) -> None:
    output = export(make_job(holed, tmp_path / name, 0, len(RECORDED) - 1))
    assert frame_times(output) == pytest.approx(PLAYED, abs=0.011)
    assert float(ffprobe(output)["format"]["duration"]) == pytest.approx(0.9, abs=0.011)


def test_a_clip_of_a_fixed_rate_shows_no_hole(holed: Path, tmp_path: Path) -> None:
    output = export(make_job(holed, tmp_path / "clip.mp4", 1, 8, fps=20.0))
    assert frame_times(output) == pytest.approx((np.arange(16) / 20).tolist(), abs=1e-3)


def test_a_gif_holds_no_picture_twice(tmp_path: Path) -> None:
    drive = make_drive(tmp_path / "seldom", 4, [0, 2000, 4000, 6500])
    output = export(make_job(drive, tmp_path / "clip.gif", 0, 3))
    assert frame_times(output) == pytest.approx([0, 2, 4, 6.5], abs=0.011)
    assert float(ffprobe(output)["format"]["duration"]) == pytest.approx(8.5, abs=0.011)


def test_a_folder_of_pictures_has_the_clip_s_times_and_the_recording_s(holed: Path, tmp_path: Path) -> None:
    output = export(make_job(holed, tmp_path / "pictures", 0, 8, format="pictures", size=(160, 160)))
    head, *rows = (line.split(",") for line in (output / "frames.csv").read_text().splitlines())
    assert [int(row[head.index("time_ns")]) / S for row in rows] == pytest.approx(PLAYED)
    recorded = [int(row[head.index("timestamp_ns")]) // MS for row in rows]
    assert [t - recorded[0] for t in recorded] == RECORDED


def test_mcap_keeps_the_recording_s_times(holed: Path, tmp_path: Path) -> None:
    output = export(make_job(holed, tmp_path / "data.mcap", 0, 8))
    with open_drive(output) as opened, open_drive(holed) as drive:
        assert opened.timestamps_ns.tolist() == drive.timestamps_ns.tolist()


def test_the_picture_after_a_hole_says_so_and_the_plot_breaks(holed: Path) -> None:
    job = make_job(holed, Path("x.mp4"), 0, 8, size=(1280, 720), panels=("plain", "plot"))
    with open_source(job) as source:
        composer = Composer(facts_of(source.drive, source.engine, np.arange(9)), job.settings)
        assert composer.facts.holes == {4: pytest.approx(28_800.1), 7: pytest.approx(31_199.4)}
        frames = list(source.frames(range(9), maps=(), layers=False))
    marked = Composer(composer.facts, job.settings)
    pictures = [marked.draw(frame) for frame in frames]
    tile = composer.places.tiles[0]
    for n, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        bare = Composer(replace(composer.facts, holes={}), job.settings).draw(frame)
        dark = differs(bare, picture, tile)
        assert dark.any() == (n >= 4)
        if n >= 4:  # a small mark at the lower left
            rows, columns = np.nonzero(dark)
            assert columns.max() < 0.25 * tile.width and rows.min() > 0.8 * tile.height
    plot = composer.places.plot
    assert plot is not None
    part = pictures[8][plot.y : plot.y + plot.height, plot.x : plot.x + plot.width].astype(int)
    assert drawn(part, (0xA9, 0xBA, 0xCB)).any(axis=0).sum() > 0.4 * plot.width  # the driver's curve
    for n in (4, 7):  # is not drawn across the holes
        left = columns_of(composer, n - 1)
        right = columns_of(composer, n)
        between = drawn(part[:, left + 4 : right - 4], (0xA9, 0xBA, 0xCB))
        assert not between.any()


def differs(a: np.ndarray, b: np.ndarray, tile: Rect) -> np.ndarray:
    box = np.s_[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
    return (a[box] != b[box]).any(axis=2)


def drawn(part: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (np.abs(part - colour) < 30).all(axis=2)


def columns_of(composer: Composer, n: int) -> int:
    """The column of the plot at which frame n stands: it is shown whole, between its margins."""
    plot, last = composer.places.plot, composer.facts.played_s[-1]
    assert plot is not None
    at = composer._plot.inner  # type: ignore[union-attr]
    return round(at.x - plot.x + composer.facts.played_s[n] / last * (at.width - 1))


# --- in words -------------------------------------------------------------------------------------


def test_info_says_how_many_where_and_how_long(holed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(holed)]) == 0
    text = capsys.readouterr().out
    assert "duration   0.80 s at 10.00 frames per second (60000.10 s with 2 holes in time)" in text
    assert "hole       8 h (28800.1 s) without a frame after frame 3" in text
    assert "hole       8 h 40 min (31199.4 s) without a frame after frame 6" in text
    assert main(["info", "--json", str(holed)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["duration_s"] == pytest.approx(60_000.1) and facts["played_s"] == pytest.approx(0.8)
    assert [hole["after_frame"] for hole in facts["holes"]] == [3, 6]
    assert [hole["seconds"] for hole in facts["holes"]] == pytest.approx([28_800.1, 31_199.4])


def test_a_drive_that_has_none_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(make_drive(tmp_path / "drive", 4))]) == 0
    assert "hole" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.24, "1.2 s"),
        (45.4, "45 s"),
        (600.1, "10 min"),
        (3599, "1 h"),
        (4800, "1 h 20 min"),
        (86_400, "1 day"),
        (90_000, "1 day 1 h"),
        (365 * 86_400, "365 days"),
    ],
)
def test_how_long_reads_well(seconds: float, text: str) -> None:
    assert how_long(seconds) == text


@given(
    st.floats(0, 100),
    st.floats(0.1, 30),
    st.sampled_from([0.1, 0.5, 1, 5]),
    st.lists(st.tuples(st.floats(0.01, 20), st.floats(1, 1e6)), max_size=5),
)
def test_ticks_are_round_on_the_clock_and_apart(first: float, width: float, step: float, made) -> None:
    parts = [(0.0, 0.0)]
    for length, hole in made:
        parts.append((parts[-1][0] + length, parts[-1][1] + hole))
    ticks = clock_ticks(first, first + width, step, parts, apart=step / 2)
    places = [place for place, _ in ticks]
    assert all(b - a >= step / 2 - 1e-6 for a, b in pairwise(places))
    for place, says in ticks:
        assert first - 1e-6 <= place <= first + width + 1e-6
        assert says / step == pytest.approx(round(says / step), abs=1e-6)
        assert any(says == pytest.approx(place + ahead, abs=1e-6) for _, ahead in parts)
