"""When frames are due, where a drive opens, and the slots between threads: without a window."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from vbp.app.player.mailbox import Mailbox
from vbp.app.player.schedule import Schedule, first_good
from vbp.drives.base import Gap


def stamps(*seconds: float) -> np.ndarray:
    return np.array([int(s * 1e9) for s in seconds], dtype=np.int64) + 1_479_425_476_188_653_632


# The schedule: pure, so every case can be stated.


def test_frames_are_due_at_their_own_time():
    s = Schedule(stamps(0, 0.05, 0.1, 0.4, 0.45))
    s.start(0, now=100.0)
    assert [s.due(100.0 + t) for t in (0, 0.04, 0.05, 0.12, 0.39, 0.4, 0.46, 9)] == [0, 0, 1, 2, 2, 3, 4, 4]
    assert s.wait(3, 100.1) == pytest.approx(0.3)


def test_speed_changes_without_a_jump():
    s = Schedule(stamps(*np.arange(0, 10, 0.1)))
    s.start(0, now=0.0)
    assert s.due(1.0) == 10
    s.set_speed(4.0, now=1.0)
    assert s.due(1.0) == 10
    assert s.due(1.5) == 30


def test_a_long_hole_is_jumped():
    s = Schedule(stamps(0, 0.1, 600.0, 600.1))
    s.start(0, now=0.0)
    assert s.wait(2, 0.1) == pytest.approx(0.1)
    assert s.due(0.3) == 3


def test_only_kept_frames_are_played():
    s = Schedule(stamps(0, 1, 2, 3, 4, 5), np.array([False, True, False, True, True, False]))
    assert [s.after(i) for i in range(6)] == [1, 3, 3, 4, None, None]
    assert s.between(1, 4) == 1
    none_kept = Schedule(stamps(0, 1), np.array([False, False]))
    assert none_kept.after(0) == 1


def test_frames_with_one_time_stamp_do_not_stop_the_clock():
    s = Schedule(stamps(0, 0, 0, 0.1))
    s.start(0, now=0.0)
    assert s.due(0.0) == 2
    assert s.due(0.1) == 3


def test_one_frame_is_a_drive_too():
    s = Schedule(stamps(7))
    s.start(0, now=0.0)
    assert s.due(5.0) == 0
    assert s.after(0) is None


# The mailbox.


def test_the_latest_wins():
    box: Mailbox[int] = Mailbox()
    assert not box.put(1)
    assert box.put(2)
    assert box.take() == 2
    assert box.take() is None


def test_a_lossless_put_waits_and_a_closed_box_lets_go():
    box: Mailbox[int] = Mailbox()
    box.put(1)
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(box.put_when_empty(2)))
    thread.start()
    time.sleep(0.05)
    assert not results
    assert box.take() == 1
    thread.join(5)
    assert results == [True]
    waiting = threading.Thread(target=lambda: results.append(box.put_when_empty(3)))
    waiting.start()
    box.close()
    waiting.join(5)
    assert results == [True, False]
    assert box.wait() is None


def test_a_drive_opens_on_its_first_good_frame():
    class Holed:
        def __init__(self, *gaps: tuple[int, int]) -> None:
            self.info = type("Info", (), {"gaps": [Gap(a, b, "missing") for a, b in gaps]})()

        def __len__(self) -> int:
            return 10

    assert [first_good(Holed(*g)) for g in ([], [(0, 2)], [(3, 4), (0, 2)], [(1, 4)], [(0, 9)])] == [
        0,
        3,
        5,
        0,
        0,
    ]
