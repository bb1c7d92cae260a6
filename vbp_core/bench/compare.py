"""Two runs of `vbp bench`: which of their figures are better, which worse, and which cannot be told apart."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vbp.bench.load import DISTURBED
from vbp.bench.networks import title_of
from vbp.bench.timing import Estimate, estimate_of
from vbp.errors import VbpError
from vbp.reading import read_file

FORM = 2  # of the JSON: the first kept no intervals
MOST = 2**24  # bytes
BETTER, WORSE, ALIKE, UNKNOWN = "better", "worse", "not distinguishable", "no interval"
SAME = ("processor", "threads", "device", "torch")  # else it is another machine that is compared


@dataclass(frozen=True)
class Change:
    """One figure of both runs. less_is_better: of times; not of rates."""

    what: str
    old: Estimate
    new: Estimate
    less_is_better: bool

    @property
    def verdict(self) -> str:
        """By the interval of the difference, which follows from both (Zou and Donner 2008, Statistics in Medicine 27, Eq. 2)."""
        old, new = self.old, self.new
        less = new.value - old.value - math.hypot(new.value - new.low, old.high - old.value)
        more = new.value - old.value + math.hypot(new.high - new.value, old.value - old.low)
        if math.isnan(less) or math.isnan(more):
            return UNKNOWN
        if less <= 0 <= more:
            return ALIKE
        return BETTER if (more < 0) == self.less_is_better else WORSE


def read_run(path: str | Path) -> dict[str, Any]:
    """What `vbp bench --json` wrote. Raises VbpError."""
    try:
        facts = json.loads(read_file(path, MOST))
    except (OSError, ValueError, RecursionError) as error:
        raise VbpError(f"{path} cannot be read as what `vbp bench --json` prints ({error})") from error
    if not isinstance(facts, dict) or not isinstance(facts.get("machine"), dict):
        raise VbpError(f"{path} is not what `vbp bench --json` prints")
    if facts.get("form") != FORM:
        raise VbpError(f"{path} is of another version of vbp bench, without intervals; measure again with it")
    return facts


def compared(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """{"changes": every figure that both have, with its verdict, "notes": what is to be kept in mind}. Raises VbpError."""
    try:
        before = {what: estimate for what, estimate, _ in _figures(old)}
        found = [Change(what, before[what], now, less) for what, now, less in _figures(new) if what in before]
        notes = [*_other_machine(old, new), *_other_load(old, new)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VbpError(
            f"the earlier run is damaged ({error!r}); it is not what `vbp bench --json` prints"
        ) from error
    if not found:
        raise VbpError("the two runs have no figure in common: measure the same parts of the same networks")
    told = sum(one.verdict in (BETTER, WORSE) for one in found)
    notes.append(
        f"{told} of {len(found)} figures can be told apart from the earlier run's; where nothing has changed one in twenty would be"
    )
    return {"changes": [asdict(one) | {"verdict": one.verdict} for one in found], "notes": notes}


def _other_machine(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    pairs = [(key, old["machine"].get(key), new["machine"].get(key)) for key in SAME]
    differ = [f"{key} {a}, now {b}" for key, a, b in pairs if a != b]
    return [f"the earlier run was on another machine: {'; '.join(differ)}"] if differ else []


def _other_load(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Where others had the processors in either run: intervals tell the noise that they made, not how much they slowed down."""
    sides = {"before": old.get("load") or {}, "now": new.get("load") or {}}
    most = {
        side: max((one["others"] or 0 for one in parts.values()), default=0) for side, parts in sides.items()
    }
    if max(most.values()) <= DISTURBED:
        return []
    had = " and ".join(f"{amount:.2f} processors {side}" for side, amount in most.items())
    return [f"other programs had up to {had}: what is better or worse may be their doing"]


def _figures(facts: dict[str, Any]) -> Iterator[tuple[str, Estimate, bool]]:
    """(what, how much, less is better) of every part."""
    for n in facts.get("networks") or []:
        for stage, one in n["timings"].items():
            yield f"{title_of(n)}: {stage}, ms", estimate_of(one), True
    for n in facts.get("onnx") or []:
        for key, words in (("forward_ms", "forward, ms"), ("ratio", "mask / forward")):
            yield f"{n['name']} under ONNX Runtime: {words}", estimate_of(n[key]), True
    for name, rates in (facts.get("play") or {}).items():
        for where, one in rates.items():
            yield f"{name}: file to picture with mask, {where}, frames a second", estimate_of(one), False
    if compared := facts.get("compare"):
        words = " and ".join(compared["networks"])
        yield f"{words} in one pass, ms a frame", estimate_of(compared["both_ms"]), True
    laps = {f"seek: {kind}, {where}": lap for where, kinds in (facts.get("seek") or {}).items() for kind, lap in kinds.items()}  # fmt: skip
    laps |= {f"next finding: {kind}": lap for kind, lap in (facts.get("findings") or {}).items()}
    laps |= {f"stroke to angle: {kind}": lap for kind, lap in (facts.get("strokes") or {}).items()}
    for what, lap in laps.items():
        yield f"{what}, median, ms", estimate_of(lap["p50_ms"]), True
        yield f"{what}, 95 %, ms", estimate_of(lap["p95_ms"]), True
    for one in facts.get("beside") or []:
        yield f"share left beside a busy process: {one['what']}", estimate_of(one["share"]), False
    once = (
        ("window", "window_ms", "process start to window, ms", True),
        ("window", "first_mask_ms", "process start to first masked frame, ms", True),
        ("export", "fps", "export to H.264, frames a second", False),
        ("large", "second_s", "opening the long drive, second time, s", True),
    )
    for part, key, what, less in once:
        if facts.get(part):
            yield what, Estimate(float(facts[part][key])), less
