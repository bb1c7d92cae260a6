"""A live session as a whole: the newest frame through the network, recorded, and from the command line."""

from __future__ import annotations

import json
import math
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from livemaker import MjpegServer, read_clock, scene
from vbp.classes import class_name
from vbp.cli import main
from vbp.drives import open_drive
from vbp.drives.recording import RecordingDrive
from vbp.engine import Engine, open_network
from vbp.errors import VbpError
from vbp.live.angles import Measured, Track
from vbp.live.capture import Capture
from vbp.live.frame import LiveFrame
from vbp.live.recorder import Recorder
from vbp.live.session import LiveResult, LiveSession
from vbp.overlay import Rect

PICTURE = scene(640, 480)
PATIENT_S = 180.0  # nothing here takes that long unless it is broken


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENT_S
    while not what():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.01)


class Wheel:
    """A source of angles: the number of the frame, in hundredths, a little after each."""

    def __init__(self) -> None:
        self.track = Track()
        self.running = False
        self.state = "made up"

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def at(self, timestamp_ns: int) -> Measured | None:
        return self.track.at(timestamp_ns)


class SlowEngine:
    """Takes its time, and predicts the number drawn into the frame, in thousandths."""

    spec = SimpleNamespace(name="slow")

    def __init__(self, seconds: float, fails_at: int = 0) -> None:
        self.seconds, self.fails_at, self.runs = seconds, fails_at, 0

    def run(self, frame: np.ndarray, maps: object = (), strict: bool = True) -> SimpleNamespace:
        self.runs += 1
        if self.runs == self.fails_at:
            raise VbpError("the crop does not lie in the frame")
        time.sleep(self.seconds)
        return SimpleNamespace(angle_rad=read_clock(frame)[0] / 1000, probabilities=None)


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer() as made:
        yield made


@pytest.fixture
def capture(server: MjpegServer) -> Iterator[Capture]:
    made = Capture(server.url)
    yield made
    made.stop()


def test_a_slow_network_gets_the_newest_frames_and_the_others_are_counted(server, capture) -> None:
    results: list[LiveResult] = []
    session = LiveSession(capture, SlowEngine(0.1), on_result=results.append)  # type: ignore[arg-type]
    session.start()
    until(lambda: server.clients)
    server.play([PICTURE], fps=40)
    until(lambda: len(results) >= 8)
    session.stop()
    assert session.join() == [] and not session.running
    seqs = [r.frame.seq for r in results]
    assert all(a < b for a, b in pairwise(seqs)) and results[-1].skipped > 0
    assert results[-1].skipped == seqs[-1] - seqs[0] + 1 - len(seqs)
    assert all(r.latency_ms >= 100 and math.isnan(r.error_rad) for r in results)
    state = session.state
    assert state.results == len(results) and state.skipped == results[-1].skipped
    assert state.latency_ms[0] <= state.latency_ms[1]


def test_every_frame_is_recorded_with_what_was_predicted_and_measured(server, capture, tmp_path) -> None:
    wheel = Wheel()
    arrived: list[LiveFrame] = []
    predicted: dict[int, float] = {}

    def on_frame(frame: LiveFrame) -> None:
        arrived.append(frame)
        if frame.seq % 2:
            wheel.track.add(frame.timestamp_ns + 1000, frame.seq / 100, 12.5)

    def on_result(result: LiveResult) -> None:
        predicted[result.frame.seq] = result.shot.angle_rad

    def make(frame: LiveFrame) -> Recorder:
        return Recorder(tmp_path / "drive", size=(640, 480), fps_hint=20, camera="c", model="slow")

    capture.listen(on_frame=on_frame)
    session = LiveSession(
        capture,
        SlowEngine(0.07),  # type: ignore[arg-type]
        angles=wheel,
        make_recorder=make,
        on_result=on_result,
    )
    session.start()
    assert wheel.running
    until(lambda: server.clients)
    server.play([PICTURE], fps=30)
    until(lambda: len(predicted) > 12)
    session.stop()
    assert session.join() == [] and not wheel.running and session.state.recording == ""
    assert session.recorder is not None
    with open_drive(tmp_path / "drive") as drive:
        n = len(drive)
        assert len(arrived) - 1 <= n <= len(arrived)  # one may have been under way when it was stopped
        assert drive.timestamps_ns.tolist() == [f.timestamp_ns for f in arrived[:n]]
        wanted = [predicted.get(f.seq, math.nan) for f in arrived[:n]]
        np.testing.assert_array_equal(drive.predicted_rad, wanted)  # type: ignore[attr-defined]
        assert 5 < np.isfinite(wanted).sum() < n
        odd = np.array([f.seq % 2 == 1 for f in arrived[:n]])
        np.testing.assert_array_equal(drive.angle_rad[odd], [f.seq / 100 for f in arrived[:n] if f.seq % 2])
        for i in (0, n - 1):
            assert read_clock(drive.frame(i))[0] == read_clock(arrived[i].image)[0]


def test_a_recording_that_fails_does_not_end_the_session(server, capture, tmp_path) -> None:
    def make(frame: LiveFrame) -> Recorder:
        raise VbpError("the disk has no room")

    results: list[LiveResult] = []
    session = LiveSession(capture, SlowEngine(0.0), make_recorder=make, on_result=results.append)  # type: ignore[arg-type]
    session.start()
    until(lambda: server.clients)
    server.play([PICTURE], fps=30)
    until(lambda: len(results) > 10)
    assert session.state.recording == "the disk has no room" and session.state.failure == ""
    session.stop()
    assert session.join() == []


def test_a_network_that_cannot_be_run_ends_the_session_with_the_reason(server, capture) -> None:
    session = LiveSession(capture, SlowEngine(0.0, fails_at=3))  # type: ignore[arg-type]
    session.start()
    until(lambda: server.clients)
    server.play([PICTURE], fps=30)
    until(lambda: not session.running)
    assert session.state.failure == "the crop does not lie in the frame"
    assert session.join() == []


def test_the_real_network_sees_what_the_camera_sends(server, capture) -> None:
    engine = Engine(open_network("NetSVF"), device="cpu", crop=Rect(0, 300, 640, 125))
    session = LiveSession(capture, engine)
    session.start()
    until(lambda: server.clients)
    server.play([PICTURE], fps=20)
    until(lambda: session.state.results >= 3)
    newest = session.state.newest
    session.stop()
    assert session.join() == []
    assert newest is not None
    wanted = engine.run(newest.frame.image)
    assert newest.shot.crop == Rect(0, 300, 640, 125) and newest.shot.angle_rad == wanted.angle_rad
    np.testing.assert_array_equal(newest.shot.map("visualbackprop"), wanted.map("visualbackprop"))


# --- from the command line -----------------------------------------------------------------------


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
    told = capsys.readouterr().err
    with open_drive(folder) as drive:
        assert isinstance(drive, RecordingDrive)
        found = drive.predicted_class >= 0
        assert found.any() and np.isnan(drive.predicted_rad).all()
        seen = Engine(open_network("NetSign"), "cpu").run(PICTURE)
        assert seen.probabilities is not None
        likeliest = int(seen.probabilities.argmax())
        assert likeliest in drive.predicted_class[found]
        assert (drive.probability[found] > 1 / 43).all() and np.isnan(drive.probability[~found]).all()
    assert f"predicted {class_name(open_network('NetSign').spec, likeliest)} (" in told and "nan" not in told


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
    assert "driven -30.0°" in capsys.readouterr().err
    with open_drive(folder) as drive:
        labelled = np.isfinite(drive.angle_rad)
        assert labelled.sum() > 5 and drive.angle_rad[labelled] == pytest.approx(math.radians(-30))
        assert drive.speed_mps[labelled] == pytest.approx(11.5)


def test_the_summary_as_json(server, capsys) -> None:
    server.play([PICTURE], fps=20)
    assert main(["camera", server.url, "--json", "--seconds", "3", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert err == "" and told["size"] == [640, 480] and told["results"] > 0 and told["left_running"] == []
    assert told["received"] >= told["results"] + told["skipped"]


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
