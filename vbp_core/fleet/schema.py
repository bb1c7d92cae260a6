"""The columns of the data set: frames, findings, drives."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from vbp.export.numbers import METADATA
from vbp.fleet.settings import Settings
from vbp.frames.table import COLUMNS
from vbp.version import made_by

FRAMES, FINDINGS, DRIVES, PARTS = "frames", "findings", "drives", "parts"  # folders
GRID_W, GRID_H = 16, 8  # of a mask, as it is kept
PREFIX_B = "b_"  # of what network B says

_text = pa.dictionary(pa.int32(), pa.string())
_mask = pa.list_(pa.uint8(), GRID_W * GRID_H)

# As in every table of frames, of network A; and which drive, by its path and by what is in it.
_FRAME = {"drive": _text, "drive_key": _text} | {
    name: getattr(pa, COLUMNS[name])()
    for name in (
        "frame",
        "timestamp_ns",
        "driven_deg",
        "predicted_deg",
        "error_deg",
        "speed_mps",
        "mask_strength",
        "mask_spread",
    )
}
_OF_FRAME = {"curvature": pa.float32(), "gap": _text, "picture": pa.string(), "warning": _text}
# Of each network, B's with PREFIX_B.
_SIDE = {
    "dead": pa.bool_(),  # a layer through which everything passes puts out nothing
    "weak": pa.bool_(),  # the mask is weak, as `Usual` has it, among those of the drive
    "scattered": pa.bool_(),
    "mask": _mask,  # rows from the top, each from the left; the largest cell is 255
    "mask_x": pa.float32(),  # centroid in the picture, 0 left to 1 right, 0 top to 1 bottom
    "mask_y": pa.float32(),
    "mask_entropy": pa.float32(),  # bits, of the cells: 0 all in one, 7 the same in all
    "mask_balance": pa.float32(),  # 1 all in the left half of what the network sees, -1 all in the right
    "hidden": pa.list_(pa.float16()),
}
_A_ALONE = {
    "mask_overlap": pa.float64(),  # share of the mask that is where the one before was, carried along with the road
    "picture_change": pa.float64(),  # grey levels from the frame before, carried along
}
_B_ALONE = {
    "predicted_deg": pa.float64(),
    "error_deg": pa.float64(),
    "mask_strength": pa.float64(),
    "mask_spread": pa.float64(),
}
_BOTH = {"masks_differ": pa.float64()}  # share of B's mask that is not where A's is

FINDING_COLUMNS: dict[str, pa.DataType] = {
    "drive": _text,
    "drive_key": _text,
    "frame": pa.int64(),  # as in the table of `vbp findings`
    "timestamp_ns": pa.int64(),
    "seconds": pa.float64(),
    "kind": _text,
    "also": pa.string(),
    "last_frame": pa.int64(),
    "last_timestamp_ns": pa.int64(),
    "peak_frame": pa.int64(),
    "peak_timestamp_ns": pa.int64(),
    "value": pa.float64(),
    "unit": _text,
    "threshold": pa.float64(),
    "area": pa.float64(),
    "weight": pa.float64(),
    "driven_deg": pa.float64(),
    "predicted_deg": pa.float64(),
    "error_deg": pa.float64(),
    "speed_mps": pa.float64(),
    "curvature": pa.float64(),
    "mask_strength": pa.float64(),
    "mask_spread": pa.float64(),
    "worst_frames": pa.string(),
    "mask": _mask,  # of A, at the peak
    "hidden": pa.list_(pa.float16()),
}

DRIVE_COLUMNS: dict[str, pa.DataType] = {
    "drive": pa.string(),
    "drive_key": pa.string(),
    "error": pa.string(),  # why it was not indexed; null where it was
    "kind": pa.string(),
    "frames": pa.int64(),
    "labelled_frames": pa.int64(),
    "gap_frames": pa.int64(),
    "played_s": pa.float64(),
    "fps": pa.float64(),
    "width": pa.int64(),
    "height": pa.int64(),
    "camera": pa.string(),
    "first_timestamp_ns": pa.int64(),
    "findings": pa.int64(),
    "info": pa.string(),  # all that `vbp info --json` prints
    "looks": pa.string(),  # names, sizes and times of its files: where they are as they were, it is not opened again
}


def frame_schema(settings: Settings) -> pa.Schema:
    columns = _FRAME | _OF_FRAME | _SIDE | _A_ALONE
    if len(settings.sides) > 1:
        columns |= {PREFIX_B + name: kind for name, kind in (_B_ALONE | _SIDE).items()} | _BOTH
    return with_metadata(pa.schema(list(columns.items())), settings)


def finding_schema(settings: Settings) -> pa.Schema:
    return with_metadata(pa.schema(list(FINDING_COLUMNS.items())), settings)


def drive_schema(settings: Settings) -> pa.Schema:
    return with_metadata(pa.schema(list(DRIVE_COLUMNS.items())), settings)


def with_metadata(schema: pa.Schema, settings: Settings, **more: Any) -> pa.Schema:
    """Networks by name, key and specification, how drives were opened, versions; as JSON under the key of every Parquet file of ours."""
    about = {**settings.to_json(), "made_by": made_by(), **more}
    return schema.with_metadata({METADATA: json.dumps(about).encode()})
