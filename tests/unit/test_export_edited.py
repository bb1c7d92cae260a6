"""What is exported of edited pictures shows them, and says so, in every kind of file."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from exportmaker import frames_of, make_drive, make_job
from vbp.cli.export import edits_of
from vbp.drives.opening import open_drive
from vbp.edits import Adjust, Box, Edits, Erase, apply
from vbp.edits.edit import NONE
from vbp.errors import VbpError
from vbp.export.about import about
from vbp.export.compose import Composer
from vbp.export.facts import facts_of
from vbp.export.frames import open_source
from vbp.export.job import Job
from vbp.export.registry import export

EDITS = Edits((Erase(Box(100, 130, 60, 40), "mean"), Adjust("brightness", 15.0)))
WORDS = "edited: 1 place erased, brightness 15"


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_drive(tmp_path_factory.mktemp("edited"), 3)


def test_a_clip_shows_the_edited_picture_and_says_that_it_is(drive: Path, tmp_path: Path) -> None:
    panels = ("camera", "visualbackprop")
    job = make_job(drive, tmp_path / "clip.mkv", 0, 1, codec="ffv1", panels=panels, size=(640, 360))
    job = replace(job, edits=EDITS.to_text())
    assert Job.from_json(job.to_json()) == job
    export(job)
    with av.open(str(job.output)) as clip:
        shown = next(clip.decode(video=0)).to_ndarray(format="rgb24")
    frame = frames_of(job)[0]
    with open_drive(drive) as recorded:
        assert (frame.image == apply(EDITS, recorded.frame(0))).all() and frame.edits == EDITS
    with open_source(job) as source:
        composer = Composer(
            facts_of(source.drive, source.engine, np.array([0, 1]), 0, source.usual), job.settings
        )
        said, unsaid = composer.draw(frame), composer.draw(replace(frame, edits=NONE))
        assert about(source)["edited"] == WORDS and Edits.from_text(about(source)["edits"]) == EDITS
    assert (shown == said).all()
    different = (said != unsaid).any(2)
    for tile in composer.places.tiles:
        part = different[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
        assert part[: tile.height // 3].any() and not part[tile.height // 2 :].any()


def test_tables_say_it_of_every_frame_and_the_plain_picture_is_the_recorded_one(
    drive: Path, tmp_path: Path
) -> None:
    job = replace(make_job(drive, tmp_path / "numbers.csv", 0, 2), edits=EDITS.to_text())
    export(job)
    with job.output.open() as file:
        assert [row["edited"] for row in csv.DictReader(file)] == [WORDS] * 3
    job = replace(job, settings=replace(job.settings, panels=("plain",), layout="picture"))
    frame = frames_of(job)[0]
    with open_source(job) as source:
        composer = Composer(facts_of(source.drive, source.engine, np.array([0]), 0, None), job.settings)
        assert (composer.draw(frame) == composer.draw(replace(frame, image=frame.recorded, edits=NONE))).all()


def test_edits_come_from_a_file(drive: Path, tmp_path: Path) -> None:
    file = tmp_path / "edits.json"
    file.write_text(EDITS.to_text())
    assert Edits.from_text(edits_of(file)) == EDITS and edits_of(None) == ""
    with pytest.raises(VbpError, match="cannot be read"):
        edits_of(tmp_path / "none.json")
    file.write_text("{}x")
    with pytest.raises(VbpError, match="the edits are not understood"):
        edits_of(file)
    with pytest.raises(VbpError, match="the edits are not understood"):
        frames_of(replace(make_job(drive, tmp_path / "x.mkv", 0, 1), edits="[1]"))
