"""Files that are whole or not there, with the rights of any new file, and never somebody else's."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vbp.errors import VbpError
from vbp.files import hidden_folder, whole_file
from vbp.models.atomic import atomic_write, temporary_file


def test_what_was_there_stays_until_the_new_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    for error in (KeyboardInterrupt, ValueError, OSError):
        with pytest.raises(error), atomic_write(target) as temporary:
            temporary.write_text("half")
            assert target.read_text() == "old"
            raise error
        assert [p.name for p in tmp_path.iterdir()] == ["a.txt"] and target.read_text() == "old"
    with atomic_write(target, on_disk=True) as temporary:
        temporary.write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"] and target.read_text() == "new"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_file_has_the_rights_of_any_new_one(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        (tmp_path / "plain").touch()
        with atomic_write(tmp_path / "text") as temporary:
            temporary.write_text("x")
        with atomic_write(tmp_path / "tensors") as temporary:
            save_file({"x": torch.zeros(1)}, temporary)  # makes a file of its own, for its owner alone
    finally:
        os.umask(before)
    plain, text, tensors = (stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("plain", "text", "tensors"))
    assert plain == text == tensors == 0o666 & ~umask


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    with atomic_write(target) as temporary:
        temporary.write_text("x")
    assert target.read_text() == "x"


def test_a_temporary_file_may_be_renamed_and_is_else_removed(tmp_path: Path) -> None:
    with temporary_file(tmp_path / "a") as one, temporary_file(tmp_path / "a") as two:
        assert one != two and one.name.startswith(".a.")
        one.rename(tmp_path / "kept")
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_only_what_vbp_wrote_is_replaced(tmp_path: Path) -> None:
    target, source = tmp_path / "a.csv", tmp_path / "drive.bag"
    target.write_text("mine")
    source.write_text("recording")

    def write(path: Path, ours: bool, force: bool = False) -> None:
        with whole_file(path, lambda _: ours, source, force) as temporary:
            temporary.write_text("vbp's")

    with pytest.raises(VbpError, match="exists and was not written by vbp"):
        write(target, ours=False)
    assert target.read_text() == "mine"
    write(target, ours=True)
    assert target.read_text() == "vbp's"
    with pytest.raises(VbpError, match="is the recording itself"):
        write(source, ours=True, force=True)
    assert source.read_text() == "recording"
    link = tmp_path / "link"
    link.symlink_to(target)
    target.write_text("mine")
    write(link, ours=False, force=True)
    assert link.is_symlink() and target.read_text() == "vbp's"
    assert {p.name for p in tmp_path.iterdir()} == {"a.csv", "drive.bag", "link"}


@pytest.mark.skipif(sys.platform == "win32", reason="a folder cannot be held there")
def test_what_a_killed_process_left_of_a_folder_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """The next one for the same target does; one that is being written stays, as do those of others."""
    target = tmp_path / "road"
    with hidden_folder(target) as ours:
        (ours / "a.txt").write_text("a")
        left = tmp_path / ".road.01234567.part"
        others = [
            tmp_path / name for name in (".roads.01234567.part", ".road.mine.part", "road.01234567.part")
        ]
        young = tmp_path / ".road.76543210.part"
        for folder in (left, young, *others):
            folder.mkdir()
            (folder / "b.txt").write_text("b")
        link = tmp_path / ".road.abcdef01.part"
        link.symlink_to(others[0])
        for folder in (ours, left, *others):
            os.utime(folder, (1e9, 1e9))
        with hidden_folder(target) as second:
            kept = {p.name for p in tmp_path.iterdir()}
        assert kept == {p.name for p in (ours, young, link, second, *others)}
        assert (ours / "a.txt").read_text() == "a" and (others[0] / "b.txt").is_file()
    assert not ours.exists() and not second.exists()
