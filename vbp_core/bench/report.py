"""The figures as tables: for a terminal, and as Markdown for a README."""

from __future__ import annotations

from typing import Any

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
    STEPS,
    ZENNIT,
)
from vbp.bench.targets import results

STAGES = (
    *(FORWARD, PLAIN, COMPILED, GRAPHED_FORWARD, MASK, STEPS, GRAPHED_MASK, NAIVE),
    *(PAIR, GRAPHED, LRP, CAPTUM, ZENNIT),
)

# (what, stage above the line, stage below it)
RATIOS = (
    ("mask / forward", MASK, FORWARD),
    ("plain forward / forward", PLAIN, FORWARD),
    ("mask / forward, CUDA graph", GRAPHED_MASK, GRAPHED_FORWARD),
    ("forward by torch.compile / forward, CUDA graph", COMPILED, GRAPHED_FORWARD),
    ("mask by transposed convolutions / mask", NAIVE, MASK),
    ("LRP / mask", LRP, MASK),
    ("LRP / forward", LRP, FORWARD),
    ("captum LRP / mask", CAPTUM, MASK),
    ("captum LRP / LRP", CAPTUM, LRP),
    ("zennit LRP / LRP", ZENNIT, LRP),
)

Table = list[list[str]]


def tables(facts: dict[str, Any]) -> list[tuple[str, Table]]:
    """(title, rows) of every part that was measured; the first row is the head."""
    found: list[tuple[str, Table]] = []
    reached = results(facts)
    if reached:
        head = ["target", "measured", "required", ""]
        found.append(("Targets", [head, *(result.words() for result in reached)]))
    networks = facts["networks"]
    if networks:
        found.append(("Milliseconds, median of interleaved runs", _stages(networks)))
        found.append(("Ratios", _ratios(networks)))
        found.append(("Roofline: share of the machine's measured limit", _roofline(networks)))
    if facts.get("onnx"):
        found.append((f"ONNX Runtime {facts['onnx'][0]['version']}, two threads", _onnx(facts["onnx"])))
    if facts.get("play"):
        rows = [["file to picture with mask, frames per second", *facts["play"]]]
        kinds = list(dict.fromkeys(kind for rates in facts["play"].values() for kind in rates))
        rows += [
            [
                kind,
                *(f"{rates[kind]['fps']:.0f}" if kind in rates else "" for rates in facts["play"].values()),
            ]
            for kind in kinds
        ]
        found.append(("Playing", rows))
    if compared := facts.get("compare"):
        names = [*compared["networks"], "both in one pass"]
        rows = [["file to mask", "ms for a frame", "frames per second"]]
        times = (compared[k] for k in ("first_ms", "other_ms", "both_ms"))
        rows += [[name, f"{ms:.1f}", f"{1e3 / ms:.0f}"] for name, ms in zip(names, times, strict=True)]
        found.append(("Comparing two networks", rows))
    if seeks := facts.get("seek"):
        laps = {f"{kind}, {where}": lap for where, laps in seeks.items() for kind, lap in laps.items()}
        found.append(("Seeking to a random frame", _laps("from request to picture with mask", laps)))
    if findings := facts.get("findings"):
        words = "from the key to the peak with its mask"
        found.append(("To the next finding, in the window", _laps(words, findings)))
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
        head = ["frames per second", "alone", "beside it", "share left (quartiles)", "turns"]
        rows = [
            [
                one["what"],
                f"{one['alone_fps']:.0f}",
                f"{one['beside_fps']:.0f}",
                f"{one['share']:.2f} ({one['low']:.2f} to {one['high']:.2f})",
                str(one["turns"]),
            ]
            for one in facts["beside"]
        ]
        found.append(("Beside one busy process", [head, *rows]))
    return found


def _laps(what: str, laps: dict[str, dict[str, Any]]) -> Table:
    head = [f"{what}, ms", "median", "95 %", "worst", "times"]
    numbers = ("p50_ms", "p95_ms", "worst_ms")
    return [
        head,
        *([kind, *(f"{lap[k]:.0f}" for k in numbers), str(lap["seeks"])] for kind, lap in laps.items()),
    ]


def _onnx(networks: list[dict[str, Any]]) -> Table:
    head = ["", *(n["name"] for n in networks)]
    rows = {
        "forward, ms": "{forward_ms:.2f}",
        "forward + mask, ms": "{pair_ms:.2f}",
        "mask / forward": "{ratio:.3f} ({low:.3f} to {high:.3f})",
        "largest difference from vbp's mask": "{difference:.0e}",
    }
    return [head, *([words, *(form.format(**n) for n in networks)] for words, form in rows.items())]


def _head(networks: list[dict[str, Any]]) -> list[str]:
    return [n["name"] + (f", batch {n['batch']}" if n["batch"] > 1 else "") for n in networks]


def _stages(networks: list[dict[str, Any]]) -> Table:
    rows = [["", *_head(networks)]]
    for stage in STAGES:
        cells = []
        for n in networks:
            t = n["timings"].get(stage)
            cells.append(f"{t['median_ms']:.2f} ({t['low_ms']:.2f} to {t['high_ms']:.2f})" if t else "")
        if any(cells):
            rows.append([stage, *cells])
    return rows


def _ratios(networks: list[dict[str, Any]]) -> Table:
    rows = [["", *_head(networks)]]
    for words, above, below in RATIOS:
        cells = []
        for n in networks:
            a, b = n["timings"].get(above), n["timings"].get(below)
            cells.append(_ratio(a["median_ms"] / b["median_ms"]) if a and b else "")
        if any(cells):
            rows.append([words, *cells])
    return rows


def _ratio(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.1f}"


def _roofline(networks: list[dict[str, Any]]) -> Table:
    rows = [["", *_head(networks)]]
    for stage in (FORWARD, MASK, LRP):
        counted, bound = [], []
        for n in networks:
            work = n["works"][stage]
            counted.append(f"{work['operations'] / 1e6:.0f} Mop, {work['bytes'] / 1e6:.1f} MB")
            limit = n["limits_ms"][stage]
            share = limit / n["timings"][stage]["median_ms"]
            said = (
                f"{share:.0%} of it achieved"
                if share <= 1
                else "which is of memory; it took less, from the cache"
            )
            bound.append(f"{limit:.2g} ms, {said}")
        rows.append([f"{stage}: operations, bytes", *counted])
        rows.append([f"{stage}: lower bound", *bound])
    rows.append(
        [
            "measured limit, one large convolution or matrix product",
            *(_limit(n, "operations_s", "Gop/s") for n in networks),
        ]
    )
    rows.append(["measured limit, one large copy", *(_limit(n, "bytes_s", "GB/s") for n in networks)])
    return rows


def _limit(network: dict[str, Any], which: str, unit: str) -> str:
    return f"{network['machine_limits'][which] / 1e9:.0f} {unit}"


def as_text(facts: dict[str, Any]) -> str:
    lines = [_machine(facts)]
    for title, rows in tables(facts):
        widths = [max(len(row[k]) for row in rows if k < len(row)) for k in range(len(rows[0]))]
        lines += ["", title]
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  " + "  ".join(cells).rstrip())
    lines += [""] + facts["notes"] if facts["notes"] else []
    return "\n".join(lines)


def as_markdown(facts: dict[str, Any]) -> str:
    lines = [_machine(facts)]
    for title, rows in tables(facts):
        head, *body = rows
        lines += ["", f"**{title}**", "", f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
        lines += [f"| {' | '.join(row)} |" for row in body]
    lines += ["", *facts["notes"]] if facts["notes"] else []
    return "\n".join(lines)


def _machine(facts: dict[str, Any]) -> str:
    return "; ".join(f"{name} {value}" for name, value in facts["machine"].items())
