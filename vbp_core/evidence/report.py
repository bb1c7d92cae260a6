"""The report as one HTML file: no scripts, nothing from elsewhere, readable dark, light and printed."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import cv2

from vbp.evidence.outcome import Outcome, Table, figure
from vbp.evidence.plots import svg
from vbp.explain.registry import METHODS
from vbp.frames.strengths import Usual, weights
from vbp.overlay import PAPER, grey_to_rgb, lay
from vbp.results import VBP

if TYPE_CHECKING:
    from vbp.evidence.subject import Subject


THUMB = 320  # pixels wide


@dataclass
class Part:
    """One network's outcomes, by experiment. pictures: (title, JPEG) of one frame with each method's map."""

    model: str
    about: dict[str, Any]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    pictures: list[tuple[str, bytes]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def pictures(subject: Subject, usual: Usual | None = None) -> list[tuple[str, bytes]]:
    """The frame in the middle with the map of each method over it, as JPEG; faded where VisualBackProp's is weak by `usual`."""
    from vbp.preprocess import to_display_rgb

    n = (
        subject.some(1)[0]
        if len(subject) == 1
        else subject.of(next(iter(subject.maps)), len(subject))[len(subject) // 2]
    )
    made = []
    for method in subject.maps:
        at = n if n in subject.of(method, len(subject)) else subject.of(method, len(subject))[0]
        image = grey_to_rgb(to_display_rgb(subject.frames.inputs[at], subject.spec))
        title = METHODS[method].title + ("" if at == n else f" (frame {subject.frames.numbers[at]})")
        worth = subject.worth.get(at, (math.nan, math.nan))
        if method == VBP and usual is not None and (doubt := usual.short(*worth)):
            title += f": {doubt}"
        weighed = weights(worth[0], usual, PAPER)
        made.append((title, jpeg(lay(image, subject.map(method, at), None, PAPER, *weighed))))
    image = grey_to_rgb(to_display_rgb(subject.frames.inputs[n], subject.spec))
    return [(f"frame {subject.frames.numbers[n]}", jpeg(image)), *made]


def jpeg(image: Any) -> bytes:
    """A picture (H, W, 3) uint8 RGB, THUMB pixels wide."""
    height = max(1, round(image.shape[0] * THUMB / image.shape[1]))
    small = cv2.resize(image, (THUMB, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 72])
    return bytes(data.tobytes())


def html(facts: dict[str, Any], parts: Sequence[Part], planted: Outcome | None) -> str:
    """The whole page. facts: what made it, as in the JSON."""
    from vbp.evidence.registry import EXPERIMENTS

    colours = {method.title: k for k, method in enumerate(METHODS.values())}
    body = [
        "<h1>Faithfulness of the maps</h1>",
        f'<p class="lead">{escape(facts["source"])}: {len(facts["frames"])} frames; {escape(", ".join(p.model for p in parts))}. '
        "Every sentence under “Found” is computed from the numbers of this run, with the thresholds that it names.</p>",
        _made(facts),
    ]
    names = [name for name in EXPERIMENTS if any(name in part.outcomes for part in parts)]
    body.append("<h2>Summary</h2>")
    for part in parts:
        body.append(f"<h3>{escape(part.model)}</h3>")
        found = [f for name in names for f in (part.outcomes[name].findings if name in part.outcomes else [])]
        body.append(bullets([*part.remarks, *found]))
    if planted is not None and planted.findings:
        body.append("<h3>The spurious feature</h3>" + bullets(planted.findings))
    for part in parts:
        if part.pictures:
            body.append(f"<h2>The maps: {escape(part.model)}</h2>{gallery(part.pictures)}")
    for name in names:
        experiment = EXPERIMENTS[name]
        body.append(f"<h2>{escape(experiment.title)}</h2><p class='note'>{escape(experiment.source)}</p>")
        for part in parts:
            if name in part.outcomes:
                body.append(
                    f"<section><h3>{escape(part.model)}</h3>{_outcome(part.outcomes[name], colours)}</section>"
                )
    if planted is not None:
        body.append(f"<h2>The spurious feature</h2><section>{_outcome(planted, colours)}</section>")
    return page(f"Evidence: {facts['source']}", "".join(body))


def page(title: str, body: str) -> str:
    """A whole page, of a body that is HTML already."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def _made(facts: dict[str, Any]) -> str:
    rows = [
        ("command", facts["command"]),
        ("frames", ", ".join(str(n) for n in facts["frames"])),
        ("seed", str(facts["seed"])),
        ("versions", ", ".join(f"{k} {v}" for k, v in facts["versions"].items())),
        ("computed on", f"{facts['device']}, {facts['seconds']:.0f} s"),
    ]
    return definitions(rows)


def definitions(rows: Sequence[tuple[str, str]]) -> str:
    """What is called how, line by line."""
    return f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>' for k, v in rows)}</dl>"


def bullets(items: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>" if items else ""


def gallery(made: Sequence[tuple[str, bytes]]) -> str:
    cells = "".join(
        f'<div><img alt="{escape(title)}" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">{escape(title)}</div>'
        for title, data in made
    )
    return f'<div class="gallery">{cells}</div>'


def _outcome(outcome: Outcome, colours: dict[str, int]) -> str:
    own = dict(colours)
    for plot in outcome.plots:
        for series in plot.series:
            if series.name not in own and not series.aside:
                own[series.name] = len(own) % len(PALETTE)
    out = ["<h4>Found</h4>", bullets(outcome.findings)] if outcome.findings else []
    out += [table_html(table) for table in outcome.tables]
    if outcome.plots:
        out.append('<div class="plots">' + "".join(svg(plot, own) for plot in outcome.plots) + "</div>")
    out += [f'<p class="note">{escape(note)}</p>' for note in outcome.notes]
    return "".join(out)


def table_html(table: Table) -> str:
    head = "".join(f"<th>{escape(c)}</th>" for c in table.columns)
    rows = "".join(
        "<tr>" + "".join(_cell(v, table.decimals, first=k == 0) for k, v in enumerate(row)) + "</tr>"
        for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<h4>{escape(table.title)}</h4><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}"
    )


def _cell(value: str | float, decimals: int, first: bool) -> str:
    return f"<th>{escape(str(value))}</th>" if first else f"<td>{_words(value, decimals)}</td>"


def _words(value: str | float, decimals: int) -> str:
    if isinstance(value, str | int):
        return escape(str(value))
    return figure(value, decimals)


PALETTE = (
    "#e5484d", "#3d7fd9", "#17a2b8", "#8e5bd0", "#30a46c", "#d6861c",
    "#8a8f98", "#c2478d", "#6d7f1f", "#5b6ee1", "#b06a3b", "#0f9b8e",
)  # fmt: skip
STYLE = """
:root{--bg:#fff;--fg:#1c2024;--muted:#5c6570;--line:#d9dee3;--soft:#f4f6f8}
@media (prefers-color-scheme:dark){:root{--bg:#17191c;--fg:#e3e6ea;--muted:#98a1ab;--line:#363b42;--soft:#1f2226}}
@media print{:root{--bg:#fff;--fg:#000;--muted:#444;--line:#bbb;--soft:#fff}section,figure,tr{break-inside:avoid}}
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;margin:0;color-scheme:light dark}
main{max-width:1180px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:28px;margin:0 0 8px}h2{font-size:21px;margin:40px 0 4px;border-top:1px solid var(--line);padding-top:18px}
h3{font-size:17px;margin:22px 0 4px}h4{font-size:14px;margin:16px 0 4px}
.lead{max-width:80ch}.note{color:var(--muted);font-size:13px;margin:4px 0;max-width:110ch}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;font-size:13px;background:var(--soft);padding:10px 14px;border-radius:6px}
dt{color:var(--muted)}dd{margin:0;overflow-wrap:anywhere}ul{padding-left:20px;margin:6px 0}li{margin:3px 0;max-width:110ch}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:3px 10px;border-bottom:1px solid var(--line);text-align:right}th:first-child{text-align:left;font-weight:500;white-space:nowrap}
thead th{color:var(--muted);font-weight:500;vertical-align:bottom;max-width:130px}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(260px,1fr));gap:10px;font-size:12px;color:var(--muted)}
.gallery img{display:block;width:100%;border-radius:3px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:14px;margin-top:10px}
figure{margin:0}svg{width:100%;height:auto;background:var(--soft);border-radius:6px}
svg text{font:11px system-ui,sans-serif;fill:var(--muted)}svg .title{font-size:13px;fill:var(--fg)}
.grid{stroke:var(--line);stroke-width:1}.line{fill:none;stroke-width:1.8;stroke-linejoin:round}
.line.aside{stroke:var(--muted);stroke-dasharray:5 4}figcaption{font-size:12px;display:flex;flex-wrap:wrap;gap:2px 12px;padding:4px 0}
.key i{display:inline-block;width:14px;height:3px;margin-right:5px;vertical-align:middle}.key i.aside{background:var(--muted)}
""" + "".join(
    f".line.c{k}{{stroke:{c}}}.dot.c{k}{{fill:{c}}}.key i.c{k}{{background:{c}}}"
    for k, c in enumerate(PALETTE)
)
