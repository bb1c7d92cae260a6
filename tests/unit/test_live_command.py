"""`vbp camera` without a window: what is seen, said, recorded, and refused."""

from __future__ import annotations

import json
import math
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from livemaker import PATIENT_S, read_clock, scene
from vbp.classes import class_name
from vbp.cli import main
from vbp.drives import open_drive
from vbp.drives.recording import HEAD, RecordingDrive
from vbp.engine import Engine, open_network

PICTURE = scene(640, 480)


def test_a_session_from_the_command_line_is_recorded_and_opens(server, tmp_path, capsys) -> None:
    server.play([PICTURE], fps=20)
    before = set(threading.enumerate())
    folder = tmp_path / "drive"
    status = main(
        ["camera", server.url, "--no-window", "--seconds", "4", "--record", str(folder), "--device", "cpu"]
    )
    out, err = capsys.readouterr()
    assert status == 0, err
    assert " through the network" in out and f"vbp {folder}" in out
    assert "latency" in err and "predicted" in err and "recording" in err
    left = [t for t in set(threading.enumerate()) - before if "process_request" not in t.name]
    assert left == []
    with open_drive(folder) as drive:
        assert len(drive) > 5 and np.isfinite(drive.predicted_rad).any()  # type: ignore[attr-defined]
        numbers = [read_clock(drive.frame(i))[0] for i in range(len(drive))]
        assert numbers == list(range(numbers[0], numbers[0] + len(drive)))


def test_a_classifier_says_its_class_and_it_is_recorded(server, tmp_path, capsys) -> None:
    server.play([PICTURE], fps=20)
    folder = tmp_path / "drive"
    words = [
        "camera",
        server.url,
        "--no-window",
        "--seconds",
        "3",
        "--record",
        str(folder),
        "--device",
        "cpu",
    ]
    assert main([*words, "--model", "NetSign"]) == 0
    status_line = capsys.readouterr().err
    with open_drive(folder) as drive:
        assert isinstance(drive, RecordingDrive)
        found = drive.predicted_class >= 0
        assert found.any() and np.isnan(drive.predicted_rad).all()
        seen = Engine(open_network("NetSign"), "cpu").run(PICTURE)
        assert seen.probabilities is not None
        likeliest = int(seen.probabilities.argmax())
        assert likeliest in drive.predicted_class[found]
        assert (drive.probability[found] > 1 / 43).all() and np.isnan(drive.probability[~found]).all()
    assert (
        f"predicted {class_name(open_network('NetSign').spec, likeliest)} (" in status_line
        and "nan" not in status_line
    )


def test_the_recording_names_the_network_as_an_export_does(server, tmp_path) -> None:
    server.play([PICTURE], fps=20)
    folder = tmp_path / "drive"
    words = ["camera", server.url, "--no-window", "--seconds", "3", "--device", "cpu", "--model", "PilotNet"]
    assert main([*words, "--record", str(folder)]) == 0
    name = Engine(open_network("PilotNet"), "cpu").name
    assert "(random weights)" in name and json.loads((folder / HEAD).read_text())["model"] == name


def test_angles_that_come_in_are_measured_against_the_prediction_and_recorded(
    server, tmp_path, capsys
) -> None:
    server.play([PICTURE], fps=20)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ended = threading.Event()

    def steer() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not ended.wait(0.02):
                out.sendto(b'{"angle": 30.0, "speed": 11.5}\n', ("127.0.0.1", port))

    wheel = threading.Thread(target=steer)
    wheel.start()
    folder = tmp_path / "drive"
    argv = ["camera", server.url, "--no-window", "--seconds", "4", "--record", str(folder), "--device", "cpu"]
    try:
        assert main([*argv, "--angles", f"udp://127.0.0.1:{port}?unit=deg&sign=right"]) == 0
    finally:
        ended.set()
        wheel.join()
    assert "driven −30.0°" in capsys.readouterr().err
    with open_drive(folder) as drive:
        labelled = np.isfinite(drive.angle_rad)
        assert labelled.sum() > 5 and drive.angle_rad[labelled] == pytest.approx(math.radians(-30))
        assert drive.speed_mps[labelled] == pytest.approx(11.5)


def test_the_summary_as_json(server, capsys) -> None:
    server.play([PICTURE], fps=20)
    assert main(["camera", server.url, "--json", "--seconds", "3", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert (
        err == ""
        and summary["size"] == [640, 480]
        and summary["results"] > 0
        and summary["left_running"] == []
    )
    assert summary["received"] >= summary["results"] + summary["skipped"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of POSIX")
def test_ctrl_c_ends_it_with_a_summary_and_a_whole_recording(server, tmp_path) -> None:
    server.play([PICTURE], fps=20)
    folder = tmp_path / "drive"
    command = [sys.executable, "-m", "vbp", "camera", server.url, "--no-window", "--device", "cpu"]
    child = subprocess.Popen(
        [*command, "--record", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    while "recording" not in (line := child.stderr.readline()):
        assert line, "it ended by itself"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=PATIENT_S)
    assert child.returncode == 0 and "Traceback" not in err
    assert "frames in" in out and f"vbp {folder}" in out
    with open_drive(folder) as drive:
        assert len(drive) > 0 and not any("cut off" in note for note in drive.info.notes)


def test_what_is_wrong_is_said_before_anything_starts(tmp_path, capsys) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for argv, words in (
        (["camera", "--no-window"], "no camera is named"),
        (["camera", "zebra", "--no-window"], "'zebra' is no camera"),
        (["camera", "ftp://me:secret@h/x", "--no-window"], "streams of ftp:// are not read"),
        (["camera", "http://127.0.0.1:1/", "--no-window", "--angles", "tcp://x"], "is no source of angles"),
        (
            ["camera", "http://127.0.0.1:1/", "--no-window", "--record", str(tmp_path / "full")],
            "give the name of a new",
        ),
        (
            ["camera", "http://127.0.0.1:1/", "--no-window", "--record", str(tmp_path / "a" / "b")],
            "is no folder",
        ),
        (["camera", "http://127.0.0.1:1/", "--no-window", "--model", "NoNet"], "NoNet"),
        (["camera", "http://127.0.0.1:1/", "--no-window", "--seconds", "0"], "is not above 0"),
        (["camera", "http://127.0.0.1:1/", "--no-window", "--size", "wide"], "is no size"),
        (
            ["camera", "http://127.0.0.1:1/", "--no-window", "--seconds", "0.6", "--device", "cpu"],
            "nothing listens",
        ),
    ):
        try:
            status: object = main(argv)
        except SystemExit as end:
            status = end.code
        _, err = capsys.readouterr()
        last = err.splitlines()[-1]
        assert status == 2 and words in last and "secret" not in err and "Traceback" not in err, (argv, err)


def test_the_list_of_cameras(capsys) -> None:
    assert main(["camera", "--list"]) == 0
    assert capsys.readouterr().out.strip()
    assert main(["camera", "--list", "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)
