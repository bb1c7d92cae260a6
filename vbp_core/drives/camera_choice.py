"""Which of a recording's cameras is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from vbp.errors import DriveError

_NO_PICTURE = re.compile(
    "depth|seg|semantic|flow|lidar|instance", re.IGNORECASE
)  # drawn from other data than light
CAMERAS = ("center", "left", "right")


def camera_name(frame_id: str) -> str:
    """`center_camera`, `/center_camera` -> `center`."""
    return frame_id.strip().strip("/").removesuffix("_camera")


def choose_camera(cameras: Iterable[str], wanted: str | None, path: Path) -> str:
    """The wanted camera, else `center`, else the one in front, else the first by name. Raises DriveError that lists those there are."""
    names = sorted(set(cameras))
    if wanted is not None:
        for name in names:
            if camera_name(wanted).casefold() == name.casefold():
                return name
        listed = ", ".join(name for name in names if name)
        raise DriveError(
            f"{path} has no camera {wanted!r}; "
            + (f"it has: {listed}" if listed else "its cameras have no names; leave out --camera")
        )
    if "center" in names:
        return "center"
    front = [name for name in names if re.search("cent(er|re)|front", name, re.IGNORECASE)]
    return min(
        front,
        key=lambda name: (_NO_PICTURE.search(name) is not None, len(name)),
        default=names[0] if names else "",
    )
