"""An export's job as JSON: written, read back, and refused where it is not one; `vbp export --job -`."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exportmaker import ffprobe, make_drive, make_job
from vbp.cli import export as command
from vbp.cli import main
from vbp.drives.base import OpenOptions
from vbp.errors import VbpError
from vbp.export.job import Job, Settings
from vbp.frames.strengths import Usual
from vbp.overlay import Overlay, Rect

FULL = Job(
    drive_path=Path("a folder/drive.bag"),
    options=OpenOptions("center", "deg", "right", 0.5),
    model="mine:net?weights=a b.pt",
    device="cpu",
    output=Path("-ä clip.mp4"),
    first=3,
    last=17,
    force=True,
    settings=Settings(
        "mp4",
        ("lrp", "fbi", "plot"),
        "row",
        12.5,
        (640, 360),
        "hevc",
        "best",
        "cpu",
        overlay=Overlay("heat", 0.35, fade=False, fixed=True, ground="grey", smooth=5),
        usual=Usual(-3.5, -5.25, 0.01),
        target="error",
        parameters={"lrp": {"eps": 1e-3, "bias": 0.0}, "fbi": {"tau": 5.0}},
    ),
    crop=Rect(1, 2, 300, 62),
)


def changed(**values: Any) -> str:
    return json.dumps(json.loads(FULL.to_json()) | values)


def test_it_is_the_same_when_it_was_read_back() -> None:
    plain = replace(FULL, settings=Settings(), options=OpenOptions(), crop=None, force=False)
    for job in (FULL, plain):
        text = job.to_json()
        assert text.isascii() and "\n" not in text
        assert Job.from_json(text) == Job.from_json(text.encode()) == job


def test_what_has_a_default_may_be_left_out() -> None:
    least = {"format": "vbp export", "version": 3, "drive_path": "d", "options": {}, "model": "NetSVF"}
    least |= {"device": "cpu", "output": "a.mp4", "first": 0, "last": 4}
    expected = Job(Path("d"), OpenOptions(), "NetSVF", "cpu", Path("a.mp4"), 0, 4)
    assert Job.from_json(json.dumps(least)) == expected
    for name in ("drive_path", "options", "model", "device", "output", "first", "last"):
        with pytest.raises(VbpError, match=f"{name} is missing"):
            Job.from_json(json.dumps({k: v for k, v in least.items() if k != name}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        (b"\xff\xfe{}", "no JSON"),
        ("[]", '"format": "vbp export"'),
        (changed(format="vbp session"), '"format": "vbp export"'),
        (changed(version=1), "of version 1"),
        (changed(version=True), "of version True"),
        (changed(first="3"), 'first of the export\'s job is "3", which is no int'),
        (changed(first=3.0), "first"),
        (changed(first=True), "first"),
        (changed(first=2**70), "first"),
        (changed(force=1), "force"),
        (changed(output=""), "output"),
        (changed(output="a\0b"), "output"),
        (changed(model=None), "model"),
        (changed(surprise=1), "no 'surprise'"),
        (changed(crop={"x": 0, "y": 0, "width": 4}), "crop.height is missing"),
        (changed(crop=[0, 0, 4, 4]), "crop"),
        (changed(options={"max_gap_s": float("nan")}), "options.max_gap_s"),
        (changed(options={"max_gap_s": 10**400}), "options.max_gap_s"),
        (changed(settings={"size": [640]}), "settings.size"),
        (changed(settings={"size": [640, 360.5]}), "settings.size"),
        (changed(settings={"panels": "camera"}), "settings.panels"),
        (changed(settings={"panels": ["camera", 3]}), "settings.panels"),
        (changed(settings={"parameters": {"lrp": {"eps": "1"}}}), "settings.parameters.lrp.eps"),
        (changed(settings={"parameters": {"lrp": 1}}), "settings.parameters.lrp"),
        (changed(settings={"colour": "red"}), "no 'settings.colour'"),
    ],
)
def test_what_is_no_job_is_one_sentence(text: str | bytes, words: str) -> None:
    with pytest.raises(VbpError) as caught:
        Job.from_json(text)
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(json.loads(FULL.to_json()))), JSON)
def test_any_value_of_a_field_is_read_or_refused(name: str, value: Any) -> None:
    try:
        job = Job.from_json(changed(**{name: value}))
    except VbpError:
        return
    assert Job.from_json(job.to_json()) == job


# --- vbp export --job - ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_drive(tmp_path_factory.mktemp("drive"), 6)


@pytest.fixture
def say():
    """What stands on stdin."""
    read_end, write_end = os.pipe()
    before = os.dup(0)
    os.dup2(read_end, 0)

    def put(text: str) -> None:
        os.write(write_end, text.encode())
        os.close(write_end)

    yield put
    os.dup2(before, 0)
    os.close(before)
    os.close(read_end)


def test_the_command_reads_a_job(drive: Path, tmp_path: Path, say, capsys) -> None:
    job = make_job(drive, tmp_path / "clip.mp4", 1, 4, panels=("fbi",), target="negative")
    say(job.to_json() + "\n")
    assert main(["export", "--job", "-", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["frames"], facts["output"]) == (4, str(job.output))
    assert int(ffprobe(job.output)["streams"][0]["nb_read_frames"]) == 4


def test_the_command_is_what_the_job_says(drive: Path, tmp_path: Path, say, monkeypatch) -> None:
    job = replace(FULL, drive_path=drive, options=OpenOptions(), first=1, last=4, output=tmp_path / "a.mp4")
    seen: list[Job] = []
    monkeypatch.setattr(command, "export", lambda job, progress: seen.append(job) or job.output)
    say(job.to_json() + "\n")
    assert main(["export", "--job", "-"]) == 0
    assert seen == [job]


@pytest.mark.parametrize(
    ("words", "text", "said"),
    [
        ([], "nonsense\n", "no JSON"),
        ([], "", "no JSON"),
        (["DRIVE"], "", "leave out: source"),
        (["--eps", "3", "--layout", "row"], "", "leave out: layout, eps"),
    ],
)
def test_what_is_wrong_with_it_is_one_line(words, text, said, say, capsys) -> None:
    say(text)
    assert main(["export", "--job", "-", *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_frames_that_the_drive_has_not(drive: Path, tmp_path: Path, say, capsys) -> None:
    say(make_job(drive, tmp_path / "a.mp4", 4, 9).to_json() + "\n")
    assert main(["export", "--job", "-"]) == 2
    assert "has no frames 4 to 9" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_without_a_job_the_recording_and_the_output_are_asked_for(drive: Path, capsys) -> None:
    for words in ([], [str(drive)], ["-o", "a.mp4"]):
        assert main(["export", *words]) == 2
        assert "name a recording, and with -o what to write" in capsys.readouterr().err


def test_cancelled_right_after_the_job(drive: Path, tmp_path: Path, say, capsys) -> None:
    say(make_job(drive, tmp_path / "a.mp4", 0, 5).to_json() + "\ncancel\n")
    assert main(["export", "--job", "-", "--json-progress"]) == 2
    assert "the export was cancelled" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_half_a_character_is_one_sentence() -> None:
    for field in ("output", "drive_path", "model"):
        text = changed(**{field: "/tmp/\ud800.csv"})
        with pytest.raises(VbpError, match=f"{field} of the export's job holds characters"):
            Job.from_json(text)
