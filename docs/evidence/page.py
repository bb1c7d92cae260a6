"""Prints README.md of this folder from the reports' numbers, so that what it says is what was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from vbp.evidence.measures import mean
from vbp.evidence.outcome import figure
from vbp.evidence.perturbation import ENOUGH
from vbp.explain import METHODS
from vbp.readable import UNKNOWN

HERE = Path(__file__).parent
NETWORKS = {"netsvf": "NetSVF", "nethvf": "NetHVF", "authors": "The authors' network"}
COLUMNS = (
    "more than random, real road",
    "simulated",
    "head random",
    "all random",
    "image in a random network",
    "adversarial frame",
    "times the markings' area",
    "strongest pixel on one",
)
HEAD = """# Are the maps true?

`vbp evidence` tests the maps of every method on the networks that ship and on the one that the paper's authors released. This page
is written by `page.py` from the numbers of the reports beside it; each report (HTML, and the same as JSON) has the curves, what
was found, the seed, the versions and the command that made it.

```sh
sh docs/evidence/make.sh
```

Real road: frames 2150 to 2806 of the Udacity CH2 video, which were held out when the networks that ship were trained. Simulated: the demo drive, whose
truth is known. Few frames each: the intervals in the reports say what that is worth. Curves of different methods are
of the same frames; occlusion, which takes seconds a map, is asked about two.
"""
LEGEND = """- more than random: by how many degrees the angle moves more when the 100 regions of 9×9 pixels that a map marks most are replaced by the
  mean, one after the other, than when random ones are (AOPC, Samek et al. 2016). **Bold**: the 95 % interval over frames is above 0.
- head random, all random: Spearman of the map with the trained network's, with the fully connected layers random, and
  all layers (Adebayo et al. 2018, real road). 1 is a map that does not know what was learnt.
- image in a random network: the larger of |map|'s correlations with the image and its edges, where nothing was learnt (Nie et al. 2018).
- adversarial frame: Spearman of the map with that of the clean frame, where a change of at most 2/255 of each pixel moves the angle.
- times the markings' area, strongest pixel on one: against the truth of the simulated drive; the edges of the image are the baseline.
"""


def read(name: str) -> dict[str, Any] | None:
    file = HERE / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def number(value: float | None, decimals: int = 2) -> str:
    return figure(float("nan") if value is None else value, decimals)


def of(facts: dict[str, Any] | None, experiment: str) -> dict[str, Any]:
    if facts is None:
        return {}
    found: dict[str, Any] = facts["networks"][0]["experiments"].get(experiment, {}).get("numbers", {})
    return found


def gain(facts: dict[str, Any] | None, method: str) -> str:
    one = of(facts, "perturbation").get("methods", {}).get(method)
    if one is None:
        return UNKNOWN
    low = one["gain_interval"][0]
    words = number(mean(one["gain_over_random"]), 1) + "°"
    few = len(one["frames"]) < ENOUGH
    return (
        f"{words} ({len(one['frames'])} frames)"
        if few
        else f"**{words}**"
        if low is not None and low > 0
        else words
    )


def head_random(numbers: dict[str, Any], method: str) -> float | None:
    """The cascade's last step that is still in the head."""
    heads = [k for k, name in enumerate(numbers.get("layers", [])) if name.startswith("head")]
    values = numbers.get("cascading", {}).get(method)
    return values[heads[-1]]["spearman"] if values and heads else None


def row(method: str, road: dict[str, Any] | None, demo: dict[str, Any] | None) -> list[str]:
    random, recovery, truth = of(road, "randomisation"), of(road, "recovery"), of(demo, "truth")
    cascade = random.get("cascading", {}).get(method)
    image = recovery.get("image", {}).get("random", {}).get(method)
    tops = [v for v in image.values() if v is not None] if image else []
    lanes = next((s for s in truth.get(method, {}).get("shares", []) if s["name"] == "lane markings"), None)
    return [
        METHODS[method].title if method in METHODS else method,
        gain(road, method),
        gain(demo, method),
        number(head_random(random, method)),
        number(cascade[-1]["spearman"] if cascade else None),
        number(max(tops) if tops else None),
        number(recovery.get("adversarial", {}).get("spearman", {}).get("adversarial", {}).get(method)),
        number(lanes["times"], 1) if lanes else UNKNOWN,
        f"{100 * lanes['pointed']:.0f} %" if lanes else UNKNOWN,
    ]


def table(columns: tuple[str, ...], rows: list[list[str]]) -> str:
    out = ["| " + " | ".join(("", *columns)) + " |", "| --- |" + " ---: |" * len(columns)]
    return "\n".join([*out, *("| " + " | ".join(r) + " |" for r in rows)])


def findings(facts: dict[str, Any] | None, *experiments: str) -> list[str]:
    if facts is None:
        return []
    found = facts["networks"][0]["experiments"]
    return [line for name in experiments for line in found.get(name, {}).get("findings", [])]


def main() -> None:
    lines: list[str] = []
    lines.append(HEAD)
    lines.append(LEGEND)
    for key, title in NETWORKS.items():
        road, demo = read(f"road-{key}"), read(f"demo-{key}")
        if road is None and demo is None:
            continue
        lines.append(f"## {title}\n")
        methods = [*METHODS, *(["edges of the image"] if demo else [])]
        lines.append(table(COLUMNS, [row(m, road, demo) for m in methods]) + "\n")
        known = [(name, facts) for name, facts in (("road", road), ("demo", demo)) if facts is not None]
        for name, facts in known:
            seconds, frames = facts["seconds"], len(facts["frames"])
            remarks = facts["networks"][0]["remarks"]
            place = {"road": "Real road", "demo": "Simulated"}[name]
            lines.append(
                f"{place}: [report]({name}-{key}.html), {frames} frames, made in {seconds:.0f} s with one thread of a busy machine."
            )
            for line in [*remarks, *findings(facts, "theory")]:
                lines.append(f"- {line}")
            for line in findings(facts, "recovery"):
                if "/255" in line or "does not depend" in line:
                    lines.append(f"- {line}")
            lines.append("")
    cue = read("planted")
    if cue is not None and cue["planted"] is not None:
        lines.append("## A network that has learnt the wrong thing\n")
        lines.append(
            "NetHVF trained on drives with a reflection that gives the angle away ([report](planted.html)):\n"
        )
        for line in cue["planted"]["findings"]:
            lines.append(f"- {line}")
        lines.append("")
    sys.stdout.write("\n".join(lines).rstrip() + "\n")


main()
