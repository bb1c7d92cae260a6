"""The track of live samples against a plain list; which sources there are."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbp.errors import VbpError
from vbp.live.angles import SOURCES, Track, open_angles

BASE = 1_479_425_441_182_877_835
TIMES = st.integers(-300, 300).map(lambda t: BASE + t * 1_000_003)


@given(st.lists(TIMES, max_size=60), st.integers(1, 20), TIMES)
def test_the_nearest_sample_is_found_as_by_looking_at_all(
    times: list[int], capacity: int, asked: int
) -> None:
    track = Track(capacity, nearest_s=0.05)
    every: dict[int, float] = {}
    for i, t in enumerate(times):
        track.add(t, i + 0.5, -float(i))
        every[t] = i + 0.5
    kept = sorted(every)[-capacity:]
    near = [t for t in kept if abs(t - asked) <= 50_000_000]
    got = track.at(asked)
    if not near:
        assert got is None
    else:
        best = min(near, key=lambda t: (abs(t - asked), t))
        assert got is not None
        assert (got.timestamp_ns, got.angle_rad, got.speed_mps) == (best, every[best], 0.5 - every[best])
    assert track.count == len(times)
    newest = track.newest
    assert (newest.timestamp_ns if newest else None) == max(every, default=None)


def test_it_stays_small_and_whole_while_threads_add_and_ask() -> None:
    track = Track(capacity=100)
    stop = threading.Event()
    wrong: list[object] = []

    def ask() -> None:
        while not stop.is_set():
            time.sleep(0)
            newest = track.newest
            if newest is not None:
                got = track.at(newest.timestamp_ns)
                if got is not None and got.angle_rad != (got.timestamp_ns - BASE) / 1e6:
                    wrong.append(got)

    thread = threading.Thread(target=ask)
    thread.start()
    for i in range(2000):
        track.add(BASE + i * 1_000_000, float(i))
    stop.set()
    thread.join()
    assert wrong == [] and len(track._times) <= 201
    assert track.at(BASE) is None  # long gone


@pytest.mark.parametrize("text", ["", "udp", "tcp://x", "://", "rtsp://host/x", "can"])
def test_what_is_no_source_is_said(text: str) -> None:
    with pytest.raises(VbpError) as caught:
        open_angles(text)
    assert "accepted: udp://" in str(caught.value) and "\n" not in str(caught.value)


def test_sources_are_known_by_their_scheme() -> None:
    assert set(SOURCES) == {"udp", "can"}
