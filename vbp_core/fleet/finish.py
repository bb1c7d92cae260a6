"""A drive of which all pieces are indexed: one file of its frames, its findings, and last its row."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vbp.findings.attention import compared
from vbp.findings.find import find
from vbp.findings.finding import Finding, Observed
from vbp.findings.table import COLUMNS as FINDING_TABLE
from vbp.findings.table import rows_of
from vbp.fleet.pieces import Plan
from vbp.fleet.places import failed_path, is_done, missing, part_path, read_plan, table_path, written
from vbp.fleet.rows import read_edges
from vbp.fleet.schema import (
    DRIVE_COLUMNS,
    DRIVES,
    FINDINGS,
    FRAMES,
    PARTS,
    PREFIX_B,
    drive_schema,
    finding_schema,
    frame_schema,
)
from vbp.fleet.settings import Settings
from vbp.frames.strengths import Floats, usual_of

GROUP = 16384  # rows of a row group
_SCALARS = (
    "frame",
    "timestamp_ns",
    "driven_deg",
    "predicted_deg",
    "speed_mps",
    "mask_strength",
    "mask_spread",
    "mask_overlap",
    "picture_change",
    "dead",
)


def finish_if_whole(folder: Path, key: str, settings: Settings) -> None:
    """Put the pieces of a drive together, if all are there. Raises FolderError."""
    with suppress(FileNotFoundError):  # somebody else has finished it meanwhile
        plan = read_plan(folder, key)
        if not is_done(folder, key) and not missing(folder, plan):
            finish(folder, plan, settings)


def finish(folder: Path, plan: Plan, settings: Settings) -> None:
    """The same, whoever does it, and however often. Raises FileNotFoundError where somebody else removes the parts, being
    done, FolderError."""
    parts = [part_path(folder, piece) for piece in plan.pieces]
    first_rows, no_masks = _across(parts)
    sides = [""] if len(settings.sides) == 1 else ["", PREFIX_B]
    columns = [*_SCALARS, "gap", *(s + n for s in sides[1:] for n in ("mask_strength", "mask_spread"))]
    known = pa.concat_tables([pq.read_table(p, columns=columns) for p in parts]) if parts else None
    whole = frame_schema(settings).empty_table().select(columns) if known is None else known
    seen = _observed(whole, first_rows, no_masks)
    verdicts = {name: values for side in sides for name, values in _verdicts(whole, side).items()}
    found = find(seen).found if len(seen) else []
    peaks = {f.peak for f in found}
    masks: dict[int, dict[str, Any]] = {}
    with (
        written(table_path(folder, FRAMES, plan.key)) as temporary,
        pq.ParquetWriter(temporary, frame_schema(settings), compression="zstd") as writer,
    ):
        for table in _tables(parts, seen, verdicts):
            writer.write_table(table)
            masks |= _at(table, peaks)
    with written(table_path(folder, FINDINGS, plan.key)) as temporary:
        rows = _finding_rows(found, plan, settings, masks)
        pq.write_table(pa.Table.from_pylist(rows, finding_schema(settings)), temporary, compression="zstd")
    gaps = len(whole) - whole["gap"].null_count
    write_drive(folder, settings, plan, {"gap_frames": gaps, "findings": len(found)})
    shutil.rmtree(folder / PARTS / plan.key, ignore_errors=True)
    with suppress(OSError):
        failed_path(folder, plan.path).unlink(missing_ok=True)


def _across(parts: list[Path]) -> tuple[dict[int, tuple[float, float]], str]:
    """row -> what its frame has to do with the one before, of the first frame of each piece; why there are no masks."""
    found, row, last, no_masks = {}, 0, b"", ""
    for path in parts:
        part = read_edges(path)
        if row:
            found[row] = compared(last, part.first)
        row, last, no_masks = row + part.rows, part.last, no_masks or part.no_masks
    return found, no_masks


def _floats(table: pa.Table, name: str) -> Floats:
    """(N,) NaN where it is null."""
    return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=np.float64)


def _observed(table: pa.Table, first_rows: dict[int, tuple[float, float]], no_masks: str) -> Observed:
    moved, unlike = 1 - _floats(table, "mask_overlap"), _floats(table, "picture_change")
    for row, (share, change) in first_rows.items():
        moved[row], unlike[row] = share, change
    return Observed(
        table["frame"].to_numpy(),
        table["timestamp_ns"].to_numpy(),
        _floats(table, "driven_deg"),
        _floats(table, "predicted_deg"),
        _floats(table, "speed_mps"),
        _floats(table, "mask_strength"),
        _floats(table, "mask_spread"),
        moved,
        unlike,
        np.asarray(pc.fill_null(table["dead"], False).to_numpy(zero_copy_only=False), dtype=np.bool_),
        no_masks=no_masks,
    )


def _verdicts(table: pa.Table, side: str) -> dict[str, pa.Array]:
    """Which masks are weak and which scattered among those of the drive; null where there is none, or too few frames."""
    strength, spread = _floats(table, f"{side}mask_strength"), _floats(table, f"{side}mask_spread")
    usual, unknown = usual_of(strength, spread), np.isnan(strength)
    if usual is None:
        return {side + name: pa.nulls(len(table), pa.bool_()) for name in ("weak", "scattered")}
    with np.errstate(invalid="ignore"):
        weak, scattered = strength < usual.low, usual.are_scattered(strength, spread)
    return {
        f"{side}weak": pa.array(weak, mask=unknown),
        f"{side}scattered": pa.array(scattered, mask=unknown),
    }


def _tables(parts: list[Path], seen: Observed, verdicts: dict[str, pa.Array]) -> Iterator[pa.Table]:
    """All rows in tables of at least GROUP of them, with what only the whole drive says."""
    begun, rows, start = [], 0, 0
    for k, path in enumerate(parts):
        begun.append(pq.read_table(path))
        rows += len(begun[-1])
        if rows < GROUP and k + 1 < len(parts):
            continue
        table = pa.concat_tables(begun, promote_options="default").unify_dictionaries()
        values = {name: array[start : start + rows] for name, array in verdicts.items()}
        for name, numbers in (("mask_overlap", 1 - seen.moved), ("picture_change", seen.unlike)):
            part = numbers[start : start + rows]
            values[name] = pa.array(part, mask=np.isnan(part))
        for name, array in values.items():
            table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), array)
        yield table.replace_schema_metadata(None)
        begun, start, rows = [], start + rows, 0


def _at(table: pa.Table, peaks: set[int]) -> dict[int, dict[str, Any]]:
    """What a finding keeps of the frame at its peak."""
    frames = table["frame"].to_numpy()
    rows = np.flatnonzero(np.isin(frames, list(peaks)))
    picked = table.select(["mask", "hidden"]).take(rows).to_pylist()
    return {int(frames[row]): of for row, of in zip(rows, picked, strict=True)}


def _finding_rows(
    found: list[Finding], plan: Plan, settings: Settings, masks: dict[int, dict[str, Any]]
) -> list[dict[str, Any]]:
    rows = rows_of(found, plan.path, settings.sides[0].name)
    return [
        dict(zip(FINDING_TABLE, row, strict=True)) | {"drive_key": plan.key} | masks[f.peak]
        for row, f in zip(rows, found, strict=True)
    ]


def write_drive(folder: Path, settings: Settings, plan: Plan, more: dict[str, Any]) -> None:
    """The row of a drive that is done. Raises FolderError."""
    row = (
        plan.facts
        | more
        | {
            "drive": plan.path,
            "drive_key": plan.key,
            "info": json.dumps(plan.facts),
            "looks": plan.looks,
        }
    )
    _write_row(table_path(folder, DRIVES, plan.key), settings, row)


def write_failed(folder: Path, settings: Settings, path: str, why: str) -> None:
    """The row of a drive that could not be indexed, with the reason. Raises FolderError."""
    _write_row(failed_path(folder, path), settings, {"drive": path, "error": why})


def _write_row(path: Path, settings: Settings, row: dict[str, Any]) -> None:
    kept = {name: row.get(name) for name in DRIVE_COLUMNS}
    with written(path) as temporary:
        pq.write_table(pa.Table.from_pylist([kept], drive_schema(settings)), temporary)
