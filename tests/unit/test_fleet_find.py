"""A fleet is asked: by conditions, by SQL that can reach nothing else, by likeness; and two networks are compared over it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import vbp
import vbp.cli.find as command
from fleetmaker import make_drives, make_fleet, make_networks, rows_of, settings_of
from roadmaker import write_drive
from vbp.cli import main
from vbp.errors import VbpError
from vbp.fleet.alike import alike
from vbp.fleet.compare import compare_fleet
from vbp.fleet.dataset import Fleet

DRIVES = 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine drives of two networks, one more that does not open, one with a gap."""
    place = tmp_path_factory.mktemp("fleet")
    make_drives(place / "in", DRIVES, 30)
    sorted((place / "in" / "drive3" / "center").iterdir())[7].write_bytes(b"rubbish")
    (place / "in" / "bad.mp4").write_bytes(b"no video" * 99)
    make_fleet(place / "out", place / "in", settings_of(make_networks(place), 10.0))
    return place / "out"


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, object]]:
    return rows_of(folder)["frames"]


def test_from_python(folder: Path, rows: list[dict[str, object]]) -> None:
    fleet = vbp.fleet(folder)
    assert isinstance(fleet, Fleet) and repr(fleet) == f"<fleet {folder}: 9 drives by tiny and tiny>"
    assert fleet.frames.count_rows() == len(rows) == sum(30 + k for k in range(DRIVES))
    assert fleet.relation().filter("gap IS NOT NULL").count("*").fetchall() == [(1,)]
    assert fleet.relation("drives").filter("error IS NOT NULL").count("*").fetchall() == [(1,)]
    assert fleet.sql("SELECT max(len(hidden)) AS n FROM frames")["n"].to_pylist() == [16]
    found = fleet.sql("SELECT frame, mask FROM frames WHERE frame = ? AND drive LIKE '%drive2'", [5])
    expected = next(r for r in rows if r["frame"] == 5 and str(r["drive"]).endswith("drive2"))
    assert found.to_pylist() == [{"frame": 5, "mask": expected["mask"]}]
    assert fleet.frames.schema.field("hidden").type.value_type == "halffloat"
    metadata = json.loads(pq.read_schema(next((folder / "frames").iterdir())).metadata[b"vbp"])
    assert [side["name"] for side in metadata["sides"]] == ["tiny", "tiny"] and metadata[
        "made_by"
    ].startswith("vbp")
    with pytest.raises(VbpError, match="no table 'x'"):
        fleet.relation("x")


@pytest.mark.parametrize(
    "question",
    [
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_blob('{secret}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM sniff_csv('{secret}')",
        "SELECT * FROM read_parquet('{folder}/drives/*.parquet')",
        "SELECT * FROM read_text('{folder}/vbp-fleet.json')",
        "SELECT * FROM 'https://example.org/x.parquet'",
        "SELECT * FROM frames WHERE drive IN (SELECT content FROM read_text('{secret}'))",
        "COPY frames TO '{folder}/out.csv'",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.db'",
        "EXPORT DATABASE '{folder}/out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET enable_external_access",
        "PRAGMA enable_profiling",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW frames",
        "DELETE FROM frames",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY frames TO '{folder}/out.csv'",
        "SELECT * FROM rows",
        "SELECT * FROM query_table('{secret}')",
        "SELECT * FROM which_csv_test_variable",
        "",
        "error_deg >",
        "\0",
    ],
)
def test_what_reaches_outside_or_is_no_question_is_refused(
    folder: Path, tmp_path: Path, question: str
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n4711,2\n")
    which_csv_test_variable = pq.read_table(next((folder / "drives").iterdir()))  # noqa: F841 - a table that could be found
    before = sorted(folder.rglob("*"))
    fleet = Fleet(folder)
    with pytest.raises(VbpError) as error:
        fleet.sql(question.format(secret=secret, folder=folder))
    assert "4711" not in str(error.value) and "\n" not in str(error.value)
    assert sorted(folder.rglob("*")) == before
    assert fleet.sql("SELECT count(*) AS n FROM frames")["n"].to_pylist() == [306]


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["find", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_command(
    folder: Path, rows: list[dict[str, object]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = [r for r in rows if r["error_deg"] is not None and r["error_deg"] > 8 and r["speed_mps"] > 5]
    assert 20 < len(expected) < len(rows)
    condition = "error_deg > 8 AND speed_mps > 5"
    status, out, _ = ask(capsys, str(folder), condition)
    assert status == 0 and len(out.splitlines()) == 22 and f"and {len(expected) - 20} more" in out
    assert ask(capsys, str(folder), condition, "--csv", str(tmp_path / "f.csv"))[0] == 0
    with (tmp_path / "f.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [(r["drive"], int(r["frame"]), float(r["error_deg"])) for r in read] == [
        (r["drive"], r["frame"], r["error_deg"]) for r in expected
    ]
    assert (
        "was not written by vbp" in ask(capsys, str(folder), condition, "--csv", str(tmp_path / "f.csv"))[2]
    )
    _, out, _ = ask(
        capsys, str(folder), condition, "--json", "--limit", "3", "--order", "abs(error_deg) DESC"
    )
    worst = sorted((r["error_deg"] for r in expected), reverse=True)[:3]
    assert [r["error_deg"] for r in json.loads(out)] == worst
    _, out, _ = ask(
        capsys, str(folder), "--csv", "-", "--sql", "SELECT drive_key, count(*) AS n FROM frames GROUP BY 1"
    )
    assert len(list(csv.reader(io.StringIO(out)))) == 1 + DRIVES
    assert ask(capsys, str(folder), "speed_mps > 1000")[:2] == (0, "nothing was found in 9 drives\n")
    _, out, _ = ask(capsys, str(folder), "--in", "drives", "error IS NOT NULL")
    assert "bad.mp4" in out and len(out.splitlines()) == 2
    for words, error in (
        (["error_deg >"], "the question cannot be answered: Parser Error"),
        (["no_such > 1"], "no_such"),
        (["1) OR (1; DROP VIEW frames"], "holds a semicolon"),
        (["frame > 1", "--sql", "SELECT 1"], "give one of"),
        (["--limit", "-1"], "--limit -1 cannot be"),
        (["--like", "drive1:99999"], "has no frame 99999"),
        (["--like", "drive1"], "is not understood"),
        (["--like", "drive:1"], "is no drive of"),
        (["--like", "3:7"], "has no mask"),
        (["--sql", "SELECT count(*) FROM frames", "--open"], "--open needs the columns"),
    ):
        status, _, said = ask(capsys, str(folder), *words)
        assert status == 2 and error in said and said.count("\n") == 1, said


def test_a_folder_that_is_none(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "does not exist; make one by: vbp index" in ask(capsys, str(tmp_path / "none"))[2]
    assert "is no indexed fleet" in ask(capsys, str(tmp_path))[2]
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "vbp-fleet.json").write_text((folder / "vbp-fleet.json").read_text())
    assert "holds no indexed drive" in ask(capsys, str(copy))[2]
    (copy / "drives").mkdir()
    key = next(p.name for p in (folder / "drives").iterdir() if not p.name.startswith("failed"))
    (copy / "drives" / key).write_bytes((folder / "drives" / key).read_bytes())
    assert "is missing or cut short; remove" in ask(capsys, str(copy))[2]
    for name in ("frames", "findings"):
        (copy / name).mkdir()
        (copy / name / key).write_bytes((folder / name / key).read_bytes())
    assert ask(capsys, str(copy))[0] == 0
    (copy / "frames" / key).write_bytes((folder / "frames" / key).read_bytes()[:-100])
    for words in (["find"], ["compare-fleet"], ["clusters"]):
        assert main([*words, str(copy)]) == 2
        error = capsys.readouterr().err
        assert f"frames/{key} is missing or cut short; remove" in error and error.count("\n") == 1


def test_the_window_is_opened_at_the_first_row(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(command.subprocess, "run", lambda words, check: ran.append(words))
    assert ask(capsys, str(folder), "drive LIKE '%drive4' AND frame >= 12", "--open")[0] == 0
    (words,) = ran
    assert words[-5:-1] == [str(folder.parent / "in" / "drive4"), "--frame", "12", "--model"]
    assert ask(capsys, str(folder), "frame > 1000", "--open")[0] == 0 and len(ran) == 1


def test_frames_like_one(folder: Path, rows: list[dict[str, object]]) -> None:
    found = alike(Fleet(folder), "drive1:10", 5).to_pylist()
    wanted = next(r for r in rows if str(r["drive"]).endswith("drive1") and r["frame"] == 10)

    def cosine(a: object, b: object) -> float:
        x, y = np.array(a, dtype=float), np.array(b, dtype=float)
        return float(x @ y / np.sqrt((x @ x) * (y @ y)))

    def score(row: dict[str, object]) -> float:
        return (cosine(row["mask"], wanted["mask"]) + cosine(row["hidden"], wanted["hidden"])) / 2

    near = 10**9
    others = [
        r
        for r in rows
        if r["mask"] is not None
        and not (r["drive"] == wanted["drive"] and abs(r["timestamp_ns"] - wanted["timestamp_ns"]) < near)
    ]
    best = max(others, key=score)
    assert (found[0]["drive"], found[0]["frame"]) == (best["drive"], best["frame"])
    assert found[0]["alike"] == pytest.approx(score(best), abs=1e-5)
    assert [f["alike"] for f in found] == sorted((f["alike"] for f in found), reverse=True)
    moments = {(f["drive"], (f["timestamp_ns"] - rows[0]["timestamp_ns"]) // near) for f in found}
    assert len(moments) == len(found) == 5


def test_two_networks_over_a_fleet(
    folder: Path, rows: list[dict[str, object]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compare_fleet(Fleet(folder))
    known = [r for r in rows if r["error_deg"] is not None and r["b_error_deg"] is not None]
    a, b = (np.array([r[name] for r in known]) for name in ("error_deg", "b_error_deg"))
    rmse = found.measures["rmse"]
    assert found.frames == len(known) == 305
    assert (rmse.a.value, rmse.b.value) == pytest.approx((np.sqrt((a**2).mean()), np.sqrt((b**2).mean())))
    assert found.measures["mean"].change.value == pytest.approx(np.abs(b).mean() - np.abs(a).mean())
    # The interval is of drives: nine numbers, drawn with replacement, each drive with all of its frames.
    keys = sorted({r["drive_key"] for r in known})
    of = [np.array([r["drive_key"] == key for r in known]) for key in keys]
    rng = np.random.default_rng(1)
    draws = []
    for _ in range(2000):
        picked = rng.integers(0, len(of), len(of))
        n = sum(of[k].sum() for k in picked)
        draws.append(
            np.sqrt(sum((b[of[k]] ** 2).sum() for k in picked) / n)
            - np.sqrt(sum((a[of[k]] ** 2).sum() for k in picked) / n)
        )
    low, high = np.quantile(draws, [0.025, 0.975])
    assert rmse.change.low < low and rmse.change.high > high  # wider by what nine drives do not say
    assert rmse.change.high - rmse.change.low < 2 * (high - low)
    worst = found.drives[0]
    ours = np.array([r["drive"] == worst.drive for r in known])
    assert worst.rmse_b == pytest.approx(np.sqrt((b[ours] ** 2).mean()))
    assert {f.kind for _, f in found.stretches} <= {"worse", "better", "apart", "reason"} and found.stretches
    assert compare_fleet(Fleet(folder)).measures == found.measures

    worse = rmse.worse_by
    assert main(["compare-fleet", str(folder), "--fail-if-worse", f"{max(worse, 0) + 0.1:.3f}deg"]) == 0
    out = capsys.readouterr().out
    assert "95 % intervals, of 9 drives, 305 frames" in out
    assert main(["compare-fleet", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measures"]["rmse"]["change"]["value"] == pytest.approx(worse)
    swapped = tmp_path / "swapped"
    sources = [side.source for side in Fleet(folder).settings.sides]
    write_drive(tmp_path / "one", 40)
    make_fleet(swapped, tmp_path / "one", settings_of(sources if worse > 0 else sources[::-1]))
    if compare_fleet(Fleet(swapped)).measures["rmse"].worse_by > 0:
        assert main(["compare-fleet", str(swapped), "--fail-if-worse", "0deg"]) == 1
        said = capsys.readouterr()
        assert "B is worse: its RMSE by" in said.err and "too few drives" in said.out


def test_what_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (one, _), out = make_networks(tmp_path), tmp_path / "out"
    write_drive(tmp_path / "in", 25, angles=np.full(25, np.nan))
    make_fleet(out, tmp_path / "in", settings_of([one]))
    assert main(["compare-fleet", str(out)]) == 2
    assert "was indexed with one network" in capsys.readouterr().err
    both = tmp_path / "both"
    make_fleet(both, tmp_path / "in", settings_of(make_networks(tmp_path)))
    assert main(["compare-fleet", str(both), "--fail-if-worse", "0.2deg"]) == 2
    assert "--fail-if-worse cannot decide" in capsys.readouterr().err
    assert main(["compare-fleet", str(both), "--fail-if-worse", "1%"]) == 2
    assert "give degrees" in capsys.readouterr().err
