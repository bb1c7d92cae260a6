"""A damaged recording costs no more than what is damaged, and recordings of every version open."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livemaker import scene
from recordingmaker import START_NS, STEP_NS, live_frame, predicted_class, result
from vbp.drives import open_drive, recording
from vbp.drives.recording import HEAD, ROWS, VIDEO, parse_row, read_rows
from vbp.errors import DriveError
from vbp.live import recording_files


def lines_of(count: int) -> bytes:
    head = ",".join(recording.COLUMNS) + "\n"
    # No network says both an angle and a class, but the file can.
    found = result(-0.25, predicted_class(14, 0.1, 'keep "right", always'))
    rows = [
        recording_files.row(
            i,
            replace(
                live_frame(i, scene()), driven_rad=0.5 * i, speed_mps=2.0, measured_ns=1, results=(found,)
            ),
        )
        for i in range(count)
    ]
    return head.encode() + b"".join(rows)


WHOLE_ROWS = lines_of(12)


@settings(max_examples=200)
@given(st.integers(0, len(WHOLE_ROWS)))
def test_rows_cut_anywhere_are_the_whole_lines(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.csv"
    path.write_bytes(WHOLE_ROWS[:cut])
    rows = read_rows(path)
    n = max(WHOLE_ROWS[:cut].count(b"\n") - 1, 0)
    assert len(rows.good) == n and rows.good.all() and rows.notes == []
    assert rows.timestamps_ns.tolist() == [START_NS + i * STEP_NS + (i * 7919) % 1_000_003 for i in range(n)]
    assert rows.driven_rad.tolist() == [0.5 * i for i in range(n)]
    assert rows.predicted_rad.tolist() == [-0.25] * n
    assert rows.predicted_class.tolist() == [14] * n and rows.probability.tolist() == [0.1] * n


@settings(max_examples=300)
@given(st.data())
def test_damaged_rows_never_raise_and_good_rows_keep_their_frame(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    at = data.draw(st.integers(0, len(WHOLE_ROWS) - 1))
    junk = data.draw(st.binary(max_size=40))
    gone = data.draw(st.integers(0, 60))
    body = WHOLE_ROWS[:at] + junk + WHOLE_ROWS[at + gone :]
    path.write_bytes(body)
    rows = read_rows(path)
    assert len(rows.good) == len(rows.timestamps_ns) == len(rows.driven_rad) <= 10**6
    lines = set(body.split(b"\n")[:-1])
    for i in np.flatnonzero(rows.good):  # each says what a line of its number says
        assert any(
            (row := parse_row(line)) is not None and row[0] == i and row[1] == rows.timestamps_ns[i]
            for line in lines
        )
    if at > len(WHOLE_ROWS) // 2 and b"\n" not in junk:
        before = WHOLE_ROWS[:at].count(b"\n") - 1
        assert rows.good[: before - 1].all()  # what is before the damage is not touched by it


def test_any_name_of_a_class_can_be_read_back_by_who_knows_csv() -> None:
    row = next(csv.DictReader(io.StringIO(WHOLE_ROWS.decode())))
    assert row["class_name"] == 'keep "right", always' and row["class"] == "14"
    found = result(0.0, predicted_class(1, 0.5, "two\nlines, and \r\n more"))
    line = recording_files.row(0, replace(live_frame(0, scene()), results=(found,)))
    assert line.count(b"\n") == 1 and parse_row(line, current=True) is not None
    assert next(csv.reader([line.decode()]))[-1] == "two lines, and more"


OLDER = (
    "frame,timestamp_ns,measured_rad,predicted_rad,speed_mps,measured_timestamp_ns,seq,"
    "predicted_class,probability"
)


@pytest.mark.parametrize("columns", [7, 9])  # before there were classifiers, and with them
def test_recordings_of_version_1_are_read(whole_recording: Path, tmp_path: Path, columns: int) -> None:
    def older(folder: Path) -> None:
        with (folder / ROWS).open(newline="") as file:
            rows = list(csv.DictReader(file))
        lines = [OLDER]
        for n, row in enumerate(rows):
            before = [row[name] for name in ("frame", "timestamp_ns", "driven_rad", "predicted_rad")]
            lines.append(
                ",".join([*before, row["speed_mps"], row["measured_timestamp_ns"], "1", str(n), "0.5"])
            )
        (folder / ROWS).write_text("".join(",".join(line.split(",")[:columns]) + "\n" for line in lines))
        head = json.loads((folder / HEAD).read_text())
        (folder / HEAD).write_text(json.dumps({**head, "version": 1}))

    with open_drive(whole_recording) as new, open_drive(copy_with(whole_recording, tmp_path, older)) as old:
        assert isinstance(old, recording.RecordingDrive) and isinstance(new, recording.RecordingDrive)
        assert old.timestamps_ns.tolist() == new.timestamps_ns.tolist() and old.info.notes == new.info.notes
        np.testing.assert_array_equal(old.angle_rad, new.angle_rad)
        np.testing.assert_array_equal(old.speed_mps, new.speed_mps)
        np.testing.assert_array_equal(old.predicted_rad, new.predicted_rad)
        assert np.isfinite(old.predicted_rad).any()
        assert old.predicted_class.tolist() == (list(range(60)) if columns == 9 else [-1] * 60)


def test_a_row_that_lost_cells_is_not_taken_for_one_of_an_older_recording() -> None:
    line = WHOLE_ROWS.splitlines(keepends=True)[3]
    assert parse_row(line, current=True) is not None
    for columns in (7, 9):
        cut = b",".join(b"1" for _ in range(columns)) + b"\n"
        assert parse_row(cut, current=True) is None and parse_row(cut) is not None


@given(st.binary(max_size=200))
def test_a_line_of_anything_is_a_row_or_none(line: bytes) -> None:
    row = parse_row(line)
    if row is not None:
        assert row[0] >= 0 and not np.isinf(row[2:]).any()


def copy_with(whole_recording: Path, tmp_path: Path, edit) -> Path:
    folder = shutil.copytree(whole_recording, tmp_path / "d")
    edit(folder)
    return folder


def replace_row(folder: Path, number: int, line: bytes) -> None:
    lines = (folder / ROWS).read_bytes().split(b"\n")
    lines[number + 1] = line
    (folder / ROWS).write_bytes(b"\n".join(lines))


def stamps(count: int) -> list[int]:
    return [live_frame(i, scene()).timestamp_ns for i in range(count)]


def test_a_damaged_line_costs_the_label_of_its_frame_only(whole_recording: Path, tmp_path: Path) -> None:
    folder = copy_with(whole_recording, tmp_path, lambda f: replace_row(f, 20, b"20,14794\0\0\0\0\0,,"))
    with open_drive(folder) as drive:
        assert (
            len(drive) == 60
            and np.isnan(drive.angle_rad[20])
            and np.isfinite(drive.angle_rad[[19, 22]]).all()
        )
        wanted = stamps(60)
        assert abs(int(drive.timestamps_ns[20]) - wanted[20]) <= 2_000_000  # by the video's clock
        assert np.delete(drive.timestamps_ns, 20).tolist() == np.delete(wanted, 20).tolist()
        assert any("1 lines of frames.csv are damaged" in n for n in drive.info.notes)


@pytest.mark.parametrize("time_ns", [b"9" * 18, b"0", b"1479425481182877835"])
def test_a_damaged_time_stamp_does_not_move_the_others(
    whole_recording: Path, tmp_path: Path, time_ns: bytes
) -> None:
    folder = copy_with(
        whole_recording, tmp_path, lambda f: replace_row(f, 20, b"20," + time_ns + b",0.5,,,,,,,,,,")
    )
    with open_drive(folder) as drive:
        wanted = stamps(60)
        assert abs(int(drive.timestamps_ns[20]) - wanted[20]) <= 2_000_000
        assert np.delete(drive.timestamps_ns, 20).tolist() == np.delete(wanted, 20).tolist()
        assert any("1 time stamps in frames.csv are damaged" in n for n in drive.info.notes)


def test_rows_that_end_before_the_video_leave_out_the_rest(whole_recording: Path, tmp_path: Path) -> None:
    def cut(folder: Path) -> None:
        (folder / ROWS).write_bytes(b"\n".join((folder / ROWS).read_bytes().split(b"\n")[:41]) + b"\n40,1479")

    with open_drive(copy_with(whole_recording, tmp_path, cut)) as drive:
        assert len(drive) == 40 and drive.timestamps_ns.tolist() == stamps(40)
        assert any("the last 20 of 60 frames have no row" in n for n in drive.info.notes)


@pytest.mark.parametrize("text", [None, b"", b"frame,\n", b"\0" * 500, b"\xff\xfe" * 99, b"a,b,c\n1,2,3\n"])
def test_without_rows_the_video_is_shown_with_its_own_times(
    whole_recording: Path, tmp_path: Path, text: bytes | None
) -> None:
    def edit(folder: Path) -> None:
        (folder / ROWS).unlink()
        if text is not None:
            (folder / ROWS).write_bytes(text)

    with open_drive(copy_with(whole_recording, tmp_path, edit)) as drive:
        assert len(drive) == 60 and drive.timestamps_ns[0] == 0 and np.isnan(drive.angle_rad).all()
        assert any("the times are the video's own" in n for n in drive.info.notes)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"format": "other"}',
        b'{"format": "vbp-recording", "version": 1}',
        b"\xff" * 9,
        b"[" * 100_000,
        b'{"format": "vbp-recording", "version": 1, "width": -1, "height": 1e99}',
    ],
)
def test_a_damaged_head_is_told_and_the_rest_opens(
    whole_recording: Path, tmp_path: Path, text: bytes
) -> None:
    folder = copy_with(whole_recording, tmp_path, lambda f: (f / HEAD).write_bytes(text))
    with open_drive(folder) as drive:
        assert len(drive) == 60 and drive.timestamps_ns.tolist() == stamps(60)
        assert any("vbp-recording.json is damaged" in n for n in drive.info.notes)


def test_what_cannot_be_opened_is_said_in_one_sentence(whole_recording: Path, tmp_path: Path) -> None:
    def newer(folder: Path) -> None:
        head = json.loads((folder / HEAD).read_text())
        (folder / HEAD).write_text(json.dumps({**head, "version": 99}))

    with pytest.raises(DriveError, match="written by a newer vbp"):
        open_drive(copy_with(whole_recording, tmp_path, newer))
    shutil.rmtree(tmp_path / "d")
    with pytest.raises(DriveError, match=r"whose video\.mkv is missing"):
        open_drive(copy_with(whole_recording, tmp_path, lambda f: (f / VIDEO).unlink()))
    shutil.rmtree(tmp_path / "d")
    with pytest.raises(DriveError, match=r"video\.mkv"):
        open_drive(copy_with(whole_recording, tmp_path, lambda f: (f / VIDEO).write_bytes(b"")))


def test_a_recording_that_was_never_ended_says_so(whole_recording: Path, tmp_path: Path) -> None:
    def edit(folder: Path) -> None:
        head = json.loads((folder / HEAD).read_text())
        del head["end"]
        (folder / HEAD).write_text(json.dumps(head))

    with open_drive(copy_with(whole_recording, tmp_path, edit)) as drive:
        assert "the recording was cut off: vbp ended before it was finished" in drive.info.notes
