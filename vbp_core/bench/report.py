"""The figures as tables: for a terminal, and as Markdown for a README."""

from __future__ import annotations

from typing import Any

from vbp.bench.load import DISTURBED, Load
from vbp.bench.networks import (
    CAPTUM,
    COMPILED,
    FORWARD,
    GRAPHED,
    GRAPHED_FORWARD,
    GRAPHED_MASK,
    LRP,
    MASK,
    NAIVE,
    PAIR,
    PLAIN,
    RATIOS,
    STEPS,
    ZENNIT,
    title_of,
)
from vbp.bench.targets import results
from vbp.bench.timing import Estimate, estimate_of

STAGES = (
    *(FORWARD, PLAIN, COMPILED, GRAPHED_FORWARD, MASK, STEPS, GRAPHED_MASK, NAIVE),
    *(PAIR, GRAPHED, LRP, CAPTUM, ZENNIT),
)

Table = list[list[str]]

SURE = "(and where it lies in 95 of 100 cases)"


def tables(facts: dict[str, Any]) -> list[tuple[str, Table]]:
    """(title, rows) of every part that was measured; the first row is the head."""
    found: list[tuple[str, Table]] = []
    reached = results(facts)
    if reached:
        head = ["target", "measured", "required", ""]
        found.append(("Targets", [head, *(result.words() for result in reached)]))
    networks = facts["networks"]
    if networks:
        found.append((f"Milliseconds, median of interleaved runs {SURE}", _stages(networks)))
        found.append((f"Ratios of the same rounds {SURE}", _ratios(networks)))
        found.append(
            ("Roofline: share of the machine's measured limit", _roofline(networks, facts["limits"]))
        )
    if facts.get("onnx"):
        found.append((f"ONNX Runtime {facts['onnx'][0]['version']}, two threads", _onnx(facts["onnx"])))
    if facts.get("play"):
        rows = [["file to picture with mask, frames per second", *facts["play"]]]
        kinds = list(dict.fromkeys(kind for rates in facts["play"].values() for kind in rates))
        rows += [
            [
                kind,
                *(_words(rates[kind], 0) if kind in rates else "" for rates in facts["play"].values()),
            ]
            for kind in kinds
        ]
        found.append(("Playing", rows))
    if compared := facts.get("compare"):
        names = [*compared["networks"], "both in one pass"]
        rows = [["file to mask", "ms for a frame", "frames per second"]]
        times = (compared[k] for k in ("first_ms", "other_ms", "both_ms"))
        rows += [
            [name, _words(ms, 1), f"{1e3 / ms['value']:.0f}"] for name, ms in zip(names, times, strict=True)
        ]
        rows.append(["share of the first one's rate that both have", _ratio(compared["kept"]), ""])
        found.append(("Comparing two networks", rows))
    if seeks := facts.get("seek"):
        laps = {f"{kind}, {where}": lap for where, laps in seeks.items() for kind, lap in laps.items()}
        found.append(("Seeking to a random frame", _laps("from request to picture with mask", laps)))
    if findings := facts.get("findings"):
        words = "from the key to the peak with its mask"
        found.append(("To the next finding, in the window", _laps(words, findings)))
    if strokes := facts.get("strokes"):
        words = "from a move of the brush to its angle and mask, 20 moves a stroke, one every 16 ms"
        found.append(("Erase and watch, in the window", _laps(words, strokes)))
    empty = ["", ""]
    if window := facts.get("window"):
        shown = ["process start to window, s", f"{window['window_ms'] / 1e3:.2f}"]
        masked = ["process start to first masked frame, s", f"{window['first_mask_ms'] / 1e3:.2f}"]
        memory = ["largest resident memory, MiB", f"{window['rss_mib']:.0f}"]
        found.append((f"The window ({window['platform']})", [empty, shown, masked, memory]))
    if large := facts.get("large"):
        first = ["opening, first time, s", f"{large['first_s']:.2f}"]
        second = ["opening, second time, s", f"{large['second_s']:.2f}"]
        memory = ["resident memory after playing and seeking, MiB", f"{large['rss_mib']:.0f}"]
        found.append((f"A drive of {large['frames']:,} frames", [empty, first, second, memory]))
    if export := facts.get("export"):
        rate = ["frames per second", f"{export['fps']:.0f}"]
        faster = ["times faster than real time", f"{export['fps'] / export['source_fps']:.1f}"]
        found.append(("Export to H.264", [empty, rate, faster]))
    if facts.get("beside"):
        head = ["frames per second", "alone", "beside it", f"share left {SURE}", "turns"]
        rows = [
            [
                one["what"],
                f"{one['alone_fps']['value']:.0f}",
                f"{one['beside_fps']['value']:.0f}",
                _ratio(one["share"]),
                str(one["share"]["runs"]),
            ]
            for one in facts["beside"]
        ]
        found.append(("Beside one busy process", [head, *rows]))
    if load := facts.get("load"):
        rows = [[part, f"{one['ours']:.2f}", Load(**one).words()] for part, one in load.items()]
        found.append(
            ("Processors that were busy meanwhile", [["", "for this bench", "for other programs"], *rows])
        )
    if compared := facts.get("compared"):
        rows = [["", "before", "now", "change", ""]]
        for one in compared["changes"]:
            old, new = estimate_of(one["old"]), estimate_of(one["new"])
            change = f"{new.value / old.value - 1:+.1%}" if old.value else ""
            rows.append([one["what"], estimate_words(old), estimate_words(new), change, one["verdict"]])
        found.append((f"Compared with the earlier run {SURE}", rows))
    return found


def disturbed(load: dict[str, dict[str, Any]]) -> list[str]:
    """A sentence where others had the processors during some parts, of what `facts` has under "load"."""
    parts = [part for part, one in load.items() if one["others"] > DISTURBED]
    if not parts:
        return []
    return [
        f"other programs ran beside this during {', '.join(parts)}: milliseconds and frames a second are not those of a quiet machine, "
        "ratios are nearer to it"
    ]


def _laps(what: str, laps: dict[str, dict[str, Any]]) -> Table:
    head = [f"{what}, ms", "median", "95 %", "worst", "times"]
    return [
        head,
        *(
            [
                kind,
                *(_words(lap[k], 0) for k in ("p50_ms", "p95_ms")),
                f"{lap['worst_ms']:.0f}",
                str(lap["seeks"]),
            ]
            for kind, lap in laps.items()
        ),
    ]


def _onnx(networks: list[dict[str, Any]]) -> Table:
    head = ["", *(n["name"] for n in networks)]
    return [
        head,
        ["forward, ms", *(_words(n["forward_ms"]) for n in networks)],
        ["forward + mask, ms", *(_words(n["pair_ms"]) for n in networks)],
        ["mask / forward", *(_ratio(n["ratio"]) for n in networks)],
        ["largest difference from vbp's mask", *(f"{n['difference']:.0e}" for n in networks)],
    ]


def _head(networks: list[dict[str, Any]]) -> list[str]:
    return [title_of(n) for n in networks]


def estimate_words(found: Estimate, decimals: int = 2) -> str:
    """The number with its interval, as far as that is known."""
    value, low, high = (f"{v:.{decimals}f}" for v in (found.value, found.low, found.high))
    if "nan" in (low, high):
        return (
            value
            if low == high
            else f"{value} ({low} or more)"
            if high == "nan"
            else f"{value} (up to {high})"
        )
    return f"{value} ({low} to {high})"


def _words(plain: dict[str, Any], decimals: int = 2) -> str:
    return estimate_words(estimate_of(plain), decimals)


def _stages(networks: list[dict[str, Any]]) -> Table:
    rows = [["", *_head(networks)], ["forward by", *(n["path"] for n in networks)]]
    for stage in STAGES:
        cells = []
        for n in networks:
            t = n["timings"].get(stage)
            cells.append(_sure(t, 2) if t else "")
        if any(cells):
            rows.append([stage, *cells])
    return rows


def _ratios(networks: list[dict[str, Any]]) -> Table:
    rows = [["", *_head(networks)]]
    for words, _, _ in RATIOS:
        cells = [_ratio(n["ratios"][words]) if words in n["ratios"] else "" for n in networks]
        if any(cells):
            rows.append([words, *cells])
    return rows


def _ratio(plain: dict[str, Any]) -> str:
    value = estimate_of(plain).value
    return _sure(plain, 3 if value < 1 else 1)


def _sure(plain: dict[str, Any], decimals: int) -> str:
    """A difference or a ratio, which noise can hide: where its interval is wider than itself, that alone is said."""
    found = estimate_of(plain)
    if found.measured:
        return estimate_words(found, decimals)
    return f"not measured ({found.low:.{decimals}f} to {found.high:.{decimals}f})"


def _roofline(networks: list[dict[str, Any]], limits: dict[str, float]) -> Table:
    rows = [["", *_head(networks)]]
    for stage in (FORWARD, MASK, LRP):
        counted, bound = [], []
        for n in networks:
            work = n["works"][stage]
            counted.append(f"{work['operations'] / 1e6:.0f} Mop, {work['bytes'] / 1e6:.1f} MB")
            limit, took = n["limits_ms"][stage], estimate_of(n["timings"][stage])
            if not took.measured:
                said = "of a time that was not measured"
            elif limit <= took.value:
                said = f"{limit / took.value:.0%} of it achieved"
            else:
                said = "which is of memory; it took less, from the cache"
            bound.append(f"{limit:.2g} ms, {said}")
        rows.append([f"{stage}: operations, bytes", *counted])
        rows.append([f"{stage}: lower bound", *bound])
    rows.append(
        [
            "limit of operations, the best seen",
            *([_limit(limits, "operations_s", "Gop/s")] * len(networks)),
        ]
    )
    rows.append(["limit of memory, one large copy", *([_limit(limits, "bytes_s", "GB/s")] * len(networks))])
    return rows


def _limit(limits: dict[str, float], which: str, unit: str) -> str:
    return f"{limits[which] / 1e9:.0f} {unit}"


def as_text(facts: dict[str, Any]) -> str:
    lines = [_machine(facts)]
    for title, rows in tables(facts):
        lines += ["", title, *text_rows(rows)]
    lines += [""] + facts["notes"] if facts["notes"] else []
    return "\n".join(lines)


def text_rows(rows: Table) -> list[str]:
    widths = [max(len(row[k]) for row in rows if k < len(row)) for k in range(len(rows[0]))]
    cells = ([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows)
    return ["  " + "  ".join(row).rstrip() for row in cells]


def as_markdown(facts: dict[str, Any]) -> str:
    lines = [_machine(facts)]
    for title, rows in tables(facts):
        lines += ["", f"**{title}**", "", *markdown_rows(rows)]
    lines += ["", *facts["notes"]] if facts["notes"] else []
    return "\n".join(lines)


def markdown_rows(rows: Table) -> list[str]:
    head, *body = rows
    ruled = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    return ruled + [f"| {' | '.join(row)} |" for row in body]


def _machine(facts: dict[str, Any]) -> str:
    return "; ".join(f"{name} {value}" for name, value in facts["machine"].items())
