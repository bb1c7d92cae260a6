"""Which cameras this machine has."""

from __future__ import annotations

import errno
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vbp.readable import clean

_ASK_S = 2.0  # for all devices together: one that hangs in its driver holds up nobody
_INDICES = 4  # tried where the system has no list


@dataclass(frozen=True)
class CameraInfo:
    """id: stays the same when other cameras come and go, where the system has one. address: what
    `parse_address` takes. name: what the camera calls itself. sizes: (width, height), smallest first, and
    rates: Hz; empty where the camera does not tell. problem: why it cannot be used, "" if it can.
    """

    id: str
    address: str
    name: str
    sizes: tuple[tuple[int, int], ...] = ()
    rates: tuple[float, ...] = ()
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def list_cameras() -> list[CameraInfo]:
    """The cameras of this machine, in a few seconds at most. A bad device is listed with its problem."""
    if _on_linux():
        return _in_time([(str(p), partial(_ask_linux, p)) for p in _video_nodes(Path("/dev"))], _ASK_S)
    return _in_time([(str(i), partial(_try_index, i)) for i in range(_INDICES)], 5 * _ASK_S)


def _on_linux() -> bool:  # a function, as mypy takes code for other systems for unreachable
    return sys.platform.startswith("linux")


def _video_nodes(dev: Path) -> list[Path]:
    try:
        names = [n for n in os.listdir(dev) if re.fullmatch(r"video\d+", n)]
    except OSError:
        return []
    return [dev / n for n in sorted(names, key=lambda n: int(n[5:]))]


def _in_time(asks: list[tuple[str, Callable[[], CameraInfo | None]]], limit_s: float) -> list[CameraInfo]:
    """Ask all at once. One that does not answer is listed as such; its thread ends when its driver lets it."""
    found: list[CameraInfo | None] = [
        CameraInfo(address, address, address, problem="its driver does not answer") for address, _ in asks
    ]

    def work(i: int) -> None:
        try:
            found[i] = asks[i][1]()
        except Exception as error:
            found[i] = CameraInfo(asks[i][0], asks[i][0], asks[i][0], problem=f"it cannot be asked: {error}")

    threads = [
        threading.Thread(target=work, args=(i,), name="camera list", daemon=True) for i in range(len(asks))
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0))
    return [camera for camera in list(found) if camera is not None]


def _ask_linux(path: Path) -> CameraInfo | None:
    from vbp.live.v4l2 import NoCameraError, ask

    name = _name_in_sysfs(path) or path.name
    try:
        own_name, sizes, rates = ask(str(path))
    except NoCameraError:
        return None
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL, errno.ENODEV, errno.ENXIO, errno.ENOENT):
            return None  # no camera behind it, or not any more
        problem = {
            errno.EACCES: "permission is denied; add yourself to the group 'video'",
            errno.EPERM: "permission is denied; add yourself to the group 'video'",
            errno.EBUSY: "another program uses it",
        }.get(error.errno or 0, f"it cannot be opened: {error.strerror or error}")
        return CameraInfo(_stable_id(path), str(path), name, problem=problem)
    return CameraInfo(_stable_id(path), str(path), clean(own_name or name), tuple(sizes), tuple(rates))


def _name_in_sysfs(path: Path) -> str:
    try:
        return Path("/sys/class/video4linux", path.name, "name").read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _stable_id(path: Path) -> str:
    """The link by which udev knows this very camera, wherever it is plugged in."""
    try:
        for link in sorted(Path("/dev/v4l/by-id").iterdir()):
            if link.resolve() == path:
                return str(link)
    except OSError:
        pass
    return str(path)


def _try_index(index: int) -> CameraInfo | None:
    """Where the system has no list: open it, and take what it gives by itself."""
    import cv2

    from vbp.live.address import parse_address
    from vbp.live.opencv import open_camera
    from vbp.live.records import LiveRequest

    camera = open_camera(LiveRequest(parse_address(str(index))))
    try:
        if not camera.isOpened():
            return None
        width, height = (int(camera.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        rate = round(float(camera.get(cv2.CAP_PROP_FPS)), 2)
        sizes = ((width, height),) if width > 0 and height > 0 else ()
        return CameraInfo(str(index), str(index), f"camera {index}", sizes, (rate,) if rate > 0 else ())
    finally:
        camera.release()
