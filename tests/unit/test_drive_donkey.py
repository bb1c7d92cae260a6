"""Donkeycar tubs, of today and of old, damaged too."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from picturemaker import picture, shade
from vbp.drives import donkey
from vbp.drives.base import Gap, OpenOptions
from vbp.drives.picture_files import (
    read_picture,
)
from vbp.errors import DriveError, FrameError

OPTIONS = OpenOptions()


@pytest.mark.shared
def test_donkey_tub(shared: Path) -> None:
    tub = shared / "data/donkey-tub"
    assert donkey.sniff(tub) and donkey.sniff(tub / "manifest.json")
    drive = donkey.open(tub, OPTIONS)
    records = [json.loads(line) for line in (tub / "catalog_0.catalog").read_text().splitlines()]
    assert len(drive) == 1000 == len(records)
    np.testing.assert_allclose(
        np.degrees(drive.angle_rad), [-25 * r["user/angle"] for r in records], atol=1e-12
    )
    assert drive.timestamps_ns.tolist() == [r["_timestamp_ms"] * 10**6 for r in records]
    np.testing.assert_array_equal(drive.frame(500), read_picture(tub / "images/500_cam_image_array_.jpg"))
    assert drive.info.gaps == [] and "25" in drive.info.angle_source


def tub(
    folder: Path, records: list[str], deleted: object = (), paths: object = ("catalog_0.catalog",)
) -> Path:
    for k in range(4):
        picture(folder / f"images/{k}.jpg", shade(k * 60))
    state = {"paths": paths, "current_index": len(records), "max_len": 1000, "deleted_indexes": deleted}
    lines = [["cam/image_array", "user/angle"], ["image_array", "float"], {}, {"created_at": 1.0}, state]
    (folder / "manifest.json").write_text("\n".join(json.dumps(line) for line in lines))
    (folder / "catalog_0.catalog").write_text("\n".join(records))
    return folder


def record(k: int, **more: object) -> str:
    return json.dumps(
        {
            "_index": k,
            "_timestamp_ms": 1000 + 50 * k,
            "cam/image_array": f"{k}.jpg",
            "user/angle": 0.1 * k,
            **more,
        }
    )


def test_donkey_deleted_damaged_and_missing(tmp_path: Path) -> None:
    records = [
        record(0),
        record(1),
        record(2, **{"user/angle": None}),
        record(9),
        record(3, _timestamp_ms=990),
        '{"_ind',
        "[]",
    ]
    drive = donkey.open(
        tub(tmp_path, records, deleted=[1], paths=["catalog_0.catalog", "catalog_1.catalog"]), OPTIONS
    )
    assert drive.timestamps_ns.tolist() == [990_000_000, 1_000_000_000, 1_100_000_000, 1_450_000_000]
    np.testing.assert_allclose(np.degrees(drive.angle_rad), [-7.5, 0, np.nan, -22.5])
    assert drive.info.gaps == [Gap(3, 3, "the picture is missing")]
    notes = " | ".join(drive.info.notes)
    for said in (
        "2 damaged lines",
        "1 records are marked as deleted",
        "catalog_1.catalog is missing",
        "sorted",
    ):
        assert said in notes


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ([], "without records"),
        ("x", "lists no catalogs"),
        (["../../etc/passwd"], "without records"),
        ([{}], "without records"),
    ],
)
def test_donkey_manifests_that_lead_nowhere(tmp_path: Path, paths: object, said: str) -> None:
    with pytest.raises(DriveError, match=said):
        donkey.open(tub(tmp_path, [record(0)], paths=paths), OPTIONS)


def test_donkey_catalogs_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "catalog_9.catalog").write_text(record(0))
    folder = tub(tmp_path / "tub", [record(1)], paths=["../catalog_9.catalog", "catalog_0.catalog"])
    assert len(donkey.open(folder, OPTIONS)) == 1


def test_the_older_tub(tmp_path: Path) -> None:
    for k in (0, 2, 10):
        picture(tmp_path / f"{k}_cam-image_array_.jpg", shade(k * 20))
        record = {"cam/image_array": f"{k}_cam-image_array_.jpg", "user/angle": -0.5, "milliseconds": k * 100}
        (tmp_path / f"record_{k}.json").write_text(json.dumps(record))
    (tmp_path / "record_11.json").write_text("{")
    (tmp_path / "meta.json").write_text("{}")
    assert donkey.sniff(tmp_path)
    drive = donkey.open(tmp_path, OPTIONS)
    assert drive.timestamps_ns.tolist() == [0, 200_000_000, 1_000_000_000]
    np.testing.assert_allclose(np.degrees(drive.angle_rad), 12.5)
    assert any("1 damaged" in note for note in drive.info.notes)
    for k in (0, 2, 10):
        file = tmp_path / f"record_{k}.json"
        file.write_text(file.read_text().replace("milliseconds", "other"))
    assert any("no times" in note for note in donkey.open(tmp_path, OPTIONS).info.notes)


def test_other_json_is_not_a_tub(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "a web app"}')
    (tmp_path / "record_1.json").write_text('{"name": "a song"}')
    assert not donkey.sniff(tmp_path) and not donkey.sniff(tmp_path / "manifest.json")


@pytest.mark.shared
def test_a_copied_tub_with_damage(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tub"
    shutil.copytree(shared / "data/donkey-tub", folder, copy_function=shutil.copyfile)
    os.chmod(folder, 0o755)
    os.chmod(folder / "images", 0o755)
    bad = folder / "images/100_cam_image_array_.jpg"
    bad.write_bytes(bad.read_bytes()[:500])
    os.remove(folder / "images/101_cam_image_array_.jpg")
    drive = donkey.open(folder, OPTIONS)
    with pytest.raises(FrameError):
        drive.frame(100)
    drive.frame(99)
    drive.frame(102)
    assert [(g.first, g.last) for g in drive.info.gaps] == [(100, 100), (101, 101)]


@pytest.mark.parametrize(
    ("records", "wanted", "said"),
    [
        ([{"user/steering": 0.5}, {"user/steering": 1}], [0.5, 1], "the angle of 2 records is user/steering"),
        ([{"user/angle": 0.5, "user/steering": 9}, {"user/steering": 1}], [0.5, 1], "the angle of 1 records is user/steering"),
        ([{"pilot/angle": 0.25}, {"pilot/angle": -1}], [0.25, -1], "the angle of 2 records is pilot/angle"),
        ([{"pilot/angle": 0.25, "user/angle": 0}, {"user/angle": 0.5}], [0, 0.5], ""),
        ([{"user/throttle": 1}, {"user/angle": None}], [np.nan, np.nan], "2 records have no angle"),
        ([{"user/angle": 10**400}, {"user/angle": True}], [np.nan, np.nan], "2 records have no angle"),
        ([{"user/angle": 0, "_session_id": "a"}, {"user/angle": 1, "_session_id": "b"}], [0, 1], "2 sessions, one after the other: a, b"),
    ],
)  # fmt: skip
def test_which_key_is_the_angle(tmp_path: Path, records: list[dict], wanted: list[float], said: str) -> None:
    picture(tmp_path / "images/0.jpg", shade(9))
    lines = [json.dumps({"_index": k, "cam/image_array": "0.jpg", **more}) for k, more in enumerate(records)]
    drive = donkey.open(tub(tmp_path, lines), OpenOptions(angle_unit="rad", angle_sign="left"))
    np.testing.assert_array_equal(drive.angle_rad, wanted)
    assert any(said in note for note in drive.info.notes) if said else len(drive.info.notes) == 1


def test_deleted_indexes_of_odd_kinds(tmp_path: Path) -> None:
    lines = [record(0), record(1), record(2), record(3, _index=[]), record(3, _index=None)]
    drive = donkey.open(tub(tmp_path, lines, deleted=[1, 2.0, "3", None, [0], 1e400]), OPTIONS)
    assert len(drive) == 3
    assert any("2 records are marked as deleted" in note for note in drive.info.notes)


def test_times_that_no_clock_has_are_none(tmp_path: Path) -> None:
    lines = [record(k, _timestamp_ms=ms) for k, ms in enumerate([8e12, 10**400, True, None])]
    drive = donkey.open(tub(tmp_path, lines), OPTIONS)
    assert drive.info.fps == 20 and any("no times are stated" in note for note in drive.info.notes)
