"""Pictures as frames: decoding, damage, gaps; folders of pictures; SullyChen's lists and Donkeycar tubs."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vbp.drives import donkey, images, sullychen
from vbp.drives.base import DriveInfo, Gap, OpenOptions
from vbp.drives.picture_files import (
    PictureDrive,
    PictureError,
    decode_picture,
    gap_ranges,
    read_picture,
    with_gap,
)
from vbp.drives.picture_header import read_header
from vbp.errors import DriveError, FrameError

OPTIONS = OpenOptions()
RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)
KINDS = ["jpg", "png", "webp", "bmp", "tif", "ppm"]


def encode(kind: str, rgb: np.ndarray = RGB) -> bytes:
    ok, data = cv2.imencode("." + kind, rgb[..., ::-1] if rgb.ndim == 3 else rgb)
    assert ok
    return data.tobytes()


def picture(path: Path, rgb: np.ndarray = RGB) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(path.suffix[1:], rgb))
    return path


# --- one picture --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind: str) -> None:
    data = encode(kind)
    header = read_header(data)
    assert header is not None and (header.width, header.height, header.whole) == (32, 24, True)
    image = decode_picture(data)
    assert image.dtype == np.uint8 and image.shape == (24, 32, 3) and image.flags.c_contiguous
    if kind not in ("jpg", "webp"):
        np.testing.assert_array_equal(image, RGB)


@pytest.mark.parametrize("kind", ["png", "tif", "pgm", "bmp", "jpg"])
def test_grey_becomes_three_equal_channels(kind: str) -> None:
    image = decode_picture(encode(kind, RGB[..., 0]))
    assert image.shape == (24, 32, 3)
    assert (image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all()


@pytest.mark.parametrize("kind", ["png", "tif", "ppm"])
def test_16_bit_keeps_its_high_byte(kind: str) -> None:
    deep = RGB.astype(np.uint16) * 256 + 77
    np.testing.assert_array_equal(decode_picture(encode(kind, deep)), RGB)


def test_pixels_of_another_type_are_refused() -> None:
    _, data = cv2.imencode(".tif", RGB.astype(np.float32))
    with pytest.raises(PictureError, match="float32"):
        decode_picture(data.tobytes())


def test_alpha_is_left_out() -> None:
    with_alpha = np.dstack([RGB[..., ::-1], np.zeros((24, 32), np.uint8)])
    _, data = cv2.imencode(".png", with_alpha)
    np.testing.assert_array_equal(decode_picture(data.tobytes()), RGB)


@pytest.mark.shared
def test_the_awkward_pictures(shared: Path) -> None:
    media = shared / "data/broken-media"
    assert read_picture(media / "Landscape_6.jpg").shape == (1200, 1800, 3)  # stored upright, turned by EXIF
    header = read_header((media / "Landscape_6.jpg").read_bytes())
    assert header is not None and (header.width, header.height) == (1200, 1800)
    assert read_picture(media / "imageio16.png").shape == (16, 16, 3)


@pytest.mark.shared
def test_headers_agree_with_the_decoder(shared: Path) -> None:
    files = [
        p
        for part in ("photos", "gtsrb/train/00000", "udacity-simulator/IMG", "donkey-tub/images")
        for p in sorted((shared / "data" / part).iterdir())[:30]
        if p.suffix in (".png", ".jpg", ".ppm")
    ]
    assert len(files) > 60
    for file in files:
        header = read_header(file.read_bytes())
        assert header is not None and header.whole
        assert read_picture(file).shape == (header.height, header.width, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_cut_anywhere_is_refused(kind: str) -> None:
    data = encode(kind)
    for length in sorted({0, 1, 2, 10, 20, 25, 30, 40, len(data) // 3, len(data) // 2, len(data) - 20}):
        if length < len(data) - 12:
            with pytest.raises(PictureError):
                decode_picture(data[:length])


@pytest.mark.shared
def test_a_real_frame_cut_anywhere_is_refused(shared: Path) -> None:
    data = min((shared / "data/udacity-ch2/center").iterdir()).read_bytes()
    for length in range(0, len(data) - 2, 997):
        with pytest.raises(PictureError):
            decode_picture(data[:length])
    decode_picture(data + b"\0" * 100)  # some cameras pad


@given(st.binary(max_size=200), st.sampled_from([b"", *(encode(kind)[:40] for kind in KINDS)]))
@settings(max_examples=300)
def test_any_bytes_are_a_picture_or_refused(tail: bytes, head: bytes) -> None:
    read_header(head + tail)
    try:
        image = decode_picture(head + tail)
    except PictureError as error:
        assert "\n" not in str(error)
    else:
        assert image.dtype == np.uint8 and image.ndim == 3


def bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_a_small_file_that_claims_a_huge_picture() -> None:
    with pytest.raises(PictureError, match="claims 100000 x 100000 pixels; up to 134 million"):
        decode_picture(bomb(100_000, 100_000))
    with pytest.raises(PictureError, match="claims"):
        decode_picture(bomb(2**31 - 1, 2**31 - 1))


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, said in [
        ("folder.jpg", "is not a file"),
        ("empty.jpg", "is an empty file"),
        ("text.jpg", "is no picture of a known kind; accepted: JPEG"),
        ("pipe.jpg", "is not a file"),
        ("absent.jpg", "is missing"),
        ("x" * 5000, "is missing"),
        ("nul\0.jpg", "is missing"),
    ]:
        with pytest.raises(PictureError, match=said):
            read_picture(tmp_path / name)


def test_names_that_are_not_ascii(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_picture(picture(tmp_path / "Straße 日本 ñ/ü 1.png")), RGB)


# --- gaps ---------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["", "a", "b"]), max_size=30))
def test_gap_ranges_and_one_by_one(reasons: list[str]) -> None:
    gaps = gap_ranges(reasons)
    spread = [""] * len(reasons)
    for gap in gaps:
        spread[gap.first : gap.last + 1] = [gap.reason] * (gap.last - gap.first + 1)
    assert spread == reasons
    one_by_one: list[Gap] = []
    for i in sorted(range(len(reasons)), key=lambda i: (i * 7) % 31):
        if reasons[i]:
            one_by_one = with_gap(one_by_one, i, reasons[i])
            assert with_gap(one_by_one, i, "again") == one_by_one
    assert one_by_one == gaps


def drive_of(files: list[str | None], **more) -> PictureDrive:  # type: ignore[no-untyped-def]
    n = len(files)
    return PictureDrive(
        DriveInfo("test", Path(), 0, 0, 0.0),
        np.arange(n) * 10**8,
        np.full(n, 0.1),
        np.full(n, 1.0),
        files,
        **more,
    )


def test_bad_frames_are_gaps_and_the_rest_works(tmp_path: Path) -> None:
    names = [str(picture(tmp_path / f"{k}.png")) for k in range(40)]
    Path(names[7]).write_bytes(Path(names[7]).read_bytes()[:300])
    Path(names[8]).write_bytes(Path(names[8]).read_bytes()[:300])
    picture(Path(names[0]), RGB[:10])  # the first is the odd one, and must not condemn the others
    picture(Path(names[20]), RGB[:12])
    os.remove(names[30])
    files: list[str | None] = [*names]
    files[35] = None
    drive = drive_of(files, reasons=[""] * 35 + ["the picture is missing"] + [""] * 4)
    assert (drive.info.width, drive.info.height, drive.info.fps) == (32, 24, 10.0)
    assert Gap(35, 35, "the picture is missing") in drive.info.gaps
    bad = []
    for i in range(40):
        try:
            np.testing.assert_array_equal(drive.frame(i), RGB)
        except FrameError as error:
            bad.append(i)
            assert f"frame {i} " in str(error) and "\n" not in str(error)
    assert bad == [0, 7, 8, 20, 30, 35]
    assert [(g.first, g.last) for g in drive.info.gaps] == [(0, 0), (7, 8), (20, 20), (30, 30), (35, 35)]
    assert "truncated PNG" in drive.info.gaps[1].reason
    assert drive.info.gaps[2].reason == "the picture has 32 x 12 pixels, the drive has 32 x 24"
    before = list(drive.info.gaps)
    with pytest.raises(FrameError):
        drive.frame(7)
    assert drive.info.gaps == before
    with pytest.raises(IndexError):
        drive.frame(40)
    with pytest.raises(IndexError):
        drive.frame(-1)


def test_a_drive_without_one_good_picture_still_has_its_labels(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no")
    drive = drive_of([str(tmp_path / "a.jpg"), None], reasons=["", "gone"])
    with pytest.raises(FrameError, match=r"frame 0 .*a\.jpg is no picture"):
        drive.frame(0)
    with pytest.raises(FrameError, match="gone"):
        drive.frame(1)
    assert drive.angle_rad.tolist() == [0.1, 0.1]


def test_memory_is_bounded(tmp_path: Path) -> None:
    names = [str(picture(tmp_path / f"{k}.png")) for k in range(20)]
    drive = drive_of(names, cache_bytes=3 * RGB.nbytes)
    for i in range(20):
        drive.frame(i)
    assert drive._cache_bytes <= 3 * RGB.nbytes
    assert not drive.frame(3).flags.writeable


# --- a folder of pictures -----------------------------------------------------------------------------


def shade(k: int, shape: tuple[int, int] = (24, 32)) -> np.ndarray:
    return np.full((*shape, 3), k, np.uint8)


def shades(drive) -> list[int]:  # type: ignore[no-untyped-def]
    return [int(drive.frame(i)[0, 0, 0]) for i in range(len(drive))]


def test_a_folder_in_natural_order(tmp_path: Path) -> None:
    for k in (10, 2, 1, 30, 9):
        picture(tmp_path / f"img{k}.png", shade(k))
    picture(tmp_path / ".hidden.png", shade(99))
    (tmp_path / "._img1.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "img5.jpg").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert images.sniff(tmp_path)
    drive = images.open(tmp_path, OPTIONS)
    assert shades(drive) == [1, 2, 9, 10, 30]
    assert drive.info.kind == "images" and drive.info.fps == 20
    assert np.isnan(drive.angle_rad).all() and np.isnan(drive.speed_mps).all()
    assert any("20 frames per second are taken for granted" in note for note in drive.info.notes)
    assert drive.info.gaps == []


def test_sizes_may_differ_in_a_folder_of_pictures(tmp_path: Path) -> None:
    for k, size in enumerate([(24, 32), (48, 64), (24, 32)]):
        picture(tmp_path / f"{k}.png", shade(k, size))
    (tmp_path / "3.png").write_bytes(b"junk")
    drive = images.open(tmp_path, OPTIONS)
    assert drive.frame(1).shape == (48, 64, 3)
    assert any("different sizes" in note for note in drive.info.notes)
    with pytest.raises(FrameError, match=r"3\.png is no picture"):
        drive.frame(3)
    assert [(g.first, g.last) for g in drive.info.gaps] == [(3, 3)]


def test_sub_folders_where_there_are_no_pictures_above(tmp_path: Path) -> None:
    for k, name in enumerate(["a/2/x.png", "a/10/x.png", "b/x2.png", "b/x10.png"]):
        picture(tmp_path / name, shade(k))
    (tmp_path / "c").symlink_to(tmp_path)  # a circle
    assert shades(images.open(tmp_path, OPTIONS)) == [0, 1, 2, 3]
    deep = tmp_path / "deep"
    picture(deep / "1/2/3/4/5/x.png")
    assert not images.sniff(deep)


def test_three_cameras_in_sub_folders_are_not_one_sequence(tmp_path: Path) -> None:
    for k, camera in enumerate(["center", "left", "right"]):
        picture(tmp_path / camera / "1.png", shade(k))
        picture(tmp_path / camera / "2.png", shade(k))
    assert shades(images.open(tmp_path, OPTIONS)) == [0, 0]
    right = images.open(tmp_path, OpenOptions(camera="right"))
    assert shades(right) == [2, 2] and right.info.camera == "right"
    with pytest.raises(DriveError, match="no camera 'rear'; it has: center, left, right"):
        images.open(tmp_path, OpenOptions(camera="rear"))
    with pytest.raises(DriveError, match="leave the camera out"):
        images.open(tmp_path / "left", OpenOptions(camera="left"))


def test_one_picture_whatever_its_name(tmp_path: Path) -> None:
    liar = tmp_path / "frame.dat"
    liar.write_bytes(encode("png"))
    assert images.sniff(liar)
    drive = images.open(liar, OPTIONS)
    np.testing.assert_array_equal(drive.frame(0), RGB)
    assert len(drive) == 1 and drive.info.fps == 0
    png_named_jpg = tmp_path / "a.jpg"
    png_named_jpg.write_bytes(encode("png"))
    np.testing.assert_array_equal(images.open(png_named_jpg, OPTIONS).frame(0), RGB)


def test_pictures_that_cannot_be_opened(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(encode("jpg")[:200])
    assert images.sniff(bad)
    with pytest.raises(DriveError, match=r"bad\.jpg is a truncated JPEG file; accepted: JPEG"):
        images.open(bad, OPTIONS)
    (tmp_path / "f").mkdir()
    for k in range(3):
        (tmp_path / f"f/{k}.png").write_text("junk")
    with pytest.raises(DriveError, match=r"none of the 3 pictures in .* can be decoded \(the first, 0\.png"):
        images.open(tmp_path / "f", OPTIONS)
    with pytest.raises(DriveError, match="one picture"):
        images.open(bad, OpenOptions(camera="left"))


@pytest.mark.shared
def test_real_folders_of_pictures(shared: Path) -> None:
    data = shared / "data"
    signs = images.open(data / "gtsrb", OPTIONS)
    assert len(signs) == 1290 and signs.frame(1289).ndim == 3
    assert len(images.open(data / "photos", OPTIONS)) == 4
    ch2 = images.open(data / "udacity-ch2/center", OPTIONS)
    assert (len(ch2), ch2.info.width, ch2.info.height) == (900, 640, 480)
    one = images.open(data / "broken-media/Landscape_6.jpg", OPTIONS)
    assert (one.info.width, one.info.height) == (1800, 1200)


# --- SullyChen ----------------------------------------------------------------------------------------


@pytest.mark.shared
def test_sullychen_garage(shared: Path) -> None:
    folder = shared / "data/sullychen-garage"
    assert sullychen.sniff(folder) and sullychen.sniff(folder / "data.txt")
    drive = sullychen.open(folder, OPTIONS)
    assert len(drive) == 201 and np.isfinite(drive.angle_rad).sum() == 101
    lines = [line.split() for line in (folder / "data.txt").read_text().splitlines()]
    np.testing.assert_allclose(
        np.degrees(drive.angle_rad[:101]), [-float(angle) for _, angle in lines], atol=1e-12
    )
    assert np.isnan(drive.angle_rad[101:]).all()
    assert drive.info.fps == pytest.approx(30, abs=1e-3)
    assert any("30 frames per second" in note for note in drive.info.notes)
    np.testing.assert_array_equal(drive.frame(10), read_picture(folder / "10.jpg"))
    assert (drive.info.angle_unit, drive.info.angle_sign, drive.info.gaps) == ("deg", "right", [])
    given = sullychen.open(folder, OpenOptions(angle_unit="rad", angle_sign="left"))
    assert given.info.angle_source == "given by the user"
    np.testing.assert_allclose(given.angle_rad[23], 11.7)


def test_sullychen_with_times_and_a_picture_folder(tmp_path: Path) -> None:
    for k in range(4):
        picture(tmp_path / f"data/{k}.jpg", shade(k * 60))
    (tmp_path / "data.txt").write_bytes(
        b"\xef\xbb\xbf0.jpg 1.000000,2018-07-01 17:09:44:912\r\n2.jpg -2.5,2018-07-01 17:09:44:999\r\n"
        b"\r\n1.jpg nan,2018-07-01 17:09:44:950\r\nrubbish\r\n3.jpg 4.0\r\n9.jpg 4.0,2018-07-01 17:09:45.1\r\n"
    )
    assert sullychen.sniff(tmp_path)
    drive = sullychen.open(tmp_path, OPTIONS)
    assert drive.timestamps_ns.tolist() == [
        1530464984912000000,
        1530464984950000000,
        1530464984999000000,
        1530464985100000000,
    ]
    np.testing.assert_allclose(np.degrees(drive.angle_rad), [-1, np.nan, 2.5, -4])
    assert drive.info.gaps == [Gap(3, 3, "the picture is missing")]
    assert any("1 lines" in note for note in drive.info.notes) and any(
        "no time" in note for note in drive.info.notes
    )


def test_sullychen_names_stay_inside(tmp_path: Path) -> None:
    picture(tmp_path / "secret.jpg")
    picture(tmp_path / "drive/0.jpg")
    (tmp_path / "drive/leak.jpg").symlink_to(tmp_path / "secret.jpg")
    (tmp_path / "drive/data.txt").write_text("0.jpg 0\n../secret.jpg 1\nleak.jpg 2\n../../etc/passwd.jpg 3\n")
    drive = sullychen.open(tmp_path / "drive", OPTIONS)
    assert len(drive) == 4 and sum(g.last - g.first + 1 for g in drive.info.gaps) == 3


def test_other_text_files_are_not_sullychen(tmp_path: Path) -> None:
    for text in (b"", b"hello\nworld\n", b"\xff\xfe\0\0", b"a.txt 5\n", b"1 2 3\n", bytes(range(256))):
        (tmp_path / "data.txt").write_bytes(text)
        assert not sullychen.sniff(tmp_path)
    os.remove(tmp_path / "data.txt")
    (tmp_path / "data.txt").mkdir()
    assert not sullychen.sniff(tmp_path)


# --- Donkeycar ----------------------------------------------------------------------------------------


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
        ("x", "names no catalogs"),
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
