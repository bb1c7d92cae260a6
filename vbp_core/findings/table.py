"""Findings as words, and as the rows of a file."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vbp.files import whole_file
from vbp.findings.finding import Finding
from vbp.frames.strengths import ratio
from vbp.readable import cell, signed
from vbp.version import made_by

# Of a CSV; frame and timestamp_ns: where the stretch begins.
COLUMNS = (
    "frame",
    "timestamp_ns",
    "seconds",
    "kind",
    "also",
    "last_frame",
    "last_timestamp_ns",
    "peak_frame",
    "peak_timestamp_ns",
    "value",
    "unit",
    "threshold",
    "area",
    "weight",
    "driven_deg",
    "predicted_deg",
    "error_deg",
    "speed_mps",
    "curvature",
    "mask_strength",  # at the peak, as in the tables of frames; empty of a mask that is all zero
    "mask_spread",
    "worst_frames",  # "918-930 943-949": within a tenth of the peak
    "drive",
    "model",
    "made_by",
)
LONG_S = 2.0  # seconds, from which on one wants to know where in it
MOST_CORES = 4  # that are named
HEAD = b"frame,timestamp_ns,seconds,kind,"


def rows_of(findings: Iterable[Finding], drive: str, model: str) -> list[list[Any]]:
    """A value per column; None where it is not known."""
    return [
        [
            _known(value)
            for value in (
                f.start,
                f.start_ns,
                f.seconds,
                f.kind,
                " ".join(f.also),
                f.end,
                f.end_ns,
                f.peak,
                f.peak_ns,
                f.value,
                f.unit,
                f.threshold,
                f.area,
                f.weight,
                f.driven_deg,
                f.predicted_deg,
                f.error_deg,
                f.speed_mps,
                f.curvature,
                f.mask_strength,
                f.mask_spread,
                " ".join(f"{a}-{b}" for a, b in f.cores),
                drive,
                model,
                made_by(),
            )
        ]
        for f in findings
    ]


def write_csv(
    path: Path, found: Iterable[Finding], drive: str, model: str, source: Path, force: bool = False
) -> None:
    """A row for each. source: the recording, of which no file is replaced. Raises VbpError."""
    with (
        whole_file(path, is_findings, source, force) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows_of(found, drive, model):
            writer.writerow(map(cell, row))


def is_findings(path: Path) -> bool:
    """Whether an existing file is empty or was written by `write_csv`."""
    with path.open("rb") as file:
        head = file.read(len(HEAD))
    return not head or head == HEAD


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def core_words(finding: Finding) -> str:
    """Where in a longer stretch it is worst, as "918–930, 943–949"; "" of one that is short, or as bad all along."""
    length = finding.end - finding.start + 1
    if finding.seconds < LONG_S or 2 * sum(b - a + 1 for a, b in finding.cores) > length:
        return ""
    parts = [f"{a}–{b}" if b > a else str(a) for a, b in finding.cores[:MOST_CORES]]
    return ", ".join(parts) + (" …" if len(finding.cores) > MOST_CORES else "")


def peak_words(finding: Finding) -> str:
    """How large it is at its peak, as "+28.3°" or "1/1000 of the median"."""
    return value_words(finding.kind, finding.value, finding.unit)


def value_words(kind: str, value: float, unit: str) -> str:
    """The same of a value, in the unit of its kind."""
    if kind == "weak":
        return "all zero" if math.isinf(value) else f"{ratio(-value)} of the median"
    if kind == "scattered":
        return f"{value:.0f} times the median"
    if kind == "constant":
        return f"moves {value:.3f}°" if value else "does not move"
    if kind in ("error", "step", "label"):
        return f"{signed(value)}{' ' * (unit == '%')}{unit}"
    return f"{value:.0f} %" if unit == "%" else f"{value:.1f}{unit} beyond"
