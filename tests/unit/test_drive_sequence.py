"""A drive is a sequence of its frames, as a list is, and gives several of them as a batch."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exportmaker import make_drive
from vbp.drives import Drive, open_drive
from vbp.errors import FrameError

COUNT, BAD = 9, (3, 8)
START_NS = 1_479_425_441_182_877_835  # a float64 would round it
COLUMNS = "index,timestamp,width,height,frame_id,filename,angle,torque,speed,lat,long,alt"
indices = st.integers(-COUNT - 3, COUNT + 3)
bounds = st.none() | st.integers(-COUNT - 3, COUNT + 3)
steps = st.none() | st.integers(-4, 4).filter(bool)


def picture(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lossless pictures with a list of them; two do not decode, two have no angle."""
    folder = tmp_path_factory.mktemp("drive")
    (folder / "center").mkdir()
    with (folder / "interpolated.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        file.write(f"{COLUMNS}\n")
        for n in range(COUNT):
            stamp = START_NS + n * 50_000_000
            name = f"center/{stamp}.png"
            cv2.imwrite(str(folder / name), picture(n)[..., ::-1])
            if n in BAD:
                (folder / name).write_bytes(b"not a picture")
            angle = "nan" if n < 2 else 0.01 * n
            writer.writerow([n, stamp, 32, 24, "center_camera", name, angle, 0, 2.0 + n, 0, 0, 0])
    return folder


@pytest.fixture(scope="module")
def drive(folder: Path):
    with open_drive(folder) as drive:
        yield drive


def is_right(image: np.ndarray, n: int) -> bool:
    return image.dtype == np.uint8 and np.array_equal(image, np.zeros_like(image) if n in BAD else picture(n))


@given(indices)
def test_an_index_is_that_of_a_list(drive, i):
    try:
        n = range(COUNT)[i]
    except IndexError:
        with pytest.raises(IndexError, match=f"frame {i} of a drive of {COUNT} frames"):
            drive[i]
        return
    for key in (i, np.int64(i)):
        if n in BAD:
            with pytest.raises(FrameError):
                drive[key]
        else:
            assert is_right(drive[key], n)


@given(bounds, bounds, steps)
def test_a_slice_is_that_of_a_list(drive, first, last, step):
    part = slice(first, last, step)
    batch = drive[part]
    assert batch.indices.tolist() == list(range(COUNT))[part]
    assert all(map(is_right, batch.images, batch.indices))


@given(st.lists(st.integers(-COUNT, COUNT - 1), max_size=2 * COUNT))
def test_a_batch_is_in_the_order_asked_for(drive, wanted):
    batch = drive.frames(wanted)
    numbers = [n % COUNT for n in wanted]
    assert len(batch) == len(batch.images) == len(numbers)
    assert batch.indices.tolist() == numbers
    assert all(map(is_right, batch.images, numbers))
    assert batch.is_gap.tolist() == [n in BAD for n in numbers]
    assert batch.timestamps_ns.tolist() == [START_NS + n * 50_000_000 for n in numbers]
    np.testing.assert_allclose(batch.angle_rad, [np.nan if n < 2 else 0.01 * n for n in numbers])
    np.testing.assert_allclose(batch.speed_mps, [2.0 + n for n in numbers])
    assert [a.dtype for a in (batch.indices, batch.is_gap, batch.timestamps_ns)] == [np.int64, bool, np.int64]
    assert batch.angle_rad.dtype == batch.speed_mps.dtype == np.float64
    assert not any(image.flags.writeable for image in batch.images)


@given(st.lists(indices).filter(lambda asked: any(not -COUNT <= i < COUNT for i in asked)))
def test_a_frame_that_is_not_there(drive, wanted):
    with pytest.raises(IndexError, match=f"of a drive of {COUNT} frames"):
        drive.frames(wanted)


@pytest.mark.parametrize("wanted", [[1.0], ["1"], [None], np.array([True, False])])
def test_an_index_that_is_no_whole_number(drive, wanted):
    with pytest.raises(TypeError):
        drive.frames(wanted)
    with pytest.raises(TypeError):
        drive[wanted[0]]


def test_all_frames_one_after_the_other(drive):
    for _ in range(2):  # a drive is no iterator that is used up
        seen = list(drive)
        assert len(seen) == COUNT
        assert [n for n, image in enumerate(seen) if image is None] == list(BAD)
        assert all(is_right(image, n) for n, image in enumerate(seen) if image is not None)


def test_each_frame_of_a_batch_is_decoded_once_and_forwards(folder, monkeypatch):
    with open_drive(folder) as drive:
        decoded: list[int] = []
        decode = type(drive)._decode

        def count(self: Drive, i: int):
            decoded.append(i)
            return decode(self, i)

        monkeypatch.setattr(type(drive), "_decode", count)
        drive.limit_cache(0)
        drive.frames([5, 3, 0, 5, 3, -9])
    assert decoded == [0, 3, 5]


def test_a_video_is_the_same_sequence(tmp_path):
    with open_drive(make_drive(tmp_path / "drive")) as drive:
        batch = drive[10:1:-3]
        assert batch.indices.tolist() == [10, 7, 4]
        for i, image in zip(batch.indices, batch.images, strict=True):
            np.testing.assert_array_equal(image, drive.frame(int(i)))
        np.testing.assert_array_equal(batch.timestamps_ns, drive.timestamps_ns[[10, 7, 4]])
        assert not batch.is_gap.any()


def test_what_a_person_reads(drive, folder):
    drive.frames(range(COUNT))  # from now on it is known which are bad
    assert repr(drive) == (
        f"<udacity-csv drive {folder}: 9 frames, 32 x 24, 0.4 s at 20.0 Hz, 7 with a measured angle, "
        "2 of them known to be gaps>"
    )
    assert repr(drive[2:5]) == "<FrameBatch: 3 frames, 2 to 4, 32 x 24, 1 gap>"
    assert repr(drive[0:0]) == "<FrameBatch: no frames>"
