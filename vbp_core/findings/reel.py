"""Which parts of a drive a reel of its findings shows, and the title of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vbp.findings.finding import Finding
from vbp.findings.kinds import KINDS
from vbp.findings.table import peak_words
from vbp.readable import clock, how_long, signed

BEFORE_S, AFTER_S = 2.0, 1.0
LONGEST_S = 12.0  # of a longer one, what lies around its peak


def reel_parts(
    found: Sequence[Finding], times_ns: NDArray[np.int64], of_classes: bool = False
) -> list[tuple[int, int, tuple[str, ...]]]:
    """(first, last, title lines) of each, in this order: from 2 s before a finding to 1 s after it. times_ns: (N,) of the drive."""
    parts = []
    for number, f in enumerate(found, 1):
        begin = max(f.start_ns, f.peak_ns - round(LONGEST_S / 2 * 1e9)) - round(BEFORE_S * 1e9)
        end = min(f.end_ns, f.peak_ns + round(LONGEST_S / 2 * 1e9)) + round(AFTER_S * 1e9)
        first = int(np.searchsorted(times_ns, begin))
        last = int(np.searchsorted(times_ns, end, side="right")) - 1
        parts.append((first, max(first, last), _title(f, number, len(found), int(times_ns[0]), of_classes)))
    return parts


def _title(f: Finding, number: int, total: int, start_ns: int, of_classes: bool) -> tuple[str, ...]:
    kind = KINDS[f.kind].title
    when = f"{clock((f.peak_ns - start_ns) / 1e9)}, frame {f.peak}; {how_long(f.seconds)} long"
    lines = [f"{number} of {total}: {kind}", when, f"at its peak {peak_words(f)}"]
    numbers = [("driven", f.driven_deg), ("predicted", f.predicted_deg), ("error", f.error_deg)]
    known = [f"{name} {signed(value)}°" for name, value in numbers if np.isfinite(value)]
    if known and not of_classes:
        lines.append(", ".join(known))
    if f.also:
        lines.append(f"also: {', '.join(KINDS[k].title for k in f.also)}")
    return tuple(lines)
