"""Two networks over a fleet: where B is worse, by how much, and where both steer alike for other reasons.

Frames of a drive are not independent, so the intervals are of drives: whole drives are drawn, with replacement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vbp.classes import UNKNOWN
from vbp.comparing.errors import Measured, mean, measured, root
from vbp.comparing.moments import AGREE_DEG, ELSEWHERE, LEAST_DEG, PERCENTILE, moments, standing_out
from vbp.comparing.pair import Compared, Side
from vbp.comparing.summary import lost
from vbp.errors import VbpError
from vbp.findings.finding import Finding
from vbp.fitting.agreement import FEWEST_BLOCKS, drawn
from vbp.fleet.dataset import Fleet
from vbp.fleet.schema import PREFIX_B

Floats = NDArray[np.float64]
COLUMNS = (
    "drive",
    "frame",
    "timestamp_ns",
    "driven_deg",
    "speed_mps",
    "masks_differ",
    *(p + n for p in ("", PREFIX_B) for n in ("predicted_deg", "mask_strength", "mask_spread")),
)
SAMPLE = 1_000_000  # frames that say from where on a difference stands out


@dataclass(frozen=True)
class DriveErrors:
    """Of one drive. frames: with a truth and a prediction of both; rmse: degrees, NaN where there are none. lost: on how many A puts
    out a number and B none."""

    drive: str
    frames: int
    rmse_a: float
    rmse_b: float
    lost: int


@dataclass(frozen=True)
class FleetComparison:
    """frames: with a truth and a prediction of both networks, of all `drives`. measures: RMSE and mean |error|; intervals where
    there are FEWEST_BLOCKS drives. worst: drives, those where B is worse by most first. stretches: (drive, finding) of all kinds,
    the heaviest first; thresholds: kind -> from where on, the same in all drives."""

    frames: int
    measures: dict[str, Measured]
    drives: list[DriveErrors]
    stretches: list[tuple[str, Finding]]
    thresholds: dict[str, float]

    @property
    def has_intervals(self) -> bool:
        return sum(d.frames > 0 for d in self.drives) >= FEWEST_BLOCKS

    @property
    def lost(self) -> int:
        return sum(d.lost for d in self.drives)


def compare_fleet(
    fleet: Fleet, seed: int = 0, watch: Callable[[list[str]], Iterable[str]] = iter
) -> FleetComparison:
    """Always the same for the same folder and seed. watch: wraps the drives, as a progress bar does. Raises VbpError for a fleet
    of one network."""
    if len(fleet.settings.sides) < 2:
        raise VbpError(
            f"{fleet.folder} was indexed with one network; index the drives with two: vbp index DRIVES --model A --model B -o FOLDER"
        )
    if not fleet.keys:
        raise VbpError(
            f"{fleet.folder} holds no indexed drive; index some: vbp index DRIVES -o {fleet.folder}"
        )
    thresholds = _thresholds(fleet)
    rows: list[DriveErrors] = []
    sums: list[tuple[float, float, float, float, float]] = []
    stretches: list[tuple[str, Finding]] = []
    for key in watch(fleet.keys):
        table = fleet.frames_of(key, list(COLUMNS))
        if not len(table):
            continue
        path, seen = table["drive"][0].as_py(), compared(table, fleet.settings.names)
        both = np.isfinite(seen.worse_deg)
        a, b = seen.error_a[both], seen.error_b[both]
        squares = float((a**2).sum()), float((b**2).sum())
        count = int(both.sum())
        if count:
            sums.append((count, *squares, float(np.abs(a).sum()), float(np.abs(b).sum())))
        rmse_a, rmse_b = (float(np.sqrt(s / count)) if count else np.nan for s in squares)
        rows.append(DriveErrors(path, count, rmse_a, rmse_b, lost(seen)[1]))
        stretches += [(path, f) for f in moments(seen, thresholds).found]
    return FleetComparison(
        sum(row.frames for row in rows),
        _measures(np.array(sums, dtype=np.float64).reshape(-1, 5).T, seed),
        sorted(rows, key=lambda d: (-np.nan_to_num(d.rmse_b - d.rmse_a, nan=-np.inf), d.drive)),
        sorted(stretches, key=lambda s: (-s[1].weight, s[0], s[1].start)),
        thresholds,
    )


def _measures(sums: Floats, seed: int) -> dict[str, Measured]:
    counts, square_a, square_b, size_a, size_b = sums
    if not len(counts):
        return {}
    draws = drawn(np.arange(len(counts)), seed) if len(counts) >= FEWEST_BLOCKS else None
    return {
        "rmse": measured("RMSE", "°", [square_a, square_b], counts, draws, True, root),
        "mean": measured("mean |error|", "°", [size_a, size_b], counts, draws, True, mean),
    }


def compared(table: pa.Table, names: list[str]) -> Compared:
    """The rows of a drive as two networks on its frames."""
    nothing = np.full(len(table), UNKNOWN, dtype=np.int64)

    def floats(name: str) -> Floats:
        return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=np.float64)

    a, b = (
        Side(
            name, floats(p + "predicted_deg"), floats(p + "mask_strength"), floats(p + "mask_spread"), nothing
        )
        for p, name in zip(("", PREFIX_B), names, strict=True)
    )
    return Compared(
        a,
        b,
        table["frame"].to_numpy(),
        table["timestamp_ns"].to_numpy(),
        floats("driven_deg"),
        floats("speed_mps"),
        floats("masks_differ"),
        nothing,
        False,
        {},
    )


def _thresholds(fleet: Fleet) -> dict[str, float]:
    """From where on differences stand out in the fleet, not in each drive: a drive in which B is always worse is then found whole."""
    total = fleet.frames.count_rows()
    step = max(1, total // SAMPLE)
    columns = ["driven_deg", "predicted_deg", PREFIX_B + "predicted_deg", "masks_differ"]
    kept: list[Floats] = []
    for batch in fleet.frames.to_batches(columns=columns):
        some = [np.asarray(c.to_numpy(zero_copy_only=False), dtype=np.float64)[::step] for c in batch.columns]
        kept.append(np.stack(some))
    driven, a, b, masks = np.concatenate(kept, axis=1)
    worse = standing_out(np.abs(driven - b) - np.abs(driven - a), LEAST_DEG)
    alike = masks[(np.abs(b - a) < AGREE_DEG) & np.isfinite(masks)]
    reason = float(np.percentile(alike, PERCENTILE)) if len(alike) else 1.0
    return {
        "worse": worse,
        "better": worse,
        "apart": standing_out(b - a, LEAST_DEG),
        "reason": 100 * max(ELSEWHERE, reason),
    }
