"""The real CH2 drive as export, as a bag written from it, and as H.264 with its CSV: one and the same drive."""

import csv
from fractions import Fraction

import av
import numpy as np
import pytest

from bagmaker import write_rosbag1
from vbp.drives import open_drive


@pytest.fixture(scope="module")
def export(shared):
    with open_drive(shared / "data" / "udacity-ch2") as drive:
        yield drive


@pytest.fixture(scope="module")
def rows(shared):
    """Time stamps and angles as the CSV holds them, read without our code."""
    with (shared / "data" / "udacity-ch2" / "CH2_final_evaluation.csv").open(newline="") as file:
        found = sorted((int(r["frame_id"]), float(r["steering_angle"])) for r in csv.DictReader(file))
    return np.array([t for t, _ in found], dtype=np.int64), np.array([a for _, a in found])


def test_the_export_is_what_its_files_say(export, rows):
    assert len(export) == 900
    np.testing.assert_array_equal(export.timestamps_ns, rows[0])
    np.testing.assert_allclose(export.angle_rad, rows[1], rtol=0, atol=1e-12)
    assert export.frame(450).shape == (480, 640, 3)


@pytest.mark.parametrize("compression", [None, "lz4"])
def test_a_bag_of_it(export, rows, shared, tmp_path, compression):
    times, angles = rows
    jpegs = [(shared / "data" / "udacity-ch2" / "center" / f"{t}.jpg").read_bytes() for t in times]
    bag = tmp_path / "ch2.bag"
    write_rosbag1(bag, times, jpegs, times, angles, np.full(900, 12.5), compression=compression)
    with open_drive(bag) as drive:
        assert drive.info.kind == "rosbag1"
        np.testing.assert_array_equal(drive.timestamps_ns, times)
        # The message carries the angle as float32.
        np.testing.assert_array_equal(drive.angle_rad, angles.astype(np.float32).astype(np.float64))
        np.testing.assert_array_equal(drive.speed_mps, 12.5)
        for i in (0, 450, 899):
            np.testing.assert_array_equal(drive.frame(i), export.frame(i))


def test_its_video_with_csv(export, shared):
    """ch2_first_half.mp4 holds the same frames as its frames 700 to 1599."""
    with open_drive(shared / "data" / "udacity-ch2-video" / "ch2_first_half.mp4") as drive:
        assert len(drive) == 2807
        np.testing.assert_array_equal(drive.timestamps_ns[700:1600], export.timestamps_ns)
        np.testing.assert_allclose(drive.angle_rad[700:1600], export.angle_rad, rtol=0, atol=1e-9)
        for i in (0, 899, 450):
            difference = drive.frame(700 + i).astype(int) - export.frame(i)
            assert np.abs(difference).mean() < 8  # H.264 blurs, but a neighbour in time is further away
            neighbour = drive.frame(700 + i).astype(int) - export.frame(i + 15 if i < 800 else i - 15)
            assert np.abs(difference).mean() < np.abs(neighbour).mean()


def test_h264_written_from_it(export, rows, tmp_path):
    times, angles = rows
    video = tmp_path / "drive.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=20, options={"preset": "ultrafast", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 90_000)
        for i in range(900):
            small = np.ascontiguousarray(export.frame(i)[::4, ::4])
            frame = av.VideoFrame.from_ndarray(small, format="rgb24")
            frame.pts = int(times[i] - times[0]) * 90_000 // 10**9
            frame.time_base = Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with (tmp_path / "drive.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "angle"])
        writer.writerows((int(t), repr(float(a))) for t, a in zip(times, angles))
    with open_drive(video) as drive:
        assert len(drive) == 900
        np.testing.assert_array_equal(drive.timestamps_ns, times)
        np.testing.assert_allclose(drive.angle_rad, angles, rtol=0, atol=1e-12)
