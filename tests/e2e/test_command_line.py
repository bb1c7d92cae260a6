"""The command line as a user or a script runs it: real processes on a small drive."""

import csv
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vbp.app.main import main
from vbp.frames.table import COLUMNS
from vbp.models.network import build, save_checkpoint
from vbp.models.spec import NetworkSpec

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def vbp(capfd):
    """Run the command `vbp` in this process, as its entry point does."""

    def run(*arguments) -> Result:
        capfd.readouterr()
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        return Result(status, *capfd.readouterr())

    return run


def said(result) -> str:
    """The one line that a user's error is, with status 2."""
    assert result.returncode == 2, result
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("vbp: ")
    return lines[0]


def python(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **environment) -> Result:
    """The same in a process of its own, with buffered output, as a shell has it."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    process = subprocess.run(
        [sys.executable, *arguments], stdout=stdout, stderr=stderr, env=env | environment, check=False
    )
    return Result(process.returncode, (process.stdout or b"").decode(), (process.stderr or b"").decode())


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """Twelve frames in Udacity's layout; the second half of the drive is fast, frame 3 does not decode."""
    folder = tmp_path_factory.mktemp("drive")
    (folder / "center").mkdir()
    rows = []
    rng = np.random.default_rng(0)
    for n in range(12):
        stamp = 1_479_425_441_182_877_835 + n * 50_000_000
        name = f"center/{stamp}.jpg"
        picture = cv2.blur(rng.integers(0, 256, (480, 640, 3), dtype=np.uint8), (25, 25))
        cv2.imwrite(str(folder / name), picture)
        if n == 3:
            (folder / name).write_bytes(b"not a picture")
        rows.append([n, stamp, 640, 480, "center_camera", name, 0.01 * n, 0, 2.0 if n < 6 else 12.0, 0, 0, 0])
    with (folder / "interpolated.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "index",
                "timestamp",
                "width",
                "height",
                "frame_id",
                "filename",
                "angle",
                "torque",
                "speed",
                "lat",
                "long",
                "alt",
            ]
        )
        writer.writerows(rows)
    return folder


def test_info(vbp, drive):
    result = vbp("info", drive, "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["kind"] == "udacity-csv"
    assert facts["frames"] == facts["labelled_frames"] == 12
    assert facts["duration_s"] == pytest.approx(0.55)
    assert (facts["width"], facts["height"]) == (640, 480)
    assert facts["fps"] == pytest.approx(20)
    assert facts["angle_deg_min"] == 0
    assert facts["angle_deg_max"] == pytest.approx(np.degrees(0.11))
    assert isinstance(facts["gaps"], list)
    text = vbp("info", drive).stdout
    assert "12 with a measured angle" in text
    assert "left positive" in text


def test_predict(vbp, drive, tmp_path):
    out = tmp_path / "p.csv"
    result = vbp("predict", drive, "--model", "NetHVF", "--device", "cpu", "--json", "-o", out)
    assert result.returncode == 0, result.stderr
    scores = json.loads(result.stdout)
    assert scores["rows"] == 12 and scores["gaps"] == 1 and scores["frames"] == 11
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    assert list(rows[0])[:6] == [
        "frame",
        "timestamp_ns",
        "driven_deg",
        "predicted_deg",
        "error_deg",
        "speed_mps",
    ]
    assert [int(r["frame"]) for r in rows] == list(range(12))
    assert int(rows[1]["timestamp_ns"]) == 1_479_425_441_232_877_835
    assert rows[3]["predicted_deg"] == rows[3]["error_deg"] == ""
    errors = []
    for row in rows[:3] + rows[4:]:
        error = float(row["driven_deg"]) - float(row["predicted_deg"])
        assert float(row["error_deg"]) == pytest.approx(error, abs=2e-6)
        errors.append(error)
    assert scores["bias_deg"] == pytest.approx(np.mean(errors), abs=1e-5)
    assert scores["rmse_rad"] == pytest.approx(np.radians(np.sqrt(np.mean(np.square(errors)))), abs=1e-6)
    piped = vbp("predict", drive, "--model", "NetHVF", "--device", "cpu", "-o", "-")
    assert piped.stdout == out.read_text() and "standard output" in piped.stderr
    refused = vbp("explain", drive, "-o", "-")
    assert refused.returncode == 2 and "-o -: explain does not write" in refused.stderr


def test_frames_and_speed_choose(vbp, drive, tmp_path):
    out = tmp_path / "p.csv"
    for options, expected in [
        (["--frames", "2:5"], [2, 3, 4]),
        (["--frames", "-2:"], [10, 11]),
        (["--frames", "7"], [7]),
        (["--min-speed", "5"], [6, 7, 8, 9, 10, 11]),
        (["--min-speed", "5", "--frames", ":8"], [6, 7]),
    ]:
        assert vbp("predict", drive, "--model", "NetHVF", *options, "-o", out).returncode == 0
        with out.open(newline="") as file:
            assert [int(r["frame"]) for r in csv.DictReader(file)] == expected


def test_explain(vbp, drive, tmp_path):
    out = tmp_path / "m.npz"
    methods = ["--method", "visualbackprop", "--method", "lrp"]
    result = vbp("explain", drive, "--model", "NetHVF", *methods, "--frames", "2:6", "--json", "-o", out)
    assert result.returncode == 0, result.stderr
    with np.load(out, allow_pickle=False) as data:
        assert list(data["frame"]) == [2, 3, 4, 5]
        assert data["timestamp_ns"].dtype == np.int64
        assert np.isnan(data["predicted_rad"]).tolist() == [False, True, False, False]
        for method in ("visualbackprop", "lrp"):
            assert data[method].shape == (4, 125, 351) and data[method].dtype == np.float32
            assert not data[method][1].any()
            assert np.abs(data[method][0]).max() == 1
        double = data["visualbackprop"].copy()
    assert (
        vbp(
            "explain", drive, "--model", "NetHVF", "--frames", "2:6", "--precision", "single", "-o", out
        ).returncode
        == 0
    )
    with np.load(out) as data:
        np.testing.assert_allclose(data["visualbackprop"], double, atol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]


def test_models_as_json(vbp):
    names = [row["name"] for row in json.loads(vbp("models", "--json").stdout)]
    assert names[:2] == ["NetSVF", "NetHVF"]


def test_errors_are_one_line_with_status_2(vbp, drive, tmp_path):
    out = tmp_path / "out.csv"
    mine = tmp_path / "thesis.csv"
    mine.write_text("years of work\n")
    cases = [
        (["info"], "SOURCE"),
        (["info", tmp_path / "nowhere"], "does not exist"),
        (["info", ""], "no recording is given"),
        (["info", drive, "--angle-unit", "furlong"], "furlong"),
        (["info", drive, "--camera", "roof"], "roof"),
        (["info", drive, "--max-gap", "x"], "not a number"),
        (["predict", drive], "-o"),
        (["predict", drive, "-o", out, "--model", "NetABC"], "NetABC"),
        (["predict", drive, "-o", out, "--device", "tpu"], "tpu"),
        (["predict", drive, "-o", out, "--frames", "a:b"], "a:b"),
        (["predict", drive, "-o", out, "--frames", "90:99"], "no frame"),
        (["predict", drive, "-o", out, "--min-speed", "80"], "faster than 80"),
        (["predict", drive, "-o", out, "--min-speed", "5", "--frames", ":6"], "none of the frames :6"),
        (["predict", drive, "-o", tmp_path / "no" / "p.csv"], "no folder"),
        (["predict", drive, "-o", tmp_path], "is a folder"),
        (["predict", drive, "-o", mine], "--force"),
        (["predict", drive, "-o", drive / "interpolated.csv", "--force"], "file of the recording"),
        (["predict", drive, "-o", os.devnull], "device or a pipe"),
        (["predict", drive, "-o", out, "--model", os.devnull], "is not a file"),
        (["explain", drive, "-o", out, "--method", "magic"], "magic"),
        (["explain", drive, "-o", out, "--eps", "1"], "--method lrp"),
        (["explain", drive, "-o", out, "--method", "lrp", "--eps", "-1"], "eps"),
        (["import-torch7", mine, "-o", out], "thesis.csv"),
        ([tmp_path / "nowhere"], "does not exist"),
        (["--no-such-option"], "--no-such-option"),
        (
            [drive, "--model", tmp_path / "none.safetensors", "--screenshot", tmp_path / "s.png"],
            "none.safetensors",
        ),
    ]
    for arguments, word in cases:
        assert word in said(vbp(*arguments)), arguments
    assert mine.read_text() == "years of work\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thesis.csv"]


def test_force_replaces_and_our_own_files_are_replaced_without(vbp, drive, tmp_path):
    mine = tmp_path / "old.csv"
    mine.write_text("notes\n")
    common = ["predict", drive, "--model", "NetHVF", "--frames", "0:2", "-o", mine]
    assert vbp(*common, "--force").returncode == 0
    assert vbp(*common).returncode == 0
    assert mine.read_text().startswith("frame,timestamp_ns")


def test_a_zip_that_is_none_is_not_ours(vbp, drive, tmp_path):
    out = tmp_path / "m.npz"
    for damage in (
        b"PK\x05\x06" + bytes(18),
        b"x" * 200 + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 46, 150, 0),
    ):
        out.write_bytes(damage)
        assert "--force" in said(vbp("explain", drive, "--frames", "0", "-o", out))


def test_a_link_stays_and_what_it_leads_to_is_written(vbp, drive, tmp_path):
    link, target = tmp_path / "latest.csv", tmp_path / "runs" / "7.csv"
    target.parent.mkdir()
    link.symlink_to(target)
    assert vbp("predict", drive, "--model", "NetHVF", "--frames", "0:2", "-o", link).returncode == 0
    assert link.is_symlink() and target.read_text().startswith("frame,")


def test_a_name_of_the_greatest_length(vbp, drive, tmp_path):
    out = tmp_path / ("a" * 251 + ".csv")
    assert vbp("predict", drive, "--model", "NetHVF", "--frames", "0:2", "-o", out).returncode == 0
    assert [p.name for p in tmp_path.iterdir()] == [out.name]


def test_a_network_without_numbers_is_not_called_a_gap(vbp, drive, tmp_path):
    network = build(NetworkSpec("Wild", "steering", {"widths": [2], "strides": [4], "hidden": []}, 8, 8))
    with torch.no_grad():
        network.module.features[0].weight.fill_(1e38)
        network.module.features[1].weight.fill_(1e38)
    save_checkpoint(network, tmp_path / "wild.safetensors")
    common = [drive, "--model", tmp_path / "wild.safetensors", "--frames", "2:5"]
    for command, name in (("predict", "p.csv"), ("explain", "m.npz")):
        options = ["--precision", "single"] if command == "explain" else []
        result = vbp(command, *common, *options, "--json", "-o", tmp_path / name)
        facts = json.loads(result.stdout)
        assert (facts["gaps"], facts["not_finite"]) == (1, 2)
        assert "not a number on 2 frames" in vbp(command, *common, *options, "-o", tmp_path / name).stdout


def test_a_full_disk_is_told_and_leaves_nothing(vbp, drive, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        methods = ["--method", "visualbackprop", "--method", "lrp"]
        for options in (methods, methods[:2], [*methods, "--frames", "0:2"]):
            out = disk / "m.npz"
            result = vbp("explain", drive, "--model", "NetHVF", *options, "-o", out)
            if options == methods or result.returncode:
                assert "m.npz cannot be written: No space left" in said(result)
                assert not list(disk.iterdir())
        (disk / "full").write_bytes(bytes(2_090_000 - sum(p.stat().st_size for p in disk.iterdir())))
        network = build(NetworkSpec("n", "steering", {"widths": [8], "strides": [1], "hidden": [9]}, 64, 64))
        with pytest.raises(OSError, match="No space left"):
            save_checkpoint(network, disk / "n.safetensors")
        assert [p.name for p in disk.iterdir() if p.name != "m.npz"] == ["full"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_what_cannot_be_said_does_not_change_the_status(drive, tmp_path):
    with open("/dev/full", "wb") as full:
        assert said(python("-m", "vbp", "info", drive, stdout=full))
        assert python("-m", "vbp", "info", tmp_path / "nowhere", stderr=full).returncode == 2
    for arguments in (["info", drive, "--json"], ["--help"]):
        reading, writing = os.pipe()
        os.close(reading)
        result = python("-m", "vbp", *arguments, stdout=writing)
        os.close(writing)
        assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_no_text(drive, tmp_path):
    folder = os.fsencode(tmp_path) + b"/\xff\xe4"
    shutil.copytree(os.fsencode(drive), folder)
    for encoding in ("utf-8", "ascii"):
        result = python("-m", "vbp", "info", folder, PYTHONIOENCODING=encoding)
        assert result.returncode == 0, result.stderr
        assert "12 with a measured angle" in result.stdout


def test_ctrl_c_while_libraries_load(tmp_path):
    (tmp_path / "torch.py").write_text("raise KeyboardInterrupt\n")
    result = python("-m", "vbp", "check-model", "NetHVF", PYTHONPATH=str(tmp_path))
    assert (result.returncode, result.stderr) == (130, "vbp: stopped\n")


def test_double_precision_is_not_asked_of_a_device_without(vbp, drive, tmp_path, monkeypatch):
    monkeypatch.setattr("vbp.devices.devices", lambda: ["mps", "cpu"])
    common = ["explain", drive, "--model", "NetHVF", "--frames", "0:2", "-o", tmp_path / "m.npz"]
    assert vbp(*common).returncode == 0
    assert "no double precision" in said(vbp(*common, "--device", "mps"))


def test_a_command_is_a_command_whatever_lies_in_the_folder(vbp, tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    result = vbp("models", "--json")
    assert json.loads(result.stdout)


def test_ctrl_c_stops_cleanly(tmp_path):
    folder = tmp_path / "long"
    folder.mkdir()
    picture = cv2.imencode(".jpg", np.full((480, 640, 3), 90, np.uint8))[1].tobytes()
    for n in range(3000):
        (folder / f"{n}.jpg").write_bytes(picture)
    out = tmp_path / "out" / "p.csv"
    out.parent.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "vbp", "predict", str(folder), "--device", "cpu", "-o", str(out)],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(out.parent.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().splitlines()[-1] == "vbp: stopped"
    assert "Traceback" not in errors
    assert not list(out.parent.iterdir())


def test_the_library_never_needs_qt():
    code = (
        "import sys, vbp.cli, vbp.engine, vbp.frames, vbp.models.registry\n"
        "assert not [m for m in sys.modules if m.startswith(('PySide6', 'pyqtgraph', 'vbp.app'))]"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
