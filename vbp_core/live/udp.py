"""Angles that another program sends: JSON lines in UDP datagrams.

`udp://[HOST]:PORT[?unit=deg&sign=right]`; each line is `{"angle": …}` with, if known, `"unit": "rad"|"deg"`,
`"speed"` in m/s, and `"t"`, seconds or nanoseconds since 1970. Without a time, that of the arrival counts.
"""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from vbp.errors import VbpError
from vbp.live.angles import Measured
from vbp.live.options import SIDES, UNITS, parse_options
from vbp.live.receiver import BadSampleError, Receiver

EXAMPLE = "udp://:9000?unit=deg&sign=left"
MAX_LINE = 4096  # bytes
MAX_LINES = 1000  # of a datagram

_DATAGRAM = 65536  # no datagram is longer
_NS_FROM = 1e14  # numbers from here on are nanoseconds: 1970 in those, the year 3 million in seconds
_POLL_S = 0.2


@dataclass(frozen=True)
class Address:
    """host: "" for every interface of this machine. unit, sign: of angles that do not say it themselves."""

    host: str
    port: int
    unit: str = "rad"
    sign: str = "left"

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """The address that `text` names. Raises VbpError."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise VbpError(f"{text} is not understood ({error}); write it like {EXAMPLE}") from None
    if port is None or parts.scheme != "udp" or parts.path not in ("", "/") or "@" in parts.netloc:
        raise VbpError(f"{text} is not understood; write it like {EXAMPLE}")
    options = parse_options(text, parts.query, {"unit": UNITS, "sign": SIDES})
    return Address(host, port, options.get("unit", "rad"), options.get("sign", "left"))


def parse_line(line: bytes, unit: str, sign: str, now_ns: int) -> Measured:
    """One JSON line that arrived at `now_ns`; unit and sign: of an angle that does not state its unit.

    Raises BadSampleError for whatever is no angle.
    """
    if len(line) > MAX_LINE:
        raise BadSampleError(f"a line of {len(line)} bytes is longer than {MAX_LINE}")
    try:
        data = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadSampleError("it is no JSON") from None
    if not isinstance(data, dict):
        raise BadSampleError('it is no JSON object like {"angle": 0.1}')
    angle = _number(data, "angle")
    if angle is None:
        raise BadSampleError('it has no "angle"')
    unit = unit if data.get("unit") is None else data["unit"]
    if unit not in UNITS:
        raise BadSampleError(f"its unit is none of {', '.join(UNITS)}")
    speed, when = _number(data, "speed"), data.get("t")
    scale = (math.pi / 180 if unit == "deg" else 1.0) * (1.0 if sign == "left" else -1.0)
    return Measured(
        now_ns if when is None else _nanoseconds(data), angle * scale, math.nan if speed is None else speed
    )


def _number(data: dict[str, object], name: str) -> float | None:
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise BadSampleError(f'its "{name}" is no number')


def _nanoseconds(data: dict[str, object]) -> int:
    about = _number(data, "t")
    exact = data["t"]
    assert about is not None
    if abs(about) >= _NS_FROM:
        return exact if isinstance(exact, int) else int(about)
    return exact * 10**9 if isinstance(exact, int) else round(about * 1e9)


class UdpAngles(Receiver):
    """Listens on a port. `port` is the one it got, once started."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.address = address
        self.port = address.port
        self._socket: socket.socket | None = None
        self._closed = threading.Event()

    def start(self) -> None:
        """Take the port and begin to receive. Raises VbpError where it cannot be had."""
        if self._thread is not None:
            return
        if self._socket is not None:
            self._closed.wait(2 * _POLL_S)  # the thread before this one still has the port
        self._socket = self._bind()
        self._closed.clear()
        self.port = self._socket.getsockname()[1]
        super().start()

    def _bind(self) -> socket.socket:
        address = self.address
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(
                address.host or "0.0.0.0", address.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
            )[0]
        except (OSError, UnicodeError) as error:
            raise VbpError(
                f"udp://{address}: {address.host} is no address of this machine ({_reason(error)}); "
                "leave it out to listen on all of them"
            ) from error
        listening = socket.socket(family, kind, protocol)
        try:
            listening.bind(place)
        except OSError as error:
            listening.close()
            raise VbpError(
                f"udp://{address} cannot be listened on: {_reason(error)}; choose another port, "
                "or end the program that has it"
            ) from error
        listening.settimeout(_POLL_S)
        return listening

    def _receive(self, quit: threading.Event) -> None:
        listening = self._socket
        assert listening is not None
        try:
            while not quit.is_set():
                try:
                    data = listening.recv(_DATAGRAM)
                except TimeoutError:
                    continue
                except OSError as error:
                    self._tell(f"port {self.port} cannot be read: {_reason(error)}; trying again")
                    quit.wait(_POLL_S)
                    continue
                self._datagram(data)
        finally:
            listening.close()
            self._closed.set()

    def _datagram(self, data: bytes) -> None:
        now_ns = time.time_ns()
        lines = data.split(b"\n", MAX_LINES)
        if len(lines) > MAX_LINES:
            self._refuse(f"of a datagram only {MAX_LINES} lines are read")
        for line in lines[:MAX_LINES]:
            if not line.strip():
                continue
            try:
                self._take(parse_line(line, self.address.unit, self.address.sign, now_ns), now_ns)
            except BadSampleError as error:
                self._refuse(str(error))

    def _place(self) -> str:
        host = self.address.host
        return f"UDP port {self.port}" + (f" of {host}" if host else "")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def open(text: str) -> UdpAngles:
    """The source that an address names, not started. Raises VbpError."""
    return UdpAngles(parse_address(text))
