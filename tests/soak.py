"""The window over an hour, as one who works in it: `python -m tests.soak --minutes 60`, a line of JSON every ten seconds.

Plays at 4x with six panels in view, jumps every 7 s, another network every 60 s. Exits with 1 where the resident memory at the end and
after minute ten differ by more than 20 MB, or its peak is above 1 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from vbp.app.shell.start import prepare_qt

SETTLED_MIN = 10.0
MOST_GROWTH, MOST_PEAK = 20e6, 1e9  # bytes
PANELS = ("visualbackprop", "lrp", "method-2", "method-3", "layers", "compare")


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("drive", type=Path, nargs="?", default=Path("assets/demo"))
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    prepare_qt()
    from PySide6.QtCore import QSettings, QTimer
    from PySide6.QtWidgets import QApplication

    from vbp.app.shell.garbage import GarbageCollector
    from vbp.app.shell.window import MainWindow
    from vbp.app.state.settings import Settings
    from vbp.bench.memory import peak_mib

    app = QApplication(["vbp"])
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        window = MainWindow(Settings(QSettings(f"{folder}/vbp.ini", QSettings.Format.IniFormat)))
        window.kept.enabled = False
        garbage = GarbageCollector()
        player = window.player
        window.resize(1280, 720)
        window.show()
        window.network.start("NetSVF", "cpu")
        window.source.open_drive(args.drive.resolve())
        for _ in range(2):
            window.view.add_method()
        for name in PANELS:
            window.view.toggle_panel(name, True)
        shown, began, log = [0], time.monotonic(), []
        player.shown.connect(lambda _: shown.__setitem__(0, shown[0] + 1))

        def minutes() -> float:
            return (time.monotonic() - began) / 60

        def look() -> None:
            line = {
                "minute": round(minutes(), 2),
                "resident_mb": round(resident() / 1e6, 1),
                "threads": threading.active_count(),
                "frames": shown[0],
            }
            log.append(line)
            print(json.dumps(line), flush=True)
            if minutes() >= args.minutes:
                app.quit()

        def jump() -> None:
            if player.frames:
                player.seek(rng.randrange(player.frames))
            player.set_pace(4.0, True)
            player.set_loop((0, player.frames))
            player.play()

        def switch() -> None:
            window.network.start("NetHVF" if player.network_name == "NetSVF" else "NetSVF", "cpu")

        timers = []
        for every_s, what in ((10.0, look), (7.0, jump), (60.0, switch)):
            timers.append(QTimer(timeout=what, interval=round(every_s * 1e3)))
            timers[-1].start()
        app.exec()
        for timer in timers:
            timer.stop()
        garbage.stop()
        window.end()
    settled = [x["resident_mb"] for x in log if SETTLED_MIN <= x["minute"] <= SETTLED_MIN + 1]
    if not settled:
        print(f"memory settles in {SETTLED_MIN:g} minutes: give --minutes above {SETTLED_MIN + 1:g}")
        return 1
    growth = statistics.median(x["resident_mb"] for x in log[-6:]) * 1e6 - statistics.median(settled) * 1e6
    peak = peak_mib() * 2**20
    print(json.dumps({"growth_mb": round(growth / 1e6, 1), "peak_mb": round(peak / 1e6, 1)}))
    return int(growth > MOST_GROWTH or peak > MOST_PEAK)


if __name__ == "__main__":
    sys.exit(main())
