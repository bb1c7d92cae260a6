"""What a search for a specification finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vbp.fitting.agreement import Agreement
from vbp.fitting.meaning import Delay
from vbp.models.spec import NetworkSpec
from vbp.readable import signed


@dataclass(frozen=True)
class Trial:
    """One specification that was tried on all frames.

    colour, crop, range, reading: what is varied, in words. behind: the 95 % interval of how much more the best one correlates;
    known_unit: the output counts in degrees, radians or the recording's own unit.
    tied: that may be as good as nothing, and the error is not surely larger, so that the two cannot be told apart.
    """

    spec: NetworkSpec
    colour: str
    crop: str
    range: str
    reading: str
    agreement: Agreement
    behind: tuple[float, float]
    tied: bool
    known_unit: bool


@dataclass(frozen=True)
class SpecFit:
    """Of a search on `frames` frames: `trials`, the chosen one first, then by correlation.

    tried: how many combinations of colour, crop, range and output. chance: how likely the best of as many reaches its correlation
    with angles of other frames; by_chance: what 1 in 20 such searches reach. mirrored: how far the chosen one turns round with a
    mirrored picture (1: wholly). shuffled: what the search reaches with the network's weights shuffled, or enough of it to doubt
    the best one; NaN where that was not asked. fits: the best is better than chance. told_apart: of colour, crop, range and output, those that do as
    well as the chosen one, which is first, the rest of the specification alike. notes: what the user should know.
    """

    frames: int
    tried: int
    trials: tuple[Trial, ...]
    chance: float
    by_chance: float
    mirrored: float
    shuffled: float
    fits: bool
    delay: Delay
    fitted_scale_deg: float
    told_apart: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]

    @property
    def best(self) -> Trial:
        return self.trials[0]

    @property
    def spec(self) -> NetworkSpec:
        return self.best.spec

    @property
    def verdict(self) -> str:
        """One sentence: what fits, or that nothing does."""
        best = self.best
        found = signed(best.agreement.correlation, 2)
        if not self.fits:
            why = f"the best of {self.tried} combinations correlates {found} with the measured angle"
            if self.chance >= 0.05:
                return f"nothing fits: {why}, and 1 in 20 searches with angles of other frames reach {self.by_chance:.2f}"
            return (
                f"nothing fits: {why}, but the output does not turn round with a mirrored picture ({signed(self.mirrored, 2)}), and "
                "shuffled weights come too near to that"
            )
        tied = [trial for trial in self.trials[1:] if trial.tied]
        if tied:
            more = f"{len(tied)} other{'s' * (len(tied) != 1)} cannot be told apart from it on this drive"
            if odd := sum(not trial.known_unit for trial in tied):
                more += f" ({odd} of them in no known unit)"
        else:
            more = "all others tried fit worse"
        return f"{best.colour}, {best.crop}, {best.range} fits best ({found}); {more}"

    def to_json(self) -> dict[str, Any]:
        """Plain values; each trial with what is varied, the numbers, and whether it is tied with the best."""
        return {
            "frames": self.frames,
            "tried": self.tried,
            "fits": self.fits,
            "verdict": self.verdict,
            "chance": self.chance,
            "by_chance": self.by_chance,
            "mirrored": self.mirrored,
            "shuffled": self.shuffled,
            "delay_s": self.delay.seconds,
            "fitted_scale_deg": self.fitted_scale_deg,
            "told_apart": {name: list(values) for name, values in self.told_apart.items()},
            "notes": list(self.notes),
            "trials": [
                {
                    "colour": t.colour,
                    "crop": t.crop,
                    "range": t.range,
                    "reading": t.reading,
                    "sign": t.spec.output_sign,
                    "unit": t.spec.output_unit,
                    "scale": t.spec.output_scale,
                    "offset": t.spec.output_offset,
                    "correlation": t.agreement.correlation,
                    "interval": list(t.agreement.interval),
                    "rmse_deg": t.agreement.rmse_deg,
                    "behind": list(t.behind),
                    "tied": t.tied,
                    "known_unit": t.known_unit,
                }
                for t in self.trials
            ],
        }
