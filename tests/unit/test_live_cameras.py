"""The list of cameras: V4L2 as the kernel answers, and devices that deny, hang or are none."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from vbp.live import cameras, v4l2
from vbp.live.cameras import list_cameras

YUYV, MJPG = (int.from_bytes(code, "little") for code in (b"YUYV", b"MJPG"))


class Kernel:
    """Answers V4L2's calls as the driver of a USB camera does."""

    modes: ClassVar = {
        YUYV: [(640, 480, [(1, 30), (1, 15)])],
        MJPG: [(1280, 720, [(1, 30)]), (640, 480, [(1, 60)])],
    }

    def __init__(self, caps: int = 0x84A00001, own: int = 0x04200001, name: bytes = b"HD Webcam") -> None:
        self.caps, self.own, self.name = caps, own, name

    def __call__(self, handle: int, call: int, data: bytearray) -> int:
        assert len(data) == call >> 16 & 0x3FFF  # the size is part of the call's number
        if call == v4l2.QUERYCAP:
            struct.pack_into(
                "16s32s32sIII", data, 0, b"uvcvideo", self.name, b"usb-1", 0x60100, self.caps, self.own
            )
            return 0
        index = struct.unpack_from("I", data)[0]
        if call == v4l2.ENUM_FMT:
            struct.pack_into("I", data, 44, self._at(list(self.modes), index))
        elif call == v4l2.ENUM_FRAMESIZES:
            width, height, _ = self._at(self.modes[struct.unpack_from("I", data, 4)[0]], index)
            struct.pack_into("III", data, 8, 1, width, height)
        else:
            pixels, width, height = struct.unpack_from("III", data, 4)
            rates = next(r for w, h, r in self.modes[pixels] if (w, h) == (width, height))
            struct.pack_into("III", data, 16, 1, *self._at(rates, index))
        return 0

    def _at(self, values: list, index: int):
        if index >= len(values):
            raise OSError(errno.EINVAL, "no more")
        return values[index]


class AnySize(Kernel):
    def __call__(self, handle: int, call: int, data: bytearray) -> int:
        index = struct.unpack_from("I", data)[0]
        if call == v4l2.ENUM_FRAMESIZES:
            if index:
                raise OSError(errno.EINVAL, "no more")
            struct.pack_into("7I", data, 8, 3, 32, 1920, 2, 32, 1080, 2)
        elif call == v4l2.ENUM_FRAMEINTERVALS:
            struct.pack_into("7I", data, 16, 3, 1, 90, 1, 1, 1, 1)
        else:
            return super().__call__(handle, call, data)
        return 0


class Endless(Kernel):
    def _at(self, values: list, index: int):
        return values[0]


def test_name_sizes_and_rates_of_a_camera(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch()
    assert v4l2.ask(str(node), Kernel()) == ("HD Webcam", [(640, 480), (1280, 720)], [15.0, 30.0, 60.0])


def test_a_camera_that_takes_any_size_is_offered_with_the_common_ones(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch()
    _, sizes, rates = v4l2.ask(str(node), AnySize())
    assert sizes == [(320, 240), (640, 480), (800, 600), (1280, 720), (1920, 1080)] and rates == [1.0, 90.0]


def test_a_driver_that_lists_without_end_is_stopped(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch()
    assert v4l2.ask(str(node), Endless())[1] == [(640, 480)]


def test_metadata_and_output_nodes_are_no_cameras(tmp_path: Path) -> None:
    node = tmp_path / "video1"
    node.touch()
    for kernel in (Kernel(own=0x04A00000), Kernel(caps=0x2, own=0x1)):
        with pytest.raises(v4l2.NoCameraError):
            v4l2.ask(str(node), kernel)


def test_layouts_and_numbers_are_those_of_the_kernel(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("needs a C compiler and the kernel's headers")
    (tmp_path / "a.c").write_text(
        "#include <linux/videodev2.h>\n#include <stdio.h>\n#include <stddef.h>\n"
        "#define CALL(x) (unsigned long)VIDIOC_##x\n"
        'int main(){printf("%lu %lu %lu %lu ",CALL(QUERYCAP),CALL(ENUM_FMT),CALL(ENUM_FRAMESIZES),'
        'CALL(ENUM_FRAMEINTERVALS));printf("%zu %zu %zu %zu\\n",sizeof(struct v4l2_capability),'
        "sizeof(struct v4l2_fmtdesc),sizeof(struct v4l2_frmsizeenum),sizeof(struct v4l2_frmivalenum));}\n"
    )
    subprocess.run([compiler, "-o", tmp_path / "a", tmp_path / "a.c"], check=True)
    said = [int(n) for n in subprocess.check_output([tmp_path / "a"]).split()]
    calls = [v4l2.QUERYCAP, v4l2.ENUM_FMT, v4l2.ENUM_FRAMESIZES, v4l2.ENUM_FRAMEINTERVALS]
    layouts = (v4l2._CAPABILITY, v4l2._FORMAT, v4l2._FRAME_SIZE, v4l2._FRAME_INTERVAL)
    assert said == [*calls, *(layout.size for layout in layouts)]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch):
    """nodes(name=behaviour...): /dev/videoN as asked; each behaviour is what `v4l2.ask` does."""
    hold = threading.Event()

    def make(**behaviour: object) -> None:
        monkeypatch.setattr(cameras, "_on_linux", lambda: True)
        monkeypatch.setattr(cameras, "_video_nodes", lambda _: [Path("/dev") / name for name in behaviour])
        monkeypatch.setattr(cameras, "_ASK_S", 0.3)

        def ask(path: str) -> object:
            told = behaviour[os.path.basename(path)]
            if told == "hang":
                hold.wait(30)
            if isinstance(told, Exception):
                raise told
            return told

        monkeypatch.setattr(v4l2, "ask", ask)

    yield make
    hold.set()


def test_one_bad_device_spoils_no_list(nodes) -> None:
    nodes(
        video0=("Front", [(640, 480)], [30.0]),
        video1=v4l2.NoCameraError(),
        video2=PermissionError(errno.EACCES, "Permission denied"),
        video3=OSError(errno.EBUSY, "busy"),
        video4="hang",
        video5=OSError(errno.ENODEV, "gone"),
        video6=ValueError("a driver's nonsense"),
        video7=("", [], []),
    )
    found = {c.address: c for c in list_cameras()}
    assert list(found) == [f"/dev/video{i}" for i in (0, 2, 3, 4, 6, 7)]
    front = found["/dev/video0"]
    assert (front.name, front.sizes, front.rates, front.problem) == ("Front", ((640, 480),), (30.0,), "")
    assert "permission is denied" in found["/dev/video2"].problem and "group" in found["/dev/video2"].problem
    assert "another program" in found["/dev/video3"].problem
    assert "does not answer" in found["/dev/video4"].problem
    assert "nonsense" in found["/dev/video6"].problem
    assert found["/dev/video7"].name == "video7"


def test_nodes_are_listed_by_their_numbers(tmp_path: Path) -> None:
    for name in ("video10", "video2", "video0", "videocard", "null"):
        (tmp_path / name).touch()
    assert [p.name for p in cameras._video_nodes(tmp_path)] == ["video0", "video2", "video10"]
    assert cameras._video_nodes(tmp_path / "none") == []


def test_this_machine_is_listed_whatever_it_has() -> None:
    for camera in list_cameras():
        assert camera.address and camera.name and isinstance(camera.to_json()["sizes"], tuple | list)
