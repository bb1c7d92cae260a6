"""The report as one HTML file: no scripts, nothing from elsewhere, readable dark, light and printed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from vbp.evidence.outcome import Outcome, Table, figure
from vbp.evidence.plots import svg
from vbp.explain.registry import METHODS
from vbp.frames.strengths import Usual, weights
from vbp.html_page import PALETTE, bullets, definitions, gallery, jpeg, page
from vbp.overlay import PAPER, grey_to_rgb, lay
from vbp.results import VBP

if TYPE_CHECKING:
    from vbp.evidence.subject import Subject


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

    n = len(subject) // 2
    image = grey_to_rgb(to_display_rgb(subject.frames.inputs[n], subject.spec))
    worth = subject.worth.get(n, (math.nan, math.nan))
    made = []
    for method in subject.maps:
        title = METHODS[method].title
        if method == VBP and usual is not None and (doubt := usual.short(*worth)):
            title += f": {doubt}"
        weighed = weights(worth[0], usual, PAPER)
        made.append((title, jpeg(lay(image, subject.map(method, n), None, PAPER, *weighed))))
    return [(f"frame {subject.frames.numbers[n]}", jpeg(image)), *made]


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


def _made(facts: dict[str, Any]) -> str:
    rows = [
        ("command", facts["command"]),
        ("frames", ", ".join(str(n) for n in facts["frames"])),
        ("seed", str(facts["seed"])),
        ("versions", ", ".join(f"{k} {v}" for k, v in facts["versions"].items())),
        ("computed on", f"{facts['device']}, {facts['seconds']:.0f} s"),
    ]
    return definitions(rows)


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
