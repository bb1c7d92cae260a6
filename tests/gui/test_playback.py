"""The player: its two modes, seeking, gaps, loops, and its end."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from drivemaker import WAIT, number_of, our_threads, wait_shown, write_drive

import vbp.app.player.drive_thread
import vbp.app.player.model_thread
from vbp.app.player.drive_thread import DriveThread

# In a window, without a network: the pictures must flow all the same.


def shown_indices(window) -> list[int]:
    seen: list[int] = []
    window.player.shown.connect(lambda frame: seen.append(frame.index))
    return seen


def test_every_frame_skips_none_and_each_is_what_it_says(qtbot, open_window):
    window = open_window()
    pictures: list[tuple[int, int]] = []
    window.player.shown.connect(lambda f: pictures.append((f.index, number_of(f.image))))
    window.player.set_pace(8.0, realtime=False)
    window.player.play()
    qtbot.waitUntil(lambda: not window.player.playing and pictures and pictures[-1][0] == 59, timeout=WAIT)
    assert pictures == [(i, i) for i in range(1, 60)]
    assert window.player.skipped == 0


def test_every_frame_with_a_network_skips_none(qtbot, open_window):
    window = open_window(network="NetSVF")
    seen: list[tuple[int, bool]] = []
    window.player.shown.connect(lambda f: seen.append((f.index, f.result is not None)))
    window.player.set_pace(8.0, realtime=False)
    window.player.play()
    qtbot.waitUntil(lambda: bool(seen) and seen[-1][0] == 59, timeout=WAIT)
    assert seen == [(i, True) for i in range(1, 60)]
    assert np.isfinite(window.predictions.table.predicted).all()


def test_real_time_keeps_the_clock_and_counts_what_it_leaves_out(qtbot, open_window, tmp_path):
    window = open_window(write_drive(tmp_path / "fast", frames=300, fps=500.0))
    seen = shown_indices(window)
    window.player.set_pace(0.25, realtime=True)  # 2.4 s of playing
    began = time.monotonic()
    window.player.play()
    qtbot.waitUntil(lambda: not window.player.playing and seen and seen[-1] == 299, timeout=WAIT)
    assert time.monotonic() - began > 0.9 * 299 / 125
    assert seen == sorted(set(seen))
    assert window.player.skipped == 299 - len(seen)


def test_real_time_that_cannot_be_kept_skips(qtbot, open_window, tmp_path, monkeypatch):
    window = open_window(write_drive(tmp_path / "fast", frames=300, fps=500.0))
    show = window.presenter.on_shown
    window.player.shown.disconnect(window.presenter.on_shown)
    window.player.shown.connect(lambda frame: (time.sleep(0.02), show(frame)))
    seen = shown_indices(window)
    window.player.set_pace(1.0, realtime=True)
    window.player.play()
    qtbot.waitUntil(lambda: not window.player.playing and seen and seen[-1] == 299, timeout=WAIT)
    assert len(seen) < 250
    assert window.player.skipped == 299 - len(seen)


def test_a_hole_in_the_recording_does_not_hold_the_playback(qtbot, open_window, tmp_path):
    window = open_window(write_drive(tmp_path / "holes", frames=12, holes={6: 3600.0}))
    window.player.play()
    qtbot.waitUntil(lambda: window.player.shown_frame.index == 11, timeout=WAIT)


def test_the_last_request_wins(qtbot, open_window):
    window = open_window()
    seen = shown_indices(window)
    for index in [*range(0, 60, 2), 7]:
        window.player.seek(index)
    wait_shown(qtbot, window, 7)
    qtbot.wait(100)
    assert seen[-1] == 7
    assert len(seen) < 31
    assert number_of(window.player.shown_frame.image) == 7


def test_steps_and_ends(qtbot, open_window):
    window = open_window()
    for action, expected in (
        ("forward", 1),
        ("forward-10", 11),
        ("back", 10),
        ("back-10", 0),
        ("back", 0),
        ("last", 59),
        ("forward", 59),
        ("first", 0),
    ):
        window.actions_by_id[action].trigger()
        wait_shown(qtbot, window, expected)
        assert number_of(window.player.shown_frame.image) == expected


def test_pause_stops_at_what_is_shown_and_play_goes_on_after_it(qtbot, open_window):
    window = open_window()
    seen = shown_indices(window)
    window.player.set_pace(4.0, realtime=False)
    window.player.play()
    qtbot.waitUntil(lambda: len(seen) >= 5, timeout=WAIT)
    window.player.pause()
    held = seen[-1]
    qtbot.wait(200)
    assert seen[-1] == held
    window.player.play()
    qtbot.waitUntil(lambda: seen[-1] > held + 3, timeout=WAIT)
    assert seen == list(range(1, seen[-1] + 1))


def test_play_at_the_end_starts_again(qtbot, open_window):
    window = open_window(frame=59)
    window.player.play()
    qtbot.waitUntil(lambda: 0 < window.player.shown_frame.index < 59, timeout=WAIT)


@pytest.mark.parametrize("realtime", [True, False])
def test_the_loop_goes_round(qtbot, open_window, realtime):
    window = open_window()
    window.marks.set_part(20, 24)
    window.actions_by_id["loop"].trigger()
    seen = shown_indices(window)
    window.player.set_pace(2.0, realtime=realtime)
    window.player.play()
    loop = {20, 21, 22, 23, 24}
    # A busy machine skips frames, but not the same ones in every round.
    qtbot.waitUntil(lambda: seen.count(20) >= 3 and (not realtime or loop <= set(seen)), timeout=WAIT)
    inside = seen[seen.index(20) :]
    assert set(inside) == loop
    if not realtime:
        assert inside[:6] == [20, 21, 22, 23, 24, 20]
    window.actions_by_id["loop"].trigger()
    qtbot.waitUntil(lambda: seen[-1] > 24, timeout=WAIT)


def test_a_loop_of_one_frame_at_the_start(qtbot, open_window):
    window = open_window()
    window.marks.set_part(0, 0)
    window.marks.set_looping(True)
    seen = shown_indices(window)
    window.player.play()
    qtbot.waitUntil(lambda: len(seen) > 5, timeout=WAIT)
    assert set(seen) == {0}


def test_a_bad_frame_is_a_gap_and_the_playback_goes_on(qtbot, open_window, tmp_path):
    window = open_window(write_drive(tmp_path / "gaps", frames=12, broken=(4, 5)), network="NetSVF")
    frames = []
    window.player.shown.connect(frames.append)
    window.player.set_pace(4.0, realtime=False)
    window.player.play()
    qtbot.waitUntil(lambda: bool(frames) and frames[-1].index == 11, timeout=WAIT)
    # The first frame may be seen once more, as the network came after it.
    assert [f.index for f in frames if f.index > 0] == list(range(1, 12))
    assert [f.index for f in frames if f.image is None] == [4, 5]
    assert all(f.record.gap for f in frames if f.image is None)
    window.player.seek(4)
    wait_shown(qtbot, window, 4)
    assert window.picture._gap
    window.player.seek(3)
    wait_shown(qtbot, window, 3, masked=True)
    assert not window.picture._gap


def test_a_reader_that_breaks_is_told_once(qtbot, open_window, monkeypatch):
    window = open_window()
    told = []
    window.player.trouble.connect(told.append)

    def broken(i: int):
        raise RuntimeError("the disk went away")

    monkeypatch.setattr(window.player.drive, "frame", broken)
    for index in (30, 31, 32):
        window.player.seek(index)
        wait_shown(qtbot, window, index)
        assert window.player.shown_frame.image is None
    assert len(told) == 1
    assert "disk went away" in window.notice.message()


def test_scrubbing_follows_and_gives_the_playback_back(qtbot, open_window):
    window = open_window(network="NetSVF")
    window.player.play()
    qtbot.waitUntil(lambda: window.player.shown_frame.index > 2, timeout=WAIT)
    timeline = window.panels.transport.timeline
    timeline.scrub_started.emit()
    assert not window.player.playing
    for index in range(10, 41, 2):
        timeline.seek_requested.emit(index)
    wait_shown(qtbot, window, 40, masked=True)
    assert not window.player.playing
    timeline.scrub_finished.emit()
    assert window.player.playing
    qtbot.waitUntil(lambda: window.player.shown_frame.index > 42, timeout=WAIT)

    window.player.pause()
    timeline.scrub_started.emit()
    timeline.seek_requested.emit(5)
    timeline.scrub_finished.emit()
    wait_shown(qtbot, window, 5)
    assert not window.player.playing


def test_slow_frames_are_not_played_where_asked(qtbot, make_window, drive_folder, monkeypatch):
    opened = vbp.app.player.drive_thread.open_drive

    def with_speed(path, options):
        drive = opened(path, options)
        drive.speed_mps = np.where(np.arange(len(drive)) % 10 < 5, 2.0, 9.0)
        return drive

    monkeypatch.setattr(vbp.app.player.drive_thread, "open_drive", with_speed)
    window = make_window()
    window.source.open_drive(drive_folder, min_speed=5.0)
    wait_shown(qtbot, window, 0)
    seen = shown_indices(window)
    window.player.set_pace(8.0, realtime=False)
    window.player.play()
    qtbot.waitUntil(lambda: bool(seen) and seen[-1] == 59, timeout=WAIT)
    assert seen == [i for i in range(60) if i % 10 >= 5]


# The end.


def test_closing_while_it_plays_ends_every_thread(qtbot, settings, drive_folder):
    from vbp.app.shell.window import MainWindow

    before = set(threading.enumerate())
    for _ in range(6):
        window = MainWindow(settings, scheme="dark")
        window.show()
        window.network.start("NetSVF", "cpu")
        window.source.open_drive(drive_folder)
        qtbot.waitUntil(lambda w=window: w.player.drive is not None, timeout=WAIT)
        window.player.play()
        qtbot.waitUntil(lambda w=window: w.player.shown_frame is not None, timeout=WAIT)
        window.close()
        assert window.threads_left == []
        assert {t for t in threading.enumerate() if t.name.startswith("vbp-")} <= before
        window.deleteLater()


def slow(*_args, **_kwargs):
    for _ in range(3000):
        time.sleep(0.01)
    raise AssertionError("nobody stopped it")


def test_closing_while_a_drive_opens(qtbot, make_window, drive_folder, monkeypatch):
    monkeypatch.setattr(vbp.app.player.drive_thread, "open_drive", slow)
    window = make_window()
    window.source.open_drive(drive_folder)
    qtbot.wait(50)
    assert "Opening" in window.picture._empty
    window.close()
    assert window.threads_left == []
    assert not our_threads()


def test_opening_another_drive_does_not_wait_for_the_first(
    qtbot, make_window, drive_folder, tmp_path, monkeypatch
):
    opened = vbp.app.player.drive_thread.open_drive
    go = threading.Event()

    def first_is_slow(path: Path, options):
        if path.name == "slow":
            go.wait(20)
        return opened(path, options)

    monkeypatch.setattr(vbp.app.player.drive_thread, "open_drive", first_is_slow)
    late = write_drive(tmp_path / "slow", frames=5)
    window = make_window()
    window.source.open_drive(late)
    window.source.open_drive(drive_folder)
    wait_shown(qtbot, window, 0)
    assert window.player.frames == 60
    go.set()
    qtbot.wait(300)
    assert window.player.frames == 60
    assert window.player.path == drive_folder


def test_closing_while_a_network_loads(qtbot, make_window, drive_folder):
    window = make_window("NetSVF")
    window.source.open_drive(drive_folder)
    window.close()
    assert window.threads_left == []


def test_closing_in_every_frame_mode_with_a_full_screen_box(qtbot, open_window):
    window = open_window(network="NetSVF")
    window.player.set_pace(8.0, realtime=False)
    window.player.play()
    time.sleep(0.3)  # nothing is taken meanwhile: the threads wait for room
    window.close()
    assert window.threads_left == []


def test_an_abandoned_thread_says_nothing(drive_folder):
    said: list[object] = []
    route = SimpleNamespace(send=said.append, has_room=True)
    thread = DriveThread(1, drive_folder, vbp.app.player.drive_thread.OpenOptions(), said.append, route)
    thread.stop()
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert said == []
