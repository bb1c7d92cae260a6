"""The order of names, and names in a list, which stay inside the drive's folder: by property."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vbp.drives.paths import MISSING, OUTSIDE, UNNAMED, FolderIndex, natural_key, split_name

# --- natural order ------------------------------------------------------------------------------------


def test_natural_order() -> None:
    names = ["img10.jpg", "img2.jpg", "IMG3.jpg", "img1.jpg", "img02.jpg", "a/10.jpg", "a/9.jpg"]
    assert sorted(names, key=natural_key) == [
        "a/9.jpg", "a/10.jpg", "img1.jpg", "img02.jpg", "img2.jpg", "IMG3.jpg", "img10.jpg",
    ]  # fmt: skip


@given(
    st.lists(st.integers(0, 10**12), unique=True),
    st.text("abc_-.", max_size=5),
    st.text("abc_-.", max_size=5),
)
def test_natural_order_is_that_of_the_numbers(numbers: list[int], before: str, after: str) -> None:
    names = [f"{before}{n}{after}" for n in numbers]
    assert sorted(names, key=natural_key) == [f"{before}{n}{after}" for n in sorted(numbers)]


@given(st.lists(st.text(max_size=10), unique=True, max_size=8))
def test_natural_order_is_total(names: list[str]) -> None:
    once = sorted(names, key=natural_key)
    names.reverse()
    assert sorted(names, key=natural_key) == once
    assert len({natural_key(name) for name in names}) == len(names)


# --- names stay inside the folder ---------------------------------------------------------------------


def tree(root: Path) -> Path:
    drive = root / "drive"
    (drive / "IMG").mkdir(parents=True)
    (drive / "sub/IMG").mkdir(parents=True)
    (drive / "x.jpg").mkdir()
    for name in ("IMG/center_1.jpg", "IMG/Ärger.JPG", "top.jpg", "sub/IMG/center_1.jpg"):
        (drive / name).write_bytes(b"inside")
    (root / "etc").mkdir()
    (root / "etc/passwd").write_bytes(b"outside")
    (root / "secret.jpg").write_bytes(b"outside")
    (drive / "leak.jpg").symlink_to(root / "secret.jpg")
    (drive / "leakdir").symlink_to(root)
    (drive / "alias.jpg").symlink_to("IMG/center_1.jpg")
    (drive / "aliasdir").symlink_to("IMG")
    (drive / "broken.jpg").symlink_to("nowhere.jpg")
    (drive / "loop").symlink_to("loop")
    return drive


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("IMG/center_1.jpg", "IMG/center_1.jpg"),
        ("C:\\Users\\x\\IMG\\center_1.jpg", "IMG/center_1.jpg"),
        ("/home/joe/data/IMG/center_1.jpg", "IMG/center_1.jpg"),
        ("\\\\server\\share\\IMG\\center_1.jpg", "IMG/center_1.jpg"),
        ("D:\\rec\\sub\\IMG\\center_1.jpg", "sub/IMG/center_1.jpg"),
        ("./IMG//center_1.jpg", "IMG/center_1.jpg"),
        (" IMG/center_1.jpg ", "IMG/center_1.jpg"),
        ('"IMG/center_1.jpg"', "IMG/center_1.jpg"),
        ("img\\CENTER_1.JPG", "IMG/center_1.jpg"),
        ("IMG/A\u0308rger.jpg", "IMG/Ärger.JPG"),
        ("../IMG/center_1.jpg", "IMG/center_1.jpg"),
        ("anywhere/top.jpg", "top.jpg"),
        ("aliasdir/center_1.jpg", "IMG/center_1.jpg"),
        ("alias.jpg", "IMG/center_1.jpg"),
    ],
)
def test_names_are_found_by_their_trailing_parts(tmp_path: Path, name: str, where: str) -> None:
    drive = tree(tmp_path)
    found, reason = FolderIndex(drive).find(name)
    assert reason == "" and found is not None and Path(found).resolve() == drive / where


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../etc/passwd", MISSING),
        ("..\\..\\etc\\passwd", MISSING),
        ("/etc/passwd", MISSING),
        ("../secret.jpg", MISSING),
        ("IMG/../../secret.jpg", MISSING),
        ("leakdir/secret.jpg", OUTSIDE),
        ("leakdir/etc/passwd", OUTSIDE),
        ("leakdir/drive/../secret.jpg", MISSING),
        ("leak.jpg", OUTSIDE),
        ("broken.jpg", MISSING),
        ("loop/x.jpg", MISSING),
        ("x.jpg", MISSING),
        ("", UNNAMED),
        ("..", UNNAMED),
        ("IMG/", UNNAMED),
        ("C:\\", UNNAMED),
        ("a\0b.jpg", MISSING),
        ("a\0b/top2.jpg", MISSING),
        ("x" * 5000 + "/y.jpg", MISSING),
        ("d/" * 3000 + "y.jpg", MISSING),
    ],
)
def test_names_that_lead_nowhere_or_out(tmp_path: Path, name: str, reason: str) -> None:
    assert FolderIndex(tree(tmp_path)).find(name) == (None, reason)


PART = st.one_of(
    st.sampled_from(["..", ".", "", "IMG", "sub", "leakdir", "aliasdir", "leak.jpg", "secret.jpg", "etc", "passwd",
                     "center_1.jpg", "top.jpg", "drive", "C:", "loop", "x.jpg"]),
    st.text(max_size=4),
)  # fmt: skip


def test_no_name_ever_leads_out(tmp_path: Path) -> None:
    drive = tree(tmp_path)
    index = FolderIndex(drive, ("IMG", "leakdir", "..", "../etc"))

    @given(st.lists(st.tuples(PART, st.sampled_from("/\\")), max_size=7))
    @settings(max_examples=1500, deadline=None)
    def check(parts: list[tuple[str, str]]) -> None:
        name = "".join(part + separator for part, separator in parts).rstrip("/\\") if parts else ""
        for candidate in (name, "/" + name, name + "/"):
            found, reason = index.find(candidate)
            assert (found is None) == bool(reason)
            if found is not None:
                assert Path(found).resolve().is_relative_to(drive.resolve())
                assert Path(found).read_bytes() == b"inside"

    check()


def test_a_drive_folder_that_is_itself_a_link(tmp_path: Path) -> None:
    drive = tree(tmp_path)
    (tmp_path / "link").symlink_to(drive)
    found, _ = FolderIndex(tmp_path / "link").find("IMG/center_1.jpg")
    assert found == str(drive.resolve() / "IMG/center_1.jpg")


def test_a_sibling_whose_name_starts_alike_is_outside(tmp_path: Path) -> None:
    drive = tree(tmp_path)
    (tmp_path / "drive2").mkdir()
    (tmp_path / "drive2/a.jpg").write_bytes(b"outside")
    (drive / "other").symlink_to(tmp_path / "drive2")
    assert FolderIndex(drive).find("other/a.jpg") == (None, OUTSIDE)


def test_split_name() -> None:
    assert split_name("C:\\a\\..\\b/./c.jpg") == ["b", "c.jpg"]
    assert split_name("../..") == []
