"""Videos with a CSV, as they were recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vbp.drives import OpenOptions, open_drive


@pytest.mark.parametrize("part", ["", "ch2_first_half.mp4", "ch2_first_half_steering.csv"])
def test_ch2_video_has_exactly_the_times_and_angles_of_its_csv(shared: Path, part: str) -> None:
    folder = shared / "data" / "udacity-ch2-video"
    lines = (folder / "ch2_first_half_steering.csv").read_text().split()[1:]
    with open_drive(folder / part if part else folder) as drive:
        assert drive.info.kind == "video" and len(drive) == 2807
        assert drive.timestamps_ns.tolist() == [int(line.split(",")[0]) for line in lines]
        assert np.array_equal(drive.angle_rad, [float(line.split(",")[1]) for line in lines])
        assert np.isnan(drive.speed_mps).all()
        assert (drive.info.angle_unit, drive.info.angle_sign) == ("rad", "left")
        assert "Udacity" in drive.info.angle_source
        assert 19.9 < drive.info.fps < 20.1


def test_deeptesla_layout(shared: Path) -> None:
    """Its unit is degrees, positive clockwise; this sample is in radians, which a note suspects."""
    folder = shared / "data" / "deeptesla-style"
    wheel = np.loadtxt(folder / "epoch30_steering.csv", delimiter=",", skiprows=1)[:, 2]
    with open_drive(folder / "epoch30_front.avi") as drive:
        assert len(drive) == 167
        assert np.allclose(drive.angle_rad, -np.radians(wheel), atol=1e-12)
        assert (drive.info.angle_unit, drive.info.angle_sign) == ("deg", "right")
        assert "DeepTesla" in drive.info.angle_source
        assert any("--angle-unit rad" in note for note in drive.info.notes)
        assert any("milliseconds" in note for note in drive.info.notes)  # although named ts_micro
        assert drive.timestamps_ns[0] == 1504099832774 * 10**6
    with open_drive(
        folder / "epoch30_steering.csv", OpenOptions(angle_unit="rad", angle_sign="left")
    ) as drive:
        assert np.allclose(drive.angle_rad, wheel, atol=1e-12)
        assert drive.info.angle_source == "given by the user"
        assert not any("--angle-unit" in note for note in drive.info.notes)


def test_road_video_has_no_labels(shared: Path) -> None:
    with open_drive(shared / "data" / "road-video" / "solidWhiteRight.mp4") as drive:
        assert len(drive) == 221 and np.isnan(drive.angle_rad).all() and drive.info.angle_unit == ""
        assert drive.timestamps_ns[0] == 0 and drive.info.fps == pytest.approx(25)
