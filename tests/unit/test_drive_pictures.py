"""Pictures as frames: decoding, damage, gaps."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picturemaker import RGB, encode, picture
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
from vbp.errors import FrameError

OPTIONS = OpenOptions()
RNG = np.random.default_rng(0)
KINDS = ["jpg", "png", "webp", "bmp", "tif", "ppm"]


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
    with pytest.raises(PictureError, match="claims 100000 x 100000 pixels; up to 44 million"):
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
        ("text.jpg", "is not a picture of a known format; accepted: JPEG"),
        ("pipe.jpg", "is not a file"),
        ("absent.jpg", "is missing"),
        ("x" * 5000, "cannot be read"),
        ("nul\0.jpg", "cannot be read"),
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
    with pytest.raises(FrameError, match=r"frame 0 .*a\.jpg is not a picture"):
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
