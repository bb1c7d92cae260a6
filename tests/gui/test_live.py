"""The window with a camera in it: a real MJPEG server on loopback, with a clock drawn into its frames."""

from __future__ import annotations

import math
import socket
import threading
import time

import cv2
import numpy as np
import pytest
from cameramaker import PICTURE, H, W, shown, text_of
from drivemaker import WAIT
from PySide6.QtGui import QImage

from livemaker import draw_clock, jpeg, read_clock
from vbp.app.panels.live_history import History
from vbp.app.panels.live_plot import LivePlot
from vbp.frames import strengths
from vbp.live.address import parse_address
from vbp.live.records import LiveRequest
from vbp.overlay import Rect

# Frames.


def test_frames_come_with_masks_and_the_clock_in_them_is_the_delay(qtbot, live):
    window = live("NetSVF")
    seen: list[tuple[int, float]] = []
    delays: list[float] = []  # that the window tells, of the same frames

    def painted() -> None:
        frame = window.player.shown_frame
        if frame is not None and frame.result is not None:
            number, drawn_ms = read_clock(frame.image)
            now_ms = time.monotonic_ns() // 1_000_000 % 2**32
            if not seen or number != seen[-1][0]:  # it may be painted again
                seen.append((number, now_ms - drawn_ms))
                delays.append(window.live.delays_ms[-1])

    window.picture.painted.connect(painted)
    qtbot.waitUntil(lambda: len({n for n, _ in seen}) > 8, timeout=WAIT)
    numbers = [n for n, _ in seen]
    assert numbers == sorted(numbers)  # never back
    result = window.player.shown_frame.result
    assert result.crop == Rect(0, 355, 640, 125)
    plain = window.player.shown_frame.image.astype(int)
    redder = window.picture.blended().astype(int) - plain
    assert redder[355:, :, 0].sum() > 0
    assert not redder[:355].any()
    # What the window tells begins when the frame arrived: a little after it was drawn, never before.
    told = list(window.live.delays_ms)
    assert told and min(told) > 0
    assert all(ms <= since_drawn + 2 for ms, (_, since_drawn) in zip(delays, seen, strict=True))
    assert np.median(list(window.live.beyond_ms)) < np.median(told)
    window.live.tick()
    assert text_of(window).startswith("live ")
    assert f" ms · {window.player.skipped} skipped" in text_of(window)
    # LRP comes behind it, and the wheel and the plot show the prediction.
    qtbot.waitUntil(lambda: window.panels.lrp.view.blended() is not None, timeout=WAIT)
    assert math.isfinite(window.panels.live_plot.history.predicted_deg[-1])
    assert np.isnan(window.panels.live_plot.history.driven_deg).all()
    assert window.docks["angle"].widget() is window.panels.live_plot
    assert window.panels.live_bar.isVisible()
    assert not window.panels.transport.isVisible()


def test_without_a_network_the_picture_is_shown_all_the_same(qtbot, live, server):
    window = live()
    assert window.player.shown_frame.result is None
    assert window.picture.blended().shape == (H, W, 3)


def test_the_newest_frame_wins_and_those_left_out_are_counted(qtbot, live, monkeypatch):
    window = live("NetSVF", fps=30.0)
    engine = window.player._model.engine
    run = engine.run_prepared

    def slow(*args, **kwargs):
        time.sleep(0.15)
        return run(*args, **kwargs)

    monkeypatch.setattr(engine, "run_prepared", slow)
    arrived, behind = [0], []
    model = window.player._model
    deliver, run_frame = window.player.live._on_frame, model._run
    monkeypatch.setattr(
        window.player.live, "_on_frame", lambda frame: (arrived.append(frame.index), deliver(frame))
    )
    monkeypatch.setattr(
        model, "_run", lambda frame: (behind.append(arrived[-1] - frame.index), run_frame(frame))
    )
    before = window.player.skipped
    qtbot.waitUntil(lambda: len(behind) > 8 and window.player.skipped > before, timeout=WAIT)
    frame = window.player.shown_frame
    assert window.player.skipped < frame.index
    # Nothing queues up: what the network takes is the newest frame, or came while it was taken.
    assert np.median(behind[1:]) <= 1


def test_a_silent_camera_is_marked_and_comes_back(qtbot, live, server):
    window = live()
    server.pause()
    qtbot.waitUntil(lambda: "no frame for" in window.picture._old, timeout=WAIT)
    assert "no frame for" in window.panels.live_bar.camera.text()
    dimmed = window.picture.grab().toImage()
    said = [veil._text for veil in window.live.veils]
    assert set(said) == {"not live"}  # the masks, the wheel, the layers and the comparison are as old
    titles = [window.docks[name].titleBarWidget() for name in ("steering", "layers", "compare")]
    assert [title.state.text() for title in titles] == ["not live"] * 3  # where no words lie under it
    old_wheel = window.panels.prediction.grab().toImage()
    server.play(lambda n: PICTURE, 15.0)
    qtbot.waitUntil(lambda: not window.picture._old, timeout=WAIT)
    window.live.tick()
    fresh = window.picture.grab().toImage()
    assert brightness(dimmed) < 0.8 * brightness(fresh)
    assert not any(veil.isVisible() for veil in window.live.veils)
    assert not any(title.state.text() for title in titles)
    assert contrast(old_wheel) < 0.7 * contrast(window.panels.prediction.grab().toImage())
    assert text_of(window).startswith("live ")


def brightness(image: QImage) -> float:
    return float(greys(image)[40:].mean())


def contrast(image: QImage) -> float:
    return float(greys(image)[24:].std())


def greys(image: QImage) -> np.ndarray:
    image = image.convertToFormat(QImage.Format.Format_Grayscale8)
    data = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return data[:, : image.width()].copy()


def test_a_server_that_dies_is_taken_again(qtbot, live, server):
    window = live()
    server.pause()
    server.kill()
    qtbot.waitUntil(lambda: "camera lost, trying again" in window.picture._old, timeout=WAIT)
    assert text_of(window) == "lost"
    index = window.player.shown_frame.index
    server.start()
    server.play(lambda n: PICTURE, 15.0)
    shown(qtbot, window, index)
    qtbot.waitUntil(lambda: window.live.state.phase == "live", timeout=WAIT)
    window.live.tick()
    assert window.picture._old == ""
    assert window.live.state.reconnects == 1
    assert "Reconnected" in window.live.describe()


# Freeze.


def test_freeze_holds_the_picture_and_the_camera_goes_on(qtbot, live, server):
    window = live("NetSVF")
    window.actions_by_id["play"].trigger()
    assert window.player.frozen
    frame = window.player.shown_frame
    sent = server.sent
    qtbot.waitUntil(lambda: server.sent > sent + 10, timeout=WAIT)
    assert window.player.shown_frame is frame
    assert text_of(window) == "frozen"
    assert window.picture._old == ""  # a frozen picture is known to be old
    # Its panels can be looked into: LRP with another eps is made of the frozen frame.
    made = []
    window.explanations.explained.connect(made.append)
    window.panels.lrp.set_parameter("eps", 1.0)
    qtbot.waitUntil(lambda: bool(made), timeout=WAIT)
    assert all(m.frame.index == frame.index for m in made)
    # Another network sees the frozen frame too.
    window.network.use("NetHVF")
    qtbot.waitUntil(
        lambda: (
            window.player.shown_frame.result is not None
            and window.player.shown_frame.result.input.shape == (125, 351)
        ),
        timeout=WAIT,
    )
    assert window.player.shown_frame.index == frame.index
    window.actions_by_id["play"].trigger()
    assert not window.player.frozen
    skipped = window.player.skipped
    shown(qtbot, window, frame.index + 5, masked=True)
    assert window.player.skipped - skipped < 10  # what passed while frozen was not skipped


# Measured angles.


def test_a_measured_angle_fills_wheel_plot_and_error(qtbot, live):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quit_sending = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not quit_sending.wait(0.02):
                out.sendto(b'{"angle": 12.5, "unit": "deg", "speed": 7.0}\n', ("127.0.0.1", port))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    window = live("NetSVF", angles=f"udp://127.0.0.1:{port}")
    history = window.panels.live_plot.history
    qtbot.waitUntil(lambda: np.isfinite(history.driven_deg[-1:]).any(), timeout=WAIT)
    assert history.driven_deg[-1] == pytest.approx(12.5)
    lines = {name: number for name, number, _, _ in window.panels.steering.lines()}
    assert lines["driven"] == "+12.5"
    assert lines["speed"] == "7.0"
    assert lines["error"] != "–"
    window.panels.live_plot._draw_curves()
    assert np.isfinite(window.panels.live_plot._error).any()
    assert window.panels.live_bar.angles.text()
    quit_sending.set()
    sender.join()
    qtbot.waitUntil(lambda: "no angle comes in any more" in window.player.live.angles_text, timeout=WAIT)
    window.live.tick()
    assert "no angle comes in any more" in window.panels.live_bar.angles.text()


def test_a_source_of_angles_that_is_none_is_said_and_the_camera_goes_on(qtbot, live):
    window = live(angles="serial:/dev/null")
    qtbot.waitUntil(lambda: "is no source of angles" in window.notice.message(), timeout=WAIT)
    shown(qtbot, window, window.player.shown_frame.index)


# Hours.


def test_the_history_keeps_the_newest_and_does_not_grow():
    history = History(capacity=100)
    held = history.bytes
    for i in range(1050):
        history.add(i * 0.05, i, -i)
        history.add(i * 0.05, -1.0)  # not later than the last
    assert history.bytes == held
    assert len(history) == 100
    assert history.predicted_deg.tolist() == list(range(950, 1050))
    assert history.driven_deg[-1] == -1049
    assert history.times[-1] == pytest.approx(1049 * 0.05)
    history.forget_predicted()
    assert np.isnan(history.predicted_deg).all()
    history.clear()
    assert len(history) == 0


def test_the_plot_shows_the_last_minute(qtbot, live):
    window = live()
    plot = window.panels.live_plot
    for i in range(3000):
        plot.history.add(100 + i * 0.05, 3.0, 2.0)
    plot._draw_curves()
    x0, x1 = plot.view_range()
    assert x1 == pytest.approx(plot.history.times[-1], abs=2)
    assert x1 - x0 == pytest.approx(60, abs=1)
    assert len(plot._times) < 1300
    plot.hold(True)
    kept = plot.view_range()
    plot.history.add(1000.0, 3.0)
    plot._draw_curves()
    assert plot.view_range() == kept
    plot.hold(False)
    plot._draw_curves()
    assert plot.view_range()[1] == pytest.approx(1000, abs=2)


def test_the_frame_before_is_compared_live_too(qtbot, live):
    window = live("NetSVF")
    window.docks["compare"].raise_()
    panel = window.panels.compare
    qtbot.waitUntil(lambda: len(panel._seen) > 1 and panel._shown, timeout=WAIT)
    window.actions_by_id["play"].trigger()
    index = window.player.shown_frame.index
    before = panel._before()
    assert before is not None and before < index
    assert panel._compared(before).title == f"frame {before}"
    assert len(panel._seen) <= 8


# The end.


def test_closed_while_it_connects(qtbot, make_window):
    with socket.socket() as silent:  # takes the connection, and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        window = make_window()
        window.camera.open(LiveRequest(parse_address(f"http://127.0.0.1:{silent.getsockname()[1]}/x")))
        qtbot.wait(300)
        assert "Connecting" in window.picture._empty
        window.close()
        assert window.threads_left == []


def test_closed_while_a_read_blocks(qtbot, live, server):
    window = live()
    server.pause()
    qtbot.waitUntil(lambda: window.live.state is not None and window.live.state.phase != "live", timeout=WAIT)
    window.close()
    assert window.threads_left == []


def test_a_drive_takes_the_cameras_place_and_back(qtbot, live, server, drive_folder):
    window = live()
    window.source.open_drive(drive_folder)
    qtbot.waitUntil(lambda: window.player.shown_frame is not None and window.player.drive is not None)
    assert window.actions_by_id["realtime"].isEnabled()
    assert not window.actions_by_id["record"].isEnabled()
    assert window.panels.transport.isVisible()
    assert window.picture._old == ""
    window.actions_by_id["play"].trigger()
    qtbot.waitUntil(lambda: window.player.playing, timeout=WAIT)
    window.camera.open(LiveRequest(parse_address(server.url)))
    shown(qtbot, window)
    assert window.player.drive is None
    assert not window.actions_by_id["realtime"].isEnabled()
    assert window.actions_by_id["record"].isEnabled()
    window.actions_by_id["close-drive"].trigger()
    assert window.stack.currentWidget() is window.start_page
    assert window.player.live is None


def test_a_layout_kept_live_does_not_hide_the_transport(qtbot, live, make_window, settings):
    window = live()
    qtbot.wait(100)
    window.close()
    again = make_window()
    qtbot.waitUntil(lambda: again.view.placed, timeout=WAIT)
    assert again.panels.transport.isVisible()
    assert not again.panels.live_bar.isVisible()


def test_the_clock_of_the_test_can_be_read():
    assert read_clock(cv2.imdecode(np.frombuffer(jpeg(draw_clock(PICTURE, 77, 123)), np.uint8), 1)) == (
        77,
        123,
    )


def test_the_live_curve_breaks_at_an_outage(qtbot):
    plot = LivePlot()
    qtbot.addWidget(plot)
    plot.resize(600, 200)
    with qtbot.waitExposed(plot):
        plot.show()
    plot.begin(with_driven=True)
    for seconds in (*np.arange(0, 2, 0.1), *np.arange(8, 9, 0.1)):
        plot.history.add(float(seconds), 5.0, 4.0)
    plot.refresh()
    qtbot.waitUntil(lambda: len(plot._times) == 30)
    for name in ("driven", "predicted", "error"):
        xs, ys = plot._curves[name].getData()
        assert [xs[k - 1] for k in np.flatnonzero(np.isnan(ys))] == pytest.approx([1.9, 8.9], abs=0.2)


def test_a_covered_lens_is_told_by_what_was_seen_so_far(qtbot, live, server, monkeypatch):
    monkeypatch.setattr(strengths, "APART_S", 0.0)
    window = live("NetSVF")
    server.pause()
    black = [False]
    server.play(lambda n: np.roll(PICTURE, 9 * n, 1) * (not black[0]), 30.0)
    qtbot.waitUntil(lambda: window.predictions.usual is not None, timeout=2 * WAIT)
    assert window.predictions.usual.whose == "the median so far"
    assert "mask weak" not in (window.picture._warning or "")
    black[0] = True
    qtbot.waitUntil(lambda: "of the median so far" in (window.picture._warning or ""), timeout=2 * WAIT)
    assert window.picture._warning.startswith("mask weak: 1/")
    window.player.toggle()  # frozen
    faded = window.picture.blended().astype(int)[..., 0].sum()
    window.actions_by_id["fade"].trigger()
    assert faded < window.picture.blended().astype(int)[..., 0].sum()
