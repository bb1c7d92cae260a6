"""Performance targets, and whether they are met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vbp.bench.beside import WINDOW
from vbp.bench.networks import CAPTUM, FORWARD, GRAPHED, GRAPHED_FORWARD, GRAPHED_MASK, LRP, MASK, PAIR, PLAIN


@dataclass(frozen=True)
class Result:
    """what: in words. required: the limit, an upper one where `most` (else a lower one). measured: in `unit`."""

    what: str
    measured: float
    required: float
    most: bool
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.measured <= self.required if self.most else self.measured >= self.required

    def words(self) -> list[str]:
        """As a row of a table: what, measured, required, met or missed."""
        sense = "at most" if self.most else "at least"
        return [
            self.what,
            _number(self.measured),
            f"{sense} {_number(self.required)}{self.unit}",
            self.verdict,
        ]

    @property
    def verdict(self) -> str:
        return "met" if self.met else "missed"


# (words, stage above the line, stage below it, limit on a CPU, limit on a GPU, an upper one); None: no target there
RATIOS = (
    ("mask / forward", MASK, FORWARD, 0.06, 0.05, True),
    ("mask / forward, CUDA graph", GRAPHED_MASK, GRAPHED_FORWARD, None, 0.05, True),
    ("plain forward / forward", PLAIN, FORWARD, 1.7, None, False),
    ("LRP / forward", LRP, FORWARD, 2.0, 2.0, True),
    ("captum LRP / mask", CAPTUM, MASK, 100.0, 100.0, False),
    ("captum LRP / LRP", CAPTUM, LRP, 3.0, 3.0, False),
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
KEPT = 0.45  # of one network's frame rate, by two
LARGE_OPEN_S, LARGE_MIB = 3.0, 1.5e9 / 2**20
WINDOW_S, FIRST_MASK_S = 1.0, 3.0
BESIDE, WINDOW_BESIDE = 0.4, 0.6  # what is to be left beside one busy process


def results(facts: dict[str, Any]) -> list[Result]:
    """Every target of the measured parts, in the order of the parts."""
    parts = (_networks, _onnx, _pipeline, _findings, _window, _beside, _large)
    return [result for part in parts for result in part(facts)]


def _networks(facts: dict[str, Any]) -> Iterator[Result]:
    on_gpu = str(facts["machine"].get("device", "cpu")) not in ("cpu", "mps")
    for n in facts.get("networks", []):
        name = n["name"] + (f", batch {n['batch']}" if n["batch"] > 1 else "")
        for words, above, below, cpu, gpu, most in RATIOS:
            a, b = n["timings"].get(above), n["timings"].get(below)
            limit = gpu if on_gpu else cpu
            if (
                a
                and b
                and limit is not None
                and (n["batch"] == 1 or (on_gpu and above in (MASK, GRAPHED_MASK)))
            ):
                yield Result(f"{name}: {words}", a["median_ms"] / b["median_ms"], limit, most)
        pairs = [n["timings"][stage]["median_ms"] for stage in (PAIR, GRAPHED) if stage in n["timings"]]
        if on_gpu and n["batch"] == 1 and name in LATENCY_MS:
            yield Result(f"{name}: forward + mask", min(pairs), LATENCY_MS[name], True, " ms")
        if on_gpu and n["batch"] > 1:
            rate = 1e3 * n["batch"] / min(pairs)
            yield Result(f"{name}: forward + mask, frames per second", rate, THROUGHPUT, False)


def _onnx(facts: dict[str, Any]) -> Iterator[Result]:
    for n in facts.get("onnx", []):
        yield Result(f"{n['name']}: mask / forward under ONNX Runtime", n["ratio"], ONNX_MASK, True)


def _pipeline(facts: dict[str, Any]) -> Iterator[Result]:
    for name, rates in facts.get("play", {}).items():
        if name in FRAMES_PER_S:
            for where, rate in rates.items():
                words = f"{name}: H.264 file to picture with mask, frames per second, {where}"
                yield Result(words, rate["fps"], FRAMES_PER_S[name], False)
    if compared := facts.get("compare"):
        words = f"{' and '.join(compared['networks'])} in one pass, of the first one's frame rate"
        yield Result(words, compared["first_ms"] / compared["both_ms"], KEPT, False)
    for where, kinds in facts.get("seek", {}).items():
        for kind, lap in kinds.items():
            if kind in JUMPS_MS:
                yield Result(f"seek, 95 %: {kind}, {where}", lap["p95_ms"], JUMPS_MS[kind], True, " ms")


def _findings(facts: dict[str, Any]) -> Iterator[Result]:
    for kind, lap in facts.get("findings", {}).items():
        yield Result(f"next finding, 95 %: {kind}, in the window", lap["p95_ms"], FINDING_MS, True, " ms")


def _window(facts: dict[str, Any]) -> Iterator[Result]:
    if facts.get("window"):
        yield Result("process start to window", facts["window"]["window_ms"] / 1e3, WINDOW_S, True, " s")
        first = facts["window"]["first_mask_ms"] / 1e3
        yield Result("process start to first masked frame", first, FIRST_MASK_S, True, " s")


def _beside(facts: dict[str, Any]) -> Iterator[Result]:
    for one in facts.get("beside", []):
        least = WINDOW_BESIDE if one["what"] == WINDOW else BESIDE
        yield Result(f"share left beside a busy process: {one['what']}", one["share"], least, False)


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
