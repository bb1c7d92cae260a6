"""What a recording contains, as plain data."""

from __future__ import annotations

from typing import Any

import numpy as np

from vbp.drives.base import Drive
from vbp.drives.holes import find_holes, played_ns


def summary(drive: Drive) -> dict[str, Any]:
    """What `vbp info --json` prints. Angles in degrees of the steering wheel, left positive; times in seconds.

    duration_s: from the first frame to the last, played_s: the same without the holes in time.
    """
    times, angles, speeds = drive.timestamps_ns, drive.angle_rad, drive.speed_mps
    played = played_ns(times)
    labelled = np.isfinite(angles)
    known = np.isfinite(speeds)
    degrees = np.degrees(angles[labelled])
    return {
        **drive.info.to_json(),
        "frames": len(drive),
        "labelled_frames": int(labelled.sum()),
        "class_frames": class_counts(drive),
        "duration_s": float(int(times[-1]) - int(times[0])) / 1e9 if len(times) else 0.0,
        "played_s": float(played[-1]) / 1e9 if len(played) else 0.0,
        "holes": [{"after_frame": i, "seconds": seconds} for i, seconds in find_holes(times)],
        "first_timestamp_ns": int(times[0]) if len(times) else None,
        "last_timestamp_ns": int(times[-1]) if len(times) else None,
        "angle_deg_min": float(degrees.min()) if len(degrees) else None,
        "angle_deg_max": float(degrees.max()) if len(degrees) else None,
        "speed_mps_min": float(speeds[known].min()) if known.any() else None,
        "speed_mps_max": float(speeds[known].max()) if known.any() else None,
        "gap_frames": sum(g.last - g.first + 1 for g in drive.info.gaps),
    }


def class_counts(drive: Drive) -> dict[str, int]:
    """Pictures of each class; none where the recording has no classes."""
    if drive.labels is None:
        return {}
    counts = np.bincount(drive.labels, minlength=len(drive.info.classes))
    return dict(zip(drive.info.classes, counts.tolist(), strict=True))
