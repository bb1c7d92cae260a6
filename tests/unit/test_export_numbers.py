"""Numbers of every frame: read back by csv and by pyarrow, against the engine asked frame by frame."""

from __future__ import annotations

import builtins
import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from roadmaker import tiny_spec, write_drive
from vbp.drives import OpenOptions, open_drive
from vbp.engine import Engine, network_name, open_network
from vbp.errors import FrameError, VbpError
from vbp.export.job import Job
from vbp.export.registry import CancelledError, export
from vbp.frames.table import COLUMNS
from vbp.models.network import build, save_checkpoint

N = 30


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A drive with a gap (frame 7), without an angle (5) and without a speed (9), and a network."""
    folder = tmp_path_factory.mktemp("numbers")
    angles, speeds = np.linspace(-0.4, 0.5, N), np.linspace(3, 20, N)
    angles[5] = speeds[9] = np.nan
    drive = write_drive(folder / "road", N, angles=angles, speeds=speeds)
    sorted(drive.rglob("*.png"))[7].write_bytes(b"rubbish")
    save_checkpoint(build(tiny_spec(trained_on="nothing yet"), 3), folder / "net.safetensors")
    return drive, folder / "net.safetensors"


def job(made: tuple[Path, Path], output: Path, first: int = 0, last: int = N - 1, **more: Any) -> Job:
    return Job(made[0], OpenOptions(), str(made[1]), "cpu", output, first, last, **more)


def expected(made: tuple[Path, Path], first: int = 0, last: int = N - 1) -> dict[str, list[Any]]:
    """Column by column from the drive and the engine, frame by frame."""
    out: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    with open_drive(made[0]) as drive:
        engine = Engine(open_network(made[1]), "cpu")
        for i in range(first, last + 1):
            try:
                result = engine.run(drive.frame(i))
                predicted, worth, gap = result.angle_rad, (result.strength, result.spread), None
            except FrameError as error:
                predicted, worth, gap = math.nan, (math.nan, math.nan), str(error)
            driven = float(drive.angle_rad[i])
            angles = [driven, predicted, driven - predicted]
            row = [i, int(drive.timestamps_ns[i]), *(math.degrees(v) for v in angles)]
            row += [
                float(drive.speed_mps[i]),
                *angles,
                *worth,
                drive.names[i] if len(drive.names) else None,
                gap,
            ]
            for name, value in zip(COLUMNS, row, strict=False):
                out[name].append(None if isinstance(value, float) and math.isnan(value) else value)
    return out


def same(got: list[Any], wanted: list[Any]) -> None:
    assert [v is None for v in got] == [v is None for v in wanted]
    for a, b in zip(got, wanted, strict=True):
        if isinstance(b, float):
            assert a == pytest.approx(b, abs=1e-5)  # a batch of frames rounds a little differently
        else:
            assert a == b


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv(made: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    seen = []
    assert export(job(made, path), lambda done, total: bool(seen.append((done, total))) or True) == path
    assert seen == [(i + 1, N) for i in range(N)]
    rows, wanted = read_csv(path), expected(made)
    assert list(rows[0]) == list(COLUMNS)
    assert [p.name for p in tmp_path.iterdir()] == ["numbers.csv"]
    for name in ("frame", "timestamp_ns"):
        assert [int(r[name]) for r in rows] == wanted[name]
    for name in list(COLUMNS)[2:11]:
        same([float(r[name]) if r[name] else None for r in rows], wanted[name])
    with open_drive(made[0]) as drive:  # as exactly as a float can say it
        assert [float(r["driven_rad"] or "nan") for r in rows] == pytest.approx(
            drive.angle_rad.tolist(), rel=0, abs=0, nan_ok=True
        )
    assert [r["gap"] or None for r in rows] == wanted["gap"]
    assert "cannot be shown" in rows[7]["gap"]
    assert {(r["drive"], r["model"]) for r in rows} == {("road", "tiny")}
    assert all(r["made_by"].startswith("vbp") for r in rows)
    for r in rows:
        if r["error_rad"]:
            error = float(r["driven_rad"]) - float(r["predicted_rad"])
            assert float(r["error_rad"]) == error
            assert float(r["error_deg"]) == math.degrees(error)


def test_parquet_holds_the_same_and_says_where_from(made: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "numbers.parquet"
    export(job(made, path, 2, 20))
    table = pq.read_table(path)
    wanted = expected(made, 2, 20)
    assert {f.name: str(f.type) for f in table.schema} == COLUMNS | {
        n: "double" for n, kind in COLUMNS.items() if kind == "float64"
    }
    for name in list(COLUMNS)[:13]:
        same(table[name].to_pylist(), wanted[name])
    assert table["predicted_rad"].null_count == 1
    assert not np.isnan(table["driven_rad"].drop_null().to_numpy()).any()
    about = json.loads(table.schema.metadata[b"vbp"])
    assert about["drive"] == str(made[0].resolve())
    assert (about["model"], about["frames"], about["drive_kind"]) == ("tiny", "2:21", "udacity-csv")
    assert about["made_by"].startswith("vbp")


def test_many_rows_are_written_in_groups(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vbp.export.numbers._ROWS", 8)
    path = tmp_path / "numbers.parquet"
    export(job(made, path))
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [8, 8, 8, 6]
    assert file.read()["frame"].to_pylist() == list(range(N))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_stands_there_is_replaced_only_if_it_is_ours(
    made: tuple[Path, Path], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"numbers{suffix}"
    path.write_bytes(b"angle\n1\n")
    with pytest.raises(VbpError, match="exists and was not written by vbp"):
        export(job(made, path, 0, 1))
    assert path.read_bytes() == b"angle\n1\n"
    export(job(made, path, 0, 1, force=True))
    first = path.read_bytes()
    export(job(made, path, 0, 2))
    assert path.read_bytes() != first
    whole = path.read_bytes()
    with pytest.raises(CancelledError):
        export(job(made, path), lambda done, total: done < 3)
    assert path.read_bytes() == whole
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_random_network_is_called_so() -> None:
    assert network_name(build(tiny_spec(), 3)) == "tiny (random weights)"


def test_without_pyarrow_it_says_what_to_install(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError("No module named 'pyarrow'", name="pyarrow")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(VbpError, match=r"pip install 'vbp\[parquet\]'"):
        export(job(made, tmp_path / "a.parquet"))
    export(job(made, tmp_path / "a.csv", 0, 0))
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_sentence(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.csv", "a.parquet"):
        with monkeypatch.context() as patch:
            patch.setattr("vbp.export.part_file.Growing.path", property(lambda self: "/dev/full"))
            with pytest.raises(VbpError, match=f"{name} cannot be written: No space left on device"):
                export(job(made, tmp_path / name))
    assert not list(tmp_path.iterdir())
