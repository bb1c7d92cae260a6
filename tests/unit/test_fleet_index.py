"""A fleet is indexed in pieces: the rows are those of the whole drive, whoever made them, and whatever happened on the way."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faultmaker import follower, with_faults
from fleetmaker import counts, make_drives, make_fleet, make_networks, rows_of, settings_of
from roadmaker import write_drive
from vbp.cli import main
from vbp.drives import open_drive
from vbp.engine import Engine, open_network
from vbp.errors import VbpError
from vbp.findings.find import find
from vbp.findings.observe import observe, request_for
from vbp.findings.table import COLUMNS
from vbp.findings.table import rows_of as finding_rows
from vbp.fleet.dataset import open_fleet
from vbp.fleet.discover import find_drives
from vbp.fleet.outcome import Outcome
from vbp.fleet.places import FolderError, part_path
from vbp.fleet.pool import Pool
from vbp.fleet.settings import Settings, Side, read_settings, settle
from vbp.fleet.work import Task, Worker
from vbp.frames import run_frames
from vbp.frames.table import FrameTable


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return make_networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_drives(tmp_path_factory.mktemp("drives"))


@pytest.fixture(scope="module")
def whole(networks: list[str], drives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index that the others are held against: one process, both networks."""
    folder = tmp_path_factory.mktemp("whole")
    report = make_fleet(folder, drives, settings_of(networks))
    assert (report.drives, report.frames, report.failed) == (3, 153, {})
    return folder


def test_rows_and_findings_are_those_of_the_whole_drive(
    faulty_drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = follower()
    monkeypatch.setattr("vbp.engine.Engine", with_faults())
    monkeypatch.setattr("vbp.engine.open_network", lambda source: network)
    monkeypatch.setattr(sys.modules["vbp.fleet.work"], "network_key", lambda network, source: "k")
    settings = Settings((Side("follower", "follower", "k", True, ""),), seconds=1.3)
    make_fleet(tmp_path, faulty_drive, settings)
    with open_drive(faulty_drive) as drive:
        frames = run_frames(drive, [with_faults()(network, "cpu")], request_for(masks=True))
        seen = observe(drive, FrameTable(drive, network.spec), frames)
    table = open_fleet(tmp_path).frames.to_table()

    def column(name: str) -> np.ndarray:
        return table[name].to_numpy(zero_copy_only=False).astype(np.float64)

    np.testing.assert_array_equal(column("frame"), seen.indices)
    np.testing.assert_array_equal(column("dead") == 1, seen.dead)
    for name, values in (
        ("driven_deg", seen.driven_deg),
        ("predicted_deg", seen.predicted_deg),
        ("mask_strength", seen.strength),
        ("mask_spread", seen.spread),
        ("mask_overlap", 1 - seen.moved),
        ("picture_change", seen.unlike),
    ):
        np.testing.assert_allclose(column(name), values, rtol=1e-5, atol=1e-5, err_msg=name)
    found = find(seen).found
    rows = rows_of(tmp_path)["findings"]
    kept = [
        [row[name] for name in COLUMNS[:8]] for row in sorted(rows, key=lambda r: (-r["weight"], r["frame"]))
    ]
    assert kept == [row[:8] for row in finding_rows(found, "", "")] and len(kept) == 12
    weak = {frame for frame, is_weak in zip(table["frame"].to_pylist(), table["weak"].to_pylist()) if is_weak}
    assert set(range(100, 120)) | set(range(520, 540)) <= weak  # the black ones
    row = rows_of(tmp_path)["drives"][0]
    assert (row["frames"], row["findings"], row["error"]) == (780, 12, None)
    assert json.loads(row["info"])["kind"] == "udacity-csv"


def test_figures_of_a_mask(whole: Path, drives: Path, networks: list[str]) -> None:
    rows = [r for r in rows_of(whole)["frames"] if r["drive"].endswith("drive1")]
    engines = [Engine(open_network(source), "cpu") for source in networks]
    with open_drive(drives / "drive1") as drive:
        for row in (rows[7], rows[33]):
            for engine, side in zip(engines, ("", "b_"), strict=True):
                result = engine.run(drive.frame(row["frame"]))
                mask = result.map()
                assert mask is not None
                share = mask / mask.sum()  # a 24 x 48 input is the lower 24 of 32 rows
                ys, xs = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
                assert row[f"{side}mask_x"] == pytest.approx((share * xs).sum() / 48, abs=1e-5)
                assert row[f"{side}mask_y"] == pytest.approx((8 + (share * ys).sum()) / 32, abs=1e-5)
                left = share[:, :24].sum()
                assert row[f"{side}mask_balance"] == pytest.approx(2 * left - 1, abs=1e-5)
                cells = mask.reshape(8, 3, 16, 3).mean((1, 3))
                assert (
                    np.abs(np.reshape(row[f"{side}mask"], (8, 16)) - 255 * cells / cells.max()).max() < 0.51
                )
                p = cells[cells > 0] / cells.sum()
                assert row[f"{side}mask_entropy"] == pytest.approx(-(p * np.log2(p)).sum(), abs=1e-4)
                assert row[f"{side}predicted_deg"] == pytest.approx(np.degrees(result.angle_rad), abs=1e-4)
                assert len(row[f"{side}hidden"]) == 16
    assert 0 < rows[7]["masks_differ"] <= 1


def test_jobs_give_the_same_rows(whole: Path, networks: list[str], drives: Path, tmp_path: Path) -> None:
    command = ["index", str(drives), "-o", str(tmp_path / "jobs"), "--piece", "1", "--workers", "0"]
    models = [word for source in networks for word in ("--model", source)]
    for job in (3, 1, 2):
        assert main([*command, *models, "--shard", f"{job}/3"]) == 0
    assert repr(rows_of(tmp_path / "jobs")) == repr(rows_of(whole))


def test_processes_give_the_same_rows_though_some_are_killed(
    whole: Path, networks: list[str], drives: Path, tmp_path: Path
) -> None:
    settings = settings_of(networks)

    class Killing(Pool):
        """A process of it is killed at what it is at, once while drives are opened and once while they are indexed."""

        def work(self, kind: str, items: Iterable[Any]) -> Iterator[Outcome]:
            for number, outcome in enumerate(super().work(kind, items)):
                if number == 0:
                    ours = [p for p in multiprocessing.active_children() if p.name == "vbp fleet"]
                    os.kill(ours[0].pid or 0, signal.SIGKILL)
                yield outcome

    said: list[str] = []
    with Killing([Task(tmp_path, settings, "cpu", 1)] * 2) as pool:
        report = make_fleet(tmp_path, drives, settings, said, pool)
    assert said == [] and report.failed == {}
    assert repr(rows_of(tmp_path)) == repr(rows_of(whole))


def test_the_whole_run_is_killed_and_begun_again(
    whole: Path, networks: list[str], drives: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    models = [word for source in networks for word in ("--model", source)]
    command = [sys.executable, "-m", "vbp", "index", str(drives), "-o", str(folder), "--piece", "1", *models]
    process = subprocess.Popen([*command, "--workers", "1", "--device", "cpu"])
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        if sum(name.endswith(".parquet") for _, _, names in os.walk(folder / "parts") for name in names) > 1:
            break
    process.kill()
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert main([*command[3:], "--workers", "0"]) == 0
    assert counts(folder) == {str(drives / f"drive{k}"): list(range(50 + k)) for k in range(3)}
    assert repr(rows_of(folder)) == repr(rows_of(whole))
    assert [p.name for p in folder.iterdir() if p.name == "parts" and any(p.iterdir())] == []


def test_bad_drives_are_named_and_the_rest_goes_on(networks: list[str], tmp_path: Path) -> None:
    place = make_drives(tmp_path / "in", 2)
    (place / "night.mp4").write_bytes(os.urandom(3000))
    write_drive(place / "unlabelled", 30, angles=np.full(30, np.nan))
    shutil.copytree(place / "drive1", place / "twin")
    settings, said = settings_of(networks[:1]), []
    out = tmp_path / "out"
    report = make_fleet(out, [place, place / "gone.bag"], settings, said)
    assert report.drives == 3 and report.frames == 50 + 51 + 30
    assert report.same == {str(place / "twin"): str(place / "drive1")}
    assert sorted(report.failed) == [str(place / "gone.bag"), str(place / "night.mp4")]
    assert len(said) == 3 and all("\n" not in line for line in said)
    rows = {row["drive"]: row for row in rows_of(out)["drives"]}
    assert "does not exist" in rows[str(place / "gone.bag")]["error"] and len(rows) == 5
    assert rows[str(place / "unlabelled")]["labelled_frames"] == 0
    assert {r["error_deg"] for r in rows_of(out)["frames"] if "unlabelled" in r["drive"]} == {None}
    # Mended, it is indexed, and nothing else is; one that goes keeps its rows.
    shutil.rmtree(place / "drive0")
    (place / "night.mp4").unlink()
    shutil.copytree(place / "unlabelled", place / "gone.bag")
    write_drive(place / "later", 25, seed=9)
    again = make_fleet(out, [place, place / "gone.bag", place / "drive0"], settings, said := [])
    assert again.frames == 25 and set(again.same) == {str(place / "twin"), str(place / "gone.bag")}
    assert len(counts(out)) == 4 and len(counts(out)[str(place / "drive0")]) == 50


def test_a_drive_that_goes_or_changes_during_the_work(networks: list[str], tmp_path: Path) -> None:
    place = make_drives(tmp_path / "in", 3, 60)
    settings = settings_of(networks[:1])
    task = Task(tmp_path / "out", settings, "cpu")
    make_fleet(task.folder, [place / "drive2"], settings)
    worker = Worker(task)
    plans = [worker.plan(str(place / f"drive{k}")) for k in range(2)]
    for plan in plans:
        worker.index_piece(plan.pieces[0])
    shutil.rmtree(place / "drive0")
    for picture in sorted((place / "drive1" / "center").iterdir())[25:]:
        picture.unlink()
    with pytest.raises(VbpError, match="drive1 was changed"):
        worker.index_piece(plans[1].pieces[1])
    worker.close_drive()
    for plan in plans:
        with pytest.raises(VbpError, match=r"was changed|does not exist"):
            worker.index_piece(plan.pieces[2])
    assert list(counts(task.folder)) == [str(place / "drive2")]
    assert all(part_path(task.folder, plan.pieces[0]).exists() for plan in plans)
    # A drive that is another one now, be it in one label, is indexed again, and its old rows are gone.
    table = place / "drive2" / "interpolated.csv"
    lines = table.read_text().splitlines()
    lines[-1] = lines[-1].rsplit(",", 3)[0] + ",0.25,0.1,10.0"
    table.write_text("\n".join(lines) + "\n")
    make_fleet(task.folder, [place / "drive2"], settings, said := [])
    assert said == [f"{place / 'drive2'} is another recording than it was: it is indexed again"]
    assert [r["driven_deg"] for r in rows_of(task.folder)["frames"]][-1] == pytest.approx(np.degrees(0.25))
    write_drive(tmp_path / "other", 33, seed=5)
    shutil.rmtree(place / "drive2")
    shutil.copytree(tmp_path / "other", place / "drive2")
    report = make_fleet(task.folder, [place / "drive2"], settings, said := [])
    assert said == [f"{place / 'drive2'} is another recording than it was: it is indexed again"]
    assert report.frames == 33 and counts(task.folder) == {str(place / "drive2"): list(range(33))}


def test_parts_that_are_cut_short_are_made_again(
    whole: Path, networks: list[str], drives: Path, tmp_path: Path
) -> None:
    settings = settings_of(networks)
    settle(tmp_path, settings)
    worker = Worker(Task(tmp_path, settings, "cpu"))
    plan = worker.plan(str(drives / "drive0"))
    first, second = (worker.index_piece(piece) for piece in plan.pieces[:2])
    first.write_bytes(first.read_bytes()[:-100])
    second.write_bytes(b"")
    report = make_fleet(tmp_path, drives, settings)
    assert report.frames == 153 and repr(rows_of(tmp_path)) == repr(rows_of(whole))


@pytest.mark.skipif(sys.platform == "win32", reason="limits are of POSIX")
def test_a_full_disk_ends_the_work_and_loses_nothing(
    networks: list[str], drives: Path, tmp_path: Path
) -> None:
    import resource

    settings = settings_of(networks[:1])
    make_fleet(tmp_path, drives / "drive0", settings)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, before[1]))
    try:
        with pytest.raises(FolderError, match="cannot be written: the disk is full"):
            make_fleet(tmp_path, drives, settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(counts(tmp_path)) == [str(drives / "drive0")]
    make_fleet(tmp_path, drives, settings)
    assert {k: len(v) for k, v in counts(tmp_path).items()} == {
        str(drives / f"drive{k}"): 50 + k for k in range(3)
    }


def test_what_a_folder_is_for_is_kept(
    networks: list[str], drives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    def index(*words: str) -> str:
        status = main(["index", str(drives / "drive0"), "-o", str(out), "--workers", "0", *words])
        said = capsys.readouterr()
        assert status == (2 if said.err else 0)
        return said.err

    a, b = networks
    assert index("--model", a) == ""
    assert "was indexed with tiny, which were other weights" in index("--model", b)
    assert "was indexed with tiny" in index("--model", a, "--model", b)
    assert "was indexed with other crop" in index("--model", a, "--crop", "0,0,48,24")
    assert "are the same network" in index(
        "--model", a, "--model", shutil.copy(a, str(tmp_path / "copy.safetensors"))
    )
    assert "--model was given 3 times" in index(*["--model", a] * 3)
    assert "--shard 4/3 is not understood" in index("--model", a, "--shard", "4/3")
    file = out / "vbp-fleet.json"
    text = file.read_text()
    file.write_text(text.replace('"version": 1', '"version": 9'))
    assert "is of version 9 of the format" in index("--model", a)
    file.write_text(text[:50])
    assert "is damaged" in index("--model", a)
    file.unlink()
    assert "holds other things than a fleet" in index("--model", a)
    assert (
        main(["index", str(tmp_path / "none"), "-o", str(tmp_path / "new"), "--model", a, "--workers", "0"])
        == 2
    )
    assert "none of the 1 recordings could be indexed" in capsys.readouterr().err


def test_a_list_on_standard_input(
    networks: list[str],
    drives: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{drives / 'drive2'}\n\n{drives / 'drive0'}\n"))
    assert main(["index", "-", "-o", str(tmp_path / "out"), "--model", networks[0], "--workers", "0"]) == 0
    assert "2 of 2 drives" in capsys.readouterr().out
    assert find_drives([drives]) == [drives / f"drive{k}" for k in range(3)]
    assert read_settings(tmp_path / "out").names == ["tiny"]
