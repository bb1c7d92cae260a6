"""One row of the data set for each frame."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vbp.comparing.masks import masks_differ
from vbp.drives.labels import curvature
from vbp.findings.attention import Attention
from vbp.fleet.pieces import Piece
from vbp.fleet.schema import GRID_H, GRID_W, PREFIX_B, frame_schema
from vbp.fleet.settings import Settings
from vbp.frames.table import COLUMNS, row_of
from vbp.models.spec import NetworkSpec
from vbp.results import FrameResult, NetworkResult

MOST_UNITS = 128  # of a hidden layer that are kept; of more, so many random projections
SEED = 0
EDGE = "vbp-edge-"
Floats = NDArray[np.float32]


class Rows:
    """Frames of a piece, in order, to a table of `frame_schema`. What needs the frame before is not known of the first."""

    def __init__(self, piece: Piece, settings: Settings, spec: NetworkSpec) -> None:
        self._piece, self._settings, self._spec = piece, settings, spec
        self._schema = frame_schema(settings)
        self._columns: dict[str, list[Any]] = {name: [] for name in self._schema.names}
        self.attention = Attention()
        self.first = b""  # what the frame before the piece is compared with, see `Attention.state`
        self.no_masks = ""

    def add(self, frame: FrameResult) -> None:
        name = self._settings.sides[0].name
        row: dict[str, Any] = dict(
            zip(COLUMNS, row_of(frame, self._piece.path, name, self._spec), strict=False)
        )
        row["drive_key"] = self._piece.key
        row["curvature"] = _known(float(curvature(np.array([frame.driven_rad]))[0]))
        moved = unlike = math.nan
        if (result := frame.result) is None or frame.image is None:
            self.attention.forget()
        else:
            height, width = frame.image.shape[:2]
            moved, unlike = self.attention.add(result)
            self.no_masks = self.no_masks or next(iter(result.missing.values()), "")
            row |= _of_side(result, width, height)
            if len(frame.results) > 1:
                row |= _of_b(frame, width, height)
        if not self._columns["frame"]:
            self.first = self.attention.state
        row["mask_overlap"], row["picture_change"] = _known(1 - moved), _known(unlike)
        for column, values in self._columns.items():
            values.append(row.get(column))

    def __len__(self) -> int:
        return len(self._columns["frame"])

    def table(self) -> pa.Table:
        arrays = [pa.array(self._columns[f.name], f.type) for f in self._schema]
        return pa.Table.from_arrays(arrays, schema=self._schema)


def write_part(path: Path, rows: Rows) -> None:
    """The rows of a piece, and what the pieces beside it are compared with. Raises OSError."""
    table = rows.table()
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        writer.write_table(table)
        edges = {"first": rows.first, "last": rows.attention.state, "no_masks": rows.no_masks.encode()}
        writer.add_key_value_metadata({EDGE + name: base64.b64encode(data) for name, data in edges.items()})


@dataclass(frozen=True)
class Part:
    """Of a part its rows, and what `write_part` keeps beside them."""

    rows: int
    first: bytes
    last: bytes
    no_masks: str


def read_edges(path: Path) -> Part:
    """Raises OSError."""
    metadata = pq.read_metadata(path)
    first, last, no_masks = (
        base64.b64decode(metadata.metadata[(EDGE + name).encode()]) for name in ("first", "last", "no_masks")
    )
    return Part(metadata.num_rows, first, last, no_masks.decode())


def _of_b(frame: FrameResult, width: int, height: int) -> dict[str, Any]:
    a, b = frame.results[:2]
    row = _of_side(b, width, height) | {
        "predicted_deg": _known(math.degrees(b.angle_rad)),
        "error_deg": _known(math.degrees(frame.driven_rad - b.angle_rad)),
        "mask_strength": None if math.isnan(b.strength) else b.strength,
        "mask_spread": _known(b.spread),
    }
    found = {PREFIX_B + name: value for name, value in row.items()}
    return found | {"masks_differ": _known(masks_differ(a, b, width, height))}


def _of_side(result: NetworkResult, width: int, height: int) -> dict[str, Any]:
    row: dict[str, Any] = {"dead": bool(result.dead)}
    if result.hidden is not None:
        row["hidden"] = kept_units(result.hidden)
    mask = result.map()
    return row if mask is None else row | mask_figures(mask, result, width, height)


def mask_figures(mask: Floats, result: NetworkResult, width: int, height: int) -> dict[str, Any]:
    """Of a mask (h, w) its cells and figures, see `vbp.fleet.schema`. width, height: of the picture."""
    cells = cv2.resize(np.abs(mask), (GRID_W, GRID_H), interpolation=cv2.INTER_AREA).astype(np.float64)
    total, largest = float(cells.sum()), float(cells.max())
    if not total > 0:  # empty, or no number
        return {"mask": np.zeros(GRID_W * GRID_H, dtype=np.uint8)}
    share = cells / total
    some = share[share > 0]
    x = float((share.sum(0) * (np.arange(GRID_W) + 0.5)).sum()) / GRID_W
    y = float((share.sum(1) * (np.arange(GRID_H) + 0.5)).sum()) / GRID_H
    crop = result.crop
    return {
        "mask": np.round(cells / largest * 255).astype(np.uint8).ravel(),
        "mask_x": (crop.x + x * crop.width) / width,
        "mask_y": (crop.y + y * crop.height) / height,
        "mask_entropy": float(-(some * np.log2(some)).sum()),
        "mask_balance": float(share[:, : GRID_W // 2].sum() - share[:, GRID_W // 2 :].sum()),
    }


def kept_units(hidden: Floats) -> NDArray[np.float16]:
    """(units,) as they are, or of more than MOST_UNITS so many random projections, of which the angles between two are nearly the same."""
    if len(hidden) > MOST_UNITS:
        hidden = hidden @ _projection(len(hidden))
    return np.clip(hidden, -65504, 65504).astype(np.float16)


_projections: dict[int, Floats] = {}


def _projection(units: int) -> Floats:
    if units not in _projections:
        drawn = np.random.default_rng(SEED).standard_normal((units, MOST_UNITS))
        _projections[units] = (drawn / math.sqrt(MOST_UNITS)).astype(np.float32)
    return _projections[units]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
