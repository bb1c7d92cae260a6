"""How large the errors of two networks are, by how much they differ, and how sure that is when neighbouring frames are alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from vbp.comparing.pair import Compared, Floats
from vbp.fitting.agreement import BLOCK_S, FEWEST_BLOCKS, LEVEL, blocks_of, drawn, interval
from vbp.readable import count

LEAST_BLOCK_S = 1.0  # what is shorter is one moment of the road: nothing follows from how its parts differ


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; NaN where there is none, as of too few frames."""

    value: float
    low: float
    high: float

    @property
    def shows_a_difference(self) -> bool:
        """Of a difference: whether 0 is outside of its interval."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Measured:
    """One measure of A, of B, and B - A: its interval is of the frames in pairs, so what is hard for both does not blur it.

    unit: "°" or "%". more_is_worse: of an error, not of an accuracy.
    """

    title: str
    unit: str
    a: Estimate
    b: Estimate
    change: Estimate
    more_is_worse: bool = True

    @property
    def worse_by(self) -> float:
        """How much worse B is than A, in the unit; below 0 where it is better."""
        return self.change.value if self.more_is_worse else -self.change.value


@dataclass(frozen=True)
class Errors:
    """measures: name -> what was measured on `frames` frames that have a truth and a prediction of both networks.

    blocks: how many blocks of `block_s` seconds of time were drawn from; none where there are too few for an interval.
    """

    frames: int
    blocks: int
    block_s: float
    measures: dict[str, Measured]

    @property
    def main(self) -> Measured | None:
        """RMSE, or of classifiers accuracy; None where no frame has all that it takes."""
        return next(iter(self.measures.values()), None)


def errors_of(seen: Compared, seed: int = 0) -> Errors:
    """Of a drive's frames, with intervals by a bootstrap over blocks of time (`vbp.fitting.agreement`).

    A block is 5 s, or an eighth of a drive that is shorter than 40 s; there are no intervals of less than 8 s. Always the same
    for the same frames and seed.
    """
    if seen.of_classes:
        known = (seen.labels >= 0) & (seen.a.classes >= 0) & (seen.b.classes >= 0)
        costs = [np.where(side.classes == seen.labels, 100.0, 0.0) for side in (seen.a, seen.b)]
        wanted = {"accuracy": ("accuracy", "%", costs, False, mean)}
    else:
        known = np.isfinite(seen.worse_deg)
        errors = [seen.error_a, seen.error_b]
        wanted = {
            "rmse": ("RMSE", "°", [e**2 for e in errors], True, root),
            "mean": ("mean |error|", "°", [np.abs(e) for e in errors], True, mean),
        }
    frames = int(known.sum())
    if not frames:
        return Errors(0, 0, BLOCK_S, {})
    times = (seen.timestamps_ns[known] - seen.timestamps_ns[known][0]) / 1e9
    blocks = blocks_of(times)
    number = int(blocks.max()) + 1
    length = min(BLOCK_S, float(np.ptp(times)) / FEWEST_BLOCKS)
    enough = number >= FEWEST_BLOCKS and length >= LEAST_BLOCK_S
    draws = drawn(blocks, seed) if enough else None
    found = {
        name: measured(
            title,
            unit,
            [np.bincount(blocks, weights=c[known]).astype(np.float64) for c in costs],
            np.bincount(blocks).astype(np.float64),
            draws,
            worse,
            finish,
        )
        for name, (title, unit, costs, worse, finish) in wanted.items()
    }
    return Errors(frames, number if enough else 0, length, found)


def level_of(number: int) -> float:
    """The part of the draws that an interval spans, so that one from so few blocks holds the truth in LEVEL of all cases.

    Draws from n blocks vary too little by (n - 1) / n, and what is known of their spread is itself uncertain: Student's t, by
    its series in 1 / (n - 1) (Hesterberg's expanded percentile interval).
    """
    normal, more = NormalDist(), number - 1
    z = normal.inv_cdf((1 + LEVEL) / 2)
    t = z + (z**3 + z) / (4 * more) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * more**2)
    return 2 * normal.cdf(t * float(np.sqrt(number / more))) - 1


def mean(means: Floats) -> Floats:
    return means


def root(means: Floats) -> Floats:
    return np.asarray(np.sqrt(means))


def measured(
    title: str,
    unit: str,
    sums: list[Floats],
    counts: Floats,
    draws: Floats | None,
    worse: bool,
    finish: Callable[[Floats], Floats],
) -> Measured:
    """sums: (blocks,) of A's costs and of B's, counts: (blocks,) frames; the mean over all frames, finished, is the measure.

    draws: (K, blocks), how often each block is drawn; None: there is no interval.
    """
    values = [float(finish(np.array([s.sum() / counts.sum()]))[0]) for s in sums]
    if draws is None:
        unknown = np.full(1, np.nan)
        drawn_values = [unknown, unknown]
    else:
        drawn_values = [finish((draws @ s) / (draws @ counts)) for s in sums]
    level = LEVEL if draws is None else level_of(draws.shape[1])
    a, b = (Estimate(v, *interval(d, level)) for v, d in zip(values, drawn_values, strict=True))
    change = Estimate(values[1] - values[0], *interval(drawn_values[1] - drawn_values[0], level))
    return Measured(title, unit, a, b, change, worse)


def change_words(measure: Measured, errors: Errors) -> str:
    """One sentence: what can be said of B's error beside A's."""
    change, frames = measure.change, count(errors.frames, "frame")
    if change.value == 0 and not change.shows_a_difference:
        return f"{measure.title}: no difference on {frames}"
    size = f"{abs(change.value):.3g}{measure.unit if measure.unit == '°' else ' ' + measure.unit}"
    word = "worse" if measure.worse_by > 0 else "better"
    if not errors.blocks:
        return f"{measure.title}: B is {word} by {size} on {frames}, too little to say how sure that is"
    if not change.shows_a_difference:
        return f"{measure.title}: no difference that these {frames} can show (B is {word} by {size}, and 0 lies in the interval)"
    return f"{measure.title}: B is {word} by {size}"


def short_words(errors: Errors) -> str:
    """A caution where the drive is too short for blocks that are apart from each other; "" where it is not."""
    if not errors.blocks or errors.block_s >= BLOCK_S:
        return ""
    return (
        f"the frames last less than {FEWEST_BLOCKS * BLOCK_S:.0f} s, so blocks of {errors.block_s:.2g} s were drawn: "
        "neighbouring ones are alike, and the intervals narrower than they should be"
    )
