"""Pictures with any table of their angles: names, columns and separators as people write them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picturemaker import grey_picture, write_table
from vbp.drives.base import OpenOptions
from vbp.drives.opening import open_drive
from vbp.errors import DriveError, NeedsAngleUnitError

ANGLES = [0.5, -0.25, 0.125, -1.0, 0.75]


def pictures(folder: Path, names: list[str]) -> None:
    for k, name in enumerate(names):
        grey_picture(folder / name, 10 + k)


def angles_of(path: Path, unit: str | None = None, **options: str) -> list[float]:
    """The angle of each picture, radians, in the order of the pictures' names."""
    with open_drive(path, OpenOptions(angle_unit=unit, **options)) as drive:
        levels = [int(image.mean()) if image is not None else 0 for image in drive]
        assert levels == sorted(levels), "the pictures are not in the order of their names"
        return [round(angle, 9) for angle in drive.angle_rad.tolist()]


# What people write: the header ("" for none), a row of the picture's stem and angle, the file's name
KINDS = {
    "image,steering": ("image,steering", "IMG/{n}.png,{a}", "labels.csv"),
    "no folder": ("image,steering", "{n}.png,{a}", "labels.csv"),
    "no extension": ("id,steering_angle", "{n},{a}", "train.csv"),
    "Windows": ("path;angle", "C:\\Users\\me\\IMG\\{n}.png;{a}", "data.csv"),
    "no header": ("", "/home/me/set/IMG/{n}.png,{a}", "list.csv"),
    "spaces": ("", "{n}.png {a}", "angles.txt"),
    "aligned by spaces": ("", "  {n}.png     {a}  ", "angles.txt"),
    "tabs": ("Steering\tImageName", "{a}\t{n}.png", "rec.tsv"),
    "index first": (",steering,frame", "7,{a},IMG\\{n}.png", "x.csv"),
    "other columns": ("nombre_imagen,steering,comando", "IMG/{n}.png,{a},1", "driving_log.csv"),
    "another ending": ("image,steering", "{n}.jpg,{a}", "labels.csv"),
    "quoted": ('"image","steering"', '"IMG/{n}.png","{a}"', "labels.csv"),
}


@pytest.mark.parametrize("comma", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_lists_as_people_write_them(tmp_path: Path, kind: str, comma: bool) -> None:
    header, row, name = KINDS[kind]
    if comma and ("," in row and '"' not in row):
        header, row = header.replace(",", ";"), row.replace(",", ";")
    names = [f"a_{k:03d}" for k in range(5)]
    pictures(tmp_path / "IMG", [f"{n}.png" for n in names])
    rows = [
        row.format(n=n, a=str(a).replace(".", ",") if comma else a)
        for n, a in zip(names, ANGLES, strict=True)
    ]
    table = (
        write_table(tmp_path / name, header, rows)
        if header
        else write_table(tmp_path / name, rows[0], rows[1:])
    )
    for path in (tmp_path, table):
        with pytest.raises(NeedsAngleUnitError, match="does not state the unit of its column"):
            open_drive(path)
        assert angles_of(path, "rad") == ANGLES
        assert angles_of(path, "rad", angle_sign="right") == [-a for a in ANGLES]


def test_a_unit_that_the_column_states(tmp_path: Path) -> None:
    pictures(tmp_path, ["9.png", "10.png", "11.png"])
    write_table(
        tmp_path / "labels.csv", "filename,angle_deg,speed_kmh", ["9.png,45,36", "10.png,-90,72", "11.png,,0"]
    )
    with open_drive(tmp_path) as drive:
        assert drive.info.kind == "picture-list" and drive.info.angle_unit == "deg"
        np.testing.assert_allclose(drive.angle_rad, [math.pi / 4, -math.pi / 2, np.nan], atol=1e-12)
        np.testing.assert_allclose(drive.speed_mps, [10, 20, 0])
        assert any("1 rows of labels.csv have no number as angle_deg" in note for note in drive.info.notes)


@pytest.mark.parametrize(
    ("names", "first", "column"),
    [
        (["a_000000.png", "a_000001.png", "a_000002.png"], 0, "frame"),  # the numbers in the names
        (["f7.png", "f8.png", "f9.png"], 7, "frame"),
        (["f1.png", "f2.png", "f3.png"], 0, "frame"),  # counted
        (["x.png", "y.png", "z.png"], 1, "frame"),
        (["x.png", "y.png", "z.png"], 100, "time_s"),  # a row a picture
    ],
)
def test_tables_that_number_the_pictures(tmp_path: Path, names: list[str], first: int, column: str) -> None:
    pictures(tmp_path / "IMG", names)
    rows = [f"{first + k},{a}" for k, a in enumerate(ANGLES[:3])]
    write_table(tmp_path / "steering.csv", f"{column},steering_angle_rad", rows)
    assert angles_of(tmp_path) == angles_of(tmp_path / "steering.csv") == ANGLES[:3]


def test_times_without_a_row_for_each_picture_are_not_joined_by_invented_times(tmp_path: Path) -> None:
    pictures(tmp_path, ["x.png", "y.png", "z.png"])
    table = write_table(tmp_path / "steering.csv", "time_s,angle_rad", ["0,1", "0.05,1"])
    with open_drive(tmp_path) as drive:
        assert np.isnan(drive.angle_rad).all()
        assert any("2 rows with times for 3 frames without" in note for note in drive.info.notes)
    with pytest.raises(DriveError, match="2 rows with times for 3 frames without"):
        open_drive(table)


def test_airsim(tmp_path: Path) -> None:
    names = [f"img_Car_{camera}_{k}.png" for k in range(3) for camera in (0, 3)]
    pictures(tmp_path / "images", names)
    rows = [
        f"Car\t{1564567273226 + 100 * k}\t{a}\t5.5\t{names[2 * k]};{names[2 * k + 1]}"
        for k, a in enumerate(ANGLES[:3])
    ]
    write_table(tmp_path / "airsim_rec.txt", "VehicleName\tTimeStamp\tSteering\tSpeed\tImageFile", rows[::-1])
    for path in (tmp_path, tmp_path / "airsim_rec.txt"):
        with open_drive(path) as drive:
            np.testing.assert_allclose(drive.angle_rad, np.radians(40) * -np.array(ANGLES[:3]))
            assert drive.info.angle_sign == "right" and drive.info.cameras == ("1", "2")
            assert drive.timestamps_ns.tolist() == [(1564567273226 + 100 * k) * 10**6 for k in range(3)]
            assert drive.speed_mps.tolist() == [5.5] * 3 and str(drive.files[2]).endswith(names[4])
        with open_drive(path, OpenOptions(camera="2")) as drive:
            assert str(drive.files[2]).endswith(names[5])


def test_a_list_with_a_column_for_each_camera_and_names_that_several_folders_hold(tmp_path: Path) -> None:
    for folder in ("front", "rear"):
        pictures(tmp_path / "a" / folder, ["1.png", "2.png"])
        pictures(tmp_path / "b", [f"{folder}1.png", f"{folder}2.png"])
    write_table(tmp_path / "a/labels.csv", "image,angle_rad", ["1.png,0.1", "2.png,0.2"])
    write_table(
        tmp_path / "b/l.csv", "front,rear,angle_rad", ["front1.png,rear1.png,.1", "front2.png,rear2.png,.2"]
    )
    for name in "ab":
        for camera in ("front", "rear"):
            with open_drive(tmp_path / name, OpenOptions(camera=camera)) as drive:
                assert drive.info.cameras == ("front", "rear") and drive.info.camera == camera
                assert drive.angle_rad.tolist() == [0.1, 0.2]
                assert all(camera in (file or "") for file in drive.files)
        with pytest.raises(DriveError, match="it has: front, rear"):
            open_drive(tmp_path / name, OpenOptions(camera="up"))


def test_dates_duplicates_and_pictures_that_are_not_there(tmp_path: Path) -> None:
    pictures(tmp_path, ["a.png", "b.png", "left over.png"])
    rows = [
        "b.png,2018-07-01 17:09:45.5,0.2",
        "a.png,2018-07-01 17:09:44:912,0.1",
        "c.png,2018-07-01 17:09:46,0.3",
    ]
    write_table(tmp_path / "l.csv", "image,time,angle_rad", rows)
    with open_drive(tmp_path) as drive:
        assert np.diff(drive.timestamps_ns).tolist() == [588_000_000, 500_000_000]
        assert drive.timestamps_ns[1] == 1_530_464_985_500_000_000
        assert drive.angle_rad.tolist() == [0.1, 0.2, 0.3]
        assert [(gap.first, gap.last) for gap in drive.info.gaps] == [(2, 2)]
        assert any("1 pictures have no row in l.csv" in note for note in drive.info.notes)


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("image,label", ["{0}.png,3", "{1}.png,4"]),  # classes
        ("", ["{0}.png 3", "{1}.png 4"]),
        ("Filename;Width;Height;Roi.X1;ClassId", ["{0}.png;3;3;3;3", "{1}.png;4;4;4;4"]),
        ("name,text", ["{0}.png,hello", "{1}.png,you"]),
    ],
)
def test_lists_of_something_else_give_no_angles_and_are_named(
    tmp_path: Path, header: str, rows: list[str]
) -> None:
    pictures(tmp_path / "IMG", ["a.png", "b.png"])
    rows = [row.format("a", "b") for row in rows]
    write_table(tmp_path / "l.csv", header or rows[0], rows if header else rows[1:])
    with open_drive(tmp_path) as drive:
        assert np.isnan(drive.angle_rad).all() and drive.info.angle_unit == ""
        assert any("not read, though beside it: l.csv" in note for note in drive.info.notes)


NUMBERS = st.floats(-1e3, 1e3).map(lambda x: round(x, 4) + 0.0).filter(lambda x: x != int(x))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=6),
    separator=st.sampled_from([",", ", ", ";", "; ", "\t", " ", "   "]),
    has_header=st.booleans(),
    comma=st.booleans(),
    folder=st.sampled_from(["", "IMG/", "..\\IMG\\", "/data/set 1/IMG/"]),
    order=st.permutations(["image", "angle_rad", "speed_mps"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_table_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, values: list, separator: str, has_header: bool, comma: bool,
    folder: str, order: list[str], end: str,
) -> None:  # fmt: skip
    if (comma and separator == ",") or (" " in folder and separator.isspace()):
        return  # which comma, and which space, is which can be told by nobody
    root = tmp_path_factory.mktemp("list")
    pictures(root / "IMG", [f"{k:03d}.png" for k in range(len(values))])
    rows = []
    for k, (angle, speed) in enumerate(values):
        cells = {"image": f"{folder}{k:03d}.png", "angle_rad": repr(angle), "speed_mps": repr(speed)}
        if comma:
            cells = {key: c if key == "image" else c.replace(".", ",") for key, c in cells.items()}
        rows.append(separator.join(cells[key] for key in order))
    header = separator.join(order)
    write_table(root / "l.csv", header if has_header else rows[0], rows if has_header else rows[1:], end)
    with open_drive(root, OpenOptions(angle_unit="rad")) as drive:
        # without a header the first column of numbers counts
        wanted = order.index("angle_rad") > order.index("speed_mps") and not has_header
        assert drive.angle_rad.tolist() == [speed if wanted else angle for angle, speed in values]
        if has_header:
            assert drive.speed_mps.tolist() == [speed for _, speed in values]


@settings(deadline=None, max_examples=80)
@given(
    text=st.text(st.sampled_from('ab.png,;\t "0129-+:/\\\n\r\0é٣\x1f'), max_size=120) | st.text(max_size=60),
    name=st.sampled_from(["l.csv", "driving_log.csv", "data.txt", "airsim_rec.txt"]),
)
def test_no_table_ends_in_anything_but_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, text: str, name: str
) -> None:
    root = tmp_path_factory.mktemp("odd")
    pictures(root, ["a.png", "0.png"])
    (root / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    for path in (root, root / name):
        try:
            open_drive(path, OpenOptions(angle_unit="rad")).close()
        except DriveError as error:
            assert str(error)


@pytest.mark.parametrize("date", ["9999-01-01 00:00:00", "0001-01-01 00:00:00", "2018-13-01 00:00:00"])
def test_dates_that_no_clock_has(tmp_path: Path, date: str) -> None:
    pictures(tmp_path, ["a.png", "b.png"])
    write_table(tmp_path / "l.csv", "image,time,angle_rad", [f"a.png,{date},1", f"b.png,{date},2"])
    with open_drive(tmp_path) as drive:
        assert drive.angle_rad.tolist() == [1, 2] and drive.info.fps == 20


def test_times_and_names_of_pictures_beside_angles_are_no_camera_list(tmp_path: Path) -> None:
    """A Udacity camera.csv has these columns too, but no angle."""
    names = [f"{k:03d}.png" for k in range(5)]
    pictures(tmp_path, names)
    rows = [f"{1_500_000_000 + k / 10},{n},{a}" for k, (n, a) in enumerate(zip(names, ANGLES, strict=True))]
    (tmp_path / "labels.csv").write_text("\n".join(["timestamp,filename,angle_rad", *rows]))
    with open_drive(tmp_path) as drive:
        assert drive.info.kind == "picture-list" and drive.info.fps == pytest.approx(10)
    assert angles_of(tmp_path) == ANGLES


def test_a_relative_path_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{k:03d}.png" for k in range(5)]
    pictures(tmp_path / "set", names)
    rows = [f"{n},{a}" for n, a in zip(names[:4], ANGLES, strict=False)]
    (tmp_path / "set" / "labels.csv").write_text("\n".join(["image,angle_rad", *rows]))
    monkeypatch.chdir(tmp_path)
    for path in (Path("set"), tmp_path / "set"):
        with open_drive(path) as drive:
            notes = [note for note in drive.info.notes if "have no row" in note]
            assert notes == ["1 pictures have no row in labels.csv and are not shown"]
