"""Erasing what the network steers by changes the angle more than erasing elsewhere does; erasing the sky does not."""

from __future__ import annotations

import cv2
import numpy as np

from vbp.demo import demo_drive
from vbp.drives.opening import open_drive
from vbp.edits import Adjust, Box, Edits, Erase, Stroke, apply
from vbp.edits.baseline import baseline
from vbp.edits.regions import pixels_of
from vbp.engine import Engine, open_network
from vbp.frames import run_frame, run_frames
from vbp.frames.reading import read_frame
from vbp.frames.table import COLUMNS, FrameTable, row_of
from vbp.overlay import Rect
from vbp.results import FrameRequest
from vbp.simulate import load_truth

SLACK = np.ones((7, 7), np.uint8)  # a marking's edges are mixed colours
EDITS = Edits((Erase(Stroke(((200.0, 400.0), (330.0, 420.0)), 14.0), "inpaint"), Adjust("contrast", 0.8)))


def test_the_planted_cue_lies_above_its_baseline_and_the_sky_does_not() -> None:
    """Of the demo's frames with true classes those at equal distances, the first and the last among them, with markings."""
    path = demo_drive()
    assert path is not None
    truth, engine = load_truth(path), Engine(open_network("nethvf"), "cpu")
    chosen = [truth.frames[k] for k in np.linspace(0, len(truth.frames) - 1, 3).round().astype(int)]
    seen = 0
    with open_drive(path) as drive:
        for index in chosen:
            image, classes = drive.frame(index), truth.classes(index)
            crop = engine.prepare(image).crop
            part = Rect(crop.x, crop.y, crop.width, crop.height)
            before = engine.run(image, ()).angle_rad
            sky = Edits((Erase(pixels_of(classes == truth.names.index("sky")), "inpaint"),))
            # All of the sky lies above what this network sees: the angle stays as it was, to the last digit.
            assert engine.run(apply(sky, image), ()).angle_rad == before
            marked = np.isin(classes, [truth.names.index(name) for name in truth.lane_markings])
            if not marked[part.y :].any():
                continue
            lines = cv2.dilate(marked.astype(np.uint8), SLACK).astype(bool)
            cue = Edits((Erase(pixels_of(lines), "inpaint"),))
            found = baseline(
                cue,
                image,
                (part.x, part.y, part.width, part.height),
                lambda picture: engine.run(picture, ()).angle_rad,
            )
            assert found.share >= 0.95, (index, found.words)
            seen += 1
    assert seen >= 2


def test_one_frame_and_many_see_the_same_edited_picture_and_say_so() -> None:
    path = demo_drive()
    assert path is not None
    engine = Engine(open_network("nethvf"), "cpu")
    request = FrameRequest(edits=EDITS)
    with open_drive(path) as drive:
        frame = run_frame(read_frame(drive, 40), [engine], request)
        many = list(run_frames(drive, [engine], request, [39, 40, 41]))
        assert frame.image is not None and frame.recorded is not None and frame.result is not None
        wanted = engine.run(apply(EDITS, drive.frame(40)))
        assert (frame.image == apply(EDITS, drive.frame(40))).all()
        assert (frame.recorded == drive.frame(40)).all()
        assert frame.predicted_rad == wanted.angle_rad
        assert (many[1].image == frame.image).all() and many[1].recorded is not None
        assert abs(many[1].predicted_rad - frame.predicted_rad) < 1e-5
        words = "edited: 1 place erased, contrast 0.8"
        row = row_of(frame, "demo", engine.name, engine.spec)
        assert row[list(COLUMNS).index("edited")] == words == frame.edits.words
        table = FrameTable(drive, engine.spec)
        assert not table.add(frame) and np.isnan(table.predicted).all()
        # Other edits are made in the recorded picture, not on top; none give it back.
        other = run_frame(frame, [engine], FrameRequest(edits=Edits((Erase(Box(0, 300, 90, 50)),))))
        assert other.recorded is frame.recorded and (other.image[:, 100:] == frame.recorded[:, 100:]).all()
        back = run_frame(frame, [engine], FrameRequest())
        assert back.recorded is None and not back.edits and (back.image == drive.frame(40)).all()
        assert back.predicted_rad == engine.run(drive.frame(40)).angle_rad
        gap = run_frame(read_frame(drive, 40).__class__(7, 0, None, "lost"), [engine], request)
        assert gap.image is None and not gap.edits and not gap.results
