"""Why a camera did not open, in words: OpenCV only says that it did not."""

from __future__ import annotations

import os
import socket
import ssl
from urllib.parse import urlsplit

import av

from vbp.live.address import Address
from vbp.live.opencv import STREAM_OPTIONS

_TIMEOUT_S = 2.0


def open_failure_reason(address: Address) -> str:
    """One sentence without its end; takes up to some seconds where the network is silent."""
    if address.kind == "device":
        return _device(address)
    return _stream(address)


def _device(address: Address) -> str:
    path = address.device_file
    if path is None:
        return f"{address.name} is not there, in use by another program, or not allowed by the system"
    if not os.path.exists(path):
        return f"{address.name} is not there: no camera is plugged in as {path}"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"{address.name} may not be opened: permission is denied; add yourself to the group 'video'"
    return f"{address.name} cannot be opened: it is no camera, or another program uses it"


def _stream(address: Address) -> str:
    host, port = address.endpoint or ("", 0)
    where = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_S) as plain:
            plain.settimeout(_TIMEOUT_S)
            status = _status(address, host, plain)
    except socket.gaierror:
        return f"{address.name} cannot be reached: no host is called {host}"
    except ConnectionRefusedError:
        return f"{address.name} cannot be reached: nothing listens at {where}"
    except TimeoutError:
        return f"{address.name} cannot be reached: {where} does not answer"
    except ssl.SSLError as error:
        return f"{address.name} cannot be reached: no safe connection to {where} ({error.reason})"
    except OSError as error:
        return f"{address.name} cannot be reached: {error.strerror or error}"
    if status in (401, 403):
        if urlsplit(address.text).username is None:
            return f"{address.name} asks for a user and a password: write USER:PASSWORD@ before the host"
        status = _status_with_password(address)
    if status in (401, 403):
        return f"{address.name} does not accept the user and the password"
    if status == 404:
        return f"{address.name} is not there: {where} knows no such path"
    if status is not None and status >= 400:
        return f"{address.name} is refused by {where} (status {status})"
    return f"{address.name} sends no video that can be read"


def _status(address: Address, host: str, plain: socket.socket) -> int | None:
    """The status that the server answers a request with; None where it says nothing that can be understood.

    The request holds no password: a server that asks for a Digest of it is not to hear the password itself, nor is
    whoever listens on the way to one that asks for none.
    """
    parts = urlsplit(address.text)
    scheme = parts.scheme.lower()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    netloc = parts.netloc.rpartition("@")[2]
    lines = (
        [f"DESCRIBE {scheme}://{netloc}{path} RTSP/1.0", "CSeq: 1"]
        if scheme.startswith("rtsp")
        else [f"GET {path} HTTP/1.1", f"Host: {netloc}", "Connection: close"]
    )
    connection = plain
    if scheme in ("https", "rtsps"):
        connection = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    try:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = connection.recv(64).split()
    except TimeoutError:
        return None
    finally:
        if connection is not plain:
            connection.close()
    return int(answer[1]) if len(answer) > 1 and answer[1].isdigit() else None


def _status_with_password(address: Address) -> int | None:
    """The same of libav's request, which answers the server's question for a password as it is asked, Basic or Digest."""
    try:
        av.open(address.text, timeout=_TIMEOUT_S, options=STREAM_OPTIONS).close()
    except av.HTTPUnauthorizedError:
        return 401
    except av.HTTPForbiddenError:
        return 403
    except av.HTTPNotFoundError:
        return 404
    except av.FFmpegError:
        return None
    return None
