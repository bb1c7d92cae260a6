"""A camera is shown as it is: live, stale, lost, and back again. Servers on loopback, and cameras that misbehave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from livemaker import MjpegServer, draw_clock, jpeg, read_clock, scene
from rtspmaker import RtspServer
from vbp.errors import VbpError
from vbp.live import capture as capture_module
from vbp.live import diagnose, opencv, reader
from vbp.live.address import Address, mask, parse_address
from vbp.live.capture import Capture
from vbp.live.records import CaptureState, LiveFrame

PICTURE = scene()
PATIENT_S = 30.0  # nothing here takes that long unless it is broken


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENT_S
    while not what():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.01)


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer() as made:
        yield made


class Watched:
    """A capture with what it told."""

    def __init__(self, address: Address | str, **options: object) -> None:
        self.states: list[CaptureState] = []
        self.frames: list[LiveFrame] = []
        self.capture = Capture(address, on_frame=self.frames.append, on_state=self.states.append, **options)  # type: ignore[arg-type]
        self.capture.start()

    def phases(self) -> list[str]:
        out: list[str] = []
        for state in self.states:
            if not out or out[-1] != state.phase:
                out.append(state.phase)
        return out

    def until_phase(self, phase: str) -> None:
        until(lambda: self.capture.state.phase == phase)


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(address: Address | str, **options: object) -> Watched:
        made.append(Watched(address, **options))
        return made[-1]

    yield make
    for one in made:
        one.capture.stop()


# --- addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("0", "device", "camera 0"),
        (" 12 ", "device", "camera 12"),
        ("/dev/video2", "device", "/dev/video2"),
        ("/dev/v4l/by-id/usb-cam", "device", "/dev/v4l/by-id/usb-cam"),
        ("http://10.0.0.5:8080/video", "stream", "http://10.0.0.5:8080/video"),
        ("RTSP://host/path?channel=1", "stream", "RTSP://host/path?channel=1"),
        ("rtsp://me:secret@host/path", "stream", "rtsp://***@host/path"),
        ("rtsp://me:se@cret@host/path", "stream", "rtsp://***@host/path"),
        ("http://host/v?user=me&pwd=secret&x=1", "stream", "http://host/v?user=***&pwd=***&x=1"),
    ],
)
def test_what_is_a_camera(text: str, kind: str, name: str) -> None:
    address = parse_address(text)
    assert (address.kind, address.name) == (kind, name)
    assert "secret" not in repr(address) and "cret" not in repr(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "camera",
        "drive.mp4",
        "-1",
        "64",
        "9999",
        "٣",
        "ftp://host/x",
        "file:///etc/passwd",
        "rtsp://",
        "http://host:port/",
        "http://host:0/",
        "http://ho st/",
        "http://[::1/",
        "concat:a|b",
        "http://h/\nx",
        "1.5",
        "http://me:secret@",
        "rtsp://me:secret@host:99999/",
    ],
)
def test_what_is_no_camera_is_said_in_one_sentence_without_secrets(text: str) -> None:
    with pytest.raises(VbpError) as caught:
        parse_address(text)
    message = str(caught.value)
    assert "\n" not in message and "secret" not in message and len(message) < 300


@pytest.mark.parametrize("password", ["p/w", "p?w", "p#w", "p@w", "p:w", "p/1@w"])
def test_a_password_that_should_have_been_escaped_is_hidden_all_the_same(password: str) -> None:
    shown = mask(f"cannot open rtsp://user:{password}@10.0.0.5:554/stream now")
    assert password not in shown and "user" not in shown and "10.0.0.5:554/stream now" in shown


def test_paths_with_an_at_sign_are_left_alone() -> None:
    assert mask("http://host:8080/a@b") == "http://host:8080/a@b"


# --- streams -----------------------------------------------------------------------------------


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


def test_the_newest_frame_wins_and_the_others_are_counted(server: MjpegServer, watch) -> None:
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
    assert watched.capture.state.dropped == received - 1
    assert watched.capture.take(frame.index, timeout_s=0.05) is None
    server.send(jpeg(draw_clock(PICTURE, 4711)))
    newer = watched.capture.take(frame.index, timeout_s=PATIENT_S)
    assert newer is not None and read_clock(newer.image)[0] == 4711
    assert watched.capture.state.dropped == received - 1  # the one that was taken is not among them


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


def test_a_camera_with_a_password_is_opened_with_it(watch) -> None:
    with MjpegServer(credentials="me:se/cret") as server:
        refused = watch(server.url)
        until(lambda: "asks for a user and a password" in refused.capture.state.text)
        refused.capture.stop()
        watched = watch(server.url.replace("://", "://me:se%2Fcret@"))
        until(lambda: server.clients)
        server.play([PICTURE], fps=30)
        until(lambda: len(watched.frames) > 5)
        assert "cret" not in watched.capture.state.text and "***@127.0.0.1" in watched.capture.state.text


def test_a_host_that_is_none_and_a_port_where_nothing_listens() -> None:
    with MjpegServer() as server:
        url = server.url
    assert "nothing listens at 127.0.0.1:" in diagnose.why_not_opened(parse_address(url))
    assert "no host is called" in diagnose.why_not_opened(parse_address("rtsp://no-such-host.invalid/x"))


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
    watched.capture.listen(on_frame=fail)
    until(lambda: server.clients)
    server.play([PICTURE], fps=50)
    until(lambda: len(watched.frames) > 5)
    assert "a listener's own trouble" in caplog.text
    watched.capture.unlisten(on_frame=fail)


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


# --- devices that misbehave ------------------------------------------------------------------------


class FakeCamera:
    """What OpenCV's VideoCapture would be; `plan` says of each read what happens."""

    def __init__(self, plan: Callable[[int], str], opened: bool = True) -> None:
        self.plan, self.opened = plan, opened
        self.reads = 0
        self.released = threading.Event()
        self.unblock = threading.Event()
        self.kind = ""

    def isOpened(self) -> bool:
        return self.opened

    def grab(self) -> bool:
        self.reads += 1
        self.kind = self.plan(self.reads)
        if self.kind == "block":
            self.unblock.wait(PATIENT_S)
            return False
        time.sleep(0.005)
        return self.kind != "end"

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        if self.kind == "bad":
            return False, None
        number = 1 if self.kind == "again" else self.reads
        return True, np.ascontiguousarray(draw_clock(PICTURE, number, 0)[..., ::-1])

    def get(self, _: int) -> float:
        return 0.0  # a driver that tells no times

    def release(self) -> None:
        self.released.set()


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """make(cameras...) -> address of a device that opens as each of them in turn, the last one again and again."""
    node = tmp_path / "video7"
    node.touch()
    for name, value in (("SILENT_S", 0.7), ("FIRST_PAUSE_S", 0.02), ("LONGEST_PAUSE_S", 0.05)):
        monkeypatch.setattr(capture_module, name, value)
    every: list[FakeCamera] = []

    def make(*cameras: FakeCamera) -> Address:
        left = list(cameras)
        every.extend(cameras)
        monkeypatch.setattr(reader, "open_camera", lambda *_: left.pop(0) if len(left) > 1 else left[0])
        return Address(str(node), "device", "camera 7")

    yield make
    for camera in every:
        camera.unblock.set()


def test_old_frames_handed_out_again_are_not_fresh(device, watch) -> None:
    unplugged = FakeCamera(lambda n: "fresh" if n < 10 else "again")
    watched = watch(device(unplugged, FakeCamera(lambda n: "fresh")))
    watched.until_phase("stale")
    assert "the same picture again and again" in watched.capture.state.text
    received = watched.capture.state.received
    assert received == 10  # nine, and the first of those that repeat
    until(lambda: watched.capture.state.received > received + 5)
    assert unplugged.released.is_set()
    assert [p for p in watched.phases() if p != "connecting"] == ["live", "stale", "lost", "live"]


def test_a_read_that_hangs_is_told_and_a_device_is_not_opened_twice_meanwhile(device, watch) -> None:
    hangs = FakeCamera(lambda n: "fresh" if n < 10 else "block")
    good = FakeCamera(lambda n: "fresh")
    watched = watch(device(hangs, good))
    watched.until_phase("lost")
    assert "is silent" in watched.capture.state.text
    assert good.reads == 0 and not hangs.released.is_set()
    hangs.unblock.set()
    watched.until_phase("live")
    assert hangs.released.is_set() and watched.capture.state.reconnects == 1


def test_stop_does_not_wait_for_a_read_that_hangs(device, watch) -> None:
    hangs = FakeCamera(lambda n: "fresh" if n < 3 else "block")
    watched = watch(device(hangs))
    watched.until_phase("stale")
    watched.capture.stop()
    assert watched.capture.join(0.3) == ["camera read"]
    hangs.unblock.set()
    assert watched.capture.join(PATIENT_S) == [] and hangs.released.is_set()


def test_a_device_that_is_pulled_out_is_told_while_its_driver_still_hands_out_frames(device, watch) -> None:
    address = device(FakeCamera(lambda n: "fresh"))
    watched = watch(address)
    watched.until_phase("live")
    Path(address.text).unlink()
    watched.until_phase("lost")
    assert "unplugged" in watched.states[-1].text or "not there" in watched.states[-1].text
    Path(address.text).touch()
    watched.until_phase("live")


def test_damaged_frames_among_good_ones_are_passed_over(device, watch) -> None:
    watched = watch(device(FakeCamera(lambda n: "bad" if n % 3 else "fresh")))
    until(lambda: len(watched.frames) > 10)
    assert all(read_clock(f.image)[0] % 3 == 0 for f in watched.frames)
    assert watched.phases() == ["live"]


def test_a_device_that_does_not_open_is_tried_again(device, watch) -> None:
    watched = watch(device(FakeCamera(lambda n: "fresh", opened=False), FakeCamera(lambda n: "fresh")))
    watched.until_phase("live")
    assert watched.states[0].phase == "connecting" and "another program" in watched.states[0].text
    assert watched.capture.state.reconnects == 0  # it was never lost


def test_an_error_inside_the_library_is_told_without_credentials(monkeypatch, watch) -> None:
    def explode(address: Address, _: object) -> None:
        raise cv2.error(f"bad {address.text}")

    monkeypatch.setattr(reader, "open_camera", explode)
    watched = watch("rtsp://me:secret@127.0.0.1:1/x")
    until(lambda: watched.states)
    assert "cannot be read: bad rtsp://***@127.0.0.1:1/x" in watched.states[0].text


@pytest.mark.parametrize(
    "image",
    [
        np.full((4, 6), 7, np.uint8),
        np.full((4, 6, 1), 7, np.uint8),
        np.full((4, 6, 3), 7, np.uint8),
        np.full((4, 6, 4), 7, np.uint8),
        np.full((4, 6), 7 * 256, np.uint16),
    ],
)
def test_whatever_a_camera_gives_becomes_rgb(image: np.ndarray) -> None:
    out = reader.to_rgb(image)
    assert out.shape == (4, 6, 3) and out.dtype == np.uint8 and (out == 7).all()


def test_red_stays_red() -> None:
    assert reader.to_rgb(np.array([[[1, 2, 3]]], np.uint8)).tolist() == [[[3, 2, 1]]]


def test_a_clock_that_is_set_back_gives_times_that_grow(monkeypatch, device, watch) -> None:
    real = time.time_ns
    back = [0]
    monkeypatch.setattr(reader.time, "time_ns", lambda: real() - back[0])
    watched = watch(device(FakeCamera(lambda n: "fresh")))
    until(lambda: len(watched.frames) > 10)
    back[0] = 3600 * 10**9
    seen = len(watched.frames)
    until(lambda: len(watched.frames) > seen + 10)
    stamps = [f.timestamp_ns for f in watched.frames]
    assert all(a < b for a, b in pairwise(stamps))
    # The hour is not lived through again: the steps are those of the frames.
    assert stamps[-1] - stamps[0] < 60 * 10**9


def test_a_device_is_asked_for_what_is_wished_and_told_what_it_gives(device, watch, monkeypatch) -> None:
    asked: list[tuple[int, float]] = []

    class Willing(FakeCamera):
        def set(self, prop: int, value: float) -> bool:
            asked.append((prop, value))
            return True

        def get(self, prop: int) -> float:
            return {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_EXPOSURE: 80.0}.get(prop, 0.0)

    camera = Willing(lambda n: "fresh")
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: camera)
    monkeypatch.setattr(opencv, "_on_linux", lambda: True)
    address = device(camera)
    monkeypatch.setattr(reader, "open_camera", opencv.open_camera)
    watched = watch(address, size=(1920, 1080), fps=30, exposure_ms=8.0)
    watched.until_phase("live")
    assert (cv2.CAP_PROP_FRAME_WIDTH, 1920) in asked and (cv2.CAP_PROP_FRAME_HEIGHT, 1080) in asked
    assert (cv2.CAP_PROP_FPS, 30) in asked and (cv2.CAP_PROP_EXPOSURE, 80) in asked
    assert asked.index((cv2.CAP_PROP_AUTO_EXPOSURE, 1)) < asked.index((cv2.CAP_PROP_EXPOSURE, 80))
    state = watched.capture.state
    assert state.size == (160, 120) and state.exposure_ms == 8.0
    assert "the camera gives no 1920×1080" in state.text
    watched.capture.stop()
    assert watched.capture.join(PATIENT_S) == []
    assert asked[-1] == (cv2.CAP_PROP_AUTO_EXPOSURE, 3)  # as it was found
