"""A live session: the newest frame through the networks, measured angles and recording, over a real server."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from livemaker import PATIENT_S, MjpegServer, read_clock, scene, until
from vbp.cli.camera import status
from vbp.drives import open_drive
from vbp.engine import Engine, open_network
from vbp.errors import VbpError
from vbp.frames import run_frame, strengths
from vbp.live import waiting
from vbp.live.address import parse_address
from vbp.live.angles import Measured, Track
from vbp.live.records import CaptureState, LiveEvent, LiveFailure, LiveFrame, LiveRequest, RecordingState
from vbp.live.session import LiveSession
from vbp.overlay import Rect
from vbp.results import FrameRequest, NetworkResult

PICTURE = scene(640, 480)


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

    def __init__(self, seconds: float, fails_at: int = 0, name: str = "slow") -> None:
        self.seconds, self.fails_at, self.runs, self.name = seconds, fails_at, 0, name

    def prepare(self, image: np.ndarray, crop: Rect | None) -> np.ndarray:
        self.runs += 1
        if self.runs == self.fails_at:
            raise VbpError("the crop does not lie in the frame")
        return image

    def run_prepared(self, inputs: list[np.ndarray], request: object, frames: object) -> list[NetworkResult]:
        time.sleep(self.seconds)
        number = read_clock(inputs[0])[0]
        return [NetworkResult(self.name, number / 1000, Rect(0, 0, 640, 480), inputs[0])]


@pytest.fixture
def begin(server: MjpegServer) -> Iterator[Callable[..., LiveSession]]:
    """A session that runs, with the server's camera connected."""
    made: list[LiveSession] = []

    def start(folder: Path | None = None, **options: object) -> LiveSession:
        session = LiveSession(LiveRequest(parse_address(server.url)), **options)  # type: ignore[arg-type]
        made.append(session)
        if folder is not None:
            session.record(folder)
        session.start()
        until(lambda: server.clients)
        return session

    yield start
    for session in made:
        session.stop()


def run(session: LiveSession, engine: object, enough: Callable[[list[LiveFrame]], bool]) -> list[LiveFrame]:
    """As the command line does: the newest frame, again and again."""
    results: list[LiveFrame] = []
    end = time.monotonic() + PATIENT_S
    while not enough(results):
        assert time.monotonic() < end, "it has not happened"
        frame = session.run_newest([engine])  # type: ignore[list-item]
        if frame is not None:
            results.append(frame)
    return results


def test_a_slow_network_gets_the_newest_frames_and_the_others_are_counted(server, begin) -> None:
    session = begin()
    server.play([PICTURE], fps=40)
    results = run(session, SlowEngine(0.1), lambda found: len(found) >= 8)
    state = session.state
    assert session.end() == [] and not session.is_alive()
    numbers = [frame.index for frame in results]
    assert all(a < b for a, b in pairwise(numbers)) and state.skipped > 0
    assert state.skipped == numbers[-1] - numbers[0] + 1 - len(numbers)
    assert state.results == len(results) and state.newest is results[-1]
    newest, median, most = state.latency_ms
    assert newest >= 100 and 100 <= median <= most
    assert all(math.isnan(frame.error_rad) and frame.measured_ns is None for frame in results)


def test_every_frame_is_recorded_with_what_was_predicted_and_measured(server, begin, tmp_path) -> None:
    wheel = Wheel()
    arrived: list[LiveFrame] = []

    def on_frame(frame: LiveFrame) -> None:
        arrived.append(frame)
        if frame.index % 2:
            wheel.track.add(frame.timestamp_ns + 1000, frame.index / 100, 12.5)

    session = begin(tmp_path / "drive", angles=wheel, on_frame=on_frame)
    until(lambda: wheel.running)
    server.play([PICTURE], fps=30)
    results = run(session, SlowEngine(0.07), lambda found: len(found) > 12)
    assert session.end() == [] and not wheel.running
    recording = session.recording
    assert recording is not None and recording.ended and (recording.failure, recording.dropped) == ("", 0)
    predicted = {frame.index: frame.predicted_rad for frame in results}
    odd_results = [frame for frame in results if frame.index % 2]
    assert odd_results and all(
        (frame.driven_rad, frame.speed_mps, frame.measured_ns)
        == (frame.index / 100, 12.5, frame.timestamp_ns + 1000)
        for frame in odd_results
    )
    with open_drive(tmp_path / "drive") as drive:
        n = len(drive)
        assert recording.frames == n
        assert len(arrived) - 1 <= n <= len(arrived)  # one may have been under way when it was stopped
        assert drive.timestamps_ns.tolist() == [f.timestamp_ns for f in arrived[:n]]
        wanted = [predicted.get(f.index, math.nan) for f in arrived[:n]]
        np.testing.assert_array_equal(drive.predicted_rad, wanted)
        assert 5 < np.isfinite(wanted).sum() < n
        odd = np.array([f.index % 2 == 1 for f in arrived[:n]])
        np.testing.assert_array_equal(
            drive.angle_rad[odd], [f.index / 100 for f in arrived[:n] if f.index % 2]
        )
        for i in (0, n - 1):
            assert arrived[i].image is not None
            assert read_clock(drive.frame(i))[0] == read_clock(arrived[i].image)[0]


def test_another_thread_may_run_the_networks_and_recordings_begin_and_end_meanwhile(
    server, begin, tmp_path
) -> None:
    frames: queue.SimpleQueue[LiveFrame | None] = queue.SimpleQueue()
    events: list[LiveEvent] = []
    session = begin(on_frame=frames.put, on_event=events.append)

    def networks() -> None:
        engines = [SlowEngine(0.0, name="first"), SlowEngine(0.0, name="second")]
        while (frame := frames.get()) is not None:
            session.add_results(run_frame(frame, engines))  # type: ignore[arg-type]

    thread = threading.Thread(target=networks)
    thread.start()
    server.play([PICTURE], fps=30)
    until(lambda: session.state.results > 3)
    assert session.recording is None

    def is_at(folder: Path, frames: int, ended: bool = False) -> bool:
        state = session.recording
        return state is not None and (state.folder, state.ended) == (folder, ended) and state.frames > frames

    for name in ("a", "b"):
        folder = tmp_path / "new" / name
        session.record(folder, make_parents=True)
        assert session.is_recording
        until(partial(is_at, folder, 8))
        session.record(None)
        until(partial(is_at, folder, 8, ended=True))
        assert not session.is_recording
    assert session.end() == []
    frames.put(None)
    thread.join()
    ended = [e for e in events if isinstance(e, RecordingState) and e.ended]
    assert [e.folder for e in ended] == [tmp_path / "new" / name for name in ("a", "b")]
    assert next(e.phase for e in events if isinstance(e, CaptureState)) == "live"
    numbers = []
    for event in ended:
        assert event.folder is not None
        with open_drive(event.folder) as drive:
            assert len(drive) == event.frames and "with first;" in drive.info.notes[0]
            seen = [read_clock(drive.frame(i))[0] for i in range(len(drive))]
            assert np.isfinite(drive.predicted_rad).sum() > 4
            for i in np.flatnonzero(np.isfinite(drive.predicted_rad)):
                assert drive.predicted_rad[i] == seen[i] / 1000
            numbers += seen
    assert all(a < b for a, b in pairwise(numbers))


def test_a_recording_that_fails_does_not_end_the_session(server, begin, tmp_path) -> None:
    (tmp_path / "file").touch()
    events: list[LiveEvent] = []
    session = begin(tmp_path / "file" / "drive", on_event=events.append)
    server.play([PICTURE], fps=30)
    run(session, SlowEngine(0.0), lambda found: len(found) > 10 and session.recording is not None)
    recording = session.recording
    assert recording is not None and recording.ended and recording.folder is None
    assert f"{tmp_path / 'file'} is no folder" in recording.failure and recording in events
    assert not session.is_recording and session.is_alive() and session.failure == ""
    assert session.end() == []


def test_frames_that_find_no_room_are_counted_in_the_recording(server, begin, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_S", 3600.0)
    monkeypatch.setattr(waiting, "MOST_BYTES", 1)  # one frame waits, for a prediction that does not come
    arrived: list[LiveFrame] = []
    session = begin(tmp_path / "drive", on_frame=arrived.append)
    server.play([PICTURE], fps=30)
    until(lambda: len(arrived) > 8)
    session.record(None)
    until(lambda: session.recording is not None and session.recording.ended)
    assert session.end() == []
    recording = session.recording
    assert recording is not None and recording.frames == 1 and recording.dropped >= 8
    with open_drive(tmp_path / "drive") as drive:
        assert any(f"{recording.dropped} frames were not recorded" in note for note in drive.info.notes)


def test_a_network_that_cannot_be_run_is_its_callers_to_tell(server, begin, tmp_path) -> None:
    session = begin(tmp_path / "drive")
    server.play([PICTURE], fps=30)
    with pytest.raises(VbpError, match="the crop does not lie in the frame"):
        run(session, SlowEngine(0.0, fails_at=3), lambda found: False)
    assert session.end() == []
    with open_drive(tmp_path / "drive") as drive:
        assert len(drive) >= 2


def test_angles_that_cannot_be_had_are_told_and_the_pictures_come(server) -> None:
    events: list[LiveEvent] = []
    request = LiveRequest(parse_address(server.url), angles="serial:/dev/null")
    session = LiveSession(request, on_event=events.append)
    session.start()
    until(lambda: server.clients)
    server.play([PICTURE], fps=20)
    (frame,) = run(session, SlowEngine(0.0), lambda found: len(found) == 1)
    assert session.end() == [] and math.isnan(frame.driven_rad) and session.angles_text == ""
    (failure,) = [e for e in events if isinstance(e, LiveFailure)]
    assert "is no source of angles" in failure.text and not failure.ended


def test_the_real_network_sees_what_the_camera_sends(server, begin) -> None:
    engine = Engine(open_network("NetSVF"), device="cpu", crop=Rect(0, 300, 640, 125))
    session = begin()
    server.play([PICTURE], fps=20)
    newest = run(session, engine, lambda found: len(found) >= 3)[-1]
    assert session.end() == []
    assert newest.image is not None and newest.result is not None
    wanted = engine.run(newest.image)
    assert newest.result.crop == Rect(0, 300, 640, 125) and newest.predicted_rad == wanted.angle_rad
    np.testing.assert_array_equal(newest.result.map("visualbackprop"), wanted.map("visualbackprop"))


def test_what_is_usual_is_of_what_the_camera_has_seen_so_far(server, begin, monkeypatch) -> None:
    """A lens that is covered; two networks, of which each has its own."""
    monkeypatch.setattr(strengths, "APART_S", 0.0)
    session, shown = begin(), [PICTURE]
    engine = Engine(open_network("NetSVF"), "cpu")
    session.run_newest([engine], FrameRequest(maps=()), timeout_s=0)  # no mask: nothing to count
    server.play(lambda n: shown[0], fps=40)  # always the same, so that none is weaker than the others
    until(lambda: session.run_newest([engine, engine]) and session.usual() is not None)
    assert session.usual(1) == session.usual() and session.usual(2) is None
    assert session.usual().whose == "the median so far"
    assert "mask" not in status(session)
    shown[0] = np.zeros_like(PICTURE)
    until(lambda: (found := session.run_newest([engine])) and found.image[200:].max() < 9)
    newest = session.state.newest
    assert session.usual().words(newest.strength, newest.spread).startswith("mask weak: 1/")
    assert " of the median so far" in status(session)
