"""What is weak in a drive, what hardly moves, and how both are said."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbp.drives.base import OpenOptions
from vbp.drives.opening import open_drive
from vbp.engine import Engine, open_network
from vbp.export.frames import Source
from vbp.export.job import Job, Settings
from vbp.export.picture import still
from vbp.frames import run_frames
from vbp.frames.strengths import RecentUsual, doubtful_texts, ratio, sample_of, usual_of, weights
from vbp.overlay import Overlay, lay
from vbp.scores import steady_text


def test_the_weak_tail_of_a_drive_is_told_from_its_usual_spread():
    rng = np.random.default_rng(1)
    ordinary = rng.normal(6, 0.4, 1000)
    usual = usual_of(ordinary)
    assert usual.median == pytest.approx(6, abs=0.05)
    assert usual.low == pytest.approx(np.quantile(ordinary, 0.01), abs=0.15)
    dark = usual_of([*ordinary, *rng.normal(0, 0.2, 80)])  # more than one in a hundred
    assert (
        1 < dark.low < usual.low
    )  # between the two: none of the dark ones passes, nor is an ordinary one lost
    assert dark.is_weak(0.1) and not dark.is_weak(5.5) and not dark.is_weak(math.nan)
    assert usual_of(ordinary[:15]) is None and usual_of([math.nan] * 99) is None
    assert "empty" in usual_of([-math.inf] * 99).words(-math.inf)


def test_words():
    usual = usual_of(np.full(20, 5.0))
    assert usual.words(2.0) == (
        "mask weak: 1/1,000 of this drive's median, the network saw next to nothing here"
    )
    assert usual.words(4.9) == "mask weak: 1/1.3 of this drive's median"  # as one in a hundred is anywhere
    assert [usual.stands_out(s, 0.1) for s in (2.9, 3.1, -math.inf, math.nan)] == [True, False, True, False]
    assert usual.words(5.0) == usual.words(math.nan) == ""
    assert "empty" in usual.words(-math.inf)
    wide = usual_of(np.full(20, 5.0), np.full(20, 0.01))
    assert wide.words(5.0, 0.12) == "mask scattered: 12 times this drive's median, no place stands out"
    assert wide.stands_out(5.0, 0.12) and not wide.stands_out(5.0, 0.1)
    assert wide.words(5.0, 0.1) == wide.words(5.0, math.nan) == usual.words(5.0, 1.0) == ""
    assert wide.words(2.0, 0.12) == usual.words(2.0)  # where nothing was seen, nothing else is said
    strengths, spreads = np.array([5.0, 5.0, 2.0, -math.inf]), np.array([0.12, 0.05, 0.12, math.nan])
    assert wide.are_scattered(strengths, spreads).tolist() == [True, False, False, False]
    assert not usual.are_scattered(strengths, spreads).any()
    assert [ratio(v) for v in (-0.3, -1, -2.5, -9)] == ["1/2.0", "1/10", "1/300", "1/10^9"]


@given(st.floats(-40, 40) | st.just(-math.inf) | st.just(math.nan), st.booleans(), st.booleans())
def test_a_mask_is_never_more_opaque_than_it_was(strength, fade, fixed):
    usual = usual_of(np.linspace(4, 7, 40))
    opacity, gain = weights(strength, usual, Overlay(fade=fade, fixed=fixed))
    assert 0 <= opacity <= 1 and 0 <= gain < math.inf
    assert opacity == 1 if fixed or not fade or not strength < usual.low else opacity < 1
    assert gain == 1 if not fixed else not strength < usual.median or gain < 1
    assert weights(strength, None, Overlay(fade=fade, fixed=fixed)) == (1, 1)


def test_gain_brings_two_masks_to_one_scale():
    image, mask = np.full((4, 6, 3), 90, np.uint8), np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
    for style in ("paper", "heat"):
        overlay = Overlay(style)
        weaker = lay(image, mask, None, overlay, gain=0.5)
        assert np.array_equal(weaker, lay(image, mask * np.float32(0.5), None, overlay))
        stronger = lay(image, mask, None, overlay, gain=9.0)
        assert np.array_equal(stronger, lay(image, np.minimum(mask * 9, 1), None, overlay))


def test_an_output_that_hardly_moves_is_said():
    still, driven = np.radians(np.linspace(3.140, 3.142, 400)), np.radians(np.linspace(-30, 30, 400))
    assert "+3.140° to +3.142° over 400 frames, while the driven angle moves by 60.0°" in steady_text(
        still, driven
    )
    assert "nearly constant" in steady_text(still) and not steady_text(still[:10])
    assert steady_text(still, still) == ""  # as it should be: the driver does not move either
    assert (
        steady_text(driven * 0.1, driven) == "" and steady_text(np.radians(np.linspace(0, 1, 50)), None) == ""
    )
    assert steady_text(driven * 0.01, driven)
    assert steady_text(np.full(30, np.nan)) == ""


def test_of_a_camera_the_last_ten_minutes_are_usual():
    recent, rng = RecentUsual(), np.random.default_rng(0)
    bright, second = rng.normal(6, 0.3, 1200), 1_000_000_000
    for n in range(600):  # 20 a second, of which two count
        recent.add(n * second // 20, bright[n], 0.01, "A")
    assert recent.usual == replace(usual_of(bright[:600:10], np.full(60, 0.01)), whose="the median so far")
    assert recent.usual.words(3.0) == (
        "mask weak: 1/1,000 of the median so far, the network saw next to nothing here"
    )
    recent.add(30 * second, math.nan, math.nan, "A")  # no number counts for nothing
    for n in range(1200):
        recent.add((40 + n) * second, bright[n] - 3, 0.01, "A")
    assert recent.usual.whose == "the median of the last 10 minutes"
    assert recent.usual.median == np.median(bright[-601:] - 3)  # the first and the last, ten minutes apart
    recent.add(5000 * second, 6.0, 0.01, "B")
    assert recent.usual is None


def test_weak_and_scattered_masks_are_summed_up():
    strengths, spreads = np.linspace(4.9, 5.1, 40), np.full(40, 0.01)
    assert doubtful_texts(range(40), strengths, spreads) == []
    strengths[7], spreads[7:10] = 1.0, (0.5, 0.2, 0.3)
    weak, scattered = doubtful_texts(range(100, 140), strengths, spreads)
    assert weak.startswith("1 frame with weak masks") and "frame 107, is 1/10,000 of the median" in weak
    assert scattered.startswith("2 frames with scattered masks")
    assert scattered.endswith("frame 109, is 30 times the median")


def test_black_frames_of_a_real_drive_are_weak_and_fade_in_an_exported_picture(shared, tmp_path):
    path = shared / "data" / "udacity-ch2-video"
    settings = Settings(panels=("camera",), layout="picture", size=(640, 480))
    with open_drive(path) as drive:
        engine = Engine(open_network("NetHVF"), "cpu")
        indices = [*sample_of(len(drive))[::4].tolist(), 944, 945, 946, 947]
        frames = run_frames(drive, [engine], None, indices)
        found, spreads = np.array([(frame.strength, frame.spread) for frame in frames]).T
        usual = usual_of(found[:-4], spreads[:-4])
        assert [usual.is_weak(s) for s in found[-4:]] == [True] * 4
        assert (found[:-4] < usual.low).sum() <= 1
        assert "frame 94" in doubtful_texts(indices, found, spreads)[0]
        assert not usual.are_scattered(found, spreads).any()
        noise = engine.run(np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8))
        assert usual.words(noise.strength, noise.spread).startswith("mask scattered: ")  # and not weak
        red = []
        for fade, opacity in ((True, 0.0), (True, 0.8), (False, 0.8)):
            given = replace(settings, overlay=Overlay(fade=fade, opacity=opacity), usual=usual)
            job = Job(path, OpenOptions(), "NetHVF", "cpu", tmp_path / "a.png", 945, 945, settings=given)
            picture = still(Source(job, drive, engine), 945, lambda done, total: True).astype(int)
            red.append(int((picture[..., 0] - picture[..., 1] > 60).sum()))
    assert (red[1] - red[0]) * 20 < red[2] - red[0]
