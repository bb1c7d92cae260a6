"""Frames of a drive with what the network made of them: decoded, run and handed out by three threads."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vbp.classes import class_name, labels_for, percent_right, unknown_folders
from vbp.drives.base import Drive, Image
from vbp.drives.opening import open_drive
from vbp.engine import VBP, Engine, dead_layer, open_network, why_missing
from vbp.errors import ExplainError, FrameError, VbpError
from vbp.explain.registry import METHODS, explain
from vbp.explain.visualbackprop import levels
from vbp.export.ahead import ahead
from vbp.export.job import Job
from vbp.graph.trace import Trace
from vbp.models.network import Network
from vbp.models.spec import NetworkSpec
from vbp.overlay import Rect
from vbp.preprocess import as_shown

log = logging.getLogger(__name__)
BATCH = 4  # on a processor, larger ones fall out of its caches
BATCH_BYTES = 32 * 2**20  # of pictures in one batch; three of them are on their way at a time
CACHE_BYTES = 32 * 2**20  # of decoded pictures, none of which is asked for twice
WAITING = 1  # batches between two threads


@dataclass(frozen=True)
class Layer:
    """One row of Figure 2b. feature_map, mask: (h, w) float32, each with a maximum of 1 (all zero stays)."""

    name: str
    channels: int
    feature_map: NDArray[np.float32]
    mask: NDArray[np.float32]


@dataclass(frozen=True)
class Told:
    """The class that a classifier tells, its probability, and the true class (-1, "" where it is not known).

    percent: what `percent_right` says, for the plot.
    """

    number: int
    name: str
    probability: float
    label: int
    label_name: str
    percent: float


def told_of(spec: NetworkSpec, probabilities: NDArray[np.float64], label: int) -> Told | None:
    """Of one frame's probabilities (classes,); None where they are no numbers."""
    if not np.isfinite(probabilities).all():
        return None
    best = int(probabilities.argmax())
    return Told(
        best,
        class_name(spec, best),
        float(probabilities[best]),
        label,
        class_name(spec, label),
        percent_right(probabilities, label),
    )


@dataclass(frozen=True)
class Annotated:
    """One frame of a drive and what the network made of it. Angles: steering wheel, radians, left positive.

    image: (H, W, 3) uint8 RGB, read-only; None for a gap, and `gap` says why. crop: what the network saw,
    in the image's pixels. input: that as uint8 (h, w) grey or (h, w, 3). maps: method -> (h, w) float32 in
    the input's coordinates. driven_rad, speed_mps: NaN where unknown; predicted_rad: NaN for a gap.
    warning: a few words where the maps of this frame would mislead. encoded: the frame's own picture file,
    where that was asked for and `Drive.encoded` has one. classes: what a classifier tells, whose angle is NaN.
    missing: method -> one sentence, why it has no map of this network.
    """

    index: int
    timestamp_ns: int
    image: Image | None
    gap: str
    driven_rad: float
    predicted_rad: float
    speed_mps: float
    maps: dict[str, NDArray[np.float32]]
    crop: Rect | None
    input: NDArray[np.uint8] | None
    layers: tuple[Layer, ...]
    warning: str
    encoded: bytes | None = None
    classes: Told | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def error_rad(self) -> float:
        """driven - predicted; NaN where either is unknown."""
        return self.driven_rad - self.predicted_rad

    @property
    def plotted(self) -> float:
        """What the plot shows: the predicted angle in degrees, or per cent of a classifier."""
        return self.classes.percent if self.classes is not None else math.degrees(self.predicted_rad)


def methods_of(job: Job) -> tuple[str, ...]:
    """The methods whose maps a job needs."""
    return methods_shown(p for p in job.settings.panels if p != "maps")


def methods_shown(panels: Iterable[str]) -> tuple[str, ...]:
    """The methods that these panels show."""
    shown = {"camera": VBP, "visualbackprop": VBP, "maps": VBP, "lrp": "lrp"}
    return tuple(dict.fromkeys(shown[p] for p in panels if p in shown))


class Source:
    """The drive and the network of a job, opened. The drive belongs to the frames that are being read.

    missing: method -> one sentence, why it cannot explain this network, of those that were asked for. Each is
    logged once, as a warning; the network predicts all the same.
    """

    def __init__(self, job: Job, drive: Drive, network: Network, engine: Engine) -> None:
        self.job, self.drive, self.network, self.engine = job, drive, network, engine
        self.labels = labels_for(drive, network.spec)
        if text := unknown_folders(drive, network.spec):
            log.warning(text)
        self.missing: dict[str, str] = {}

    @property
    def indices(self) -> range:
        return range(self.job.first, self.job.last + 1)

    def count_layers(self) -> int:
        """How many rows `Annotated.layers` has where layers are asked for; 0 where VisualBackProp cannot be."""
        spec = self.engine.spec
        size = (1, spec.input_height, spec.input_width) + ((3,) if spec.channels == 3 else ())
        trace = self.engine.trace(np.zeros(size, dtype=np.uint8))
        try:
            return len(levels(trace))
        except ExplainError:
            return 0

    def frames(
        self,
        indices: Sequence[int] | NDArray[np.int64] | None = None,
        methods: Sequence[str] | None = None,
        layers: bool | None = None,
        encoded: bool = False,
    ) -> Generator[Annotated, None, None]:
        """Those frames (default: the job's), in that order, with the maps of `methods` and where asked the layers.

        By default what the job's panels show. Decoding, the network and the reader run at the same time,
        with a bounded number of frames between them. Close it where it is not read to its end.
        """
        wanted = self.indices if indices is None else indices
        chosen = methods_of(self.job) if methods is None else tuple(methods)
        with_layers = "maps" in self.job.settings.panels if layers is None else layers
        return ahead(self._run(wanted, chosen, with_layers, encoded), 2 * BATCH, "vbp-export-network")

    def _run(
        self,
        indices: Sequence[int] | NDArray[np.int64],
        methods: Sequence[str],
        with_layers: bool,
        encoded: bool,
    ) -> Generator[Annotated, None, None]:
        with closing(ahead(self._decode(indices, encoded), WAITING, "vbp-export-decode")) as batches:
            for batch in batches:
                yield from self._explain(batch, methods, with_layers)

    def _decode(
        self, indices: Sequence[int] | NDArray[np.int64], encoded: bool
    ) -> Generator[list[_Decoded], None, None]:
        info = self.drive.info
        size = max(1, info.width * info.height * 3)
        step = max(1, min(BATCH, BATCH_BYTES // size))
        for start in range(0, len(indices), step):
            batch = []
            for i in indices[start : start + step]:
                try:
                    image = self.drive.frame(int(i))
                    file = self.drive.encoded(int(i)) if encoded else None
                    batch.append(_Decoded(int(i), image, "", *self.engine.prepare(image), file))
                except FrameError as error:
                    batch.append(_Decoded(int(i), None, str(error), None, None))
            yield batch

    def _explain(
        self, batch: list[_Decoded], methods: Sequence[str], with_layers: bool
    ) -> Iterator[Annotated]:
        inputs = [d.input for d in batch if d.input is not None]
        if inputs:
            trace = self.engine.trace(np.stack(inputs))
            angles = self.engine.angles(trace)
            classes = self.engine.probabilities(trace) if self.engine.spec.is_classifier else None
            maps = self._maps(trace, methods)
            seen = self._layers(trace) if with_layers else []
        at = 0
        for d in batch:
            predicted, warning = float("nan"), ""
            found: dict[str, NDArray[np.float32]] = {}
            layers: tuple[Layer, ...] = ()
            told = None
            if d.input is not None:
                n, at = at, at + 1
                predicted = float(angles[n])
                told = (
                    told_of(self.engine.spec, classes[n], int(self.labels[d.index]))
                    if classes is not None
                    else None
                )
                found = {m: values[n] for m, values in maps.items()}
                layers = tuple(Layer(name, channels, f[n], m[n]) for name, channels, f, m in seen)
                warning = (
                    ""
                    if np.isfinite(predicted) or told is not None
                    else "the network's output is not a number"
                )
                if not warning and (dead := dead_layer(trace, n)):
                    warning = f"{dead[0].lower()}{dead[1:]} is dead: the prediction is a constant"
                if not warning and d.image is not None:
                    warning = self.engine.crop_warning(d.image)
            drive, i = self.drive, d.index
            yield Annotated(
                index=i,
                timestamp_ns=int(drive.timestamps_ns[i]),
                image=d.image,
                gap=d.gap,
                driven_rad=float(drive.angle_rad[i]),
                predicted_rad=predicted,
                speed_mps=float(drive.speed_mps[i]),
                maps=found,
                crop=d.crop,
                input=None if d.input is None else as_shown(d.input, self.engine.spec),
                layers=layers,
                warning=warning,
                encoded=d.encoded,
                classes=told,
                missing=self.missing,
            )

    def _maps(self, trace: Trace, methods: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """(N, h, w) of each method that can explain this network."""
        target, found = self.engine.target(), {}
        for m in methods:
            try:
                values = explain(trace, m, target, **self._parameters(m))
                found[m] = values.float().cpu().numpy()
            except ExplainError as error:
                self._miss(m, error)
        return found

    def _layers(self, trace: Trace) -> list[_Rows]:
        try:
            rows = levels(trace)
        except ExplainError as error:
            self._miss(VBP, error)
            return []
        return [
            (r.name, r.channels, r.feature_map.float().cpu().numpy(), r.mask.float().cpu().numpy())
            for r in rows
        ]

    def _miss(self, method: str, error: ExplainError) -> None:
        if method not in self.missing:
            self.missing = {**self.missing, method: why_missing(method, error)}
            log.warning(self.missing[method])

    def _parameters(self, method: str) -> dict[str, float]:
        settings = self.job.settings
        known = {"eps": settings.lrp_eps, "bias": float(settings.lrp_bias)}
        return {p.name: known[p.name] for p in METHODS[method].parameters if p.name in known}


_Rows = tuple[str, int, NDArray[np.float32], NDArray[np.float32]]  # Layer of N frames


@dataclass(frozen=True)
class _Decoded:
    index: int
    image: Image | None
    gap: str
    input: NDArray[np.uint8] | None
    crop: Rect | None
    encoded: bytes | None = None


@contextmanager
def open_source(job: Job) -> Iterator[Source]:
    """Open what a job names. Raises VbpError, also where the drive does not have the job's frames."""
    network = open_network(job.model)
    with open_drive(job.drive_path, job.options) as drive:
        if not 0 <= job.first <= job.last < len(drive):
            raise VbpError(
                f"{job.drive_path} has no frames {job.first} to {job.last}; it has {len(drive)}, 0 to {len(drive) - 1}"
            )
        drive.limit_cache(CACHE_BYTES)
        yield Source(job, drive, network, Engine(network, job.device, crop=job.crop))


def annotated(
    job: Job, methods: Sequence[str] | None = None, layers: bool | None = None
) -> Generator[Annotated, None, None]:
    """The frames of a job one after the other; `methods` and `layers` as `Source.frames` takes them."""
    with open_source(job) as source, closing(source.frames(None, methods, layers)) as frames:
        yield from frames
