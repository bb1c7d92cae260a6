"""The command `vbp`, as a process: the screenshot, errors on one line, Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from drivemaker import write_drive

from vbp.app.main import main

REPOSITORY = Path(__file__).resolve().parents[2]


def environment(home: Path) -> dict[str, str]:
    keep = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return keep | {
        "XDG_CONFIG_HOME": str(home),
        "QT_QPA_PLATFORM": "offscreen",
    }


def vbp(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vbp.app.main", *map(str, arguments)]
    return subprocess.run(command, env=environment(home), capture_output=True, text=True, timeout=120)


def test_a_screenshot_shows_the_frame_with_its_mask(tmp_path):
    drive = write_drive(tmp_path / "drive", frames=12)
    out = tmp_path / "window.png"
    done = vbp(tmp_path, drive, "--frame", 7, "--screenshot", out, "--size", "1280x720", "--device", "cpu")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    image = cv2.imread(str(out))
    assert image.shape == (720, 1280, 3)
    blue, green, red = (image[..., k].astype(int) for k in range(3))
    assert ((red > 120) & (green < red - 60) & (blue < red - 60)).sum() > 100  # the mask
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 500
    assert sorted(p.name for p in tmp_path.iterdir()) == ["drive", "window.png"]  # and no settings


def test_errors_are_one_line_and_status_2(tmp_path):
    drive = write_drive(tmp_path / "drive", frames=3)
    words = tmp_path / "words.txt"
    words.write_text("nothing to see")
    png = tmp_path / "a.png"
    for arguments, expected in (
        (["--colour"], "--colour"),
        ([tmp_path / "missing"], "missing"),
        ([drive, "--size", "huge"], "huge"),
        ([drive, "--frame", "-1"], "-1"),
        ([drive, "--model", tmp_path / "gone.safetensors"], "gone.safetensors"),
        (["--screenshot", png], "needs a recording"),
        ([drive, "--screenshot", tmp_path / "a.jpg"], ".png"),
        ([drive, "--screenshot", tmp_path / "no" / "a.png"], "no folder"),
        ([drive, "--frame", "3", "--screenshot", png], "3 frames"),
        ([words, "--screenshot", png], "words.txt"),
        ([drive, "--model", "NoSuchNet", "--screenshot", png], "NoSuchNet"),
    ):
        done = vbp(tmp_path, *arguments)
        assert done.returncode == 2, (arguments, done)
        assert done.stderr.startswith("vbp: "), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert expected in done.stderr
    assert not png.exists()


def test_no_run_is_one_line(capsys, tmp_path):
    assert main(["--run", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"vbp: {tmp_path} is no training run; give the folder that vbp train wrote (-o)\n"
    )


def test_what_a_recording_holds_needs_neither_qt_nor_torch(tmp_path):
    drive = write_drive(tmp_path / "drive", frames=3)
    code = (
        "import sys; from vbp.app.main import main; status = main(sys.argv[1:]);"
        "assert not {'PySide6', 'torch'} & {m.split('.')[0] for m in sys.modules}; sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "info", str(drive), "--json"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert '"frames": 3' in done.stdout


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc says which signals are answered")
@pytest.mark.parametrize(
    ("number", "loaded"), [(signal.SIGHUP, ""), (signal.SIGINT, "QtWidgets"), (signal.SIGTERM, "libtorch")]
)
def test_a_signal_closes_the_window_from_its_first_moment_on(tmp_path, number, loaded):
    drive = write_drive(tmp_path / "drive", frames=4)
    command = [sys.executable, "-m", "vbp.app.main", str(drive), "--device", "cpu"]
    process = subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
    wait_until_answered(process.pid, loaded)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 128 + number), errors  # 0: of a window that was closed
    assert errors in ("", "vbp: stopped\n")


def wait_until_answered(pid: int, loaded: str) -> None:
    """Until the process answers SIGTERM, which Python alone does not, and has this library loaded."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
        if caught >> (signal.SIGTERM - 1) & 1 and loaded in Path(f"/proc/{pid}/maps").read_text():
            return
        time.sleep(0.002)
    raise TimeoutError(loaded)
