"""How large a network's errors are over a fleet, by speed and by curvature: a mean for each share of the frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vbp.fleet.dataset import Fleet

STEP, FAST = 2, 40  # m/s: of a share, and from where on all is one
RADII = (500, 200, 100, 50, 20)  # m: of a wider bend one says that it is straight
_KNOWN = "error_deg IS NOT NULL AND"


@dataclass(frozen=True)
class Share:
    """Frames that are alike in something. words: in what. mean: of |error|, degrees. condition: of SQL, that they meet."""

    words: str
    mean: float
    frames: int
    condition: str


def errors_by_speed(fleet: Fleet) -> list[Share]:
    """From 0 on, without a hole. Raises VbpError."""
    share = f"least(greatest(floor(speed_mps / {STEP}), 0), {FAST // STEP})"
    means = _means(fleet, share, "speed_mps")
    found = []
    for k in range(max(means, default=-1) + 1):
        low, high = k * STEP, (k + 1) * STEP
        if low >= FAST:
            words, condition = f"from {low} m/s", f"speed_mps >= {low}"
        else:
            words, condition = f"{low} to {high} m/s", f"speed_mps >= {low} AND speed_mps < {high}"
        found.append(Share(words, *means.get(k, (0.0, 0)), condition))
    return found


def errors_by_curvature(fleet: Fleet) -> list[Share]:
    """From sharp bends to the left to sharp ones to the right, the straight in the middle. Raises VbpError."""
    reached = " + ".join(f"CAST(abs(curvature) >= {1 / r} AS INTEGER)" for r in RADII)
    means = _means(fleet, f"sign(curvature) * ({reached})", "curvature")
    if not means:
        return []
    most = len(RADII)
    return [Share(_bend(k), *means.get(k, (0.0, 0)), _bend_condition(k)) for k in range(most, -most - 1, -1)]


def _means(fleet: Fleet, share: str, column: str) -> dict[int, tuple[float, int]]:
    """Number of the share -> mean of |error|, frames."""
    table = fleet.sql(
        f"SELECT CAST({share} AS INTEGER) AS share, avg(abs(error_deg)) AS mean, count(*) AS n FROM frames "
        f"WHERE {_KNOWN} isfinite({column}) GROUP BY 1"
    )
    return {row["share"]: (row["mean"], row["n"]) for row in table.to_pylist()}


def _bend(k: int) -> str:
    if not k:
        return f"straight, or wider than {RADII[0]} m"
    side, step = "left" if k > 0 else "right", abs(k)
    if step == len(RADII):
        return f"under {RADII[-1]} m to the {side}"
    return f"{RADII[step]} to {RADII[step - 1]} m to the {side}"


def _bend_condition(k: int) -> str:
    signed = "curvature" if k > 0 else "-curvature"
    if not k:
        return f"abs(curvature) < {1 / RADII[0]}"
    low = f"{signed} >= {1 / RADII[abs(k) - 1]}"
    return low if abs(k) == len(RADII) else f"{low} AND {signed} < {1 / RADII[abs(k)]}"
