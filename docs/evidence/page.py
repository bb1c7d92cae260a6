"""Prints README.md of a folder from the reports' numbers in it, so that what it says is what was measured.

python page.py [FOLDER [README]]; FOLDER: with NAME.json of the reports, default this one. README: a file in which what stands
between "<!-- shift test -->" and the next "<!-- -->" is written anew instead.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vbp.evidence.intervals import SIGNIFICANT, holm, words
from vbp.evidence.measures import EDGES
from vbp.explain import METHODS
from vbp.readable import UNKNOWN

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
NETWORKS = {"netsvf": "NetSVF", "nethvf": "NetHVF", "authors": "The authors' network"}
PLACES = {"road": "Real road", "demo": "Simulated"}
MOVES = (
    "AOPC − random, real road",
    "simulated",
    "shift test, real road",
    "simulated",
    "times the markings' area",
    "strongest pixel on one",
)
CHECKS = (
    "head random",
    "all random",
    "image in a random network",
    "two outputs",
    "adversarial frame",
)
START, END = "<!-- shift test -->", "<!-- -->"
HEAD = """# Are the maps true?

`vbp evidence` tests the maps of every method on the networks that ship and on the one that the paper's authors released. This page
is written by `page.py` from the numbers of the reports beside it; each report (HTML, and the same as JSON) has the curves, what
was found, the seed, the versions and the command that made it. One command makes all of it anew, one each a part:

```sh
sh docs/evidence/make.sh                                                    # everything; goes on where it was stopped
vbp evidence assets/demo --frames 40: --experiments shift -o shift.html     # the shift test
vbp evidence assets/demo --frames 40: --experiments theory -o theory.html   # Remark 1
python -m pytest tests/unit/test_evidence_readings.py -k theorem            # Theorem 1, path by path
vbp figure assets/demo --model NetHVF --frame 256 --maps -o maps.png        # Figure 2b
```

Real road: frames 2150 to 2806 of the Udacity CH2 video, which were held out when the networks that ship were trained. Simulated: the
demo drive, whose truth is known. All methods are tested on the same frames; occlusion, which takes seconds a frame, is left out. In brackets: the 95 % interval, Student's t
over up to ten blocks of neighbouring frames, or over eight random networks that each have their own frames. The tests of a kind count together (Holm): **bold** is
significantly above what it is tested against, at 5 % among all {tests} on this page, “below” is significantly below it, n.s. is neither.
"""
SUMMARY = """## What holds

In how many of the networks and drives below a method is significantly above (and below) what it is tested against. What is not above in one of them may still
be: so few frames cannot show everything.
"""
LEGEND = """The columns of the tables below:

- AOPC − random: by how many degrees the angle changes more when the 100 regions of 9×9 pixels that a map marks most are replaced by the
  mean, one after the other, than when random ones are (Samek et al. 2016).
- shift test: what a map marks, 15 % of the picture, is shifted sideways, then all else (Bojarski et al. 2017); the share of the
  first in the sum of both changes of the angle. Bold and n.s. are against noise as a map. It separates maps that mark what the network steers by from those that do
  not, and does not rank the good ones.
- times the markings' area, strongest pixel on one: against the truth of the simulated drive; bold and n.s. are against the edges of the image.
- head random, all random: Spearman of |map| with the trained network's, with the fully connected layers random, and
  all layers (Adebayo et al. 2018, real road). 1 is a map that does not know what was learnt.
- image in a random network: the largest of the map's correlations with the image, the high-passed image and its edges, where nothing was learnt (Nie et
  al. 2018).
- two outputs: the distance of the maps of two outputs of a random network, of unit length: 0 the same, 1.41 as unlike as chance.
- adversarial frame: Spearman of |map| with that of the clean frame, where a change of at most 2/255 of each pixel moves the angle.
"""

# The kinds of tests, each of which counts together, and the summary's columns.
KINDS = {
    "aopc": "AOPC above a random order",
    "shift": "shift test above noise",
    "edges": "above the edges",
    "markings": "on the markings above the edges",
}

Facts = dict[str, Any]


def read(name: str) -> Facts | None:
    """NaN is null in JSON; in an estimate it is NaN again."""

    def known(found: Facts) -> Facts:
        if "low" not in found or "value" not in found:
            return found
        return {key: math.nan if value is None else value for key, value in found.items()}

    file = FOLDER / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8"), object_hook=known) if file.exists() else None


def of(facts: Facts | None, experiment: str) -> Facts:
    if facts is None:
        return {}
    found: Facts = facts["networks"][0]["experiments"].get(experiment, {}).get("numbers", {})
    return found


Tests = dict[tuple[str, str, str], Facts]


def families(reports: Mapping[str, Facts]) -> dict[str, Tests]:
    """The tests of each kind, by kind, report and method."""
    found: dict[str, Tests] = {kind: {} for kind in KINDS}
    for name, facts in reports.items():
        for method, one in of(facts, "perturbation").get("methods", {}).items():
            found["aopc"]["aopc", name, method] = one["gain"]
        for method, one in of(facts, "shift").get("maps", {}).items():
            for kind, key in (("shift", "over_random"), ("edges", "over_edges")):
                if key in one:
                    found[kind][kind, name, method] = one[key]
        for method, one in of(facts, "truth").get("lanes", {}).items():
            if "over_edges" in one:
                found["markings"]["markings", name, method] = one["over_edges"]
    return found


def significant(reports: Mapping[str, Facts]) -> dict[tuple[str, str, str], bool]:
    """Each corrected for all of its kind on the page."""
    found = {}
    for tests in families(reports).values():
        corrected = holm([one["p"] for one in tests.values()])
        found |= {key: p < SIGNIFICANT for key, p in zip(tests, corrected, strict=True) if math.isfinite(p)}
    return found


def marked(text: str, tested: Facts | None, sure: bool | None) -> str:
    """tested: the difference. sure: None where nothing was tested."""
    if tested is None or sure is None or text == UNKNOWN:
        return text
    if not sure:
        return f"{text} n.s."
    return f"**{text}**" if tested["value"] > 0 else f"{text} below"


def cell(one: Facts | None, decimals: int = 2, unit: str = "") -> str:
    if not one or not math.isfinite(one["value"]):
        return UNKNOWN
    value, bracket, rest = words(one, decimals).partition(" [")
    return f"{value}{unit}{bracket}{rest}"


def summary(reports: Mapping[str, Facts], sure: Mapping[tuple[str, str, str], bool]) -> str:
    """Of each method, in how many of the tests of each kind it is significantly above, and below, what it is tested against."""
    by_kind = families(reports)
    methods = [
        m for m in (*METHODS, EDGES) if any(key[2] == m for tests in by_kind.values() for key in tests)
    ]
    rows = {}
    for method in methods:
        row = []
        for tests in by_kind.values():
            mine = {key: one for key, one in tests.items() if key[2] == method}
            above, below = (
                sum(sure.get(key, False) and sign * one["value"] > 0 for key, one in mine.items())
                for sign in (1, -1)
            )
            row.append(f"{above} of {len(mine)}{f', below in {below}' * (below > 0)}" if mine else UNKNOWN)
        rows[title(method)] = row
    return table(tuple(KINDS.values()), rows)


def shift_cell(
    method: str, name: str, reports: Mapping[str, Facts], sure: Mapping[tuple[str, str, str], bool]
) -> str:
    """Of the report `name`: the share of the angle's change that comes from what the map marks."""
    one = of(reports.get(name), "shift").get("maps", {}).get(method, {})
    return marked(cell(one.get("share")), one.get("over_random"), sure.get(("shift", name, method)))


def for_readme(reports: Mapping[str, Facts]) -> str:
    """The shift test on the real road: what the project's README says of the methods."""
    sure = significant(reports)
    here = {key: name for key, name in NETWORKS.items() if f"road-{key}" in reports}
    methods = [
        m for m in METHODS if any(m in of(reports[f"road-{key}"], "shift").get("maps", {}) for key in here)
    ]
    rows = {
        title(m): [shift_cell(m, f"road-{key}", reports, sure) for key in here]
        for m in (*methods, EDGES, "random")
    }
    return table(tuple(here.values()), rows)


def moves(
    method: str, key: str, reports: Mapping[str, Facts], sure: Mapping[tuple[str, str, str], bool]
) -> list[str]:
    """A row of the first table."""
    row = []
    for place in PLACES:
        name = f"{place}-{key}"
        gain = of(reports.get(name), "perturbation").get("methods", {}).get(method, {}).get("gain")
        row.append(marked(cell(gain, 1, "°"), gain, sure.get(("aopc", name, method))))
    row += [shift_cell(method, f"{place}-{key}", reports, sure) for place in PLACES]
    name = f"demo-{key}"
    lanes = of(reports.get(name), "truth").get("lanes", {}).get(method, {})
    row.append(
        marked(cell(lanes.get("times"), 1), lanes.get("over_edges"), sure.get(("markings", name, method)))
    )
    pointed = lanes.get("pointed")
    row.append(cell({k: 100 * v for k, v in pointed.items()}, 0, " %") if pointed else UNKNOWN)
    return row


def checks(method: str, facts: Facts | None) -> list[str]:
    """A row of the second table."""
    random, recovery = of(facts, "randomisation"), of(facts, "recovery")
    cascade = random.get("cascading", {}).get(method)
    heads = [k for k, dense in enumerate(random.get("dense", [])) if dense]
    image = recovery.get("image", {}).get("random", {}).get(method, {})
    tops = [one for one in image.values() if math.isfinite(one["value"])]
    return [
        cell(cascade[heads[-1]]["spearman"] if cascade and heads else None),
        cell(cascade[-1]["spearman"] if cascade else None),
        cell(max(tops, key=lambda one: one["value"]) if tops else None),
        cell(recovery.get("outputs", {}).get("random", {}).get(method)),
        cell(recovery.get("adversarial", {}).get("spearman", {}).get("adversarial", {}).get(method)),
    ]


def table(columns: tuple[str, ...], rows: Mapping[str, list[str]]) -> str:
    out = ["| " + " | ".join(("", *columns)) + " |", "| --- |" + " ---: |" * len(columns)]
    return "\n".join([*out, *("| " + " | ".join((title, *row)) + " |" for title, row in rows.items())])


def findings(facts: Facts, *experiments: str) -> list[str]:
    found = facts["networks"][0]["experiments"]
    return [line for name in experiments for line in found.get(name, {}).get("findings", [])]


def title(method: str) -> str:
    return METHODS[method].title if method in METHODS else "noise" if method == "random" else method


def sections(reports: Mapping[str, Facts]) -> Iterator[str]:
    sure = significant(reports)
    for key, name in NETWORKS.items():
        here = {place: reports[f"{place}-{key}"] for place in PLACES if f"{place}-{key}" in reports}
        if not here:
            continue
        yield f"## {name}\n"
        methods = [m for m in METHODS if any(m in of(f, "shift").get("maps", {}) for f in here.values())]
        yield (
            table(MOVES, {title(m): moves(m, key, reports, sure) for m in [*methods, EDGES, "random"]}) + "\n"
        )
        yield table(CHECKS, {title(m): checks(m, here.get("road")) for m in methods}) + "\n"
        for place, facts in here.items():
            yield (
                f"{PLACES[place]}: [report]({place}-{key}.html), {len(facts['frames'])} frames, made in {facts['seconds']:.0f} s with one thread of a "
                "busy machine."
            )
            for line in [*facts["networks"][0]["remarks"], *findings(facts, "theory")]:
                yield f"- {line}"
            for line in findings(facts, "perturbation", "shift", "recovery"):  # what the tables do not say
                if line.startswith("The largest") or "/255" in line or "does not depend" in line:
                    yield f"- {line}"
            yield ""


def main() -> None:
    names = [f"{place}-{key}" for key in NETWORKS for place in PLACES]
    reports = {name: facts for name in names if (facts := read(name)) is not None}
    if len(sys.argv) > 2:
        readme = Path(sys.argv[2])
        before, start, rest = readme.read_text(encoding="utf-8").partition(START)
        _, end, after = rest.partition(END)
        if not (start and end):
            sys.exit(f"{readme} has no part between {START} and {END}")
        readme.write_text(f"{before}{start}\n{for_readme(reports)}\n{end}{after}", encoding="utf-8")
        return
    counts = {kind: len(tests) for kind, tests in families(reports).items()}
    tests = (
        f"{counts['aopc']} of AOPC, {counts['shift']} of the shift test against noise, {counts['edges']} of it against the edges of the image and "
        f"{counts['markings']} of the markings"
    )
    lines = [HEAD.replace("{tests}", tests), SUMMARY, summary(reports, significant(reports)) + "\n", LEGEND]
    lines += sections(reports)
    cue = read("planted")
    if cue is not None and cue["planted"] is not None:
        lines.append("## A network that has learnt the wrong thing\n")
        lines.append(
            "NetHVF trained on drives with a reflection that gives the angle away ([report](planted.html)):\n"
        )
        lines += [f"- {line}" for line in cue["planted"]["findings"]]
    sys.stdout.write("\n".join(lines).rstrip() + "\n")


main()
