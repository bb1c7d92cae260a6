"""MCAP: read back by the `mcap` package, by rosbags and by vbp itself; times, types, pixels, angles."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

import bagmaker
from roadmaker import tiny_spec, write_drive
from vbp.drives import OpenOptions, open_drive
from vbp.drives.picture_files import shown_alike
from vbp.engine import Engine, open_network
from vbp.errors import FrameError, VbpError
from vbp.export.job import Job, Settings
from vbp.export.mcap_file import camera_topic, full_mask
from vbp.export.registry import CancelledError, export
from vbp.frames.strengths import Usual
from vbp.models.network import build, save_checkpoint
from vbp.overlay import Overlay, Rect, blend

N = 24
BAD, UNLABELLED, SLOW = 7, 5, 9
CAMERA = "/center_camera/image_color/compressed"
COMPRESSED, IMAGE = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image"
SETTINGS = Settings(panels=("camera", "lrp"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A drive with a gap, a frame without an angle and one without a speed, and a network."""
    folder = tmp_path_factory.mktemp("mcap")
    angles, speeds = np.linspace(-0.4, 0.5, N) ** 3, np.linspace(3, 20, N)
    angles[UNLABELLED] = speeds[SLOW] = np.nan
    drive = write_drive(folder / "road", N, angles=angles, speeds=speeds)
    sorted(drive.rglob("*.png"))[BAD].write_bytes(b"rubbish")
    save_checkpoint(build(tiny_spec(trained_on="nothing yet"), 3), folder / "net.safetensors")
    return drive, folder / "net.safetensors"


def job(made: tuple[Path, Path], output: Path, first: int = 0, last: int = N - 1, **more: Any) -> Job:
    options = {"settings": SETTINGS} | more
    return Job(made[0], OpenOptions(), str(made[1]), "cpu", output, first, last, **options)


@pytest.fixture(scope="module")
def exported(made: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(job(made, tmp_path_factory.mktemp("out") / "drive.mcap"))


def read_all(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """topic -> (record time, message), by rosbags, whose types come from the definitions in the file."""
    out: dict[str, list[tuple[int, Any]]] = {}
    with AnyReader([path], default_typestore=get_typestore(Stores.EMPTY)) as reader:
        for connection, time_ns, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            out.setdefault(connection.topic, []).append((time_ns, message))
    return out


def stamp(message: Any) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_the_file_is_whole_indexed_and_made_for_jumping(exported: Path, made: tuple[Path, Path]) -> None:
    with exported.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert (reader.get_header().profile, reader.get_header().library[:3]) == ("ros2", "vbp")
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        with open_drive(made[0]) as drive:
            times = drive.timestamps_ns.tolist()
        assert summary.statistics.message_start_time == times[0]
        assert summary.statistics.message_end_time == times[-1]
        topics = {c.topic: summary.schemas[c.schema_id] for c in summary.channels.values()}
        kinds = {topic: (schema.name, schema.encoding) for topic, schema in topics.items()}
        plain = ["driven_deg", "predicted_deg", "error_deg", "speed_mps", "mask_strength", "mask_spread"]
        numbers = dict.fromkeys((f"/vbp/{n}" for n in plain), ("std_msgs/msg/Float64", "ros2msg"))
        assert kinds == numbers | {
            CAMERA: (COMPRESSED, "ros2msg"),
            "/vbp/visualbackprop/mask": (IMAGE, "ros2msg"),
            "/vbp/visualbackprop/overlay/compressed": (COMPRESSED, "ros2msg"),
            "/vbp/lrp/mask": (IMAGE, "ros2msg"),
            "/vbp/lrp/overlay/compressed": (COMPRESSED, "ros2msg"),
            "/vbp/steering": ("vbp_msgs/msg/Steering", "ros2msg"),
            "/diagnostics": ("diagnostic_msgs/msg/DiagnosticArray", "ros2msg"),
        }
        assert {c.message_encoding for c in summary.channels.values()} == {"cdr"}
        assert {c.compression for c in summary.chunk_indexes} == {"zstd"}
        assert all(c.message_index_offsets for c in summary.chunk_indexes)
        counts = Counter(channel.topic for _, channel, _ in reader.iter_messages())
        assert counts.pop("/diagnostics") == 2  # the gap, and that all is well again
        per_frame = {n: N for n in numbers if "mask" not in n} | {"/vbp/steering": N}
        assert counts == {t: per_frame.get(t, N - 1) for t in counts}
        # A part, found by its times: what scrubbing asks for
        some = [
            m.log_time
            for _, _, m in reader.iter_messages([CAMERA], starting_at=times[10], ending_before=times[13])
        ]
        assert some == times[10:13]
        about = {m.name: m.metadata for m in reader.iter_metadata()}["vbp"]
        assert (about["model"], about["frames"]) == ("tiny", f"0:{N}")
        assert "128 is 0" in about["/vbp/lrp/mask"]


def test_a_classifier_s_class_is_written_where_others_write_the_angle(tmp_path: Path) -> None:
    """On folders of class images, one of a class that the network does not know, with a picture that is none."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog", "ant"):
        (tmp_path / "signs" / name).mkdir(parents=True)
        for k in range(2):
            picture = rng.integers(0, 256, (26, 30, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "signs" / name / f"{k}.png"), picture)
    (tmp_path / "signs" / "dog" / "1.png").write_bytes(b"rubbish")
    arguments = {"widths": [4, 6], "strides": [2, 2], "hidden": [8], "outputs": 3}
    names = ("cat", "dog", "cow")
    spec = tiny_spec(arguments=arguments, channels=3, output="class", classes=names)
    save_checkpoint(build(spec, 2), tmp_path / "net.safetensors")
    of = (tmp_path / "signs", tmp_path / "net.safetensors")
    found = read_all(export(job(of, tmp_path / "signs.mcap", 0, 5, settings=Settings(panels=("camera",)))))
    assert "/vbp/predicted_deg" not in found and "/vbp/error_deg" not in found
    messages = found["/vbp/classification"]
    engine = Engine(open_network(of[1]), "cpu")
    with open_drive(of[0]) as drive:
        assert [t for t, _ in messages] == drive.timestamps_ns.tolist()
        for i, (time, message) in enumerate(messages):
            truth = (-1, "") if i < 2 else (0, "cat") if i < 4 else (1, "dog")
            assert (message.frame, stamp(message)) == (i, time)
            assert (message.true_class_id, message.true_class_name) == truth
            plain = found["/vbp/probability"][i][1].data
            if i == 5:
                assert (message.class_id, message.class_name) == (-1, "")
                assert math.isnan(message.probability) and math.isnan(plain)
                continue
            wanted = engine.run(drive.frame(i), ()).probabilities
            best = int(wanted.argmax())
            assert (message.class_id, message.class_name) == (best, names[best])
            assert message.probability == plain == pytest.approx(wanted[best], abs=1e-6)
    with open_drive(tmp_path / "signs.mcap") as again:
        assert len(again) == 5  # the pictures that there were


def test_pictures_masks_and_angles(exported: Path, made: tuple[Path, Path]) -> None:
    found = read_all(exported)
    engine = Engine(open_network(made[1]), "cpu")
    files = sorted(made[0].rglob("*.png"))
    with open_drive(made[0]) as drive:
        shown = [i for i in range(N) if i != BAD]
        for topic, messages in found.items():
            wanted = shown if "mask" in topic or "image" in topic or "overlay" in topic else range(N)
            if topic != "/diagnostics":
                assert [t for t, _ in messages] == [int(drive.timestamps_ns[i]) for i in wanted], topic
            if hasattr(messages[0][1], "header"):
                assert [stamp(m) for _, m in messages] == [t for t, _ in messages]
        for k, i in enumerate(shown):
            frame = drive.frame(i)
            done = engine.run(frame, ("visualbackprop", "lrp"))
            _, camera = found[CAMERA][k]
            assert (camera.format, camera.header.frame_id) == ("png", "center_camera")
            assert camera.data.tobytes() == files[i].read_bytes()  # as it was recorded
            for method, signed in (("visualbackprop", False), ("lrp", True)):
                _, mask = found[f"/vbp/{method}/mask"][k]
                assert (mask.encoding, mask.width, mask.height, mask.step) == ("mono8", 48, 32, 48)
                grey = mask.data.reshape(32, 48).astype(float)
                values = (grey - 128) / 127 if signed else grey / 255
                outside = np.ones((32, 48), dtype=bool)
                outside[
                    done.crop.y : done.crop.y + done.crop.height, done.crop.x : done.crop.x + done.crop.width
                ] = False
                assert outside.any()
                assert not values[outside].any()
                inside = values[~outside].reshape(done.crop.height, done.crop.width)
                assert inside == pytest.approx(done.map(method), abs=0.5 / 127 + 1e-3)
                _, over = found[f"/vbp/{method}/overlay/compressed"][k]
                assert over.format == "jpeg"
                picture = cv2.imdecode(over.data, cv2.IMREAD_COLOR)[..., ::-1].astype(int)
                wanted_picture = blend(frame, done.map(method), done.crop, "paper", SETTINGS.overlay.opacity)
                assert np.abs(picture - wanted_picture).mean() < 7  # what JPEG does to noise
            predicted = done.angle_rad
            assert found["/vbp/predicted_deg"][i][1].data == pytest.approx(math.degrees(predicted), abs=1e-4)
            for name, value in (("strength", done.strength), ("spread", done.spread)):
                assert found[f"/vbp/mask_{name}"][k][1].data == pytest.approx(value, abs=1e-4)
        for i in range(N):
            _, steering = found["/vbp/steering"][i]
            driven, speed = float(drive.angle_rad[i]), float(drive.speed_mps[i])
            assert steering.frame == i
            same(steering.steering_wheel_angle, driven)
            same(steering.speed, speed)
            same(steering.error, driven - steering.predicted_angle)
            same(found["/vbp/driven_deg"][i][1].data, math.degrees(driven))
            same(found["/vbp/speed_mps"][i][1].data, speed)
            same(found["/vbp/error_deg"][i][1].data, math.degrees(driven - steering.predicted_angle))
        assert math.isnan(found["/vbp/predicted_deg"][BAD][1].data)
        (gap_time, gap), (next_time, fine) = found["/diagnostics"]
        assert [gap_time, next_time] == drive.timestamps_ns[BAD : BAD + 2].tolist()
        with pytest.raises(FrameError) as caught:
            drive.frame(BAD)
        assert (gap.status[0].level, gap.status[0].message) == (1, str(caught.value))
        assert {v.key: v.value for v in gap.status[0].values} == {"frame": str(BAD), "gap": "true"}
        assert (fine.status[0].level, fine.status[0].message) == (0, "fine")


def same(got: float, wanted: float) -> None:
    assert got == wanted or (math.isnan(got) and math.isnan(wanted))


def test_vbp_opens_it_as_the_same_drive(exported: Path, made: tuple[Path, Path]) -> None:
    with open_drive(made[0]) as drive, open_drive(exported) as again:
        shown = [i for i in range(N) if i != BAD]
        assert (again.info.kind, again.info.camera, again.info.angle_unit) == ("mcap", "center", "rad")
        assert again.info.cameras == ("center",)
        assert again.timestamps_ns.tolist() == drive.timestamps_ns[shown].tolist()
        assert np.array_equal(again.angle_rad, drive.angle_rad[shown], equal_nan=True)
        assert np.array_equal(again.speed_mps, drive.speed_mps[shown], equal_nan=True)
        assert np.isnan(again.angle_rad[UNLABELLED])
        for k in (0, 6, 7, N - 2):
            assert np.array_equal(again.frame(k), drive.frame(shown[k]))
        assert (again.encoded(3) or b"")[:4] == b"\x89PNG"
    with open_drive(exported, OpenOptions(camera="/vbp/visualbackprop/mask")) as mask:
        assert mask.frame(0).shape == (32, 48, 3)


def test_the_players_of_ros_2_have_what_they_need(exported: Path) -> None:
    """rosbags' ROS 2 reader, and the standard types as ROS 2 itself defines them."""
    humble = get_typestore(Stores.ROS2_HUMBLE)
    with Reader(exported) as reader:
        for connection in reader.connections:
            if connection.msgtype.startswith("vbp_msgs"):
                humble.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
                assert "rad, left positive" in connection.msgdef.data
        for connection, _, raw in reader.messages():
            again = humble.serialize_cdr(humble.deserialize_cdr(raw, connection.msgtype), connection.msgtype)
            assert bytes(again) == bytes(raw)


def test_jpegs_of_a_bag_are_passed_on_and_other_pictures_are_encoded(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    times = bagmaker.times(4)
    pictures = [bagmaker.picture(i) for i in range(4)]
    jpegs = [bagmaker.file_of(p, ".jpg") for p in pictures]
    jpegs[2] = jpegs[2][:2] + b"\xff\xe1\x00\x08Exif\x00\x00" + jpegs[2][2:]  # may turn the picture
    compressed = bagmaker.write_rosbag1(
        tmp_path / "a.bag", times, jpegs, times, [0.1, 0.2, 0.3, 0.4], [5] * 4
    )
    raw = bagmaker.write_rosbag1(
        tmp_path / "b.bag",
        times,
        pictures,
        times,
        [0.1, 0.2, 0.3, 0.4],
        [5] * 4,
        camera="/front/eye",
        compressed=False,
    )
    settings = Settings(panels=("plot",))
    export(job((compressed, made[1]), tmp_path / "a.mcap", 0, 3, settings=settings))
    found = read_all(tmp_path / "a.mcap")
    data = [m.data.tobytes() for _, m in found[CAMERA]]
    assert [data[i] == jpegs[i] for i in range(4)] == [True, True, False, True]
    assert not any("mask" in topic for topic in found)
    export(job((raw, made[1]), tmp_path / "b.mcap", 1, 2, settings=settings))
    found = read_all(tmp_path / "b.mcap")
    assert [t for t, _ in found["/front/eye/compressed"]] == times[1:3]
    with open_drive(tmp_path / "b.mcap") as again:
        assert again.info.camera == "/front/eye"
        assert again.angle_rad == pytest.approx([0.2, 0.3])
        assert np.abs(again.frame(0).astype(int) - pictures[1]).mean() < 8


def test_only_pictures_that_all_viewers_show_alike_are_passed_on() -> None:
    rgb = bagmaker.picture(0)
    turned = bagmaker.file_of(rgb, ".jpg")
    turned = turned[:2] + b"\xff\xe1\x00\x08Exif\x00\x00" + turned[2:]
    encode = {
        "grey": rgb[..., 0],
        "16 bit": rgb.astype(np.uint16) * 257,
        "alpha": np.dstack([rgb, rgb[..., 0]]),
    }
    files = {name: cv2.imencode(".png", image)[1].tobytes() for name, image in encode.items()}
    files |= {"jpeg": bagmaker.file_of(rgb, ".jpg"), "png": bagmaker.file_of(rgb), "turned": turned}
    files |= {"bmp": bagmaker.file_of(rgb, ".bmp"), "none": b""}
    assert {name for name, data in files.items() if shown_alike(data)} == {"grey", "jpeg", "png"}


@pytest.mark.parametrize(
    ("camera", "topic"),
    [
        ("left", "/left_camera/image_color/compressed"),
        ("/front/image", "/front/image/compressed"),
        ("", "/camera/image_color/compressed"),
        ("/vbp/lrp/mask", "/camera/image_color/compressed"),
        ("cam 0: Ünïcode", "/camera/image_color/compressed"),
    ],
)
def test_the_topic_of_the_camera(camera: str, topic: str) -> None:
    assert camera_topic(camera) == topic


def test_a_mask_smaller_than_its_crop_lies_over_it() -> None:
    mask = np.zeros((5, 10), dtype=np.float32)
    mask[:, 5:] = 1
    grey = full_mask(mask, (40, 60), Rect(20, 10, 30, 15), False)
    assert grey.shape == (40, 60)
    assert grey[10:25, 38:50].min() == 255
    assert grey[10:25, 20:32].max() == 0
    grey[10:25, 20:50] = 0
    assert not grey.any()
    signed = full_mask(np.array([[-1, 0, 1]], dtype=np.float32), (1, 3), Rect(0, 0, 3, 1), True)
    assert signed.tolist() == [[1, 128, 255]]


def test_cancelled_and_refused_leave_nothing(made: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    with pytest.raises(CancelledError):
        export(job(made, path), lambda done, total: done < 5)
    assert not list(tmp_path.iterdir())
    bagmaker.put_mcap(path, bagmaker.Ros(2), [])
    before = path.read_bytes()
    with pytest.raises(VbpError, match="exists and was not written by vbp"):
        export(job(made, path))
    assert path.read_bytes() == before
    export(job(made, path, force=True))
    export(job(made, path, 0, 3))  # ours now
    with open_drive(path) as drive:
        assert len(drive) == 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(overlay=Overlay(style="neon")), "neon"),
        (Settings(overlay=Overlay(opacity=2)), "an opacity of 2 cannot be"),
    ],
)
def test_settings_that_do_not_exist(
    made: tuple[Path, Path], tmp_path: Path, settings: Settings, words: str
) -> None:
    with pytest.raises(VbpError, match=words):
        export(job(made, tmp_path / "a.mcap", settings=settings))
    assert not list(tmp_path.iterdir())


def test_times_that_ros_2_cannot_say(made: tuple[Path, Path], tmp_path: Path) -> None:
    source = write_drive(tmp_path / "late", 2)
    table = source / "interpolated.csv"
    text = table.read_text()
    for name in sorted((source / "center").iterdir()):
        late = str(int(name.stem) + 10**18)
        text = text.replace(name.stem, late)
        name.rename(name.with_name(late + name.suffix))
    table.write_text(text)
    with pytest.raises(VbpError, match="not between 1970 and 2038"):
        export(job((source, made[1]), tmp_path / "a.mcap", 0, 1))
    assert not (tmp_path / "a.mcap").exists()


def test_killed_at_the_last_moment_nothing_stands_under_the_final_name(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from vbp.drives import OpenOptions\n"
        "from vbp.export.job import Job; from vbp.export.registry import export\n"
        "job = Job(Path(sys.argv[1]), OpenOptions(), sys.argv[2], 'cpu', Path(sys.argv[3]), 0, 23)\n"
        "export(job, lambda done, total: print(done, flush=True) or done < total or sys.stdin.read() != '')\n"
    )
    path = tmp_path / "a.mcap"
    path.write_bytes(b"")
    command = [sys.executable, "-c", script, str(made[0]), str(made[1]), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        while run.stdout.readline() != f"{N}\n":
            assert run.poll() is None
        os.kill(run.pid, signal.SIGKILL)
    assert path.read_bytes() == b""


def test_a_weak_mask_is_told_in_the_diagnostics(made: tuple[Path, Path], tmp_path: Path) -> None:
    weak = Settings(panels=("camera",), usual=Usual(40.0, 30.0))
    found = read_all(export(job(made, tmp_path / "weak.mcap", 0, 1, settings=weak)))["/diagnostics"]
    assert [m.status[0].message.startswith("mask weak: 1/10^") for _, m in found] == [True, True]
