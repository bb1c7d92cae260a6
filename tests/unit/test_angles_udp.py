"""Angles over UDP, on loopback: what is sent is found at its time, and what is garbage is counted and said."""

from __future__ import annotations

import json
import math
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbp.cli import main
from vbp.errors import VbpError
from vbp.live.angles import open_angles
from vbp.live.receiver import MOST_RAD, BadSampleError
from vbp.live.udp import MAX_LINE, MAX_LINES, Address, UdpAngles, parse_address, parse_line

NOW = 1_700_000_000_123_456_789


def until(true: Callable[[], bool]) -> None:
    """Waits for what another thread does; its absence fails the assertion that follows."""
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.01)


@pytest.fixture
def source() -> Iterator[UdpAngles]:
    source = UdpAngles(Address("127.0.0.1", 0))
    source.start()
    yield source
    source.stop()


def send(source: UdpAngles, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in datagrams:
            sender.sendto(data, ("127.0.0.1", source.port))


def test_a_stream_is_found_again_at_its_times(source: UdpAngles) -> None:
    start = time.time_ns()
    times = [start + i * 20_000_000 for i in range(20)]
    send(source, *(json.dumps({"angle": i / 10, "speed": i, "t": t}).encode() for i, t in enumerate(times)))
    until(lambda: source.count == 20)
    for i, t in enumerate(times):
        found = source.at(t + 1_000_000)
        assert found is not None
        assert (found.timestamp_ns, found.angle_rad, found.speed_mps) == (t, i / 10, i)
    assert source.at(times[-1] + 10**9) is None
    assert "a second on UDP port" in source.state


def test_several_lines_in_a_datagram_and_garbage_between_them(source: UdpAngles) -> None:
    t = time.time_ns()
    send(
        source,
        b'{"angle": 90, "unit": "deg", "t": %d}\n\n{"angle": "left"}\r\nrubbish\n{"angle": -0.5, "t": %d}\n'
        % (t, t + 10**8),
        b"\xff\xfe\x00",
        b"[" * 60_000,
        b"\n".join([b"7"] * (MAX_LINES + 5)),
        b"",
        b'{"angle": 0.25}',
    )
    until(lambda: source.count == 3)
    until(lambda: f"{2 + 1 + 1 + MAX_LINES + 1} messages were left out" in source.state)
    first, second = source.at(t), source.at(t + 10**8)
    assert first is not None
    assert second is not None
    assert first.angle_rad == pytest.approx(math.pi / 2)
    assert math.isnan(first.speed_mps)
    assert second.angle_rad == -0.5
    assert (
        f"{2 + 1 + 1 + MAX_LINES + 1} messages were left out (the last: it is no JSON object" in source.state
    )


def test_without_a_time_the_arrival_counts_and_the_right_can_be_positive() -> None:
    source = UdpAngles(parse_address("udp://127.0.0.1:0?unit=deg&sign=right"))
    source.start()
    try:
        before = time.time_ns()
        send(source, b'{"angle": 180}')
        until(lambda: source.count == 1)
        found = source.newest
        assert found is not None
        assert before <= found.timestamp_ns <= time.time_ns()
        assert found.angle_rad == pytest.approx(-math.pi)
    finally:
        source.stop()


def test_a_wrong_clock_is_said(source: UdpAngles) -> None:
    now = time.time()
    send(source, *(b'{"angle": 0.1, "t": %f}' % (now - 30 + i / 50) for i in range(10)))
    until(lambda: source.count == 10)
    assert " behind this machine's clock" in source.state
    assert source.at(time.time_ns()) is None
    send(source, b'{"angle": 0.1, "t": 1479425476188653632}', b'{"angle": 90}')
    until(lambda: "2 messages" in source.state)
    assert source.count == 10
    assert "farther than a steering wheel turns; is the unit right?" in source.state


def test_a_port_in_use_is_one_sentence_and_stopping_frees_it(source: UdpAngles) -> None:
    second = open_angles(f"udp://127.0.0.1:{source.port}")
    with pytest.raises(
        VbpError, match=f"udp://127.0.0.1:{source.port} cannot be listened on: Address already"
    ):
        second.start()
    port = source.port
    source.stop()
    assert "not listening" in source.state
    again = UdpAngles(Address("127.0.0.1", port))
    until(lambda: source._closed.is_set())
    again.start()
    again.stop()
    again.start()  # at once, while the thread before may still have the port
    send(again, b'{"angle": 1}')
    until(lambda: again.count == 1)
    assert again.count == 1
    again.stop()


def test_ipv6() -> None:
    source = UdpAngles(parse_address("udp://[::1]:0"))
    try:
        source.start()
    except VbpError:
        pytest.skip("no IPv6 on this machine")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.sendto(b'{"angle": 1}', ("::1", source.port))
    until(lambda: source.count == 1)
    assert source.count == 1
    source.stop()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("udp://:9000", Address("", 9000)),
        ("udp://0.0.0.0:9000/", Address("0.0.0.0", 9000)),
        ("UDP://car:1?unit=deg", Address("car", 1, "deg")),
        ("udp://[::]:65535?sign=right&unit=rad", Address("::", 65535, "rad", "right")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("udp://", "write it like udp://:9000"),
        ("udp://host", "write it like"),
        ("udp://:70000", "write it like"),
        ("udp://:x", "write it like"),
        ("udp://[::1:80", "write it like"),
        ("udp://:80/path", "write it like"),
        ("udp://:80?unit=grad", "unit=grad is not known; accepted: rad, deg"),
        (
            "udp://:80?units=deg",
            r"the option 'units' is not known; accepted: unit, sign \(did you mean unit\?\)",
        ),
        ("udp://:80?unit=deg&unit=deg", "unit is given twice"),
        ("udp://:80?sign", "sign has no value"),
        ("udp://:80?&", "option '' is not known"),
    ],
)
def test_wrong_addresses_are_one_sentence(text: str, said: str) -> None:
    with pytest.raises(VbpError, match=said):
        open_angles(text)


def test_a_host_of_another_machine_is_one_sentence() -> None:
    with pytest.raises(VbpError, match="cannot be listened on|no address of this machine"):
        open_angles("udp://192.0.2.1:9000").start()


@given(st.text(max_size=40))
def test_any_address_is_read_or_refused_in_one_sentence(text: str) -> None:
    for prefix in ("", "udp:", "udp://", "udp://h:1?"):
        try:
            address = parse_address(prefix + text)
        except VbpError as error:
            assert str(error)
        else:
            assert 0 <= address.port <= 65535


finite = st.floats(-MOST_RAD, MOST_RAD)
seconds = st.integers(0, 4_000_000_000)


@given(
    angle=finite,
    unit=st.sampled_from(["rad", "deg", None]),
    default=st.sampled_from(["rad", "deg"]),
    sign=st.sampled_from(["left", "right"]),
    speed=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    when=st.none() | seconds | seconds.map(float) | seconds.map(lambda s: s * 10**9 + 10**17 + 1),
)
def test_every_good_line_means_what_it_says(
    angle: float, unit: str | None, default: str, sign: str, speed: float | None, when: float | None
) -> None:
    line = json.dumps({"angle": angle, "unit": unit, "speed": speed, "t": when, "more": [1]}).encode()
    got = parse_line(line, default, sign, NOW)
    expected = math.radians(angle) if (unit or default) == "deg" else angle
    assert got.angle_rad == pytest.approx(expected if sign == "left" else -expected)
    assert math.isnan(got.speed_mps) if speed is None else got.speed_mps == speed
    if when is None:
        assert got.timestamp_ns == NOW
    elif when < 10**14:
        assert got.timestamp_ns == int(when) * 10**9
    else:
        assert got.timestamp_ns == when


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.binary(max_size=60)
    | st.fixed_dictionaries(
        {}, optional={"angle": json_values, "unit": json_values, "speed": json_values, "t": json_values}
    ).map(lambda data: json.dumps(data).encode())
    | st.sampled_from([b'{"angle": 1e999}', b'{"angle": 1, "t": 1e400}', b'{"angle": 1' + b"0" * 5000 + b"}"])
    | st.sampled_from([b'{"angle": 1%s}' % (b"0" * 400), b"[" * MAX_LINE, b" " * (MAX_LINE + 1)])
)
def test_whatever_comes_is_a_finite_angle_or_is_refused(line: bytes) -> None:
    try:
        got = parse_line(line, "deg", "right", NOW)
    except BadSampleError as error:
        assert str(error)
    else:
        assert math.isfinite(got.angle_rad)
        assert math.isnan(got.speed_mps) or math.isfinite(got.speed_mps)
        assert isinstance(got.timestamp_ns, int)


def test_the_command_shows_what_comes_in_and_ends_with_a_sum() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vbp", "angles", f"udp://127.0.0.1:{port}?unit=deg"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == f"no angle has come in yet on UDP port {port} of 127.0.0.1\n"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for angle in (-30, 12.5):
                sender.sendto(b'{"angle": %f, "speed": 7}' % angle, ("127.0.0.1", port))
        while not (line := run.stdout.readline()).startswith("  +12.50°     7.0 m/s  "):
            assert line
        run.send_signal(signal.SIGINT)
        rest, errors = run.communicate(timeout=60)
    assert rest.splitlines()[-1].startswith("2 angles in ")
    assert (run.returncode, errors) == (0, "")


def test_the_command_without_an_angle_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["angles", "udp://127.0.0.1:0", "--seconds", "0.1"]) == 2
    assert "vbp: no angle has come in yet on UDP port" in capsys.readouterr().err
