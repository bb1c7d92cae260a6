"""A camera that speaks RTSP: H.264 over RTP inside the TCP connection, as much of the protocols as a client needs."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from fractions import Fraction

import av
import numpy as np

from livemaker import draw_clock

_MOST = 1400  # bytes of a NAL unit in one RTP packet


class RtspServer:
    """`play` sends a picture with a clock drawn in, for ever. `kill` closes everything, `start` brings it back."""

    def __init__(self) -> None:
        self.port = 0
        self.sent = 0
        self._lock = threading.Lock()
        self._playing: list[socket.socket] = []
        self._every: list[socket.socket] = []
        self._listening: socket.socket | None = None
        self._running = threading.Event()
        self._player: threading.Thread | None = None
        self._rtp_number = 0

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def start(self) -> RtspServer:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()
        return self

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._every.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    more = client.recv(4096)
                    if not more:
                        return
                    data += more
                    while data[:1] == b"$" and len(data) >= 4:  # a report of the receiver
                        data = data[4 + struct.unpack(">H", data[2:4])[0] :]
                request, _, data = data.partition(b"\r\n\r\n")
                self._answer(client, request.decode())

    def _answer(self, client: socket.socket, request: str) -> None:
        method = request.split()[0]
        number = re.search(r"(?i)cseq: *(\d+)", request)
        head, body, status = "", "", "200 OK"
        if method == "OPTIONS":
            head = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
                "c=IN IP4 0.0.0.0\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
                "a=control:track1\r\n"
            )
            head = f"Content-Type: application/sdp\r\nContent-Base: {self.url}/\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            if "RTP/AVP/TCP" in request:
                head = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            else:
                status = "461 Unsupported Transport"
        else:
            head = "Session: 1\r\n"
        client.sendall(
            f"RTSP/1.0 {status}\r\nCSeq: {number[1] if number else 0}\r\n{head}\r\n{body}".encode()
        )
        if method == "PLAY":
            with self._lock:
                self._playing.append(client)

    def play(self, picture: np.ndarray, fps: int = 20) -> None:
        self._running.set()

        def run() -> None:
            encoder = av.CodecContext.create("libx264", "w")
            encoder.height, encoder.width = picture.shape[:2]
            encoder.pix_fmt, encoder.time_base, encoder.framerate = (
                "yuv420p",
                Fraction(1, 1000),
                Fraction(fps),
            )
            encoder.options = {
                "preset": "ultrafast",
                "tune": "zerolatency",
                "threads": "1",
                "g": str(fps // 2),
            }
            start = time.monotonic()
            while self._running.is_set():
                frame = av.VideoFrame.from_ndarray(draw_clock(picture, self.sent), format="rgb24")
                frame.pts = round((time.monotonic() - start) * 1000)
                frame.time_base = Fraction(1, 1000)
                for packet in encoder.encode(frame.reformat(format="yuv420p")):
                    self._send(bytes(packet), frame.pts * 90)
                self.sent += 1
                time.sleep(1 / fps)

        self._player = threading.Thread(target=run, daemon=True)
        self._player.start()

    def pause(self) -> None:
        self._running.clear()
        if self._player is not None:
            self._player.join()

    def _send(self, annex_b: bytes, when: int) -> None:
        units = [u for u in re.split(b"\0\0\0?\1", annex_b) if u]
        packets: list[tuple[bytes, bool]] = []
        for k, unit in enumerate(units):
            last = k == len(units) - 1
            if len(unit) <= _MOST:
                packets.append((unit, last))
                continue
            kind, body = unit[0], unit[1:]
            for at in range(0, len(body), _MOST):
                first, end = at == 0, at + _MOST >= len(body)
                head = bytes([kind & 0xE0 | 28, (first << 7) | (end << 6) | kind & 31])
                packets.append((head + body[at : at + _MOST], last and end))
        with self._lock:
            out = b""
            for payload, marker in packets:
                self._rtp_number = self._rtp_number + 1 & 0xFFFF
                rtp = struct.pack(">BBHII", 0x80, (marker << 7) | 96, self._rtp_number, when & 0xFFFFFFFF, 7)
                out += struct.pack(">cBH", b"$", 0, len(rtp) + len(payload)) + rtp + payload
            for client in list(self._playing):
                try:
                    client.sendall(out)
                except OSError:
                    self._playing.remove(client)

    def kill(self) -> None:
        if self._listening is not None:
            with contextlib.suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
        with self._lock:
            for client in self._every:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
                client.close()
            self._every.clear()
            self._playing.clear()

    def __enter__(self) -> RtspServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.pause()
        self.kill()
