"""Exports that cannot be: one sentence each, and nothing of the user's is touched."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exportmaker import ffprobe, make_drive, make_job
from vbp.cli.export import chosen
from vbp.cli.main import main
from vbp.drives import Drive, open_drive
from vbp.errors import VbpError
from vbp.export.part_file import check_part, growing, part_name
from vbp.export.registry import export
from vbp.overlay import Overlay

resource = pytest.importorskip("resource")

N = 12


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_drive(tmp_path_factory.mktemp("drive"), N)


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) if arguments[-1] == "usage" else nullcontext():
        assert main(["export", *(str(a) for a in arguments if a != "usage")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("vbp: "), lines
    return lines[0]


def test_what_the_command_line_does_not_understand(drive: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "clip.mp4"
    assert "vp9" in said(capsys, drive, "-o", out, "--codec", "vp9")
    assert ".mkv" in said(capsys, drive, "-o", out, "--codec", "ffv1")
    assert "what to write" in said(capsys, drive, "-o", tmp_path / "clip.xyz")
    assert "flv" in said(capsys, drive, "-o", out, "--format", "flv")
    assert "panel 'foo'" in said(capsys, drive, "-o", out, "--panels", "camera,foo")
    assert "twice" in said(capsys, drive, "-o", out, "--panels", "camera,camera")
    assert "nothing to show" in said(capsys, drive, "-o", out, "--panels", "")
    assert "layout" in said(capsys, drive, "-o", out, "--layout", "pile")
    assert "style" in said(capsys, drive, "-o", out, "--style", "blue")
    assert "quality" in said(capsys, drive, "-o", out, "--quality", "52")
    assert "0 frames per second" in said(capsys, drive, "-o", out, "--fps", "0")
    assert "GIF" in said(capsys, drive, "-o", tmp_path / "a.gif", "--fps", "60")
    assert "3x3" in said(capsys, drive, "-o", out, "--size", "3x3")
    assert "no size" in said(capsys, drive, "-o", out, "--size", "large", "usage")
    assert "understood" in said(capsys, drive, "-o", out, "--start", "noon")
    assert "0 to 11" in said(capsys, drive, "-o", out, "--start", "12")
    assert "one frame" in said(capsys, drive, "-o", tmp_path / "a.png", "--start", "1", "--end", "2")
    assert list(tmp_path.iterdir()) == []


def test_an_option_that_would_be_ignored_is_said(drive: Path, tmp_path: Path, capsys) -> None:
    for name, options, words in (
        ("a.csv", ["--fps", "5"], "--fps means nothing for a .csv file"),
        ("a.mcap", ["--fps", "5", "--size", "640x480"], "--fps and --size mean nothing for a .mcap file"),
        ("a.png", ["--fps", "5", "--start", "1"], "one picture has no rate"),
    ):
        out = tmp_path / name
        assert words in said(capsys, drive, "--model", "NetHVF", "-o", out, *options)
        assert not out.exists()


def test_places_that_cannot_be_written(drive: Path, tmp_path: Path, capsys) -> None:
    assert "is no folder" in said(capsys, drive, "-o", tmp_path / "none" / "clip.mp4")
    (tmp_path / "file").write_text("mine")
    assert "is no folder" in said(capsys, drive, "-o", tmp_path / "file" / "clip.mp4")
    (tmp_path / "dir.mp4").mkdir()
    assert "is a folder" in said(capsys, drive, "-o", tmp_path / "dir.mp4")
    assert "cannot be written" in said(capsys, drive, "-o", "/proc/clip.mp4", "--start", "0", "--end", "1")
    (tmp_path / "full.mp4").symlink_to("/dev/full")
    assert "device" in said(capsys, drive, "-o", tmp_path / "full.mp4")
    assert "file of the recording" in said(
        capsys, drive.parent, "-o", drive, "--force"
    ) or "recording" in said(capsys, drive, "-o", drive, "--force")
    assert "recording itself" in said(capsys, drive, "-o", drive, "--force")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.gif", "clip.png"])
def test_a_file_of_mine_stays_and_one_of_vbp_s_is_replaced(drive: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    last = 0 if name.endswith("png") else 2
    path.write_bytes(b"mine")
    with pytest.raises(VbpError, match="not written by vbp"):
        export(make_job(drive, path, 0, last))
    assert path.read_bytes() == b"mine" and len(list(tmp_path.iterdir())) == 1
    export(make_job(drive, path, 0, last, force=True))
    first = path.read_bytes()
    export(make_job(drive, path, 0, last, overlay=Overlay(opacity=0.1)))  # this one is ours
    assert path.read_bytes() != first
    ffprobe(path)


def test_a_part_of_mine_stays(drive: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.part.mp4").write_bytes(b"mine")
    with pytest.raises(VbpError, match="in the way"):
        export(make_job(drive, tmp_path / "clip.mp4", 0, 2, force=True))
    assert (tmp_path / "clip.part.mp4").read_bytes() == b"mine"


def test_a_folder_of_mine_stays_and_one_of_vbp_s_is_replaced(drive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    export(make_job(drive, folder, 0, 3, format="pictures"))
    names = sorted(p.name for p in folder.iterdir())
    assert names == ["000000.png", "000001.png", "000002.png", "000003.png", "frames.csv"]
    assert ffprobe(folder / "000003.png")["streams"][0]["width"] == 320
    export(make_job(drive, folder, 0, 1, format="pictures"))
    assert sorted(p.name for p in folder.iterdir()) == ["000000.png", "000001.png", "frames.csv"]
    earlier = (
        "file,time_ns,frame,timestamp_ns,driven_deg\n000000.png,0,0,0,1.5\n"  # as versions before wrote it
    )
    (folder / "frames.csv").write_text(earlier)
    export(make_job(drive, folder, 0, 2, format="pictures"))
    assert len(list(folder.iterdir())) == 4
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(VbpError, match="did not export"):
        export(make_job(drive, folder, 0, 3, force=True, format="pictures"))
    assert (folder / "notes.txt").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 20 kB, as on a disk that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_two_exports_of_pictures_to_one_name_do_not_mix(drive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    first, second = (make_job(drive, folder, 0, last, format="pictures") for last in (3, 5))

    def meanwhile(done: int, total: int) -> bool:
        with pytest.raises(VbpError, match="is being written by another export"):
            export(second)
        return True

    export(first, meanwhile)
    files = ["000000.png", "000001.png", "000002.png", "000003.png", "frames.csv"]
    assert sorted(os.listdir(folder)) == files
    export(second)
    assert len(os.listdir(folder)) == 7 and os.listdir(tmp_path) == ["pictures"]

    def stop(done: int, total: int) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(first, stop)
    part = tmp_path / "pictures.part"
    assert sorted(os.listdir(part)) == ["000000.png", "frames.csv"]
    (part / ".vbp-lock").touch()  # of a process that was killed
    export(first)
    assert sorted(os.listdir(folder)) == files and not part.exists()


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.gif", "clip.png", "folder"])
def test_a_write_that_fails_is_one_sentence_and_leaves_nothing(
    drive: Path, tmp_path: Path, small_files: None, name: str
) -> None:
    settings = {"format": "pictures"} if name == "folder" else {}
    last = 0 if name.endswith("png") else N - 1
    with pytest.raises(VbpError, match=f"{name} cannot be written"):
        export(make_job(drive, tmp_path / name, 0, last, size=(640, 360), quality="0", **settings))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs to mount a small disk")
def test_a_full_disk(drive: Path, tmp_path: Path) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=False
    ).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        for name in ("clip.mp4", "clip.mkv", "clip.gif"):
            with pytest.raises(VbpError, match=r"cannot be written: No space left on device"):
                export(make_job(drive, tmp_path / name, 0, N - 1, size=(640, 360), quality="0"))
            assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


# --- which frames ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(drive: Path) -> Iterator[Drive]:
    with open_drive(drive) as found:
        yield found


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, (0, 11)),
        ("3", None, (3, 11)),
        ("3", "3", (3, 3)),
        ("0:00.1", "0.3s", (2, 6)),
        ("0.11s", "0.29s", (3, 5)),
        (None, "0:01:00", (0, 11)),
    ],
)
def test_frames_by_number_and_by_time(opened: Drive, start: str, end: str, expected: tuple[int, int]) -> None:
    assert chosen(opened, start, end, single=False) == expected


def test_a_single_picture_needs_no_end(opened: Drive) -> None:
    assert chosen(opened, "5", None, single=True) == (5, 5)


@given(st.text(alphabet="0123456789:.s -x", max_size=8), st.text(alphabet="0123456789:.s -x", max_size=8))
def test_any_text_is_frames_or_one_sentence(opened: Drive, start: str, end: str) -> None:
    try:
        first, last = chosen(opened, start, end, single=False)
    except VbpError as error:
        assert "\n" not in str(error)
    else:
        assert 0 <= first <= last < N


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="elsewhere a file that is written cannot be held")
@pytest.mark.parametrize("begins", ["before", "after"])
def test_two_exports_to_one_clip_at_once(tmp_path: Path, begins: str) -> None:
    """The second is told when it begins, or where the first had nothing on the disk by then, as soon as it has."""
    target = tmp_path / "clip.mkv"
    part = part_name(target)
    with growing(target, target) as first:
        Path(first.path).write_bytes(b"first")
        if begins == "after":
            first.show(part)
            with pytest.raises(VbpError, match=r"clip\.mkv is being written by another export"):
                check_part(target, lambda path: True)
        else:
            with (
                pytest.raises(VbpError, match=r"clip\.mkv is being written by another export"),
                growing(target, target) as second,
            ):
                check_part(target, lambda path: True)
                first.show(part)
                second.show(part)
        assert part.read_bytes() == b"first"
        first.finish()
    assert target.read_bytes() == b"first"
    part.write_bytes(b"of one that was killed")
    assert check_part(target, lambda path: True) == part
