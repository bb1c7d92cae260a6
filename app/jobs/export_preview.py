"""What an export will look like: the frame on the screen, drawn by a thread while one still chooses."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vbp.app.player.mailbox import Mailbox
from vbp.app.player.messages import Frame
from vbp.app.player.threads import step_back
from vbp.classes import labels_for
from vbp.drives.base import Drive, Image
from vbp.errors import ExplainError, VbpError
from vbp.export.job import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreviewWish:
    """indices: (N,) of the frames that the plot shows, rising, that of `frame` among them.

    predicted_deg: (N,), NaN where not known. whole: all that is known is drawn, as for a single picture.
    """

    settings: Settings
    frame: Frame
    drive: Drive
    network: Any
    engine: Any
    indices: NDArray[np.int64]
    predicted_deg: NDArray[np.float64]
    whole: bool


class PreviewThread(threading.Thread):
    """Draws the newest wish; `tell` hears (picture or None, why not or what is missing in it)."""

    def __init__(self, tell: Callable[[Image | None, str], None]) -> None:
        super().__init__(name="vbp-export-preview", daemon=True)
        self._tell = tell
        self.wishes: Mailbox[PreviewWish] = Mailbox()

    def stop(self) -> None:
        self.wishes.close()

    def run(self) -> None:
        step_back()
        while (wish := self.wishes.wait()) is not None:
            try:
                picture, text = draw(wish)
            except VbpError as error:
                picture, text = None, str(error)
            except Exception as error:
                log.exception("drawing a preview")
                picture, text = None, f"The preview could not be drawn: {error}"
            try:
                self._tell(picture, text)
            except RuntimeError:  # the window was closed meanwhile
                return


def draw(wish: PreviewWish) -> tuple[Image, str]:
    """The picture as it will be exported, uint8 RGB, and in words which maps cannot be in it.

    Raises VbpError for settings that cannot be.
    """
    # Imported here, as they bring torch, which the network's thread has done by now.
    from vbp.engine import why_missing
    from vbp.export.compose import Composer, Facts
    from vbp.export.frames import Annotated, Layer, methods_shown, told_of

    frame, drive, shot, s = wish.frame, wish.drive, wish.frame.shot, wish.settings
    assert shot is not None and frame.image is not None
    spec = wish.network.spec
    maps, missing = dict(shot.maps), dict(shot.missing)
    if "lrp" in s.panels:
        try:
            maps["lrp"] = wish.engine.explain(shot, "lrp", eps=s.lrp_eps, bias=float(s.lrp_bias))
        except ExplainError as error:
            missing["lrp"] = why_missing("lrp", error)
    layers: tuple[Layer, ...] = ()
    if "maps" in s.panels and "visualbackprop" not in missing:
        layers = tuple(Layer(name, 0, made, mask) for name, made, mask in wish.engine.layers(shot))
    misleads = shot.warning and shot.warning not in missing.values()
    composer = Composer(
        Facts(
            model=spec.name if wish.network.trained else f"{spec.name} (random weights)",
            drive=drive.info.path.name,
            frame_size=(frame.image.shape[1], frame.image.shape[0]),
            input_size=(spec.input_width, spec.input_height),
            crop=shot.crop,
            layers=len(layers),
            indices=wish.indices,
            timestamps_ns=drive.timestamps_ns[wish.indices],
            start_ns=int(drive.timestamps_ns[0]),
            driven_rad=np.full(len(wish.indices), np.nan)
            if spec.is_classifier
            else drive.angle_rad[wish.indices],
            width_of_index=len(str(len(drive) - 1)),
            of_classes=spec.is_classifier,
        ),
        s,
    )
    for n in np.flatnonzero(np.isfinite(wish.predicted_deg)):
        composer.set_predicted(int(wish.indices[n]), float(wish.predicted_deg[n]))
    i = frame.index
    picture = composer.draw(
        Annotated(
            index=i,
            timestamp_ns=int(drive.timestamps_ns[i]),
            image=frame.image,
            gap="",
            driven_rad=float(drive.angle_rad[i]),
            predicted_rad=shot.angle_rad,
            speed_mps=float(drive.speed_mps[i]),
            maps=maps,
            crop=shot.crop,
            input=shot.input,
            layers=layers,
            warning="the maps of this frame mislead: the prediction is a constant" if misleads else "",
            missing=missing,
            classes=None
            if shot.probabilities is None
            else told_of(spec, shot.probabilities, int(labels_for(drive, spec)[i])),
        ),
        future=wish.whole,
    )
    return picture, "; ".join(missing[m] for m in methods_shown(s.panels) if m in missing)
