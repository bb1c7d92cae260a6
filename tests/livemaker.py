"""Cameras in the network for the tests: an MJPEG server on loopback that draws a clock into what it sends."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np

from vbp.live.address import Address, parse_address
from vbp.live.capture import Capture
from vbp.live.records import CaptureState, LiveFrame, LiveRequest

ACROSS = 40  # squares in a row: 32 bits, and room
QUIET = 20  # grey levels of a 0 and a 1
LOUD = 230


def draw_clock(picture: np.ndarray, number: int, time_ms: int | None = None) -> np.ndarray:
    """A copy of an RGB picture with its number (first row) and the time in ms (second row) as squares."""
    out = picture.copy()
    side = out.shape[1] // ACROSS
    when = time.monotonic_ns() // 1_000_000 if time_ms is None else time_ms
    for row, value in enumerate((number, when)):
        for bit in range(32):
            level = LOUD if value >> bit & 1 else QUIET
            out[row * side : (row + 1) * side, bit * side : (bit + 1) * side] = level
    return out


def read_clock(picture: np.ndarray) -> tuple[int, int]:
    """(number, time in ms modulo 2**32) drawn into a picture."""
    side = picture.shape[1] // ACROSS
    values = []
    for row in range(2):
        y = row * side + side // 2
        levels = picture[y, side // 2 : 32 * side : side].mean(axis=-1)
        values.append(sum(1 << bit for bit in range(32) if levels[bit] > (LOUD + QUIET) / 2))
    return values[0], values[1]


def scene(width: int = 160, height: int = 120, seed: int = 3) -> np.ndarray:
    """An RGB picture that a codec treats as one of a camera."""
    rng = np.random.default_rng(seed)
    base = rng.integers(60, 200, (max(height // 24, 2), max(width // 24, 2), 3), dtype=np.uint8)
    return np.ascontiguousarray(cv2.resize(base, (width, height), interpolation=cv2.INTER_CUBIC))


def jpeg(picture: np.ndarray, quality: int = 92) -> bytes:
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


class MjpegServer:
    """A camera of the network. `send` gives a JPEG to all who are connected; `play` does so by itself.

    `kill` ends it as a power cut does, `start` brings it back at the same port. `status` other than 200 refuses.
    """

    def __init__(self, status: int = 200, credentials: str = "", scheme: str = "Basic") -> None:
        """credentials: "user:password" that are asked for by `scheme`, Basic or Digest; without, everybody is let in."""
        self.status = status
        self._credentials, self._scheme = credentials, scheme
        self.heard: list[str | None] = []  # what each request said of a password
        self.accepts = True  # False: a client is let in and told nothing
        self.port = 0
        self._clients: list[socket.socket] = []
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._player: threading.Thread | None = None
        self._playing = threading.Event()
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/camera"

    def start(self) -> MjpegServer:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner._serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_: Any) -> None:
                pass  # clients leave as they like

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        said = handler.headers.get("Authorization")
        self.heard.append(said)
        if self._credentials and not self._is_let_in(handler.path, said or ""):
            handler.send_response(401)
            more = ', nonce="abc"' if self._scheme == "Digest" else ""
            handler.send_header("WWW-Authenticate", f'{self._scheme} realm="camera"{more}')
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if self.status != 200:
            handler.send_error(self.status)
            return
        connection = handler.connection
        if self.accepts:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            handler.send_response(200)
            handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            handler.end_headers()
        with self._lock:
            self._clients.append(connection)
        while connection.fileno() >= 0 and connection in self._clients:
            time.sleep(0.02)

    def _is_let_in(self, path: str, said: str) -> bool:
        user, _, password = self._credentials.partition(":")
        if self._scheme == "Basic":
            return said == f"Basic {base64.b64encode(self._credentials.encode()).decode()}"
        first = hashlib.md5(f"{user}:camera:{password}".encode()).hexdigest()
        second = hashlib.md5(f"GET:{path}".encode()).hexdigest()
        whole = hashlib.md5(f"{first}:abc:{second}".encode()).hexdigest()
        return said.startswith("Digest ") and f'response="{whole}"' in said

    @property
    def clients(self) -> int:
        with self._lock:
            return len(self._clients)

    def send(self, data: bytes) -> None:
        """One JPEG."""
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        self.send_raw(head + data + b"\r\n")
        self.sent += 1

    def send_raw(self, data: bytes) -> None:
        with self._lock:
            for client in list(self._clients):
                try:
                    client.sendall(data)
                except OSError:
                    self._clients.remove(client)

    def play(self, pictures: Iterable[np.ndarray] | Callable[[int], np.ndarray], fps: float = 20.0) -> None:
        """Send pictures with a clock drawn into them, for ever, one thread."""
        choose = pictures if callable(pictures) else list(pictures).__getitem__
        count = None if callable(pictures) else len(list(pictures))
        self._playing.set()

        def run() -> None:
            due = time.monotonic()
            while self._playing.is_set():
                n = self.sent
                self.send(jpeg(draw_clock(choose(n if count is None else n % count), n)))
                due = max(due + 1 / fps, time.monotonic() - 1)
                time.sleep(max(due - time.monotonic(), 0))

        self._player = threading.Thread(target=run, daemon=True)
        self._player.start()

    def pause(self) -> None:
        """Stop sending; connections stay."""
        self._playing.clear()
        if self._player is not None:
            self._player.join()

    def kill(self) -> None:
        """Close the port and every connection at once."""
        if self._server is not None:
            server, self._server = self._server, None
            server.shutdown()
            server.server_close()
        with self._lock:
            for client in self._clients:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
                client.close()
            self._clients.clear()

    def close(self) -> None:
        self.pause()
        self.kill()

    def __enter__(self) -> MjpegServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


PATIENT_S = 180.0  # nothing here takes that long unless it is broken


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENT_S
    while not what():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.01)


class Watched:
    """A capture with what it told."""

    def __init__(self, address: Address | str, **options: object) -> None:
        self.states: list[CaptureState] = []
        self.frames: list[LiveFrame] = []
        at = parse_address(address) if isinstance(address, str) else address
        request = LiveRequest(at, **options)  # type: ignore[arg-type]
        self.capture = Capture(request, self.frames.append, self.states.append)
        self.capture.start()

    def phases(self) -> list[str]:
        out: list[str] = []
        for state in self.states:
            if not out or out[-1] != state.phase:
                out.append(state.phase)
        return out

    def until_phase(self, phase: str) -> None:
        until(lambda: self.capture.state.phase == phase)
