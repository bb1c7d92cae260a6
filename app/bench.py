"""The window's part of `vbp bench`: `python -m vbp.app.bench RECORDING ... ` prints one line of JSON.

It is a program of its own, so that its start can be measured from the outside, and no state is left behind.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from vbp.processes import end_with_parent

PATIENCE_S = 120.0
WARM_UP = 20


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("recordings", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--spawned", type=int, required=True, help="when it was started, ns since 1970")
    parser.add_argument("--model", required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--seeks", type=int, default=60)
    parser.add_argument("--strokes", type=int, default=6)
    args = parser.parse_args()
    named = [text.partition("=")[::2] for text in args.recordings]

    from vbp.app.shell.start import prepare_qt

    prepare_qt()
    from PySide6.QtCore import QSettings
    from PySide6.QtWidgets import QApplication

    from vbp.app.shell.window import MainWindow
    from vbp.app.state.settings import Settings
    from vbp.bench.memory import peak_mib

    app = QApplication(["vbp"])
    facts: dict[str, object] = {"platform": app.platformName()}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(QSettings(str(Path(folder) / "vbp.ini"), QSettings.Format.IniFormat))
        window = MainWindow(settings, scheme="dark")
        window.kept.enabled = False
        window.resize(1280, 720)
        window.show()
        window.repaint()
        app.processEvents()
        facts["window_ms"] = (time.time_ns() - args.spawned) / 1e6
        bench = Bench(app, window)
        try:
            window.network.start(args.model, args.device)
            facts["recordings"] = {}
            for n, (name, path) in enumerate(named):
                bench.open(Path(path))
                if n == 0:
                    facts["first_mask_ms"] = (time.time_ns() - args.spawned) / 1e6
                facts["recordings"][name] = {  # type: ignore[index]
                    "seeks_ms": bench.seeks(args.seeks),
                    "findings_ms": bench.findings(args.seeks),
                    **(bench.play(args.frames) if n == 0 else {}),
                    **({"strokes_ms": bench.strokes(args.strokes)} if n == 0 and args.strokes else {}),
                }
            facts["rss_mib"] = peak_mib()
        finally:
            window.end()
    print(json.dumps(facts), flush=True)
    return 0


class Bench:
    """Drives the window as a user would, and looks at the clock when a frame has been painted."""

    def __init__(self, app, window) -> None:  # type: ignore[no-untyped-def]
        self.app, self.window, self.player = app, window, window.player
        self.painted: list[tuple[int, float]] = []
        # The presenter hears of a frame first: when this is called the picture only waits to be painted.
        self.player.shown.connect(self._shown)

    def _shown(self, frame) -> None:  # type: ignore[no-untyped-def]
        if frame.result is not None:
            self.window.picture.repaint()
            self.painted.append((frame.index, time.perf_counter()))

    def wait(self, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not until():
            self.app.processEvents()
            time.sleep(0.0002)
            if time.monotonic() > deadline:
                sys.exit("the window did not show what it was asked for")

    def has_painted(self, index: int) -> bool:
        return bool(self.painted) and self.painted[-1][0] == index

    def open(self, path: Path) -> None:
        self.painted.clear()
        self.window.source.open_drive(path)
        self.wait(lambda: bool(self.painted))

    def seeks(self, count: int) -> list[float]:
        """Milliseconds from asking for a frame at random to its being painted with its mask."""
        import numpy as np

        rng = np.random.default_rng(0)
        laps = []
        for n in range(count + 5):
            index = int(rng.integers(self.player.frames))
            if index == self.player.target:
                continue
            self.player.drive.forget()
            self.painted.clear()
            start = time.perf_counter()
            self.player.seek(index)
            self.wait(partial(self.has_painted, index))
            if n >= 5:
                laps.append((self.painted[-1][1] - start) * 1e3)
            # A hand on the timeline is no faster, and LRP follows behind it.
            self.wait(partial(is_past, time.monotonic() + 0.08))
        return laps

    def findings(self, count: int) -> list[float]:
        """Milliseconds from the key for the next finding to its peak being painted with its mask; it is pressed every 0.3 s."""
        import numpy as np

        from vbp.findings.finding import Finding

        drive, window = self.player.drive, self.window
        count = min(count, len(drive) // 4)
        peaks = np.sort(np.random.default_rng(1).choice(len(drive), count + 3, replace=False)).tolist()
        times = [int(drive.timestamps_ns[peak]) for peak in peaks]
        nan = float("nan")
        found = [
            Finding(
                "error", *(3 * (p,)), *(3 * (t,)), 0.05, 9.0, "°", 1.0, 0.45, 0.45, 9.0, 0.0, *(4 * (nan,))
            )
            for p, t in zip(peaks, times, strict=True)
        ]
        window.panels.findings.set_findings(found, times[0])
        drive.forget()
        self.painted.clear()
        self.player.seek(0)
        self.wait(partial(self.has_painted, 0))
        laps = []
        for n, peak in enumerate(peaks):
            if peak == self.player.target:
                continue
            self.painted.clear()
            start = time.perf_counter()
            window.actions_by_id["next-finding"].trigger()
            self.wait(partial(self.has_painted, peak))
            if n >= 3:
                laps.append((self.painted[-1][1] - start) * 1e3)
            self.wait(partial(is_past, time.monotonic() + 0.3))
        return laps

    def strokes(self, count: int) -> list[float]:
        """Milliseconds from a move of the mouse, with the brush on the picture, to the picture with that in it, its angle and
        its mask being painted. Strokes of 20 moves each, a move every 16 ms, whether or not the one before is on the screen.
        """
        from PySide6.QtCore import QEvent, QPointF

        window, player = self.window, self.player
        laps: list[float] = []
        window.edits.choose_tool("brush")
        window.edits.canvas.set_radius(12)
        rect = window.picture.picture_rect()
        moves: list[tuple[int, float]] = []  # points of the stroke, and when it had them

        def seen(frame) -> None:  # type: ignore[no-untyped-def]
            if frame.result is None or not frame.record.edits:
                return
            have, now = len(frame.record.edits.items[-1].region.points), time.perf_counter()
            laps.extend((now - at) * 1e3 for points, at in moves if points <= have)
            moves[:] = [move for move in moves if move[0] > have]

        player.shown.connect(seen)
        for n in range(1 + count):
            if n == 1:
                laps.clear()  # the first stroke warms up
            start = QPointF(rect.x() + rect.width() * 0.3, rect.y() + rect.height() * (0.5 + 0.02 * (n % 10)))
            for k in range(20):
                at = start + QPointF(k * rect.width() * 0.02, 0)
                kind = QEvent.Type.MouseMove if k else QEvent.Type.MouseButtonPress
                next_move = time.monotonic() + 0.016
                moves.append((k + 1, time.perf_counter()))
                _mouse(window.edits.canvas, kind, at)
                self.wait(partial(is_past, next_move))
            _mouse(window.edits.canvas, QEvent.Type.MouseButtonRelease, at)
            self.wait(lambda: not moves)
            self.wait(partial(is_past, time.monotonic() + 0.5))
        player.shown.disconnect(seen)
        window.edits.clear()
        window.edits.choose_tool("")
        return laps

    def play(self, frames: int) -> dict[str, list[float]]:
        """When each frame was painted, s, in every-frame mode, as fast as it goes."""
        player = self.player
        player.seek(0)
        self.painted.clear()
        self.wait(lambda: bool(self.painted))
        player.set_pace(16.0, False)
        self.painted.clear()
        player.play()
        wanted = min(frames + WARM_UP, player.frames - 1)
        self.wait(lambda: len(self.painted) >= wanted or not player.playing)
        player.pause()
        return {"painted_s": [at for _, at in self.painted[WARM_UP:]]}


def _mouse(widget, kind, at) -> None:  # type: ignore[no-untyped-def]
    from PySide6.QtCore import QEvent, Qt
    from PySide6.QtGui import QMouseEvent
    from PySide6.QtWidgets import QApplication

    left = Qt.MouseButton.LeftButton
    button = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else left
    held = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else left
    event = QMouseEvent(kind, at, widget.mapToGlobal(at), button, held, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(widget, event)


def is_past(end: float) -> bool:
    return time.monotonic() > end


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main())
