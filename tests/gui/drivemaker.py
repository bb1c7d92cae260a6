"""Small drives whose pictures say which frame they are, and waiting for a frame to be shown."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vbp.findings.finding import Finding

if TYPE_CHECKING:
    from vbp.app.shell.window import MainWindow
    from vbp.drives.base import Drive

WAIT = 30_000  # milliseconds; far more than anything here takes
BITS = 10
WIDTH, HEIGHT = 320, 240


def picture(index: int) -> np.ndarray:
    """A picture that carries its number as black and white blocks, over a road of sorts."""
    rng = np.random.default_rng(index)
    image = rng.integers(60, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for bit in range(BITS):
        image[:40, bit * 32 : bit * 32 + 32] = 255 if index >> bit & 1 else 0
    x = 60 + 3 * index % 200
    cv2.line(image, (x, HEIGHT), (160, HEIGHT // 2), (230, 230, 230), 6)
    return image


@cache
def encoded(index: int) -> bytes:
    return cv2.imencode(".jpg", picture(index), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def number_of(image: np.ndarray) -> int:
    """The number that `picture` wrote."""
    return sum(int(image[20, bit * 32 + 16].mean() > 127) << bit for bit in range(BITS))


def write_drive(
    folder: Path,
    frames: int = 60,
    fps: float = 20.0,
    broken: tuple[int, ...] = (),
    holes: dict[int, float] | None = None,
) -> Path:
    """A Udacity export. broken: frames whose file is damaged. holes: seconds missing before a frame."""
    (folder / "center").mkdir(parents=True)
    stamp = 1_479_425_476_000_000_000
    camera, steering = ["seq,timestamp,width,height,frame_id,filename"], ["frame_id,steering_angle,public"]
    for i in range(frames):
        stamp += int(1e9 / fps) + int((holes or {}).get(i, 0.0) * 1e9)
        name = f"center/{stamp}.jpg"
        (folder / name).write_bytes(b"not a picture" if i in broken else encoded(i))
        camera.append(f"{i},{stamp},{WIDTH},{HEIGHT},center_camera,{name}")
        steering.append(f"{stamp},{0.3 * np.sin(i / 10):.6f},1")
    (folder / "camera.csv").write_text("\n".join(camera) + "\n")
    (folder / "CH2_final_evaluation.csv").write_text("\n".join(steering) + "\n")
    return folder


def finding_at(drive: Drive, frame: int, weight: float = 1.0) -> Finding:
    """An error of one frame."""
    time, nan = int(drive.timestamps_ns[frame]), float("nan")
    place = (frame, frame, frame, time, time, time)
    return Finding("error", *place, 0.05, 9.0, "°", 1.0, 0.45, weight, 9.0, 0.0, *(4 * (nan,)))


def our_threads() -> set[str]:
    return {t.name for t in threading.enumerate() if t.name.startswith("vbp-")}


def wait_shown(qtbot, window: MainWindow, index: int, masked: bool = False) -> None:
    def done() -> bool:
        shown = window.player.shown_frame
        return shown is not None and shown.index == index and (shown.result is not None or not masked)

    qtbot.waitUntil(done, timeout=WAIT)


def settled(qtbot, window: MainWindow) -> None:
    """Wait until nothing is on its way: a network that came late has the frame shown once more."""
    seen: list[int] = []

    def count(frame) -> None:
        seen.append(frame.index)

    window.player.shown.connect(count)
    before = -1
    while before != len(seen):
        before = len(seen)
        qtbot.wait(150)
    window.player.shown.disconnect(count)
