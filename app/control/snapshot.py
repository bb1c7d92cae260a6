"""The picture on the screen as a PNG, written behind the window's back: a large one takes a while."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QStandardPaths, Signal

from vbp.app.control.desktop import open_outside
from vbp.app.panels.masked import MaskedView
from vbp.app.player.playback import Player
from vbp.app.state.settings import Settings
from vbp.app.widgets.notice import Notice
from vbp.lettering import write
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


def stamped(image: NDArray[np.uint8], words: str) -> NDArray[np.uint8]:
    """A copy with words over its lower edge."""
    found = image.copy()
    size = max(10, min(18, image.shape[0] // 20))
    found[-size - 8 :] //= 4
    write(found, words, 6, image.shape[0] - 7, size, (226, 193, 92))
    return found


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


class SnapshotControl(QObject):
    _written = Signal(object, str)  # Path or None, a sentence

    def __init__(
        self, player: Player, picture: MaskedView, settings: Settings, notice: Notice, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._player, self._picture, self._settings, self._notice = player, picture, settings, notice
        self._written.connect(self._on_written)

    def take(self) -> None:
        """The picture with its mask, as it is shown, in the size of the frame."""
        frame, image = self._player.shown_frame, self._picture.blended()
        if frame is None or image is None:
            self._notice.show_message("There is no picture yet: open a recording or a camera first")
            return
        base = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        folder = Path(self._settings.text("snapshot/folder", base or str(Path.home()))) / "vbp"
        live, path = self._player.live, self._player.path
        if live is not None:
            name = f"{plain_name(live.request.address.name)}-frame-{frame.index}-{stamp()}"
        else:
            name = f"{plain_name(path.stem if path else '')}-frame-{frame.index}"
        if words := frame.record.edits.words:
            image, name = stamped(image, words), f"{name}-edited"
        write_soon(image, folder, name, self._written.emit)

    def _on_written(self, path: Path | None, text: str) -> None:
        if path is None:
            self._notice.show_message(text, "error")
        else:
            answers = [("Show the folder", partial(open_outside, path.parent))]
            self._notice.show_message(f"Snapshot: {path}", "info", answers)
