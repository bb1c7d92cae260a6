"""A comparison as one HTML file, in the evidence reports' style: no scripts, nothing from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from vbp.comparing.errors import Estimate
from vbp.comparing.moments import KINDS, peak_words, unit_of
from vbp.comparing.pair import REQUEST, Compared, Floats
from vbp.comparing.summary import Comparison, row_of, sentences
from vbp.drives.base import Drive
from vbp.evidence.outcome import Plot, Series, Table
from vbp.evidence.plots import svg
from vbp.evidence.report import table_html
from vbp.findings.finding import Finding
from vbp.frames import read_frame, run_frame
from vbp.frames.strengths import usual_of, weights
from vbp.html_page import bullets, definitions, gallery, jpeg, page
from vbp.overlay import PAPER, lay
from vbp.readable import UNKNOWN, clock, count, how_long, printable, signed

if TYPE_CHECKING:
    from vbp.engine import Engine


SHOWN = 12  # stretches with pictures
OF_EACH = 3  # kind, at least, where there are so many
ROWS = 100  # of the table of stretches
POINTS = 400  # of a curve; of the frames between, the smallest and the largest are drawn
COLOURS = {"A": 0, "B": 1, "B − A": 3, "masks": 5}


@dataclass(frozen=True)
class Shown:
    """A stretch with its pictures at the peak: (title, JPEG)."""

    finding: Finding
    pictures: list[tuple[str, bytes]]


def worth_showing(found: Sequence[Finding]) -> list[Finding]:
    """The heaviest, with some of each kind, in the order of `found`."""
    first = [f for kind in KINDS for f in [g for g in found if g.kind == kind][:OF_EACH]]
    rest = [f for f in found if f not in first][: max(0, SHOWN - len(first))]
    return [f for f in found if f in first or f in rest]


def pictures(
    drive: Drive, engines: Sequence[Engine], seen: Compared, found: Sequence[Finding]
) -> list[Shown]:
    """The frame at each peak with the masks of A and B over it; those that are weak among the frames seen fade, and are said.

    Raises VbpError (see `Engine.run`).
    """
    shown = []
    usual = [usual_of(side.strength, side.spread) for side in (seen.a, seen.b)]
    for finding in found:
        frame = run_frame(read_frame(drive, finding.peak), engines[:2], REQUEST)
        made = []
        for name, result, known in zip("AB", frame.results, usual, strict=False):
            assert frame.image is not None
            weighed = weights(result.strength, known, PAPER)
            picture = lay(frame.image, result.map(), result.crop, PAPER, *weighed)
            said = (
                result.classes.name
                if result.classes is not None
                else f"{signed(math.degrees(result.angle_rad))}°"
            )
            doubt = known.short(result.strength, result.spread) if known is not None else ""
            said = "; ".join(filter(None, (printable(said), doubt)))
            made.append((f"{name}: {said}", jpeg(picture)))
        shown.append(Shown(finding, made))
    return shown


def html(facts: dict[str, Any], found: Comparison, shown: Sequence[Shown]) -> str:
    """The whole page. facts: what made it, as in the JSON."""
    seen = found.seen
    start = int(seen.timestamps_ns[0]) if len(seen) else 0
    names = [
        f"{n} is {side.name} ({facts['networks'][n]['source']})" for n, side in (("A", seen.a), ("B", seen.b))
    ]
    lead = (
        f"{facts['source']}: {count(len(seen), 'frame')}. {', '.join(names)}. Angles are of the steering wheel, positive to the "
        "left; error = driven − predicted."
    )
    body = [
        f"<h1>{escape(printable(seen.b.name))} beside {escape(printable(seen.a.name))}</h1>",
        f'<p class="lead">{escape(printable(lead))}</p>',
        "<h2>Summary</h2>",
        bullets([printable(text) for text in sentences(found)]),
        table_html(_errors(found)) if found.errors.frames else "",
        "<h2>Over the drive</h2>",
        *(svg(plot, COLOURS) for plot in _plots(seen, start)),
        "<h2>Stretches</h2>",
        table_html(_stretches(found, start)) if found.moments.found else "<p>None.</p>",
        _looked_for(found),
    ]
    if shown:
        body.append("<h2>The masks at their peaks</h2>")
    for one in shown:
        f = one.finding
        body.append(
            f"<section><h4>{escape(KINDS[f.kind].title)}, frame {f.peak}, {clock((f.peak_ns - start) / 1e9)}: "
            f"{escape(peak_words(f))}, driven {escape(signed(f.driven_deg))}{f.unit if seen.of_classes else '°'}</h4>"
            f"{gallery(one.pictures)}</section>"
        )
    body.append("<h2>What made this</h2>" + _made(facts))
    return page(f"{TITLE}{printable(seen.b.name)} beside {printable(seen.a.name)}", "".join(body))


TITLE = "Comparison: "


def _errors(found: Comparison) -> Table:
    errors = found.errors
    rows = [
        (
            m.title,
            *(interval_words(e, m.unit) for e in (m.a, m.b)),
            interval_words(m.change, m.unit, signs=True),
        )
        for m in errors.measures.values()
    ]
    sure = (
        f"In brackets 95 % intervals, from {errors.blocks} blocks of {errors.block_s:.3g} s of time, as neighbouring frames are "
        "alike; of B − A from the same frames of both."
        if errors.blocks
        else "Too few frames for intervals."
    )
    return Table("Errors", ("", "A", "B", "B − A"), rows, f"{errors.frames} frames. {sure}")


def interval_words(estimate: Estimate, unit: str, signs: bool = False) -> str:
    """ "3.54° (2.55 to 4.48)"."""
    values = (estimate.value, estimate.low, estimate.high)
    value, low, high = (
        signed(v, 2) if signs else (f"{v:.2f}" if math.isfinite(v) else UNKNOWN) for v in values
    )
    tight = unit if unit == "°" else f" {unit}"
    return f"{value}{tight} ({low} to {high})" if math.isfinite(estimate.low) else f"{value}{tight}"


def _plots(seen: Compared, start: int) -> list[Plot]:
    times = (seen.timestamps_ns - start) / 1e9
    unit = "per cent" if seen.of_classes else "degrees"

    def series(name: str, values: Floats, aside: bool = False) -> Series:
        x, y = thinned(times, values)
        return Series(name, x.tolist(), y.tolist(), aside)

    a, b = seen.a.predicted_deg, seen.b.predicted_deg
    first = [series("A", a), series("B", b)]
    if not seen.of_classes:
        first.insert(0, series("driven", seen.driven_deg, aside=True))
    title = "What A and B give the true class" if seen.of_classes else "Driven, A and B"
    plots = [
        Plot(title, "s", unit, first),
        Plot("B − A", "s", unit, [series("B − A", seen.difference_deg)]),
    ]
    if np.isfinite(seen.masks_differ).any():
        masks = series("masks", 100 * seen.masks_differ)
        plots.append(Plot("How much of B's mask lies where A's does not", "s", "per cent", [masks]))
    return plots


def thinned(times: Floats, values: Floats, points: int = POINTS) -> tuple[Floats, Floats]:
    """At most 2 * points of (N,) values, the smallest and largest of each part, in order; NaN where a whole part is not known."""
    if len(values) <= 2 * points:
        return times, values
    rows: list[int] = []
    for part in np.array_split(np.arange(len(values)), points):
        known = part[np.isfinite(values[part])]
        ends = (
            {int(known[values[known].argmin()]), int(known[values[known].argmax()])}
            if len(known)
            else {int(part[0])}
        )
        rows += sorted(ends)
    return times[rows], values[rows]


def _stretches(found: Comparison, start: int) -> Table:
    seen = found.seen
    rows = []
    for f in found.moments.found[:ROWS]:
        row = row_of(seen, f.peak)
        rows.append(
            (
                KINDS[f.kind].title,
                clock((f.start_ns - start) / 1e9),
                f"{f.start}–{f.end}",
                how_long(f.seconds),
                peak_words(f),
                str(f.peak),
                *(
                    signed(float(v[row]))
                    for v in (seen.driven_deg, seen.a.predicted_deg, seen.b.predicted_deg)
                ),
            )
        )
    more = len(found.moments.found) - len(rows)
    note = "The heaviest first: length times height, in thresholds."
    return Table(
        "Where they differ",
        ("", "start", "frames", "length", "at its peak", "frame", "driven", "A", "B"),
        rows,
        f"{note} {more} lighter ones are in the JSON." if more else note,
    )


def _looked_for(found: Comparison) -> str:
    said = [
        f"{KINDS[k].title}: {KINDS[k].meaning}; from {v:.3g} {unit_of(k, found.seen)}"
        for k, v in found.moments.thresholds.items()
    ]
    said += [f"{KINDS[k].title}: not looked for, as {why}" for k, why in found.moments.left_out.items()]
    said.append(
        "Masks are VisualBackProp's. Each is put on the camera's picture, where it has a sum of 1, in cells of a 64th of its longer "
        "side; what lies where the other one is not is half the sum of the differences."
    )
    return bullets([printable(text) for text in said])


def _made(facts: dict[str, Any]) -> str:
    rows = [("command", facts["command"]), ("recording", facts["source"])]
    for name, origin in facts["networks"].items():
        files = [f"{f['path']}, {f['size']:,} bytes, SHA-256 {f['sha256']}" for f in origin["files"]]
        trained = "" if origin["trained"] else " (random weights)"
        rows.append((name, "; ".join([f"{origin['source']}{trained}", *files])))
        if origin["trained_on"]:
            rows.append((f"{name} was trained on", origin["trained_on"]))
    rows += [
        ("frames", facts["frames"]),
        ("seed of the intervals", str(facts["seed"])),
        ("versions", ", ".join(f"{k} {v}" for k, v in facts["versions"].items())),
        ("computed on", f"{facts['device']}, {facts['seconds']:.0f} s"),
    ]
    return definitions([(k, printable(v)) for k, v in rows])
