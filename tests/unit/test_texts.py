"""Texts out of files and names of files: shown on one line, short, and obeyed by no terminal, spreadsheet or typeface."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from roadmaker import tiny_spec, write_drive
from vbp.classes import class_name
from vbp.cli.main import main
from vbp.export.lettering import Lettering
from vbp.lettering import write
from vbp.models.network import build, save_checkpoint
from vbp.models.spec import NetworkSpec
from vbp.readable import MOST, cell, clean, plain, signed

HOSTILE = "a\udcff\x1b[31m\nb\ud800" + "\u202e" + "long " * 100
posix = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")


def test_clean() -> None:
    assert clean("Straße 7, 左") == "Straße 7, 左"
    assert clean(HOSTILE).isprintable() and len(clean(HOSTILE)) == MOST
    assert clean(HOSTILE).startswith("a��[31m�b��long") and clean(HOSTILE).endswith("…")
    assert clean(clean(HOSTILE)) == clean(HOSTILE)


def test_a_number_with_its_sign_is_written_in_one_place() -> None:
    """A hyphen is narrower than a plus, so that figures jump."""
    assert [signed(v) for v in (-0.48, 0.02, -0.02, 3)] == ["−0.5", "0.0", "0.0", "+3.0"]
    assert [plain(v) for v in (-2.0, 0.25, 1e-3)] == ["−2", "0.25", "0.001"]
    own = re.compile(r":\+[0-9.]*[dfg]\}")
    root = Path(__file__).resolve().parents[2]
    sources = [p for part in ("vbp_core", "app", "models") for p in (root / part).rglob("*.py")]
    assert len(sources) > 300
    found = [p.name for p in sources if own.search(p.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=cmd|'/c calc'!A0", "'=cmd|'/c calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+1", "'+1"),
        ("-drive", "'-drive"),
        ("\t=1", "�=1"),
        ("drive-1", "drive-1"),
        ("", ""),
        (-3.5, -3.5),
        (None, None),
    ],
)
def test_a_cell_is_no_formula(value: object, written: object) -> None:
    assert cell(value) == written


def test_a_specification_is_cleaned_as_it_comes_in() -> None:
    spec = replace(tiny_spec(), output="class", classes=("one", HOSTILE))
    text = json.loads(spec.to_json()) | {"name": HOSTILE, "trained_on": HOSTILE, "classes": ["one", HOSTILE]}
    read = NetworkSpec.from_json(json.dumps(text))
    assert read.name == clean(HOSTILE) == class_name(read, 1)
    assert read.trained_on.isprintable() and len(read.trained_on) == len(HOSTILE)
    assert NetworkSpec.from_json(read.to_json()) == read


def test_letters_that_no_typeface_has() -> None:
    for text in (HOSTILE, "\ud800", "\udcff\udcfe", "\x00", "\x1b]0;x\x07", "🚗" * 500):
        picture = np.zeros((40, 600, 3), np.uint8)
        write(picture, text, 4, 24, 16, (255, 255, 255))
        face = Lettering()
        assert face.width(text, 16) > 0
        assert 0 < face.draw(picture, text, 4, 24, 16, (255, 255, 255), room=300) <= 300
        assert picture.any()


@pytest.fixture(scope="module")
def bytes_drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drive in a folder whose name is no text, begins as a formula, and colours a terminal."""
    folder = tmp_path_factory.mktemp("drives")
    write_drive(folder / "d", 11)
    os.rename(folder / "d", os.fsencode(folder) + b"/=\xff\xe4\x1b[31m")
    return folder / os.fsdecode(b"=\xff\xe4\x1b[31m")


NAME = "=��" + "�[31m"


@posix
@pytest.mark.parametrize(
    "command", ["info", "predict", "csv", "png", "mp4", "folder", "mcap", "parquet", "figure"]
)
def test_each_command_on_a_drive_in_a_folder_whose_name_is_no_text(
    command: str, bytes_drive: Path, tmp_path: Path, capsys
) -> None:
    network, out = tmp_path / "net.safetensors", tmp_path / f"out.{command}"
    save_checkpoint(build(tiny_spec(name=HOSTILE)), network)
    words = {
        "info": ["info", bytes_drive],
        "predict": ["predict", bytes_drive, "-o", out],
        "figure": ["figure", bytes_drive, "--frame", "1", "-o", out.with_suffix(".png")],
        "folder": ["export", bytes_drive, "-o", out, "--format", "pictures", "--size", "320x180"],
    }.get(command, ["export", bytes_drive, "-o", out])
    words += ["--size", "320x180"] if command in ("png", "mp4") else []
    words += [] if command == "info" else ["--model", network, "--device", "cpu"]
    assert main([str(word) for word in words]) == 0
    said = capsys.readouterr()
    assert "\x1b[31m" not in said.out + said.err
    if command in ("predict", "csv", "folder"):
        rows = list(csv.DictReader((out / "frames.csv" if out.is_dir() else out).open(encoding="utf-8")))
        assert {(row["drive"], row["model"]) for row in rows} == {(f"'{NAME}", clean(HOSTILE))}
        assert any(row["driven_deg"].startswith("-") for row in rows)  # a number is none that is guarded
    elif command == "mp4":
        with av.open(str(out)) as clip:
            assert clip.metadata["title"].endswith(f" on {NAME}")
    elif command == "png":
        assert cv2.imread(str(out)).shape == (180, 320, 3)


@posix
def test_networks_and_runs_in_a_folder_whose_name_is_no_text(tmp_path: Path, capsys) -> None:
    bytes_drive = write_drive(tmp_path / "d", 60).rename(tmp_path / os.fsdecode(b"\xff\x1b[31m"))
    folder = tmp_path / os.fsdecode(b"run\xff\x1b[31m")
    save_checkpoint(build(tiny_spec()), tmp_path / "start.safetensors")
    words = ["train", bytes_drive, "--init", tmp_path / "start.safetensors", "-o", folder, "--epochs", "1"]
    assert main([*map(str, words), "--device", "cpu", "--batch", "8", "--threads", "1"]) == 0
    assert main(["train", "--resume", str(folder)]) == 0
    assert main(["check-model", str(folder / "last.safetensors"), "--device", "cpu"]) == 0
    out = folder / "p.csv"
    last = folder / "last.safetensors"
    assert main(["predict", str(bytes_drive), "--model", str(last), "--device", "cpu", "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert "\x1b[31m" not in said.out + said.err
