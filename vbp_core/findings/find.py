"""The findings of a drive, from what is known of its frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from vbp.drives.labels import curvature
from vbp.errors import VbpError
from vbp.findings.finding import Finding, Observed
from vbp.findings.kinds import KINDS, Measure, left_out, percentile_of_error
from vbp.findings.stretches import Floats, Stretch, near, stretches, usual_step_ns

MOST = 10.0  # thresholds: what is farther beyond them weighs no more
NEARLY = 0.9  # of the largest: one of its equals
CORE_S = 0.2  # what of the worst part is not farther apart is one
LONG_S = 10.0  # one moment is not longer, unless all kinds that it is of are


@dataclass(frozen=True)
class Findings:
    """found: the heaviest first. thresholds: kind -> what was to be reached, in its unit. left_out: kind -> why it was not looked for."""

    found: list[Finding]
    thresholds: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Part:
    """A stretch of rows of one kind, and what is named after it."""

    rows: Stretch
    finding: Finding


def find(
    seen: Observed,
    kinds: Iterable[str] | None = None,
    thresholds: Mapping[str, float] | None = None,
    percentile: float | None = None,
) -> Findings:
    """What is found of `kinds` (default: all of KINDS). Raises VbpError for a kind that does not exist, a threshold that cannot be.

    thresholds: kind -> number in its unit, instead of one that fits the drive. percentile: errors above this one of the
    drive's own. Different kinds in one place are one finding, named after the first of KINDS that covers half of it;
    what is longer than LONG_S stands for itself, so that it does not hide what is in it.
    """
    given = dict(thresholds or {})
    wanted = list(KINDS) if kinds is None else list(dict.fromkeys(kinds))
    for name in (*wanted, *given):
        if name not in KINDS:
            raise VbpError(f"there is no kind {name!r} of findings; accepted: {', '.join(KINDS)}")
    for name, value in given.items():
        if not (np.isfinite(value) and value > 0):
            raise VbpError(f"a threshold of {value:g} for {name} cannot be; give a number above 0")
    if percentile is not None:
        given["error"] = max(percentile_of_error(seen, percentile), 1e-9)
    parts: list[_Part] = []
    reached: dict[str, float] = {}
    missing: dict[str, str] = {}
    for name in sorted(wanted, key=list(KINDS).index):
        if why := left_out(KINDS[name], seen):
            missing[name] = why
            continue
        measure = KINDS[name].measure(seen, given.get(name))
        reached[name] = measure.threshold
        unit = "%" if seen.of_classes and name == "error" else KINDS[name].unit
        parts += _parts(name, unit, measure, seen)
    moments = [_named(group, seen) for group in _moments(parts, seen)]
    return Findings(sorted(moments, key=lambda f: (-f.weight, f.start)), reached, missing)


def findings_of(name: str, unit: str, measure: Measure, seen: Observed) -> list[Finding]:
    """The stretches in which `measure` reaches its threshold, in the order of time. unit: of its values."""
    return [part.finding for part in _parts(name, unit, measure, seen)]


def _parts(name: str, unit: str, measure: Measure, seen: Observed) -> list[_Part]:
    found = stretches(seen.timestamps_ns, measure.depth, 1.0, measure.leave)
    lasts = _lasts_s(seen)
    return [_Part(rows, _finding(name, unit, measure, seen, rows, lasts)) for rows in found]


def _lasts_s(seen: Observed) -> Floats:
    """(N,) seconds until the next frame, at most the usual step."""
    usual = usual_step_ns(seen.timestamps_ns)
    steps = np.append(np.diff(seen.timestamps_ns), usual)
    return np.asarray(np.minimum(steps, usual) / 1e9, dtype=np.float64)


def _finding(name: str, unit: str, measure: Measure, seen: Observed, rows: Stretch, lasts: Floats) -> Finding:
    part = slice(rows[0], rows[1] + 1)
    depth = np.nan_to_num(measure.depth[part], posinf=np.inf)
    high = depth.max() * (NEARLY if measure.steps else 1.0)
    peak = rows[0] + int(np.argmax(depth >= high))
    cores = stretches(seen.timestamps_ns[part], depth, NEARLY * depth.max(), NEARLY * depth.max(), CORE_S)
    value = np.abs(measure.value[part])
    known = np.isfinite(value)
    first, last = _times(seen, rows)
    return Finding(
        kind=name,
        start=int(seen.indices[rows[0]]),
        end=int(seen.indices[rows[1]]),
        peak=int(seen.indices[peak]),
        start_ns=first,
        end_ns=last,
        peak_ns=int(seen.timestamps_ns[peak]),
        seconds=(last - first) / 1e9 + float(lasts[rows[1]]),
        value=float(measure.value[peak]),
        unit=unit,
        threshold=measure.threshold,
        area=float((value[known] * lasts[part][known]).sum()),
        weight=float((np.minimum(depth, MOST) * lasts[part]).sum()),
        driven_deg=float(seen.driven_deg[peak]),
        predicted_deg=float(seen.predicted_deg[peak]),
        speed_mps=float(seen.speed_mps[peak]),
        curvature=float(curvature(np.radians(seen.driven_deg[peak : peak + 1]))[0])
        if not seen.of_classes
        else float("nan"),
        mask_strength=float(seen.strength[peak]),
        mask_spread=float(seen.spread[peak]),
        cores=tuple((int(seen.indices[rows[0] + a]), int(seen.indices[rows[0] + b])) for a, b in cores),
    )


def _times(seen: Observed, rows: Stretch) -> tuple[int, int]:
    return int(seen.timestamps_ns[rows[0]]), int(seen.timestamps_ns[rows[1]])


def _span(parts: list[_Part]) -> Stretch:
    return min(p.rows[0] for p in parts), max(p.rows[1] for p in parts)


def _moments(parts: list[_Part], seen: Observed) -> list[list[_Part]]:
    """Parts of any kinds that belong together."""
    groups: list[list[_Part]] = []
    for part in sorted(parts, key=lambda p: p.rows):
        home = next((g for g in reversed(groups) if _belongs(part.rows, _span(g), seen)), None)
        if home is None:
            groups.append([part])
        else:
            home.append(part)
    return groups


def _belongs(rows: Stretch, span: Stretch, seen: Observed) -> bool:
    """Whether a stretch, which does not begin before `span`, is of the same moment."""
    if rows[0] > span[1] and not near(seen.timestamps_ns, span[1], rows[0]):
        return False
    first, last = _times(seen, (span[0], max(span[1], rows[1])))
    if last - first <= LONG_S * 1e9:
        return True
    common = min(span[1], rows[1]) - rows[0]
    return 2 * (common + 1) > max(span[1], rows[1]) - span[0] + 1


def _named(parts: list[_Part], seen: Observed) -> Finding:
    """The finding of a moment: of the first kind that reaches over half of it."""
    span = _span(parts)
    kinds = [k for k in KINDS if any(p.finding.kind == k for p in parts)]
    of = {k: [p for p in parts if p.finding.kind == k] for k in kinds}
    wide = {k: _span(of[k])[1] - _span(of[k])[0] + 1 for k in kinds}
    name = next((k for k in kinds if 2 * wide[k] >= span[1] - span[0] + 1), max(kinds, key=wide.__getitem__))
    worst = max(of[name], key=lambda p: p.finding.weight).finding
    first, last = _times(seen, span)
    end = next(p.finding for p in parts if p.rows[1] == span[1])
    return replace(
        worst,
        start=int(seen.indices[span[0]]),
        end=int(seen.indices[span[1]]),
        start_ns=first,
        end_ns=last,
        seconds=(last - first) / 1e9 + end.seconds - (end.end_ns - end.start_ns) / 1e9,
        area=sum(p.finding.area for p in of[name]),
        weight=max(sum(p.finding.weight for p in of[k]) for k in kinds),
        also=tuple(k for k in kinds if k != name),
    )
