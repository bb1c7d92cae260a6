"""Curves as SVG, in colours that the page's style sheet sets, dark or light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from vbp.evidence.outcome import Plot
from vbp.readable import plain

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 28, 44


def svg(plot: Plot, colours: dict[str, int]) -> str:
    """One plot. colours: the number of each series' colour (class c0, c1, ...), so that a method keeps its own."""
    points = [
        (_x(x, plot), y)
        for s in plot.series
        for x, y in zip(s.x, s.y, strict=True)
        if math.isfinite(y) and math.isfinite(_x(x, plot))
    ]
    if not points:
        return f'<p class="note">{escape(plot.title)}: nothing to draw.</p>'
    bottom = BOTTOM + (34 if plot.names else 0)
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    x_ticks = ticks(min(xs), max(xs)) if not plot.names else list(range(len(plot.names)))
    y_ticks = ticks(min([*ys, 0.0]), max([*ys, 0.0]))
    low_x, high_x = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1
    low_y, high_y = min(y_ticks[0], *ys), max(y_ticks[-1], *ys)
    height = HEIGHT + bottom - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (x - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT),
            TOP + (high_y - y) / (high_y - low_y) * (height - TOP - bottom),
        )

    out = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(plot.title)}">',
        f'<text class="title" x="{LEFT}" y="16">{escape(plot.title)}</text>',
    ]
    for y in y_ticks:
        _, py = at(low_x, y)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py:.1f}" y2="{py:.1f}"/>')
        out.append(f'<text x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{plain(y)}</text>')
    for x in x_ticks:
        if not low_x - 1e-9 <= x <= high_x + 1e-9:
            continue
        px, py = at(x, low_y)
        if plot.names:
            turn = f'transform="rotate(-28 {px:.1f} {py + 14:.1f})" text-anchor="end"'
            name = plot.names[int(x)]
            out.append(f'<text x="{px:.1f}" y="{py + 14:.1f}" {turn}>{escape(name[-14:])}</text>')
        else:
            words = plain(10**x if plot.log_x else x)
            out.append(f'<text x="{px:.1f}" y="{py + 16:.1f}" text-anchor="middle">{words}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    out.append(f'<text x="{middle:.0f}" y="{height - 6}" text-anchor="middle">{escape(plot.x_label)}</text>')
    down = (TOP + height - bottom) / 2
    out.append(
        f'<text x="12" y="{down:.0f}" text-anchor="middle" transform="rotate(-90 12 {down:.0f})">{escape(plot.y_label)}</text>'
    )
    for series in plot.series:
        kind = "aside" if series.aside else f"c{colours.get(series.name, 0)}"
        for run in _runs([(_x(x, plot), y) for x, y in zip(series.x, series.y, strict=True)]):
            corners = " ".join(f"{px:.1f},{py:.1f}" for px, py in (at(x, y) for x, y in run))
            out.append(
                f'<polyline class="line {kind}" points="{corners}"><title>{escape(series.name)}</title></polyline>'
            )
            if len(run) == 1:
                px, py = at(*run[0])
                out.append(f'<circle class="dot {kind}" cx="{px:.1f}" cy="{py:.1f}" r="3"/>')
    out.append("</svg>")
    legend = "".join(
        f'<span class="key"><i class="{"aside" if s.aside else f"c{colours.get(s.name, 0)}"}"></i>{escape(s.name)}</span>'
        for s in plot.series
    )
    return f"<figure>{''.join(out)}<figcaption>{legend}</figcaption></figure>"


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers over [low, high], in steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    step = 10 ** math.floor(math.log10((high - low) / wanted))
    step *= next((m for m in (1, 2, 5) if (high - low) / (step * m) <= wanted), 10)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def _x(x: float, plot: Plot) -> float:
    return math.log10(x) if plot.log_x else float(x)


def _runs(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Broken where a value is missing."""
    found: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if math.isfinite(point[1]):
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [run for run in found if run]
