"""Predictions of a whole drive, behind everything else, so that the plot and the error strip are complete."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from vbp.app.player.messages import Predicted, PredictEnded, told
from vbp.app.player.threads import Abandoned, step_back
from vbp.classes import labels_for
from vbp.drives.base import OpenOptions
from vbp.drives.opening import open_drive
from vbp.errors import FrameError, VbpError
from vbp.overlay import Rect

log = logging.getLogger(__name__)
TELL_EVERY_S = 0.3


class PredictThread(threading.Thread):
    """Opens the recording and the network a second time, so that it shares nothing with the playback.

    It rests while `busy()`: what one looks at comes first.
    """

    def __init__(
        self,
        generation: int,
        network: int,
        path: Path,
        options: OpenOptions,
        model: str,
        device: str,
        tell: Callable[[object], None],
        busy: Callable[[], bool],
        first: int,
        last: int,
        crop: Rect | None = None,
    ) -> None:
        super().__init__(name="vbp-predict", daemon=True)
        self._ids = (generation, network)
        self._path, self._options = path, options
        self._model, self._device = model, device
        self._tell = tell
        self._busy = busy
        self._first, self._last = first, last
        self._crop = crop
        self._halt = threading.Event()

    def stop(self) -> None:
        self._halt.set()

    def run(self) -> None:
        step_back()
        text = ""
        try:
            with suppress(Abandoned):
                self._predict()
        except VbpError as error:
            text = str(error)
        except Exception as error:
            log.exception("predicting %s", self._path)
            text = f"The prediction of the whole drive stopped: {error}"
        if not self._halt.is_set():
            self._tell(PredictEnded(*self._ids, text))

    def _predict(self) -> None:
        from vbp.engine import Engine, open_network

        engine = Engine(open_network(self._model), device=self._device, crop=self._crop)
        with open_drive(self._path, self._options) as drive:
            last = min(self._last, len(drive) - 1)
            values: list[float] = []
            labels = labels_for(drive, engine.spec)
            start = self._first
            last_told = time.monotonic()
            for i in range(self._first, last + 1):
                while self._busy() and not self._halt.wait(0.1):
                    pass
                if self._halt.is_set():
                    return
                try:
                    values.append(told(engine.run(drive.frame(i), maps=()), int(labels[i])))
                except FrameError:
                    values.append(math.nan)
                if time.monotonic() - last_told > TELL_EVERY_S or i == last:
                    done, total = i + 1 - self._first, last + 1 - self._first
                    self._tell(Predicted(*self._ids, start, np.array(values), done, total))
                    start, values, last_told = i + 1, [], time.monotonic()
