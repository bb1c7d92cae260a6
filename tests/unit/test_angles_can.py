"""Angles from a CAN bus: python-can's virtual bus, and a DBC file with what real ones have."""

from __future__ import annotations

import builtins
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import can
import cantools
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vbp.cli import main
from vbp.errors import VbpError
from vbp.live import can_bus
from vbp.live.angles import open_angles
from vbp.live.can_bus import CanAngles, parse_address
from vbp.live.dbc import find_signal, load_dbc
from vbp.live.receiver import BadSampleError

# An angle in degrees with a code for "not available", a speed in another message, big endian; an angle on one
# page of a multiplexed message; a name in two messages; signals that overlap; an extended identifier
DBC = """VERSION ""

NS_ :

BS_:

BU_: CAR VBP

BO_ 37 STEERING: 8 CAR
 SG_ StWhl_Angl : 0|16@1- (0.1,0) [-780|780] "deg" VBP
 SG_ StWhl_Rate : 16|16@1- (0.1,0) [0|0] "deg/s" VBP
 SG_ Unitless : 32|16@1- (0.001,0) [0|0] "" VBP

BO_ 38 WHEELS: 8 CAR
 SG_ Veh_Spd : 7|16@0+ (0.01,0) [0|650] "km/h" VBP
 SG_ StWhl_Rate : 16|16@1- (0.1,0) [0|0] "deg/s" VBP

BO_ 39 PAGES: 8 CAR
 SG_ Page M : 0|8@1+ (1,0) [0|255] "" VBP
 SG_ Paged_Angle m1 : 8|16@1- (0.0001,0) [0|0] "rad" VBP
 SG_ Other m2 : 8|16@1- (1,0) [0|0] "" VBP
 SG_ Inner m3M : 8|8@1+ (1,0) [0|255] "" VBP
 SG_ Deep m5 : 16|16@1- (0.1,0) [0|0] "deg" VBP

BO_ 40 OVERLAP: 8 CAR
 SG_ Whole : 0|16@1- (1,0) [0|0] "" VBP
 SG_ Overlapping_Angle : 8|16@1- (0.1,0) [0|0] "deg" VBP

BO_ 2566834709 TRUCK: 8 CAR
 SG_ Truck_Angle : 0|16@1+ (0.1,-3200) [-3200|3200] "°" VBP

SG_MUL_VAL_ 39 Paged_Angle Page 1-1;
SG_MUL_VAL_ 39 Other Page 2-2;
SG_MUL_VAL_ 39 Inner Page 3-3;
SG_MUL_VAL_ 39 Deep Inner 5-6;

VAL_ 37 StWhl_Angl 32767 "not available" ;
"""


@pytest.fixture
def dbc(tmp_path: Path) -> Path:
    path = tmp_path / "my car+.dbc"
    path.write_text(DBC, encoding="cp1252")
    return path


@pytest.fixture
def channel(request: pytest.FixtureRequest) -> str:
    return f"test-{request.node.name}"


@pytest.fixture
def car(channel: str) -> Iterator[can.BusABC]:
    with can.Bus(interface="virtual", channel=channel, preserve_timestamps=True) as bus:
        yield bus


class Sender:
    """Encodes with cantools and sends; the oracle is what was put in."""

    def __init__(self, bus: can.BusABC, dbc: Path) -> None:
        self.bus = bus
        self.database = cantools.database.load_file(dbc, strict=False)

    def send(self, name: str, at_ns: int, **signals: float) -> None:
        message = self.database.get_message_by_name(name)
        full = dict.fromkeys((s.name for s in message.signals if not s.multiplexer_ids), 0) | signals
        data = message.encode(full, strict=False)
        self.raw(message.frame_id, data, at_ns, message.is_extended_frame)

    def raw(self, number: int, data: bytes, at_ns: int, extended: bool = False, **more: Any) -> None:
        self.bus.send(
            can.Message(
                arbitration_id=number, data=data, is_extended_id=extended, timestamp=at_ns / 1e9, **more
            )
        )


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.01)


def listen(channel: str, dbc: Path, more: str) -> CanAngles:
    source = can_bus.open(f"can:virtual:{channel}?dbc={dbc}&{more}")
    source.start()
    until(lambda: len(can.interfaces.virtual.channels.get(channel, [])) >= 2)
    return source


def test_angle_and_speed_in_their_units(car: can.BusABC, channel: str, dbc: Path) -> None:
    source = listen(channel, dbc, "signal=StWhl_Angl&speed=Veh_Spd")
    try:
        sender, start = Sender(car, dbc), time.time_ns()
        sender.send("STEERING", start - 10**8, StWhl_Angl=5)
        for i in range(10):
            sender.send("WHEELS", start + i * 10**7, Veh_Spd=36)
            sender.raw(0x123, b"12345678", start)
            sender.raw(37, b"12345678", start, extended=True)
            sender.raw(37, b"", start, is_remote_frame=True)
            sender.send("STEERING", start + i * 10**7, StWhl_Angl=90 + i)
        until(lambda: source.count == 11)
        for i in range(10):
            got = source.at(start + i * 10**7)
            assert got is not None
            assert abs(got.timestamp_ns - start - i * 10**7) < 1000  # python-can's times are float seconds
            assert got.angle_rad == pytest.approx(math.radians(90 + i))
            assert got.speed_mps == pytest.approx(10)
        first = source.at(start - 10**8)
        assert first is not None
        assert math.isnan(first.speed_mps)  # none was known yet
        assert "(signal StWhl_Angl of message 0x025)" in source.state
        assert "left out" not in source.state
    finally:
        source.stop()


def test_an_old_speed_is_none(car: can.BusABC, channel: str, dbc: Path) -> None:
    source = listen(channel, dbc, "signal=StWhl_Angl&speed=Veh_Spd")
    try:
        sender, now = Sender(car, dbc), time.time_ns()
        sender.send("WHEELS", now - 900_000_000, Veh_Spd=36)
        sender.send("STEERING", now + 200_000_000, StWhl_Angl=1)
        until(lambda: source.count == 1)
        assert source.newest is not None
        assert math.isnan(source.newest.speed_mps)
    finally:
        source.stop()


@pytest.mark.parametrize(
    ("options", "message", "signals", "expected"),
    [
        ("signal=StWhl_Angl&sign=right", "STEERING", {"StWhl_Angl": 10}, -math.radians(10)),
        ("signal=STEERING.StWhl_Angl", "STEERING", {"StWhl_Angl": 10}, math.radians(10)),
        ("signal=StWhl_Angl&unit=rad", "STEERING", {"StWhl_Angl": 10}, 10),
        ("signal=Unitless&unit=deg", "STEERING", {"Unitless": 10}, math.radians(10)),
        ("signal=Paged_Angle", "PAGES", {"Page": 1, "Paged_Angle": -0.5}, -0.5),
        ("signal=Deep", "PAGES", {"Page": 3, "Inner": 6, "Deep": 20}, math.radians(20)),
        ("signal=Truck_Angle", "TRUCK", {"Truck_Angle": -12.5}, math.radians(-12.5)),
    ],
)
def test_signals_units_and_sides(
    car: can.BusABC,
    channel: str,
    dbc: Path,
    options: str,
    message: str,
    signals: dict[str, float],
    expected: float,
) -> None:
    source = listen(channel, dbc, options)
    try:
        sender = Sender(car, dbc)
        sender.send("PAGES", time.time_ns(), Page=2, Other=7)  # another page: no angle, and nothing wrong
        sender.send(message, time.time_ns(), **signals)
        until(lambda: source.count == 1)
        assert source.newest is not None
        assert source.newest.angle_rad == pytest.approx(expected)
        assert "left out" not in source.state
    finally:
        source.stop()


def test_signals_that_overlap(dbc: Path) -> None:
    """As files of real cars have them; cantools cannot decode such a message as a whole."""
    signal = find_signal(load_dbc(dbc), "Overlapping_Angle", dbc)
    assert signal.value(bytes([1, 100, 0, 0, 0, 0, 0, 0])) == pytest.approx(10)


def test_what_is_no_angle_is_left_out_and_said(car: can.BusABC, channel: str, dbc: Path) -> None:
    source = listen(channel, dbc, "signal=StWhl_Angl")
    try:
        sender, now = Sender(car, dbc), time.time_ns()
        for n, (data, said) in enumerate(
            (
                (b"\xff\x7f" + bytes(6), "StWhl_Angl says not available"),
                (
                    b"\x00\x7f" + bytes(6),
                    "StWhl_Angl is 3251.2, outside of the -780 to 780 that the DBC file allows",
                ),
                (b"\x01", "message STEERING does not fit the DBC file"),
            ),
            1,
        ):
            sender.raw(37, data, now)
            until(lambda said=said: said in source.state)
            assert said in source.state
            assert f"{n} message" in source.state
        car.send(can.Message(is_error_frame=True, arbitration_id=37, is_extended_id=False))
        until(lambda: "4 messages" in source.state)
        assert "the bus reports an error" in source.state
        assert source.count == 0
        sender.send("STEERING", now, StWhl_Angl=1)
        until(lambda: source.count == 1)
        assert source.count == 1
    finally:
        source.stop()


def test_a_bus_with_a_clock_of_its_own(car: can.BusABC, channel: str, dbc: Path) -> None:
    source = listen(channel, dbc, "signal=StWhl_Angl")
    try:
        before = time.time_ns()
        Sender(car, dbc).send("STEERING", 12_000_000_000, StWhl_Angl=1)  # 12 s after it was switched on
        until(lambda: source.count == 1)
        assert source.newest is not None
        assert before <= source.newest.timestamp_ns <= time.time_ns()
    finally:
        source.stop()


def test_a_bus_that_fails_is_opened_again(
    car: can.BusABC, channel: str, dbc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absent at first, lost once in between: the error is told each time, and the angles come in the end."""
    monkeypatch.setattr(can_bus, "_RETRY_S", 0.3)
    real, opened = can.Bus, []

    def bus(**options: Any) -> can.BusABC:
        opened.append(options)
        if len(opened) == 1:
            raise OSError(19, "No such device")
        made = real(**options)
        if len(opened) == 2:

            def lost(timeout: float | None = None) -> None:
                raise can.CanOperationError("Network is down")

            made.recv = lost
        return made

    monkeypatch.setattr(can, "Bus", bus)
    source = can_bus.open(f"can:virtual:{channel}?dbc={dbc}&signal=StWhl_Angl&bitrate=500000")
    source.start()
    try:
        until(lambda: "cannot be opened" in source.state)
        assert source.state == f"virtual {channel} cannot be opened: No such device; trying again"
        until(lambda: "is lost" in source.state)
        assert source.state == f"virtual {channel} is lost: Network is down; trying again"
        until(lambda: len(opened) == 3 and "no angle has come in yet" in source.state)
        Sender(car, dbc).send("STEERING", time.time_ns(), StWhl_Angl=1)
        until(lambda: source.count == 1)
        assert source.count == 1
        assert opened[0]["bitrate"] == 500_000
        assert opened[0]["can_filters"] == [{"can_id": 37, "can_mask": 0x7FF, "extended": False}]
    finally:
        source.stop()
    until(lambda: len(can.interfaces.virtual.channels[channel]) == 1)
    assert len(can.interfaces.virtual.channels[channel]) == 1  # the lost one too was shut down


def test_the_command_shows_angle_and_speed(
    car: can.BusABC, channel: str, dbc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sender, done = Sender(car, dbc), threading.Event()

    def drive() -> None:
        while not done.wait(0.02):
            sender.send("WHEELS", time.time_ns(), Veh_Spd=36)
            sender.send("STEERING", time.time_ns(), StWhl_Angl=-4.5)

    driving = threading.Thread(target=drive)
    driving.start()
    try:
        address = f"can:virtual:{channel}?dbc={dbc}&signal=StWhl_Angl&speed=Veh_Spd"
        assert main(["angles", address, "--seconds", "1.2"]) == 0
        assert main(["angles", address, "--seconds", "0.5", "--json"]) == 0
    finally:
        done.set()
        driving.join()
    out = capsys.readouterr().out
    shown, _, facts = out.partition("{")
    assert "   −4.50°    10.0 m/s  " in shown
    assert f"angles a second on virtual {channel} (signal StWhl_Angl of message 0x025)" in shown
    assert "−4.50° to −4.50° (left is positive)" in shown
    sums = json.loads("{" + facts)
    assert (round(sums["angle_deg"], 6), round(sums["speed_mps"], 6)) == (-4.5, 10)
    assert sums["samples"] > 0
    until(lambda: not [t for t in threading.enumerate() if t.name == "live-angles"])
    assert not [t for t in threading.enumerate() if t.name == "live-angles"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("can:", "write it like can:socketcan:can0"),
        ("can:virtual:?dbc=x&signal=y", "write it like"),
        ("can:virtual:x", "the DBC file is missing"),
        ("can:virtual:x?dbc=DBC", "the name of the steering angle in it is missing"),
        ("can:virtual:x?dbc=DBC&signal=a&bitrate=fast", "bitrate=fast is no number"),
        ("can:virtual:x?dbc=DBC&signal=a&side=left", "the option 'side' is not known; accepted: dbc, signal"),
        ("can:sockcan:x?dbc=DBC&signal=a", r"no interface 'sockcan' \(did you mean socketcan"),
        ("can:virtual:x?dbc=DBC.no&signal=a", "cannot be read: No such file"),
        ("can:virtual:x?dbc=DBC&signal=stwhl_angle", r"no signal stwhl_angle \(did you mean StWhl_Angl"),
        ("can:virtual:x?dbc=DBC&signal=WHEELS.StWhl_Angl", "no signal WHEELS.StWhl_Angl"),
        ("can:virtual:x?dbc=DBC&signal=zzz", "it has Deep, Inner, Other, Overlapping_Angle, Page"),
        (
            "can:virtual:x?dbc=DBC&signal=StWhl_Rate",
            "in several messages; say which: STEERING.StWhl_Rate, WHEELS.StWhl_Rate",
        ),
        ("can:virtual:x?dbc=DBC&signal=Unitless", "Unitless states no unit in its DBC file; add unit=deg or"),
        (
            "can:virtual:x?dbc=DBC&signal=Veh_Spd",
            "Veh_Spd has the unit 'km/h' in its DBC file; add unit=deg or",
        ),
        (
            "can:virtual:x?dbc=DBC&signal=StWhl_Angl&speed=Unitless",
            "Unitless states no unit in its DBC file; add speed_unit=kmh or",
        ),
    ],
)
def test_wrong_addresses_are_one_sentence(dbc: Path, address: str, said: str) -> None:
    with pytest.raises(VbpError, match=said) as caught:
        open_angles(address.replace("DBC", str(dbc)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x00\xff\x81" * 50, b"BO_ 37", b"<xml/>"])
def test_a_file_that_is_no_dbc_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.dbc"
    path.write_bytes(content)
    with pytest.raises(VbpError, match="is no DBC file that can be read") as caught:
        load_dbc(path)
    assert "\n" not in str(caught.value)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, dbc: Path) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name == "can":
            raise ImportError("No module named 'can'", name="can")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(VbpError, match=r"pip install 'vbp\[can\]'"):
        open_angles(f"can:virtual:x?dbc={dbc}&signal=StWhl_Angl")


@given(st.text(max_size=40))
def test_any_address_is_read_or_refused_in_one_sentence(text: str) -> None:
    for prefix in ("", "can:", "can:a:b?", "can:a:b?dbc=x&signal=y&bitrate="):
        try:
            address = parse_address(prefix + text)
        except VbpError as error:
            assert str(error)
        else:
            assert address.interface
            assert address.channel
            assert address.bitrate >= 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=64))
def test_any_bytes_are_a_value_in_range_or_refused(dbc: Path, data: bytes) -> None:
    database = load_dbc(dbc)
    for name in ("StWhl_Angl", "Paged_Angle", "Deep", "Veh_Spd"):
        signal = find_signal(database, name, dbc)
        try:
            value = signal.value(data)
        except BadSampleError as error:
            assert str(error)
        else:
            assert value is None or signal.low <= value <= signal.high
