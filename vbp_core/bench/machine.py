"""The machine that a benchmark ran on, and its limits as measured in the same run."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Limits:
    """operations_s: float32 operations per second of a large convolution or matrix product. bytes_s: of a large copy, both ways."""

    operations_s: float
    bytes_s: float


def measure_limits(device: torch.device, seconds: float = 1.0) -> Limits:
    """The best of several runs: a limit is what the machine can do, not what it mostly does."""
    n = 1536 if device.type == "cpu" else 8192
    a, b = (torch.rand(n, n, device=device) for _ in range(2))
    count = 2**25 if device.type == "cpu" else 2**29
    source = torch.rand(count, device=device)
    target = torch.empty_like(source)
    size, channels = (64, 256) if device.type == "cpu" else (256, 256)
    last: Any = torch.channels_last
    maps = torch.rand(1, channels, size, size, device=device).to(memory_format=last)
    weights = torch.rand(channels, channels, 3, 3, device=device).to(memory_format=last)
    with torch.inference_mode():
        product = _best(lambda: a @ b, device, seconds)
        # Its library is another one, and on processors of some makers twice as fast.
        convolution = _best(lambda: F.conv2d(maps, weights, padding=1), device, seconds)
        copy = _best(lambda: target.copy_(source), device, seconds)
    operations = max(2.0 * n**3 / product, 2.0 * 9 * (channels * size) ** 2 / convolution)
    return Limits(operations, 2.0 * 4.0 * count / copy)


def best_seen(limits: Limits, works: Iterable[tuple[float, float]]) -> Limits:
    """The limits, or what a measured stage reached beyond them, which then were measured too low.

    works: of each stage its operations and the milliseconds that it took. Of bytes nothing follows: they may come from the cache.
    """
    reached = (1e3 * operations / ms for operations, ms in works if ms > 0)
    return replace(limits, operations_s=max(limits.operations_s, *reached, 0.0))


def _best(run: Callable[[], object], device: torch.device, seconds: float) -> float:
    run()
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best


def describe_machine(device: torch.device) -> dict[str, str]:
    """Processor, cores, device and versions, in words."""
    facts = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for package in ("torch", "numpy", "opencv-python", "av", "PySide6-Essentials", "captum", "zennit"):
        try:
            facts[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if hasattr(os, "getloadavg"):
        facts["load average at the start"] = f"{os.getloadavg()[0]:.1f}"
    return facts


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
