"""Small drives in Udacity's layout whose angle can be seen in the picture, folders of signs, and a network to match."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vbp.models.spec import CropRule, NetworkSpec

T0 = 1_479_424_215_880_976_321


def tiny_spec(**changes: object) -> NetworkSpec:
    """A network that trains in a second: two convolutions and one hidden layer on 24x48 pixels."""
    fields = {
        "name": "tiny",
        "architecture": "steering",
        "arguments": {"widths": [6, 8], "strides": [2, 2], "hidden": [16]},
        "input_height": 24,
        "input_width": 48,
        "crop": CropRule("bottom", rows=24, of_width=48),
    }
    return NetworkSpec(**(fields | changes))  # type: ignore[arg-type]


def road(angle: float, rng: np.random.Generator, size: tuple[int, int] = (32, 48)) -> np.ndarray:
    """A grey ground with a bright line that leans to the left where the angle is positive."""
    height, width = size
    picture = rng.integers(60, 90, (height, width, 3), dtype=np.uint8)
    top = int(width / 2 - np.nan_to_num(angle) * width)
    cv2.line(picture, (width // 2, height - 1), (top, 0), (230, 230, 230), 2)
    return picture


def write_drive(
    folder: Path,
    count: int = 120,
    seed: int = 0,
    speeds: np.ndarray | float = 10.0,
    angles: np.ndarray | None = None,
    size: tuple[int, int] = (32, 48),
) -> Path:
    """interpolated.csv and pictures at 20 Hz; angles wander smoothly between -0.4 and 0.4 rad."""
    rng = np.random.default_rng(seed)
    (folder / "center").mkdir(parents=True)
    if angles is None:
        angles = 0.4 * np.sin(np.arange(count) * 0.37 + seed)
    speeds = np.broadcast_to(np.asarray(speeds, dtype=float), (count,))
    lines = ["timestamp,width,height,frame_id,filename,angle,torque,speed"]
    for k in range(count):
        time = T0 + k * 50_000_000
        cv2.imwrite(str(folder / f"center/{time}.png"), road(float(angles[k]), rng, size))
        label = "" if np.isnan(angles[k]) else repr(float(angles[k]))
        speed = "" if np.isnan(speeds[k]) else repr(float(speeds[k]))
        lines.append(f"{time},{size[1]},{size[0]},center_camera,center/{time}.png,{label},0.1,{speed}")
    (folder / "interpolated.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_signs(folder: Path, classes: list[str], tracks: int = 4, each: int = 3) -> Path:
    """Pictures of one colour and brightness per class, of several sizes, named as those of GTSRB."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for track in range(tracks):
            for n in range(each):
                side = 20 + 3 * track + n
                picture = np.full((side, side + k, 3), 40, np.uint8)
                picture[4:-4, 4:-4, k % 3] = 150 + 20 * track
                picture += rng.integers(0, 20, picture.shape, dtype=np.uint8)
                cv2.imwrite(str(folder / name / f"{track:05}_{n:05}.png"), picture)
    return folder
