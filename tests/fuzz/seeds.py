"""Good inputs of every kind, as small as they can be, from the makers that the tests use."""

from __future__ import annotations

import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import h5py
import numpy as np
import torch

import bagmaker
from kerasmaker import tiny
from picturemaker import picture, shade, write_table
from recordingmaker import record
from roadmaker import tiny_spec, write_drive, write_signs
from runmaker import PLAIN, sources
from vbp.drives.base import OpenOptions
from vbp.export.job import Job
from vbp.models.network import build, save_checkpoint
from vbp.session.document import Document, to_text
from vbp.session.note import Note
from vbp.simulate import Settings, simulate
from vbp.training.loop import train
from videomaker import scenes, write_video

DBC = (
    'VERSION ""\n\nNS_ :\n\nBS_:\n\nBU_: CAR VBP\n\nBO_ 37 STEERING: 8 CAR\n'
    ' SG_ Angle : 0|16@1- (0.1,0) [-780|780] "deg" VBP\n SG_ Page M : 16|8@1+ (1,0) [0|255] "" VBP\n'
    ' SG_ Paged m1 : 24|16@1- (0.01,0) [-300|300] "rad" VBP\n\nCM_ SG_ 37 Angle "of the wheel";\n'
    'BA_DEF_ BO_ "Cycle" INT 0 65535;\nBA_DEF_DEF_ "Cycle" 10;\nVAL_ 37 Angle 32767 "none" 32766 "error" ;\n'
)
SPEC = (
    'name = "n"\ninput_height = 11\ninput_width = 15\nchannels = 3\ncolour = "yuv"\ninput_range = [-1, 1]\n'
    'output_unit = "deg"\noutput_sign = "left"\noutput_scale = 2.0\ncrop = { rows = 27, of_width = 48 }\n'
)


class Seed(NamedTuple):
    """kind: how it is opened, see worker.OPENERS. folder: all of it. name: what of it is opened, "." for the folder."""

    kind: str
    folder: Path
    name: str


def make(root: Path) -> list[Seed]:
    """Every seed, each in a folder of its own below `root`."""
    seeds: list[Seed] = []

    def place(kind: str, title: str, name: str = ".") -> Path:
        folder = root / title
        folder.mkdir(parents=True)
        seeds.append(Seed(kind, folder, name))
        return folder

    _pictures(place)
    _tables(place)
    _bags(place)
    _videos(place)
    _data_sets(place)
    record(place("drive", "recording", "r") / "r", 6, 64, 48)
    folder = place("drive", "classes", "c")
    write_signs(folder / "c", ["yes", "no"], tracks=1, each=2)
    _networks(place)
    _runs(place)
    _texts(place)
    return seeds


def _pictures(place) -> None:
    for suffix in (".jpg", ".png", ".webp", ".bmp", ".tif", ".ppm"):
        picture(place("drive", f"pictures{suffix}") / f"1{suffix}")
    folder = place("drive", "pictures mixed")
    cv2.imwrite(str(folder / "1.png"), np.full((9, 7, 3), 700, np.uint16))
    cv2.imwrite(str(folder / "2.png"), np.full((9, 7, 4), 70, np.uint8))
    progressive = cv2.imencode(".jpg", shade(3), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    (folder / "3.jpg").write_bytes(progressive)


def _tables(place) -> None:
    write_drive(place("drive", "udacity", "d") / "d", 4, size=(16, 24))
    folder = place("drive", "simulator")
    names = [f"center_2016_12_01_13_30_4{k}_287.jpg" for k in range(3)]
    for name in names:
        picture(folder / "IMG" / name)
    (folder / "driving_log.csv").write_text(
        "".join(f"C:\\x\\IMG\\{n}, IMG/l.jpg, IMG/r.jpg, 0.{k}, 1, 0, 9.5\n" for k, n in enumerate(names))
    )
    folder = place("drive", "donkey")
    state = {"paths": ["catalog_0.catalog"], "current_index": 3, "max_len": 1000, "deleted_indexes": [1]}
    lines = [["cam/image_array", "user/angle"], ["image_array", "float"], {}, {"created_at": 1.0}, state]
    (folder / "manifest.json").write_text("\n".join(map(json.dumps, lines)))
    rows = []
    for k in range(3):
        picture(folder / "images" / f"{k}.jpg")
        row = {
            "_index": k,
            "_timestamp_ms": 1000 + 50 * k,
            "cam/image_array": f"{k}.jpg",
            "user/angle": 0.1 * k,
        }
        rows.append(json.dumps(row | {"_session_id": "21-01-01_0"}))
    (folder / "catalog_0.catalog").write_text("\n".join(rows))
    folder = place("drive", "donkey old")
    for k in range(3):
        picture(folder / f"{k}_cam-image_array_.jpg")
        row = {
            "cam/image_array": f"{k}_cam-image_array_.jpg",
            "user/angle": 0.1,
            "timestamp": f"2019-05-01 10:00:0{k}.25",
        }
        (folder / f"record_{k}.json").write_text(json.dumps(row | {"milliseconds": 50 * k}))
    folder = place("drive", "sullychen")
    for k in range(3):
        picture(folder / f"{k}.jpg")
    (folder / "data.txt").write_text("".join(f"{k}.jpg {k}.5,2018-07-01 17:09:4{k}:912\n" for k in range(3)))
    for title, header, row in (
        ("list", "image,steering_angle_rad,time_s", "{k}.jpg,0.{k},1479425440.{k}"),
        ("list of numbers", "frame;steering_deg", "{k};-1,{k}"),
        (
            "airsim",
            "VehicleName\tTimeStamp\tPOS_X\tSteering\tSpeed\tImageFile",
            "\t161000000{k}\t0.1\t0.{k}\t3.5\t{k}.jpg",
        ),
    ):
        folder = place("drive", title)
        for k in range(3):
            picture(folder / f"{k}.jpg")
        name = "airsim_rec.txt" if title == "airsim" else "list.csv"
        write_table(folder / name, header, [row.format(k=k) for k in range(3)])


def _bags(place) -> None:
    few = {"times_ns": bagmaker.TIMES[:3], "jpegs_or_images": [bagmaker.picture(i, 16, 12) for i in range(3)]}
    for title, more in (
        ("bag", {}),
        ("bag bz2", {"compression": "bz2"}),
        ("bag raw lz4", {"compression": "lz4", "compressed": False}),
    ):
        bagmaker.small_bag(
            place("drive", title, "a.bag") / "a.bag", **few, steering_times_ns=bagmaker.STEER_TIMES[:9],
            angles=bagmaker.ANGLES[:9], speeds=bagmaker.SPEEDS[:9], **more,
        )  # fmt: skip
    for version in (1, 2):
        ros = bagmaker.Ros(version)
        rows = list(
            bagmaker.messages(
                ros, few["times_ns"], few["jpegs_or_images"], bagmaker.STEER_TIMES[:9], bagmaker.ANGLES[:9], bagmaker.SPEEDS[:9]
            )
        )  # fmt: skip
        bagmaker.put_mcap(
            place("drive", f"mcap{version}", "a.mcap") / "a.mcap",
            ros,
            rows,
            "zstd" if version > 1 else "none",
        )
        if version == 2:
            bagmaker.put_mcap(place("drive", "mcap cut", "a.mcap") / "a.mcap", ros, rows, "lz4", finish=False)
            bagmaker.put_rosbag2(place("drive", "db3", "b") / "b", ros, rows)
            bagmaker.put_rosbag2(place("drive", "db3 zstd", "b") / "b", ros, rows, zipped="message")


def _videos(place) -> None:
    pictures = scenes(5, 64, 48)
    for suffix, codec in ((".mp4", "libx264"), (".mkv", "libx264"), (".avi", "mpeg4"), (".ts", "mpeg2video"), (".webm", "libvpx"), (".h264", "libx264"), (".mov", "mjpeg")):  # fmt: skip
        folder = place("drive", f"video{suffix}", f"v{suffix}")
        write_video(
            folder / f"v{suffix}", pictures, codec, pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p"
        )
        (folder / "v.csv").write_text(
            "frame,angle_deg,speed_mps\n" + "".join(f"{k},{k}.5,3\n" for k in range(5))
        )
    folder = place("drive", "video fragments", "v.mp4")
    write_video(folder / "v.mp4", pictures, container_options={"movflags": "frag_keyframe+empty_moov"})


def _data_sets(place) -> None:
    folder = place("drive", "kitti")
    stamps = "".join(f"2011-09-26 13:02:25.{k}94360375\n" for k in range(3))
    for part in ("image_02", "oxts"):
        (folder / part / "data").mkdir(parents=True)
        (folder / part / "timestamps.txt").write_text(stamps)
    (folder / "oxts/dataformat.txt").write_text("lat: x\nvf:  forward velocity (m/s)\n")
    for k in range(3):
        picture(folder / f"image_02/data/{k:010d}.png")
        (folder / f"oxts/data/{k:010d}.txt").write_text(f"49.0 {k}.5")
    folder = place("drive", "comma2k19")
    write_video(folder / "video.h264", scenes(5, 64, 48)).rename(folder / "video.hevc")
    times = 46_408.0 + np.arange(5) / 20
    for part, values in (
        ("global_pose/frame_times", times),
        ("processed_log/CAN/steering_angle/t", times),
        ("processed_log/CAN/steering_angle/value", np.arange(5.0)),
        ("processed_log/CAN/speed/t", times),
        ("processed_log/CAN/speed/value", np.full((5, 1), 25.0)),
    ):
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        with (folder / part).open("wb") as file:
            np.save(file, values)


def _networks(place) -> None:
    save_checkpoint(build(tiny_spec()), place("network", "safetensors", "n.safetensors") / "n.safetensors")
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, 2), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 5 * 7, 1)
    ).eval()  # fmt: skip
    folder = place("network", "pt2", "n.pt2")
    torch.export.save(torch.export.export(module, (torch.rand(1, 3, 11, 15),)), folder / "n.pt2")
    (folder / "n.toml").write_text(SPEC)
    keras = tiny(place("network", "keras h5", "n.h5") / "n.h5")
    with zipfile.ZipFile(place("network", "keras", "n.keras") / "n.keras", "w") as archive:
        with h5py.File(keras) as file:
            archive.writestr("config.json", file.attrs["model_config"])
        archive.writestr("model.weights.h5", keras.read_bytes())
    torch.save(module.state_dict(), place("weights", "pth", "n.pth") / "n.pth")
    torch.save(
        module.state_dict(),
        place("weights", "pth old", "n.pth") / "n.pth",
        _use_new_zipfile_serialization=False,
    )
    (place("spec", "spec", "n.toml") / "n.toml").write_text(SPEC)


def _runs(place) -> None:
    folder = place("run", "run", "run")
    data = write_drive(folder.parent / "data", 60)
    train(sources(data), tiny_spec(), replace(PLAIN, epochs=1, batch=32), folder / "run", "cpu")
    for title in ("truth", "truth zip"):
        folder = place("truth", title, "d")
        simulate(folder / "d", Settings(frames=2, seed=1), workers=1)
        for file in (folder / "d").rglob("*.jpg"):  # which are tried elsewhere
            file.unlink()
    with zipfile.ZipFile(folder / "d" / "truth.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((folder / "d" / "truth").rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder / "d" / "truth"))
                file.unlink()


def _texts(place) -> None:
    (place("dbc", "dbc", "a.dbc") / "a.dbc").write_text(DBC)
    document = replace(
        Document(), drive="/a/b", networks=("NetSVF",), frame=5, notes=(Note(3, 5, 10, 20, "here", "mark"),)
    )
    (place("session", "session", "a.vbp.json") / "a.vbp.json").write_text(to_text(document))
    job = Job(Path("/a/b"), OpenOptions(camera="left"), "NetSVF", "cpu", Path("/a/c.mp4"), 0, 9)
    (place("job", "job", "a.json") / "a.json").write_text(json.dumps(json.loads(job.to_json()), indent=1))


if __name__ == "__main__":
    for seed in make(Path(sys.argv[1])):
        print(seed)
