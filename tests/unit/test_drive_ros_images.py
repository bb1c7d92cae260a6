"""Image messages of the rarer encodings: planes of brightness and colour, distances, mosaics in picture files."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from bagmaker import TIMES, Ros, file_of, picture, put_mcap
from vbp.drives import open_drive
from vbp.drives.ros_fields import MessageError
from vbp.drives.ros_images import decode_compressed, decode_raw

PATCHES = np.zeros((12, 16, 3), np.uint8)  # colours that reach over whole blocks of 4 x 4 pixels
for _i, _colour in enumerate([(200, 30, 40), (20, 180, 60), (50, 60, 220), (128, 128, 128)]):
    PATCHES[:, _i * 4 : _i * 4 + 4] = _colour


def yuv_planes(fmt: str) -> list[np.ndarray]:
    """PATCHES in a pixel format of libav (which is not OpenCV): BT.601, as cameras send it."""
    frame = av.VideoFrame.from_ndarray(PATCHES, format="rgb24").reformat(format=fmt, dst_colorspace="ITU601")
    return [np.frombuffer(p, np.uint8).reshape(p.height, p.line_size) for p in frame.planes]


@pytest.mark.parametrize("pad", [0, 6])
@pytest.mark.parametrize("name", ["nv12", "nv21", "nv24"])
def test_planes_of_brightness_and_colour(name: str, pad: int) -> None:
    height, width = PATCHES.shape[:2]
    light, colour = yuv_planes(name)
    step = width + pad
    colour_step = step * (2 if name == "nv24" else 1)
    rows = np.zeros((height, step), np.uint8)
    rows[:, :width] = light[:, :width]
    below = np.zeros((height if name == "nv24" else height // 2, colour_step), np.uint8)
    wide = width * (2 if name == "nv24" else 1)
    below[:, :wide] = colour[:, :wide]
    data = np.concatenate([rows.reshape(-1), below.reshape(-1)])
    image = decode_raw(memoryview(data), width, height, step, name)
    assert image.shape == PATCHES.shape
    assert np.abs(image.astype(int) - PATCHES).max() <= 4
    with pytest.raises(MessageError, match="cut off"):
        decode_raw(memoryview(data[:-colour_step]), width, height, step, name)
    if not pad:  # a step that counts brightness and colour together
        again = decode_raw(memoryview(data), width, height, 2 * width, name)
        assert np.array_equal(again, image)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(("encoding", "kind", "metre"), [("16UC1", "u2", 1000), ("32FC1", "f4", 1)])
def test_distances_are_greys(encoding: str, kind: str, metre: int, big_endian: bool) -> None:
    metres = np.array([[0.5, 1, 2, 5], [10, 20, 45, 0]])
    values = np.zeros((2, 5), (">" if big_endian else "<") + kind)  # a column of padding
    values[:, :4] = metres * metre
    image = decode_raw(memoryview(values.tobytes()), 4, 2, values.strides[0], encoding, big_endian)
    grey = image[..., 0].reshape(-1)
    assert (image == image[..., :1]).all()
    assert grey[7] == 0  # nothing was measured
    assert (np.diff(grey[:7].astype(int)) < 0).all()
    assert (grey[3], grey[6]) == (128, 26)  # 5 m, 45 m
    if kind == "f4":
        odd = np.array([[np.nan, np.inf, -1.0, 1e38]], "<f4")
        assert (decode_raw(memoryview(odd.tobytes()), 4, 1, 16, encoding) == 0).all()


def mosaic_of(rgb: np.ndarray, pattern: str) -> np.ndarray:
    out = np.zeros(rgb.shape[:2], np.uint8)
    for at, letter in enumerate(pattern):
        out[at // 2 :: 2, at % 2 :: 2] = rgb[at // 2 :: 2, at % 2 :: 2, "rgb".index(letter)]
    return out


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_mosaics_in_picture_files(pattern: str, bits: int) -> None:
    colour = (200, 90, 30)
    mosaic = mosaic_of(np.full((12, 12, 3), colour, np.uint8), pattern)
    if bits == 16:
        mosaic = mosaic.astype(np.uint16) * 256
    data = memoryview(cv2.imencode(".png", mosaic)[1].tobytes())
    for text in (
        f"bayer_{pattern}{bits}; png compressed bayer_{pattern}{bits}",
        f"bayer_{pattern}{bits}; png compressed ",
    ):
        assert (decode_compressed(data, text)[3:-3, 3:-3] == colour).all()
    assert (decode_compressed(data, "mono8; png compressed ")[..., 0] == (mosaic >> (bits - 8))).all()


def test_pictures_that_were_in_colour_already_stay(tmp_path: Path) -> None:
    rgb = picture(3)
    for text in (
        "bayer_rggb8; png compressed bgr8",
        "bayer_rggb8; png compressed ",
        "rgb8; png compressed bgr8",
        "png",
        "",
    ):
        assert np.array_equal(decode_compressed(memoryview(file_of(rgb)), text), rgb)


def test_a_mosaic_in_a_recording(tmp_path: Path, shared: Path) -> None:
    ros = Ros(2)
    rgb = np.full((48, 64, 3), (200, 90, 30), np.uint8)
    data = cv2.imencode(".png", mosaic_of(rgb, "grbg"))[1].tobytes()
    text = "bayer_grbg8; png compressed bayer_grbg8"
    rows = [
        (ns, "/cam/image_raw/compressed", "sensor_msgs/msg/CompressedImage", ros.compressed(ns, data, text))
        for ns in TIMES
    ]
    with open_drive(put_mcap(tmp_path / "a.mcap", ros, rows)) as drive:
        assert (drive.frame(4)[3:-3, 3:-3] == (200, 90, 30)).all()
        assert drive.encoded(4) is None  # the file in the message is no picture of it
    case = shared / "cases/08_encodings/ros1_compressed_bayer.bag"
    if case.exists():
        with open_drive(case) as drive:
            assert [drive.frame(0)[10, x].tolist() for x in (10, 52)] == [
                [200, 30, 30],
                [30, 200, 30],
            ]
