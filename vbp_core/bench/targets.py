"""Performance targets, and whether they are met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vbp.bench.beside import WINDOW
from vbp.bench.networks import GRAPHED, OF_MASK, OF_MASK_BY_GRAPH, PAIR, title_of
from vbp.bench.timing import Estimate, estimate_of


@dataclass(frozen=True)
class Result:
    """what: in words. required: the limit, an upper one where `most` (else a lower one). measured: in `unit`; known: False where
    it was lost in the noise, and is neither met nor missed."""

    what: str
    measured: float
    required: float
    most: bool
    unit: str = ""
    known: bool = True

    @property
    def met(self) -> bool:
        return self.known and self._holds

    @property
    def _holds(self) -> bool:
        return self.measured <= self.required if self.most else self.measured >= self.required

    def words(self) -> list[str]:
        """As a row of a table: what, measured, required, met or missed."""
        sense = "at most" if self.most else "at least"
        return [
            self.what,
            _number(self.measured) if self.known else "not measured",
            f"{sense} {_number(self.required)}{self.unit}",
            self.verdict,
        ]

    @property
    def verdict(self) -> str:
        return "" if not self.known else "met" if self.met else "missed"


# (words of networks.RATIOS, limit on a CPU, limit on a GPU, an upper one); None: no target there
RATIOS = (
    (OF_MASK, 0.06, 0.05, True),
    (OF_MASK_BY_GRAPH, None, 0.05, True),
    ("plain forward / forward", 1.7, None, False),
    ("LRP / forward", 2.0, 2.0, True),
    ("captum LRP / mask", 100.0, 100.0, False),
    ("captum LRP / LRP", 3.0, 3.0, False),
)
ONNX_MASK = 0.25
FRAMES_PER_S = {"NetSVF": 60.0, "NetHVF": 90.0}  # from an H.264 file to the picture with its mask
LATENCY_MS = {"NetSVF": 0.3}  # forward and mask of one frame on a GPU
THROUGHPUT = 20_000.0  # frames per second of forward and mask, in batches on a GPU
JUMPS_MS = {  # 95 % of jumps
    "H.264, a key frame every 40": 50.0,
    "H.264, a key frame every 250": 120.0,
    "folder of JPEGs": 50.0,
}
FINDING_MS = 100.0  # 95 % of presses
STROKE_MS = 50.0  # 95 % of a brush's moves
KEPT = 0.45  # of one network's frame rate, by two
LARGE_OPEN_S, LARGE_MIB = 3.0, 1.5e9 / 2**20
WINDOW_S, FIRST_MASK_S = 1.0, 3.0
BESIDE, WINDOW_BESIDE = 0.4, 0.6  # what is to be left beside one busy process


def results(facts: dict[str, Any]) -> list[Result]:
    """Every target of the measured parts, in the order of the parts."""
    parts = (_networks, _onnx, _pipeline, _findings, _strokes, _window, _beside, _large)
    return [result for part in parts for result in part(facts)]


def _result(what: str, plain: dict[str, Any], required: float, most: bool, unit: str = "") -> Result:
    found: Estimate = estimate_of(plain)
    return Result(what, found.value, required, most, unit, known=found.measured)


def _networks(facts: dict[str, Any]) -> Iterator[Result]:
    on_gpu = str(facts["machine"].get("device", "cpu")) not in ("cpu", "mps")
    for n in facts.get("networks", []):
        name = title_of(n)
        for words, cpu, gpu, most in RATIOS:
            ratio, limit = n["ratios"].get(words), gpu if on_gpu else cpu
            of_mask = words in (OF_MASK, OF_MASK_BY_GRAPH)
            if ratio and limit is not None and (n["batch"] == 1 or (on_gpu and of_mask)):
                yield _result(f"{name}: {words}", ratio, limit, most)
        stages = [n["timings"][stage] for stage in (PAIR, GRAPHED) if stage in n["timings"]]
        pair = min(stages, key=lambda plain: float(plain["value"]), default=None)
        if on_gpu and n["batch"] == 1 and name in LATENCY_MS and pair is not None:
            yield _result(f"{name}: forward + mask", pair, LATENCY_MS[name], True, " ms")
        if on_gpu and n["batch"] > 1 and pair is not None:
            rate = 1e3 * n["batch"] / pair["value"]
            yield Result(f"{name}: forward + mask, frames per second", rate, THROUGHPUT, False)


def _onnx(facts: dict[str, Any]) -> Iterator[Result]:
    for n in facts.get("onnx", []):
        yield _result(f"{n['name']}: mask / forward under ONNX Runtime", n["ratio"], ONNX_MASK, True)


def _pipeline(facts: dict[str, Any]) -> Iterator[Result]:
    for name, rates in facts.get("play", {}).items():
        if name in FRAMES_PER_S:
            for where, rate in rates.items():
                words = f"{name}: H.264 file to picture with mask, frames per second, {where}"
                yield _result(words, rate, FRAMES_PER_S[name], False)
    if compared := facts.get("compare"):
        words = f"{' and '.join(compared['networks'])} in one pass, of the first one's frame rate"
        yield _result(words, compared["kept"], KEPT, False)
    for where, kinds in facts.get("seek", {}).items():
        for kind, lap in kinds.items():
            if kind in JUMPS_MS:
                words = f"seek, 95 %: {kind}, {where}"
                yield Result(words, lap["p95_ms"]["value"], JUMPS_MS[kind], True, " ms")


def _findings(facts: dict[str, Any]) -> Iterator[Result]:
    for kind, lap in facts.get("findings", {}).items():
        words = f"next finding, 95 %: {kind}, in the window"
        yield Result(words, lap["p95_ms"]["value"], FINDING_MS, True, " ms")


def _strokes(facts: dict[str, Any]) -> Iterator[Result]:
    for kind, lap in facts.get("strokes", {}).items():
        words = f"stroke to angle, 95 %: {kind}, in the window"
        yield Result(words, lap["p95_ms"]["value"], STROKE_MS, True, " ms")


def _window(facts: dict[str, Any]) -> Iterator[Result]:
    if facts.get("window"):
        yield Result("process start to window", facts["window"]["window_ms"] / 1e3, WINDOW_S, True, " s")
        first = facts["window"]["first_mask_ms"] / 1e3
        yield Result("process start to first masked frame", first, FIRST_MASK_S, True, " s")


def _beside(facts: dict[str, Any]) -> Iterator[Result]:
    for one in facts.get("beside", []):
        least = WINDOW_BESIDE if one["what"] == WINDOW else BESIDE
        yield _result(f"share left beside a busy process: {one['what']}", one["share"], least, False)


def _large(facts: dict[str, Any]) -> Iterator[Result]:
    if facts.get("large"):
        large = facts["large"]
        name = f"{large['frames']:,} frames"
        yield Result(f"{name}: opening, second time", large["second_s"], LARGE_OPEN_S, True, " s")
        words = f"{name}: resident memory after playing and seeking"
        yield Result(words, large["rss_mib"], LARGE_MIB, True, " MiB")


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if value >= 1 else f"{value:.3f}".rstrip("0").rstrip(".")
