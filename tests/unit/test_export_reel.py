"""Reels: parts of a drive in one clip, a title before each, through the exporter that there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from exportmaker import make_drive, make_job
from vbp.errors import VbpError
from vbp.export import compose
from vbp.export.job import Job, Part
from vbp.export.registry import CancelledError, export
from vbp.export.render import open_clip
from vbp.export.titles import CARD_S
from vbp.overlay import Overlay

PARTS = (Part(6, 9, ("1 of 2: Weak mask", "00:00.3, frame 7")), Part(1, 3, ("2 of 2: Step",)))


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_drive(tmp_path_factory.mktemp("drive"), 12)


def test_parts_come_in_their_order_each_after_its_title(drive: Path, tmp_path: Path) -> None:
    output = tmp_path / "reel.mp4"
    job = replace(make_job(drive, output, 1, 9, size=(320, 180), overlay=Overlay(fade=False)), parts=PARTS)
    assert Job.from_json(job.to_json()) == job
    calls: list[tuple[int, int]] = []
    export(job, lambda done, total: calls.append((done, total)) or True)
    with av.open(str(output)) as container:
        shown = [(f.time, f.to_ndarray(format="rgb24").mean()) for f in container.decode(video=0)]
    cards = round(CARD_S * 20)
    assert len(shown) == 2 * cards + 4 + 3 == calls[-1][1]
    light = np.array([mean for _, mean in shown])
    dark = light < 0.6 * np.median(light[-3:])
    assert dark.tolist() == [True] * cards + [False] * 4 + [True] * cards + [False] * 3
    times = np.array([time for time, _ in shown])
    assert np.diff(times) == pytest.approx(0.05, abs=0.002)


def test_smoothing_is_said_and_begins_anew_with_each_part(drive: Path, tmp_path: Path, monkeypatch) -> None:
    """Each part is, to the bit, what it is as a clip of its own."""
    said: list[str] = []
    real = compose.draw_scale
    monkeypatch.setattr(
        compose, "draw_scale", lambda i, t, p, words, on: (said.append(words), real(i, t, p, words, on))
    )
    overlay = Overlay(fade=False, smooth=3)
    job = make_job(drive, tmp_path / "a.mp4", 1, 9, overlay=overlay, panels=("camera",), layout="picture")
    with open_clip(replace(job, parts=PARTS)) as clip:
        reel = [(frame.index, picture) for _, frame, picture in clip.pictures()]
    assert (
        said == ["smoothed over 3 frames"] * 4 + ["smoothed over 2 frames"] + ["smoothed over 3 frames"] * 2
    )
    cards = round(CARD_S * 20)
    alone = []
    for part in PARTS:
        with open_clip(replace(job, first=part.first, last=part.last)) as clip:
            alone += [(frame.index, picture) for _, frame, picture in clip.pictures()]
    shown = [*reel[cards : cards + 4], *reel[2 * cards + 4 :]]
    assert [index for index, _ in shown] == [index for index, _ in alone] == [6, 7, 8, 9, 1, 2, 3]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(shown, alone, strict=True))


def test_cancelled_it_leaves_nothing_and_what_is_no_clip_is_refused(drive: Path, tmp_path: Path) -> None:
    job = replace(
        make_job(drive, tmp_path / "reel.mp4", 1, 9, size=(320, 180), overlay=Overlay(fade=False)),
        parts=PARTS,
    )
    with pytest.raises(CancelledError):
        export(job, lambda done, total: done < 3)
    for name in ("reel.csv", "reel.png"):
        with pytest.raises(VbpError, match="cannot be a reel"):
            export(replace(job, output=tmp_path / name))
    with pytest.raises(VbpError, match="has no frames 8 to 12"):
        export(replace(job, parts=(*PARTS, Part(8, 12))))
    assert list(tmp_path.iterdir()) == []
