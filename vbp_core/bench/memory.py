"""How much memory this process has had."""

from __future__ import annotations


def peak_mib() -> float:
    """The largest resident memory so far, MiB; NaN where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    try:
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(peak) / (2**20 if sys.platform == "darwin" else 2**10)
    except ImportError:  # Windows
        return float("nan")
