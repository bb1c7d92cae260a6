"""The search for the specification that a network was trained with: `fit_spec`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive
from vbp.errors import ModelError
from vbp.fitting import candidates as tried
from vbp.fitting.agreement import agree, blocks_of, correlation, drawn, interval, larger_means, resampled
from vbp.fitting.candidates import Reading
from vbp.fitting.chance import MIRRORED, chance_of, clearly_above, shuffled, turned
from vbp.fitting.frames import LabelledFrames, choose_labelled
from vbp.fitting.meaning import delay_of, meant, scale_of
from vbp.fitting.outputs import CancelledError, SpecCheck
from vbp.fitting.results import SpecFit, Trial
from vbp.models.network import Network
from vbp.models.spec import NetworkSpec

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
FIRST = 100  # frames on which all is tried, before the likeliest are tried on all
PARTS = 30  # of the drive, of which every third is tried first
FINALISTS = 16
COPIES = 4  # of the network, with shuffled weights
MATTERS = 0.005  # a correlation that differs by less is the same
CLOSE = 0.02  # a correlation that differs by no more is nearly the same
SURE = 0.99  # before a crop is moved from where others have it
SHORT_S = 40.0
LIKELY = 0.05


@dataclass
class _Tried:
    """One combination: outputs (N,) on all frames, NaN where it was not run."""

    spec: NetworkSpec
    reading: Reading
    values: Floats


def fit_spec(
    network: Network,
    drive: Drive,
    frames: int = 300,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
    keep_on: Callable[[], bool] = lambda: True,
) -> SpecFit:
    """The specification by which `network` steers as the driver of `drive` did, of all that are tried.

    Colours, crops, ranges and outputs are tried on `frames` labelled frames (fewer where the drive has fewer), half of them in curves;
    sign, scale, offset and delay follow from the outputs. What layers and other inputs compute is taken from the network's own
    specification. progress: told how much is done of how much. keep_on: asked often; CancelledError is raised where
    it says False. Raises VbpError for a drive that has too few labelled frames, or the same angle everywhere.
    """
    labelled = choose_labelled(drive, frames, keep_on)
    if not keep_on():
        raise CancelledError
    check = SpecCheck(network, labelled, device)
    try:
        return _Search(network, check, labelled, progress, keep_on, device).run()
    finally:
        check.close()


class _Search:
    def __init__(
        self,
        network: Network,
        check: SpecCheck,
        labelled: LabelledFrames,
        progress: Callable[[int, int], None],
        keep_on: Callable[[], bool],
        device: str,
    ) -> None:
        self.network, self.check, self.labelled, self.device = network, check, labelled, device
        self.progress, self.keep_on, self.done = progress, keep_on, 0
        self.size: tuple[int, int] = labelled.images[0].shape[:2]  # crops are made for it
        self.angles = labelled.angle_deg
        self.blocks = blocks_of(labelled.times_s)
        self.draws = drawn(self.blocks)
        self.first, self.rest = _split(len(labelled))
        self.cuts = tried.crops(replace(network.spec, resize="linear", blur=0), *self.size)
        self.colours = tried.colours(network.spec.channels)
        few = check.outputs(network.spec, self.first[:4], keep_on=keep_on)
        self.readings = tried.readings(network.spec, few.shape[1])
        grid = len(self.cuts) * len(self.colours) * (len(tried.RANGES) + 1)
        self.total = grid * len(self.first) + 2 * FINALISTS * len(labelled)

    def run(self) -> SpecFit:
        everything = list(self._grid())
        on_first = np.stack([t.values[self.first] for t in everything])
        if not (np.abs(on_first - on_first.mean(1, keepdims=True)).max(1) > 0).any():
            raise ModelError(
                f"{self.network.spec.name} puts out the same number for every frame, whatever is done to the picture: its "
                "weights are broken, or it does not depend on the picture"
            )
        agreed = np.abs(correlation(on_first, self.angles[self.first]))
        chance, by_chance = chance_of(on_first, self.angles[self.first])
        leaders = [everything[int(k)] for k in np.argsort(-agreed, kind="stable")[:FINALISTS]]
        finalists = self._on_all(leaders + _variations(leaders[0], everything))
        if len(self.rest) >= FIRST // 2:  # frames that had no part in the choice
            fresh = np.stack([t.values[self.rest] for t in finalists[: len(leaders)]])
            again, reached = chance_of(fresh, self.angles[self.rest])
            if again < chance:
                chance, by_chance = again, reached
            chance = min(1.0, 2 * chance)
        best = self._chosen(finalists)
        better = self._moved(best) if chance < LIKELY else best
        if better is not best:
            finalists, best = [better, *finalists], better
        mirror = turned(best.values, best.reading.of(self.check.outputs(best.spec, None, True, self.keep_on)))
        reached = float("nan")
        fits = chance < LIKELY
        if fits and mirror < MIRRORED:
            reached = self._with_shuffled_weights(best)
            fits = self._clearly_above(best, reached)
        self.progress(self.total, self.total)
        trials = self._trials(best, finalists)
        return SpecFit(
            frames=len(self.labelled),
            tried=len(everything),
            trials=trials,
            chance=chance,
            by_chance=by_chance,
            mirrored=mirror,
            shuffled=reached,
            fits=fits,
            delay=delay_of(best.values, self.labelled, self.blocks),
            fitted_scale_deg=scale_of(best.values, self.angles, self.labelled.unit_deg).fitted,
            told_apart=_told_apart(trials),
            notes=self._notes(),
        )

    def _grid(self) -> Iterator[_Tried]:
        """Every colour, crop, range and output, on the first frames."""
        images = [self.labelled.images[int(k)] for k in self.first]
        for cut in self.cuts:
            for colour in self.colours:
                spec = replace(cut, colour=colour, mean=0.0, std=1.0)
                inputs = self.check.prepared(spec, images)
                for ranged in tried.ranges(spec).values():
                    yield from self._read(ranged, self.check.run(ranged, inputs, self.keep_on), self.first)
                    self._advance(len(self.first))

    def _read(self, spec: NetworkSpec, outputs: Floats, rows: Rows) -> Iterator[_Tried]:
        for reading in self.readings:
            values = np.full(len(self.labelled), np.nan)
            with np.errstate(all="ignore"):  # what a wrong range makes of an exponential
                found = reading.of(outputs)
            values[rows] = np.where(np.isfinite(found).all(), found, 0.0)
            yield _Tried(spec, reading, values)

    def _on_all(self, chosen: list[_Tried]) -> list[_Tried]:
        """The same on all frames, each once."""
        found = list({id(t): t for t in chosen}.values())
        if not len(self.rest):
            return found
        done: dict[int, list[_Tried]] = {}  # by the specification, which several outputs share
        for one in found:
            if id(one.spec) not in done:
                outputs = self.check.outputs(one.spec, self.rest, keep_on=self.keep_on)
                done[id(one.spec)] = list(self._read(one.spec, outputs, self.rest))
                self._advance(len(self.rest))
            more = next(t for t in done[id(one.spec)] if t.reading == one.reading)
            one.values[self.rest] = more.values[self.rest]
        return found

    def _chosen(self, finalists: list[_Tried]) -> _Tried:
        """The one that correlates best; of those that do nearly as well, that with the smallest error in a known unit."""
        stacked = np.stack([t.values for t in finalists])
        agreed = np.abs(correlation(stacked, self.angles))
        order = [int(k) for k in np.argsort(-agreed, kind="stable")]
        behind = self._behind(stacked[order[0]], stacked)
        natural = [
            finalists[k]
            for k in order
            if behind[k][0] <= MATTERS
            and scale_of(stacked[k], self.angles, self.labelled.unit_deg).natural
            and agreed[k] > agreed[order[0]] - CLOSE
        ]
        skilful = [t for t in natural if self._is_skilful(t)]
        if skilful:
            return min(skilful, key=lambda t: float(np.mean(self._errors(t) ** 2)))
        return natural[0] if natural else finalists[order[0]]

    def _is_skilful(self, one: _Tried) -> bool:
        """It errs less than who always says the mean angle. Of others the error says how much they steer, not how well."""
        return bool(np.mean(self._errors(one) ** 2) < np.var(self.angles))

    def _behind(self, best: Floats, others: Floats, level: float | None = None) -> list[tuple[float, float]]:
        """How much more `best` (N,) correlates than each of the others (K, N), in the same draws of blocks."""
        stacked = np.concatenate([best[None], others])
        signs = np.where(correlation(stacked, self.angles) < 0, -1.0, 1.0)
        values = resampled(stacked, self.angles, self.blocks, self.draws) * signs[:, None]
        gaps = values[0] - values[1:]
        return [interval(gap) if level is None else interval(gap, level) for gap in gaps]

    def _moved(self, best: _Tried) -> _Tried:
        """`best`, or with its crop elsewhere where that is surely better."""
        specs = tried.moved(best.spec, *self.size) if len(self.cuts) > 1 else []
        found = []
        for spec in specs:
            outputs = self.check.outputs(spec, None, keep_on=self.keep_on)
            found += [
                t
                for t in self._read(spec, outputs, np.arange(len(self.labelled)))
                if t.reading == best.reading
            ]
        if not found:
            return best
        stacked = np.stack([t.values for t in found])
        top = int(np.argmax(np.abs(correlation(stacked, self.angles))))
        gained = self._behind(stacked[top], best.values[None], SURE)[0]
        return found[top] if gained[0] > MATTERS else best

    def _with_shuffled_weights(self, best: _Tried) -> float:
        """What the search on the first frames reaches with copies that have learnt nothing, in the range of the best one.

        It ends as soon as that is enough to doubt the best one.
        """
        images, reached = [self.labelled.images[int(k)] for k in self.first], 0.0
        checks = [
            SpecCheck(shuffled(self.network, seed), self.labelled, self.device) for seed in range(COPIES)
        ]
        try:
            for cut in self.cuts:
                for colour in self.colours:
                    spec = replace(cut, colour=colour, mean=best.spec.mean, std=best.spec.std)
                    inputs = self.check.prepared(spec, images)
                    for check in checks:
                        outputs = check.run(spec, inputs, self.keep_on)
                        values = np.stack([t.values for t in self._read(spec, outputs, self.first)])
                        agreed = correlation(values[:, self.first], self.angles[self.first])
                        reached = max(reached, float(np.abs(agreed).max()))
                        if not self._clearly_above(best, reached):
                            return reached
        finally:
            for check in checks:
                check.close()
        return reached

    def _clearly_above(self, best: _Tried, reached: float) -> bool:
        found = float(correlation(best.values[None, self.first], self.angles[self.first])[0])
        return clearly_above(found, reached, len(np.unique(self.blocks[self.first])))

    def _trials(self, best: _Tried, finalists: list[_Tried]) -> tuple[Trial, ...]:
        others = [t for t in finalists if t is not best]
        stacked = np.stack([t.values for t in (best, *others)])
        order = np.argsort(-np.abs(correlation(stacked[1:], self.angles)), kind="stable")
        behind = self._behind(best.values, stacked)
        squares = np.stack([self._errors(t) ** 2 for t in (best, *others)])
        larger = larger_means(squares, self.blocks, self.draws)
        if not self._is_skilful(best):
            larger = [False] * len(larger)
        found = [self._trial(best, (0.0, 0.0), False)]
        rest = [self._trial(others[int(k)], behind[int(k) + 1], larger[int(k) + 1]) for k in order]
        return (*found, *rest)

    def _trial(self, one: _Tried, behind: tuple[float, float], surely_larger: bool) -> Trial:
        spec = meant(one.spec, one.reading, one.values, self.labelled)
        predicted = _degrees(spec, one.values)
        return Trial(
            spec=spec,
            colour=spec.colour,
            crop=tried.crop_words(spec, *self.size),
            range=tried.range_words(spec),
            reading=one.reading.words,
            agreement=agree(predicted, self.angles, self.labelled.times_s),
            behind=behind,
            tied=behind[0] <= MATTERS and not surely_larger,
            known_unit=scale_of(one.values, self.angles, self.labelled.unit_deg).natural,
        )

    def _errors(self, one: _Tried) -> Floats:
        """(N,) predicted - driven, degrees, in the unit that is found for it."""
        spec = meant(one.spec, one.reading, one.values, self.labelled)
        return _degrees(spec, one.values) - self.angles

    def _notes(self) -> tuple[str, ...]:
        found = []
        seconds = float(np.ptp(self.labelled.times_s))
        if seconds < SHORT_S:
            found.append(
                f"the frames lie within {seconds:.0f} s, so they are much alike, and the intervals are narrower than they should be"
            )
        if len({image.shape for image in self.labelled.images}) > 1:
            found.append("the pictures have several sizes; crops were made for the first one's")
        return tuple(found)

    def _advance(self, count: int) -> None:
        self.done += count
        self.progress(min(self.done, self.total), self.total)


def _degrees(spec: NetworkSpec, values: Floats) -> Floats:
    """Numbers (N,) that one output gives, as angles of the wheel, left positive."""
    side = 1 if spec.output_sign == "left" else -1
    unit = 1.0 if spec.output_unit == "deg" else float(np.degrees(1.0))
    found: Floats = side * (values - spec.output_offset) * spec.output_scale * unit
    return found


def _split(count: int) -> tuple[Rows, Rows]:
    """The frames on which all is tried, every third part of the drive, and the rest; of few frames, all."""
    rows = np.arange(count)
    if count <= FIRST * 1.5:
        return rows, rows[:0]
    first = (rows * PARTS // count) % 3 == 1
    return rows[first], rows[~first]


def _variations(best: _Tried, everything: list[_Tried]) -> list[_Tried]:
    """Those that differ from the best in one thing alone."""

    def differs(other: _Tried) -> int:
        a, b = best.spec, other.spec
        crop = (a.crop, a.order, a.resize_to) != (b.crop, b.order, b.resize_to)
        scaled = tried.range_words(a) != tried.range_words(b)
        return (a.colour != b.colour) + crop + scaled + (best.reading != other.reading)

    return [t for t in everything if differs(t) <= 1 and np.nanstd(t.values) > 0]


def _told_apart(trials: tuple[Trial, ...]) -> dict[str, tuple[str, ...]]:
    best, found = trials[0], {}
    names = ("colour", "crop", "range", "reading")
    for name in names:
        alike = [
            t for t in trials if t.tied and all(getattr(t, n) == getattr(best, n) for n in names if n != name)
        ]
        found[name] = tuple(dict.fromkeys(getattr(t, name) for t in alike))
    return found
