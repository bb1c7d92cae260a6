"""Angles from a car's own bus: a signal of a CAN message, through python-can and a DBC file (extra `vbp[can]`).

`can:INTERFACE:CHANNEL?dbc=FILE&signal=NAME[&speed=NAME][&unit=deg|rad][&sign=left|right][&speed_unit=mps|kmh]`
and, for adapters that want it, `[&bitrate=500000][&fd=1]`; e.g. `can:socketcan:can0?dbc=car.dbc&signal=SteerAngle`.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vbp.errors import VbpError
from vbp.live.angles import Measured
from vbp.live.dbc import Signal, find_signal, load_dbc
from vbp.live.options import SIDES, UNITS, near, parse_options
from vbp.live.receiver import BadSampleError, Receiver

if TYPE_CHECKING:
    from can import BusABC, Message

EXAMPLE = "can:socketcan:can0?dbc=car.dbc&signal=NAME"

_OPTIONS: dict[str, tuple[str, ...]] = {
    "dbc": (),
    "signal": (),
    "speed": (),
    "unit": UNITS,
    "sign": SIDES,
    "speed_unit": ("mps", "kmh"),
    "bitrate": (),
    "fd": ("0", "1"),
}
# As DBC files write them, without case -> radians or metres per second
_ANGLES = dict.fromkeys(("deg", "degree", "degrees", "°"), math.pi / 180) | dict.fromkeys(
    ("rad", "radian", "radians"), 1.0
)
_SPEEDS = dict.fromkeys(("km/h", "kmh", "kph", "kmph"), 1 / 3.6) | dict.fromkeys(("m/s", "mps"), 1.0)
_SPEEDS |= dict.fromkeys(("mph", "mi/h"), 0.44704)

_POLL_S = 0.2
_RETRY_S = 1.0
_SPEED_FOR_S = 1.0  # a speed older than this says nothing about an angle
_CLOCK_S = 1.0  # a bus that counts time from its own start is farther from ours than this


@dataclass(frozen=True)
class Address:
    """Which bus, and what on it. Empty where the address does not say; bitrate 0."""

    interface: str
    channel: str
    dbc: Path
    signal: str
    speed: str = ""
    unit: str = ""
    sign: str = "left"
    speed_unit: str = ""
    bitrate: int = 0
    fd: bool = False


def parse_address(text: str) -> Address:
    """The address that `text` names; no file is looked at. Raises VbpError."""
    bus, _, query = text.partition("?")
    scheme, _, rest = bus.partition(":")
    interface, _, channel = rest.partition(":")
    if scheme.lower() != "can" or not interface or not channel:
        raise VbpError(f"{text} is not understood; write it like {EXAMPLE}")
    options = parse_options(text, query, _OPTIONS)
    for name, what in (("dbc", "the DBC file"), ("signal", "the name of the steering angle in it")):
        if name not in options:
            raise VbpError(f"{text}: {what} is missing; write it like {EXAMPLE}")
    bitrate = options.get("bitrate", "0")
    if not (bitrate.isascii() and bitrate.isdigit() and len(bitrate) < 10):
        raise VbpError(f"{text}: bitrate={bitrate} is no number of bits a second, like 500000")
    return Address(
        interface,
        channel,
        Path(options["dbc"]).expanduser(),
        options["signal"],
        options.get("speed", ""),
        options.get("unit", ""),
        options.get("sign", "left"),
        options.get("speed_unit", ""),
        int(bitrate),
        options.get("fd") == "1",
    )


class CanAngles(Receiver):
    """Receives one signal of a bus, and the speed if it is named; a bus that fails is opened again and again.

    Raises VbpError where the DBC file does not have the signals, or states no unit and the address none.
    """

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.address = address
        database = load_dbc(address.dbc)
        self._angle = find_signal(database, address.signal, address.dbc)
        self._speed = find_signal(database, address.speed, address.dbc) if address.speed else None
        side = 1.0 if address.sign == "left" else -1.0
        self._to_rad = side * _factor(self._angle, address.unit, _ANGLES, "unit=deg or unit=rad")
        self._to_mps = math.nan
        if self._speed is not None:
            self._to_mps = _factor(
                self._speed, address.speed_unit, _SPEEDS, "speed_unit=kmh or speed_unit=mps"
            )
        self._last_speed = (0, math.nan)  # time, m/s

    def _receive(self, quit: threading.Event) -> None:
        from can import CanError

        while not quit.is_set():
            try:
                bus = self._open()
            except Exception as error:  # a maker's driver may raise anything
                self._tell(f"{self._bus} cannot be opened: {_reason(error)}; trying again")
                quit.wait(_RETRY_S)
                continue
            self._tell("")
            try:
                while not quit.is_set():
                    message = bus.recv(_POLL_S)
                    if message is not None:
                        self._message(message, time.time_ns())
            except (CanError, OSError) as error:
                self._tell(f"{self._bus} is lost: {_reason(error)}; trying again")
                quit.wait(_RETRY_S)
            finally:
                with suppress(Exception):  # it may be gone already
                    bus.shutdown()

    def _open(self) -> BusABC:
        import can

        wanted = {s.key for s in (self._angle, self._speed) if s is not None}
        options: dict[str, Any] = {
            "can_filters": [
                {"can_id": number, "can_mask": 0x1FFFFFFF if long else 0x7FF, "extended": long}
                for number, long in sorted(wanted)
            ]  # in the kernel or the adapter, where it can: a full bus has thousands of messages a second
        }
        if self.address.bitrate:
            options["bitrate"] = self.address.bitrate
        if self.address.fd:
            options["fd"] = True
        return can.Bus(interface=self.address.interface, channel=self.address.channel, **options)

    def _message(self, message: Message, now_ns: int) -> None:
        if message.is_error_frame:
            self._refuse("the bus reports an error: is the bit rate right, and the wiring?")
            return
        if message.is_remote_frame:
            return
        key = message.arbitration_id, message.is_extended_id
        time_ns = round(message.timestamp * 1e9) if math.isfinite(message.timestamp) else 0
        if abs(time_ns - now_ns) > _CLOCK_S * 1e9:
            time_ns = now_ns
        try:
            if self._speed is not None and key == self._speed.key:
                speed = self._speed.value(bytes(message.data))
                if speed is not None:
                    self._last_speed = time_ns, speed * self._to_mps
            if key == self._angle.key:
                angle = self._angle.value(bytes(message.data))
                if angle is not None:
                    self._take(Measured(time_ns, angle * self._to_rad, self._speed_at(time_ns)), now_ns)
        except BadSampleError as error:
            self._refuse(str(error))

    def _speed_at(self, time_ns: int) -> float:
        when, speed = self._last_speed
        return speed if abs(time_ns - when) <= _SPEED_FOR_S * 1e9 else math.nan

    @property
    def _bus(self) -> str:
        return f"{self.address.interface} {self.address.channel}"

    def _place(self) -> str:
        number, long = self._angle.key
        return f"{self._bus} (signal {self._angle.name} of message 0x{number:{'08X' if long else '03X'}})"


def _factor(signal: Signal, said: str, units: dict[str, float], ask: str) -> float:
    """What a signal's values are to be multiplied with. said: the address's unit, which overrules the file's."""
    short = {"kmh": "km/h", "mps": "m/s"}.get(said, said)
    factor = units.get((short or signal.unit).casefold())
    if factor is None:
        states = f"has the unit {signal.unit!r}" if signal.unit else "states no unit"
        raise VbpError(f"the signal {signal.name} {states} in its DBC file; add {ask} to the address")
    return factor


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200]


def open(text: str) -> CanAngles:
    """The source that an address names, not started. Raises VbpError."""
    address = parse_address(text)
    try:
        import can
        import cantools  # noqa: F401
    except ImportError as error:
        raise VbpError(
            f"angles from a CAN bus need {error.name or 'python-can'}: pip install 'vbp[can]'"
        ) from error
    # Its backends log what is said in the state too; without a handler Python prints it
    logging.getLogger("can").addHandler(logging.NullHandler())
    if address.interface not in can.VALID_INTERFACES:
        known = sorted(can.VALID_INTERFACES)
        raise VbpError(
            f"{text}: python-can has no interface {address.interface!r}{near(address.interface, known)}; "
            f"it has {', '.join(known)}"
        )
    return CanAngles(address)
