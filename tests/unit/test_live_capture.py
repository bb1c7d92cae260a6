"""A stream is shown as it is: live, stale, lost, and back again. Real servers on loopback."""

from __future__ import annotations

import time
from itertools import pairwise

import cv2
import numpy as np
import pytest

from livemaker import PATIENT_S, MjpegServer, draw_clock, jpeg, read_clock, scene, until
from rtspmaker import RtspServer
from vbp.live import diagnose, opencv
from vbp.live.address import parse_address
from vbp.live.records import LiveFrame

PICTURE = scene()


def test_frames_come_as_they_were_sent_with_times_that_grow(server: MjpegServer, watch) -> None:
    watched = watch(server.url)
    until(lambda: server.clients)
    server.play([PICTURE], fps=50)
    until(lambda: len(watched.frames) > 20)
    frames = watched.frames[:20]
    numbers = [read_clock(f.image)[0] for f in frames]
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    assert [f.index for f in frames] == list(range(1, 21))
    for a, b in pairwise(frames):
        assert a.timestamp_ns < b.timestamp_ns and a.arrived_ns < b.arrived_ns
    image = frames[5].image
    sent = cv2.imdecode(np.frombuffer(jpeg(draw_clock(PICTURE, 0)), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert image.dtype == np.uint8 and image.shape == PICTURE.shape and not image.flags.writeable
    below = slice(2 * (PICTURE.shape[1] // 40) + 8, None)  # below the clock; red is not blue
    assert np.abs(image[below].astype(int) - sent[below].astype(int)).mean() < 3
    state = watched.capture.state
    assert state.phase == "live" and state.size == (160, 120) and state.fps > 0
    assert watched.phases() == ["live"]


def test_the_newest_frame_wins(server: MjpegServer, watch) -> None:
    watched = watch(server.url)
    until(lambda: server.clients)
    server.play([PICTURE], fps=50)
    until(lambda: len(watched.frames) >= 10)
    server.pause()
    until(lambda: read_clock(watched.frames[-1].image)[0] == server.sent - 1)
    frame = watched.capture.take(0)
    assert frame is not None and read_clock(frame.image)[0] == server.sent - 1
    received = len(watched.frames)
    assert frame.index == received
    assert watched.capture.take(frame.index, timeout_s=0.05) is None
    server.send(jpeg(draw_clock(PICTURE, 4711)))
    newer = watched.capture.take(frame.index, timeout_s=PATIENT_S)
    assert newer is not None and read_clock(newer.image)[0] == 4711


def test_identical_frames_of_a_stream_are_frames(server: MjpegServer, watch) -> None:
    watched = watch(server.url)
    data = jpeg(PICTURE)
    until(lambda: server.clients)
    for _ in range(12):
        server.send(data)
        time.sleep(0.02)
    until(lambda: len(watched.frames) >= 11)  # the first may serve to find out what the stream is


def test_a_server_that_is_killed_and_started_again_is_taken_again(server: MjpegServer, watch) -> None:
    watched = watch(server.url)
    until(lambda: server.clients)
    server.play([PICTURE], fps=30)
    for round_ in range(1, 3):
        watched.until_phase("live")
        seen = len(watched.frames)
        server.kill()
        watched.until_phase("lost")
        assert "trying again" in watched.capture.state.text
        until(lambda: "nothing listens" in watched.capture.state.text)
        server.start()
        until(lambda seen=seen: len(watched.frames) > seen + 5)
        assert watched.capture.state.reconnects == round_
    seqs = [f.index for f in watched.frames]
    assert seqs == list(range(1, len(seqs) + 1))
    assert watched.phases() == ["live", "lost", "live", "lost", "live"]


def test_silence_is_told_first_as_stale_then_as_lost_and_ended_by_a_frame(server: MjpegServer, watch) -> None:
    watched = watch(server.url)
    until(lambda: server.clients)
    server.play([PICTURE], fps=30)
    until(lambda: len(watched.frames) > 5)
    server.pause()
    watched.until_phase("stale")
    assert "no new frame for" in watched.capture.state.text
    server.play([PICTURE], fps=30)
    watched.until_phase("live")
    server.pause()
    watched.until_phase("lost")
    server.play([PICTURE], fps=30)
    watched.until_phase("live")
    assert watched.phases() == ["live", "stale", "live", "stale", "lost", "live"]
    assert watched.capture.state.reconnects == 1  # what was stale only was never gone


def test_garbage_in_the_stream_is_survived(server: MjpegServer, watch) -> None:
    watched = watch(server.url)
    until(lambda: server.clients)
    server.play([PICTURE], fps=30)
    until(lambda: len(watched.frames) > 5)
    rng = np.random.default_rng(1)
    for rubbish in (b"\xff\xd8" + rng.bytes(5000), rng.bytes(20000), b"\0" * 9000):
        server.pause()
        server.send_raw(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + rubbish + b"\r\n")
        seen = len(watched.frames)
        server.play([PICTURE], fps=30)
        until(lambda seen=seen: len(watched.frames) > seen + 10)
    # What is shown is pictures of the camera, not rubbish: their numbers are such that were sent.
    numbers = [read_clock(f.image)[0] for f in watched.frames[-10:]]
    assert numbers == sorted(numbers) and numbers[-1] < server.sent


def test_damaged_pictures_in_a_stream_cost_no_reconnection(server: MjpegServer, watch) -> None:
    made = watch(server.url)
    rng = np.random.default_rng(5)
    until(lambda: server.clients)
    number = 0

    def send_some() -> bool:
        nonlocal number
        number += 1
        server.send(rng.bytes(3000) if number % 3 == 0 else jpeg(draw_clock(PICTURE, number)))
        time.sleep(0.02)
        return len(made.frames) >= 20

    until(send_some)
    assert made.phases().count("live") == 1 and "lost" not in made.phases()
    seen = {read_clock(frame.image)[0] for frame in made.frames}
    assert len({n for n in seen if n % 3}) >= 18


def test_another_size_in_the_middle_ends_nothing(server: MjpegServer, watch) -> None:
    watched = watch(server.url)
    until(lambda: server.clients)
    server.play([PICTURE], fps=30)
    until(lambda: len(watched.frames) > 5)
    server.pause()
    seen = len(watched.frames)
    server.play([scene(320, 240)], fps=30)
    until(lambda: len(watched.frames) > seen + 10)
    image = watched.frames[-1].image
    assert watched.capture.state.size == image.shape[1::-1]
    assert seen <= read_clock(image)[0] < server.sent


@pytest.mark.parametrize(
    ("status", "credentials", "words"),
    [
        (401, "", "asks for a user and a password"),
        (401, "me:secret@", "does not accept the user and the password"),
        (404, "", "knows no such path"),
        (503, "", "status 503"),
    ],
)
def test_a_server_that_refuses_is_told_by_its_reason(
    status: int, credentials: str, words: str, watch
) -> None:
    with MjpegServer(status) as server:
        watched = watch(server.url.replace("://", f"://{credentials}"))
        until(lambda: words in watched.capture.state.text)
        assert watched.capture.state.phase == "connecting"
        assert "secret" not in "".join(s.text for s in watched.states)


@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
def test_a_camera_with_a_password_is_opened_with_it(watch, scheme: str) -> None:
    with MjpegServer(credentials="me:se/cret", scheme=scheme) as server:
        refused = watch(server.url)
        until(lambda: "asks for a user and a password" in refused.capture.state.text)
        refused.capture.stop()
        watched = watch(server.url.replace("://", "://me:se%2Fcret@"))
        until(lambda: server.clients)
        server.play([PICTURE], fps=30)
        until(lambda: len(watched.frames) > 5)
        assert "cret" not in watched.capture.state.text and "***@127.0.0.1" in watched.capture.state.text
        assert server.heard[-2] is None and server.heard[-1].startswith(scheme)


@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
def test_a_wrong_password_is_sent_as_it_is_asked_for_and_not_before(scheme: str) -> None:
    with MjpegServer(credentials="me:right", scheme=scheme) as server:
        address = parse_address(server.url.replace("://", "://me:wrong@"))
        assert "does not accept the user and the password" in diagnose.open_failure_reason(address)
        first, *others = server.heard
        assert first is None and any(others)
        assert all(said is None or said.startswith(scheme) for said in others)


def test_a_server_that_asks_for_no_password_hears_none() -> None:
    with MjpegServer(404) as server:
        address = parse_address(server.url.replace("://", "://me:secret@"))
        assert "knows no such path" in diagnose.open_failure_reason(address)
        assert server.heard == [None]


def test_a_host_that_is_none_and_a_port_where_nothing_listens() -> None:
    with MjpegServer() as server:
        url = server.url
    assert "nothing listens at 127.0.0.1:" in diagnose.open_failure_reason(parse_address(url))
    assert "no host is called" in diagnose.open_failure_reason(parse_address("rtsp://no-such-host.invalid/x"))


def test_stop_returns_while_the_library_waits_for_a_silent_server_and_leaves_no_thread(
    server: MjpegServer, watch, monkeypatch
) -> None:
    monkeypatch.setattr(opencv, "OPEN_TIMEOUT_MS", 2000)
    server.accepts = False  # it listens, and says nothing
    watched = watch(server.url)
    until(lambda: server.clients)
    before = time.monotonic()
    watched.capture.stop()
    stopped_in = time.monotonic() - before
    assert stopped_in < 1.0  # the library itself waits for seconds
    assert watched.capture.join(PATIENT_S) == []
    assert watched.capture.take(0, timeout_s=PATIENT_S) is None


def test_nothing_is_told_after_stop(server: MjpegServer, watch) -> None:
    watched = watch(server.url)
    until(lambda: server.clients)
    server.play([PICTURE], fps=50)
    until(lambda: len(watched.frames) > 5)
    watched.capture.stop()
    assert watched.capture.join(PATIENT_S) == []
    frames, states = len(watched.frames), len(watched.states)
    server.kill()
    time.sleep(0.3)
    assert (len(watched.frames), len(watched.states)) == (frames, states)
    watched.capture.stop()
    watched.capture.start()  # neither harms
    assert watched.capture.join(0) == []


def test_a_listener_that_fails_does_not_end_the_camera(server: MjpegServer, watch, caplog) -> None:
    def fail(_: LiveFrame) -> None:
        raise RuntimeError("a listener's own trouble")

    watched = watch(server.url)
    watched.capture._on_frame = fail
    until(lambda: server.clients)
    server.play([PICTURE], fps=50)
    until(lambda: watched.capture.state.received > 5)
    assert caplog.text.count("a listener's own trouble") > 1
    watched.until_phase("live")


def test_an_rtsp_camera_is_shown_and_survives_being_killed(watch) -> None:
    with RtspServer() as camera:
        camera.play(scene(320, 240), fps=20)
        watched = watch(camera.url)
        until(lambda: len(watched.frames) > 15)
        numbers = [read_clock(f.image)[0] for f in watched.frames[:15]]
        assert numbers == list(range(numbers[0], numbers[0] + 15))
        assert watched.frames[0].image.shape == (240, 320, 3)
        camera.kill()
        watched.until_phase("lost")
        camera.start()
        watched.until_phase("live")
        assert watched.phases() == ["live", "lost", "live"]
