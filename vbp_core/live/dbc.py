"""Signals of CAN messages, as a DBC file describes them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vbp.errors import VbpError
from vbp.live.options import near
from vbp.live.receiver import BadSampleError
from vbp.reading import damaged, read_file

if TYPE_CHECKING:
    from cantools.database.can import Database, Message
    from cantools.database.can import Signal as CanSignal

MAX_BYTES = 64 * 2**20
_LISTED = 12
_LARGE = re.compile(r"\d[\d.]*[eE]\+?0*[1-9]\d{3,}|\d{1000,}")  # numbers that take for ever, as whole ones


@dataclass(frozen=True)
class Signal:
    """One signal of one message. unit: as the file states it, "" where it does not.

    key: identifier of the message, and whether it is an extended one. low, high: what the file allows,
    -inf and inf where it does not say. pages: the multiplexers above it, the outermost first, each with
    the numbers at which the message holds this signal.
    """

    name: str
    unit: str
    key: tuple[int, bool]
    low: float
    high: float
    message: Message  # with this signal alone
    pages: tuple[tuple[Message, frozenset[int]], ...]

    def value(self, data: bytes) -> float | None:
        """Its value in a message's bytes, in `unit`; None where they hold another page of a multiplexed message.

        Raises BadSampleError where the bytes do not fit, or say that the value is not to be had.
        """
        from cantools.database.namedsignalvalue import NamedSignalValue
        from cantools.errors import Error

        try:
            for multiplexer, numbers in self.pages:
                if next(iter(_decoded(multiplexer, data, scaling=False).values())) not in numbers:
                    return None
            value = _decoded(self.message, data, scaling=True)[self.name]
            value = (
                float(value) if isinstance(value, int) else value
            )  # which a whole number may be too large for
        except (Error, ValueError, ArithmeticError) as error:
            raise BadSampleError(f"message {self.message.name} does not fit the DBC file: {error}") from None
        if isinstance(value, NamedSignalValue):  # names stand for "not available", "error", ...
            raise BadSampleError(f"{self.name} says {str(value)[:40]}")
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise BadSampleError(f"{self.name} is no number")
        if not self.low <= value <= self.high:
            raise BadSampleError(
                f"{self.name} is {value:g}, outside of the {self.low:g} to {self.high:g} that the DBC file allows"
            )
        return float(value)


def _decoded(message: Message, data: bytes, scaling: bool) -> dict[str, Any]:
    return message.decode(data, decode_choices=scaling, scaling=scaling)  # type: ignore[return-value]


def _alone(message: Message, signal: CanSignal) -> Message:
    """The message with one signal, multiplexed or not.

    Overlapping signals, which files of real cars have, cannot be decoded together; and one is faster.
    """
    from cantools.database.can import Message

    single = copy(signal)
    single.is_multiplexer, single.multiplexer_ids, single.multiplexer_signal = False, None, None
    return Message(
        message.frame_id,
        message.name,
        message.length,
        [single],
        is_extended_frame=message.is_extended_frame,
        strict=False,
    )


def _pages(message: Message, signal: CanSignal) -> Iterator[tuple[Message, frozenset[int]]]:
    if signal.multiplexer_signal is not None and signal.multiplexer_ids is not None:
        above = message.get_signal_by_name(signal.multiplexer_signal)
        yield from _pages(message, above)
        yield _alone(message, above), frozenset(signal.multiplexer_ids)


def load_dbc(path: Path) -> Database:
    """A DBC file, by cantools. Raises VbpError."""
    from cantools.database import load_string
    from cantools.errors import Error

    try:
        data = read_file(path, MAX_BYTES)
    except OSError as error:
        raise VbpError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")  # what the format's own editor writes
    if number := _LARGE.search(text):
        raise VbpError(f"{path} holds the number {number[0][:40]}, which is too large for a DBC file")
    try:
        # Not strict: files of real cars have signals that overlap
        return load_string(text, database_format="dbc", strict=False)  # type: ignore[return-value]
    except Exception as error:  # whatever cantools makes of a damaged file
        why = " ".join(str(error).split())[:200] if isinstance(error, Error) else type(error).__name__
        raise VbpError(f"{path} is no DBC file that can be read ({why})") from error


def find_signal(database: Database, name: str, path: Path) -> Signal:
    """The signal called NAME or MESSAGE.NAME. Raises VbpError, which lists names that are like it."""
    with damaged(path):  # numbers too large for a float, and the like
        return _find_signal(database, name, path)


def _find_signal(database: Database, name: str, path: Path) -> Signal:
    wanted, _, short = name.rpartition(".")
    found = [
        (message, signal)
        for message in database.messages
        for signal in message.signals
        if signal.name == short and wanted in ("", message.name)
    ]
    if not found:
        names = {signal.name for message in database.messages for signal in message.signals}
        hint = near(short, names) or f"; it has {_listed(names)}"
        raise VbpError(f"{path} has no signal {name}{hint}")
    if len(found) > 1:
        full = ", ".join(sorted(f"{message.name}.{name}" for message, _ in found)[:_LISTED])
        raise VbpError(f"{path} has the signal {name} in several messages; say which: {full}")
    message, signal = found[0]
    low = -math.inf if signal.minimum is None else float(signal.minimum)
    high = math.inf if signal.maximum is None else float(signal.maximum)
    if not low < high:
        low, high = -math.inf, math.inf
    return Signal(
        signal.name,
        (signal.unit or "").strip(),
        (message.frame_id, message.is_extended_frame),
        low,
        high,
        _alone(message, signal),
        tuple(_pages(message, signal)),
    )


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
    return (", ".join(ordered[:_LISTED]) or "no signals") + more
