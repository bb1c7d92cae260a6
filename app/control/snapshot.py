"""The picture on the screen as a PNG, written behind the window's back: a large one takes a while."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.models.atomic import temporary_file

log = logging.getLogger(__name__)


def plain_name(text: str) -> str:
    """Any text as a part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:60] or "camera"


def stamp() -> str:
    """Now, as a part of a file's name that sorts by time."""
    return time.strftime("%Y-%m-%d-%H%M%S")


def write_png(image: NDArray[np.uint8], folder: Path, name: str) -> Path:
    """Write RGB (H, W, 3) uint8 as `name`.png into a folder, made where needed; a file that is there stays.

    Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    good, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not good:
        raise OSError("the picture cannot be encoded")
    with temporary_file(folder / name) as temporary:
        temporary.write_bytes(data.tobytes())
        for number in range(1, 10_000):
            path = folder / (f"{name}.png" if number == 1 else f"{name}-{number}.png")
            try:
                os.link(temporary, path)  # unlike a rename, it takes nothing away
            except FileExistsError:
                continue
            except OSError:  # a file system without links
                if path.exists():
                    continue
                temporary.replace(path)
            return path
        raise OSError("too many snapshots of this name")


def write_soon(
    image: NDArray[np.uint8], folder: Path, name: str, done: Callable[[Path | None, str], None]
) -> None:
    """Write in a thread; `done` is called there, with the path, or with None and a sentence."""

    def work() -> None:
        path, said = None, ""
        try:
            path = write_png(image, folder, name)
        except OSError as error:
            said = f"The snapshot cannot be written to {folder}: {error.strerror or error}"
        except Exception as error:
            log.exception("writing a snapshot")
            said = f"The snapshot failed: {error}"
        try:
            done(path, said)
        except RuntimeError:  # the window was closed meanwhile; the file is there
            log.debug("nobody waits for the snapshot any more")

    threading.Thread(target=work, name="vbp-snapshot", daemon=False).start()
