"""What a user calls a camera by: a number, a device file, or the address of a stream."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from vbp.errors import VbpError

ACCEPTED = "a number (0), a device (/dev/video0), or a stream (rtsp://HOST/PATH, http://HOST:PORT/PATH)"

_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_MOST = 63  # V4L2 has 64 devices
_DEVICE = re.compile(r"/dev/video(\d{1,3})")


@dataclass(frozen=True)
class Address:
    """kind "device": a camera of this machine; "stream": one in the network.

    text: what OpenCV opens: an index such as "0", a device file, or a URL with the credentials that it may
    hold, and so never shown; it is left out of repr. name: what is shown, credentials masked.
    """

    text: str = field(repr=False)
    kind: Literal["device", "stream"]
    name: str

    @property
    def index(self) -> int | None:
        """The number of a device, None where it has only a path, or is a stream."""
        if self.text.isdecimal():
            return int(self.text)
        found = _DEVICE.fullmatch(self.text)
        return int(found[1]) if found else None

    @property
    def device_file(self) -> str | None:
        """The file of a device on Linux, which is gone when the camera is unplugged; None elsewhere."""
        if self.kind != "device" or not sys.platform.startswith("linux"):
            return None
        return f"/dev/video{self.text}" if self.text.isdecimal() else self.text

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """(host, port) of a stream."""
        if self.kind != "stream":
            return None
        parts = urlsplit(self.text)
        return parts.hostname or "", parts.port or _PORTS[parts.scheme.lower()]


def parse_address(text: str) -> Address:
    """`0`, `/dev/video0`, `rtsp://...`, `http://...` -> Address. Raises VbpError with one sentence."""
    text = text.strip()
    if not text:
        raise VbpError(f"no camera is named; accepted: {ACCEPTED}")
    if not text.isprintable():
        raise VbpError(f"a camera's address has no control characters; accepted: {ACCEPTED}")
    if text.isdecimal() and text.isascii():
        if len(text) > 3 or int(text) > _MOST:
            raise VbpError(f"{text[:20]} is no number of a camera; they run from 0 to {_MOST}")
        return Address(str(int(text)), "device", f"camera {int(text)}")
    if text.startswith("/dev/"):
        return Address(text, "device", text)
    if "://" in text:
        return _stream(text)
    raise VbpError(f"{mask(text)[:80]!r} is no camera; accepted: {ACCEPTED}")


def _stream(text: str) -> Address:
    scheme = text.partition("://")[0].lower()
    if scheme not in _PORTS:
        raise VbpError(f"streams of {scheme[:20]}:// are not read; accepted: {ACCEPTED}")
    try:
        parts = urlsplit(text)
        good = bool(parts.hostname) and parts.port != 0 and " " not in text
    except ValueError:  # a port that is no number, a bracket too few
        good = False
    if not good:
        raise VbpError(f"{mask(text)[:80]} is no address of a stream; one is {scheme}://HOST:PORT/PATH")
    return Address(text, "stream", mask(text))


# Up to the last @ before the path: a password may hold an @ of its own. The second form is of passwords that
# should have been escaped: there a colon is followed by no port. One slash: as a path has it that was none.
_CREDENTIALS = re.compile(
    r"(?i)\b([a-z][a-z0-9+.-]+:/{1,2})(?:[^/?#\s]*@|[^/?#\s@]*:(?!\d+(?:[/?#]|$))\S*@)",
)
_URL = re.compile(r"(?i)\b(?:rtsps?|https?):/{1,2}\S+")
# Cameras have passwords and tokens in the query and in the path (`/user=admin&password=x&channel=1`), under any name.
_VALUE = re.compile(r"=[^&;?#\s]+|(?<=[?&;#])[^=&;?#\s]+(?=[&;?#\s]|$)|(?<=#).+")
_HARMLESS = re.compile(
    r"(?i)\b(?:channel|subtype|stream|fps|width|height|resolution)=\d{1,4}(?:x\d{1,4})?(?=[&;?#\s]|$)"
)


def mask(text: str) -> str:
    """Any text with what may be secret in its URLs replaced: `rtsp://***@host/path?channel=1&pwd=***`."""
    return _URL.sub(lambda found: _without_values(found[0]), _CREDENTIALS.sub(r"\1***@", text))


def _without_values(url: str) -> str:
    kept = {found.end() for found in _HARMLESS.finditer(url)}
    return _VALUE.sub(
        lambda found: found[0] if found.end() in kept else "=***" if found[0][0] == "=" else "***", url
    )
