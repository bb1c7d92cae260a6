"""What an exported picture says besides its frames: names, sizes, titles; and whether its settings can be drawn."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive
from vbp.drives.holes import find_holes, played_ns
from vbp.errors import VbpError
from vbp.explain.registry import METHODS, Parameter
from vbp.explain.target import parse_target
from vbp.export.job import LAYOUTS, PANELS, Settings
from vbp.frames.strengths import Usual

if TYPE_CHECKING:
    from vbp.engine import Engine


TITLES = {"plain": "Camera", "maps": "Feature maps and masks, layer by layer"}
SMALLEST, LARGEST = 160, 7680


@dataclass(frozen=True)
class Facts:
    """What stays the same through a clip.

    Of the frames that are exported, in order: their numbers, time stamps, when they are played (seconds from the drive's
    first frame, holes jumped) and angles. holes: place among them -> seconds missing before it. start_ns: of the drive.
    """

    model: str
    drive: str
    frame_size: tuple[int, int]  # width, height
    input_size: tuple[int, int]
    layers: int
    indices: NDArray[np.int64]
    timestamps_ns: NDArray[np.int64]
    played_s: NDArray[np.float64]
    start_ns: int
    driven_rad: NDArray[np.float64]
    width_of_index: int  # digits
    of_classes: bool = False  # the network is a classifier, and `driven_rad` is NaN
    holes: Mapping[int, float] = field(default_factory=dict)
    usual: Usual | None = None  # what strengths the masks of the drive have; None: nothing fades

    def ahead_s(self, n: int) -> float:
        """How much more the recording's clock says of frame `n` of these than the time at which it is played."""
        return (int(self.timestamps_ns[n]) - self.start_ns) / 1e9 - float(self.played_s[n])


def facts_of(
    drive: Drive, engine: Engine, indices: NDArray[np.int64], layers: int = 0, usual: Usual | None = None
) -> Facts:
    """indices: (N,) of the frames that will be drawn, rising. layers: rows of Figure 2b, where that is shown."""
    spec, info = engine.spec, drive.info
    holes: dict[int, float] = {}
    for before, seconds in find_holes(drive.timestamps_ns):
        at = int(np.searchsorted(indices, before, side="right"))
        if 0 < at < len(indices):
            holes[at] = holes.get(at, 0.0) + seconds
    return Facts(
        model=engine.name,
        drive=info.name,
        frame_size=(info.width, info.height),
        input_size=(spec.input_width, spec.input_height),
        layers=layers,
        indices=indices,
        timestamps_ns=drive.timestamps_ns[indices],
        played_s=played_ns(drive.timestamps_ns)[indices] / 1e9,
        start_ns=int(drive.timestamps_ns[0]),
        driven_rad=np.full(len(indices), np.nan) if spec.is_classifier else drive.angle_rad[indices],
        width_of_index=len(str(len(drive) - 1)),
        of_classes=spec.is_classifier,
        holes=holes,
        usual=usual,
    )


def title_of(panel: str, settings: Settings, of_classes: bool = False) -> str:
    """What a panel shows: the method, its numbers and what it explains, where they are not the default."""
    from vbp.export.frames import map_of

    if (shown := map_of(settings, panel)) is None or panel == "maps":
        return TITLES[panel]
    method, given = METHODS[shown.method], dict(shown.parameters)
    words = [method.title]
    for parameter in method.parameters:
        value = given.get(parameter.name, parameter.default)
        text, default = (_number_text(parameter, v) for v in (value, parameter.default))
        words += [f"{parameter.title} {text}"] * (text != default)
    words += [f"target {shown.target}"] * (shown.target not in ("", "output", "class" if of_classes else ""))
    if panel == "camera":
        return f"Camera, {', '.join(words)}{' in red' if settings.overlay.style == 'paper' else ''}"
    return f"{', '.join(words)} (network's input)"


def _number_text(parameter: Parameter, value: float) -> str:
    return ("on" if value else "off") if parameter.switch else f"{value:.3g}"


def check_settings(settings: Settings) -> None:
    """Raises VbpError for a name that does not exist, a number that no method takes, a size that cannot be."""
    asked: list[tuple[str, str, Collection[str]]] = [
        ("panel", p, [*PANELS, *METHODS]) for p in settings.panels
    ]
    asked += [("layout", settings.layout, LAYOUTS)]
    for name, value, known in asked:
        if value not in known:
            raise VbpError(f"there is no {name} {value!r}; accepted: {', '.join(known)}")
    if len(set(settings.panels)) != len(settings.panels):
        raise VbpError(f"--panels {','.join(settings.panels)} names a panel twice")
    if not settings.panels:
        raise VbpError(
            f"there is nothing to show; choose some of the panels {', '.join([*PANELS, *METHODS])}"
        )
    if settings.size is not None and not all(SMALLEST <= side <= LARGEST for side in settings.size):
        width, height = settings.size
        raise VbpError(
            f"a picture of {width}x{height} cannot be made; each side is {SMALLEST} to {LARGEST} pixels"
        )
    settings.overlay.check()
    if settings.target:
        parse_target(settings.target)
    for name, numbers in settings.parameters.items():
        if name not in METHODS:
            raise VbpError(f"there is no method {name!r} to take numbers; accepted: {', '.join(METHODS)}")
        METHODS[name].checked(numbers)
