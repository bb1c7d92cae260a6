"""Small files that would take the machine's memory or time, or wait for ever: each is one sentence, within limits."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import subprocess
import sys
import zipfile
import zlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import zstandard

from picturemaker import encode, picture
from vbp.drives import mcap_records, message_file, open_drive
from vbp.drives.csv_layout import find_layout
from vbp.drives.donkey import sniff
from vbp.drives.labels import date_ns
from vbp.drives.patience import unless, within
from vbp.drives.picture_header import read_header
from vbp.drives.ros_fields import FieldReader, MessageError, parse_definition
from vbp.drives.video_index import _assemble, _joined, _Packets, build_index, open_container, pick_stream
from vbp.errors import DriveError, FrameError, ModelError
from vbp.models.weights import read_weights
from videomaker import scenes, write_video

MEMORY = 1200 * 2**20  # of addresses, of which Python and its libraries have some 700 MiB
PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    size = len(data) if length is None else length
    return struct.pack(">I", size) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, bits: int, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    return PNG + header + b"".join(more) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def tiff_of(width: int, height: int, kind: int, bits: int = 8) -> bytes:
    """The sizes as numbers of a kind: 3 SHORT, 4 LONG, 16 LONG8 (which lie elsewhere)."""
    entries = [(258, 3, bits), (259, 3, 1), (262, 3, 1), (277, 3, 1), (256, kind, width), (257, kind, height)]
    out, rest = struct.pack("<2sHIH", b"II", 42, 8, len(entries)), b""
    after = 8 + 2 + 12 * len(entries) + 4
    for tag, code, value in entries:
        content = struct.pack("<Q", value) if code == 16 else struct.pack("<I", value)
        place = struct.pack("<I", after + len(rest)) if code == 16 else content
        rest += content if code == 16 else b""
        out += struct.pack("<HHI", tag, code, 1) + place
    return out + struct.pack("<I", 0) + rest + b"\0" * 64


def jpeg_that_says(width: int, height: int, between: bytes) -> bytes:
    """A JPEG with a second size in front of its own, behind something that a reader might stumble over."""
    data = encode(".jpg")
    second = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\1\x11\0\2\x11\0\3\x11\0"
    return data[:2] + between + second + data[2:]


def record(kind: int, content: bytes) -> bytes:
    return struct.pack("<BQ", kind, len(content)) + content


def text(value: bytes) -> bytes:
    return struct.pack("<I", len(value)) + value


def mcap_of_zeros(path: Path, size: int, chunks: int = 1) -> Path:
    """Chunks that unpack to zeros, of which there are `size` in each if the file is right."""
    packer = zstandard.ZstdCompressor().compressobj()
    block = bytes(2**24)
    packed = b"".join(packer.compress(block) for _ in range(0, size, len(block))) + packer.flush()
    head = struct.pack("<QQQI", 0, 1, size, 0) + text(b"zstd") + struct.pack("<Q", len(packed))
    schema = record(
        3, struct.pack("<H", 1) + text(b"sensor_msgs/msg/CompressedImage") + text(b"") + text(b"")
    )
    channel = record(4, struct.pack("<HH", 1, 1) + text(b"/camera") + text(b"cdr") + text(b""))
    path.write_bytes(b"\x89MCAP0\r\n" + schema + channel + record(6, head + packed) * chunks)
    return path


def database(path: Path, messages: str, rows: list[bytes]) -> Path:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT)")
    db.execute("INSERT INTO topics VALUES(1, '/camera', 'sensor_msgs/msg/CompressedImage', 'cdr')")
    db.execute(messages)
    for k, row in enumerate(rows):
        if "GENERATED" in messages:
            db.execute("INSERT INTO messages(topic_id, timestamp) VALUES(1, ?)", (k,))
        else:
            db.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES(1, ?, ?)", (k, row))
    db.commit()
    db.close()
    return path


PLAIN = "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)"
COMPUTED = PLAIN.replace("data BLOB", "data BLOB GENERATED ALWAYS AS (zeroblob(900000000)) VIRTUAL")


def zeros(count: int) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return b"".join(packer.compress(bytes(2**24)) for _ in range(0, count, 2**24)) + packer.flush()


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def attacks(folder: Path) -> dict[str, tuple[Path, str]]:
    """A name -> what is opened, and a part of the sentence."""
    made: dict[str, tuple[Path, str]] = {}

    def pictures(name: str, data: bytes, why: str, suffix: str = ".png") -> None:
        made[name] = write(folder / name / f"a{suffix}", data).parent, why

    pictures("png chunk", png_of(8, 8, 8, chunk(b"teXt", b"x", 2**32 - 16)), "truncated PNG")
    pictures("png size", png_of(20_000, 20_000, 8), "claims 20000 x 20000")
    pictures("png 16 bit", png_of(6000, 6000, 16), "6000 x 6000 pixels of 16 bits")
    pictures("tiff short", tiff_of(60_000, 60_000, 3), "claims 60000 x 60000", ".tif")
    pictures("tiff long8", tiff_of(30_000, 30_000, 16), "claims 30000 x 30000", ".tif")
    pictures("tiff double", tiff_of(4000, 4000, 4, bits=64), "4000 x 4000 pixels of 64 bits", ".tif")
    for k, between in enumerate(
        (b"", b"\xff\x01", b"\xff\xfe\0\4ab\0\0\0", b"\xff\xff\xff\xd3", b"\xff\x00")
    ):
        pictures(f"jpeg {k}", jpeg_that_says(30_000, 30_000, between), "claims 30000 x 30000", ".jpg")
    again = encode(".jpg", np.zeros((1000, 1000, 3), np.uint8))
    pictures(
        "jpeg scans", again + again[again.find(b"\xff\xda") :][:60] * 2000, "gone over 2001 times", ".jpg"
    )
    pictures("pipe", b"", "")
    os.unlink(folder / "pipe" / "a.png")
    os.mkfifo(folder / "pipe" / "a.png")
    made["pipe"] = folder / "pipe", "is not a recording"
    made["mcap"] = mcap_of_zeros(folder / "z.mcap", 2**30), "no frame that can be read"
    made["db3"] = database(folder / "z.db3", PLAIN, [zeros(2**30)] * 2), "can be shown"
    made["computed"] = database(folder / "g.db3", COMPUTED, [b""] * 3), "computed, not recorded"
    return made


def test_many_chunks_unpack_to_no_more_than_one(tmp_path, monkeypatch):
    """Nothing is unpacked here: what would be is counted."""
    asked: list[int] = []
    monkeypatch.setattr(message_file, "unpack", lambda how, data, size: (asked.append(size), b"")[1])
    path = mcap_of_zeros(tmp_path / "z.mcap", 2**26, chunks=500)
    with pytest.raises(DriveError):
        open_drive(path)
    assert 2**26 <= sum(asked) <= 2**29 + 200 * path.stat().st_size


def test_records_without_content_are_not_gone_through_for_ever(tmp_path, monkeypatch):
    """Zeros are records of no kind and no content, 14 million in a chunk."""
    gone_through: list[int] = []
    real = mcap_records.record_head
    monkeypatch.setattr(
        mcap_records, "record_head", lambda view, pos: (gone_through.append(pos), real(view, pos))[1]
    )
    monkeypatch.setattr(message_file, "RECORDS", 1000)
    path = mcap_of_zeros(tmp_path / "z.mcap", 2**24, chunks=3)
    with pytest.raises(DriveError):
        open_drive(path)
    assert 1000 <= len(gone_through) <= 1100 + path.stat().st_size // 4


def test_a_state_dict_that_is_packed_is_not_unpacked(tmp_path):
    """torch.save packs nothing."""
    torch.save({"weight": torch.zeros(2**22)}, tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as whole,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    assert read_weights(tmp_path / "a.pth")["weight"].numel() == 2**22
    with pytest.raises(ModelError, match="larger than the file"):
        read_weights(tmp_path / "b.pth")


CHILD = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
from vbp.drives import open_drive
from vbp.errors import VbpError
for name, path in json.loads(sys.stdin.read()).items():
    try:
        with open_drive(path) as drive:
            drive.frame(0)
            print(name, "opened", sep="\\t")
    except VbpError as error:
        print(name, error, sep="\\t")
    except MemoryError:
        print(name, "MemoryError", sep="\\t")
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes and limits of memory")
def test_no_small_file_takes_the_memory_of_the_machine_or_waits_for_ever(tmp_path):
    made = attacks(tmp_path)
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHILD.format(memory=MEMORY)],
        input=json.dumps({name: str(path) for name, (path, _) in made.items()}),
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    said = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    assert said.keys() == made.keys(), done.stderr[-2000:]
    for name, (_, why) in made.items():
        assert why in said[name], name


def test_opencv_is_loaded_with_a_limit_of_its_own():
    """For what our own look at a picture has not thought of."""
    code = "import vbp, os; print(os.environ['OPENCV_IO_MAX_IMAGE_PIXELS'])"
    clean = {k: v for k, v in os.environ.items() if k != "OPENCV_IO_MAX_IMAGE_PIXELS"}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=clean)
    assert int(done.stdout) * 3 <= 2**28


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif"])
def test_the_size_that_is_looked_at_is_that_of_the_picture(suffix):
    header = read_header(encode(suffix, np.zeros((12, 34, 3), np.uint8)))
    assert header is not None
    assert (header.width, header.height, header.whole, header.bytes) == (34, 12, True, 1)


def test_a_picture_of_16_bits_within_the_limits_is_shown(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8, 3), 513, np.uint16))
    with open_drive(tmp_path) as drive:
        assert (drive.frame(0) == 2).all()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    "name", ["metadata.yaml", "data.txt", "manifest.json", "driving_log.csv", "record_1.json"]
)
def test_a_pipe_beside_the_pictures_of_a_folder_is_not_waited_for(name, tmp_path):
    picture(tmp_path / "a.png")
    os.mkfifo(tmp_path / name)
    assert not sniff(tmp_path)
    with open_drive(tmp_path) as drive:
        assert len(drive) == 1


def test_types_that_hold_each_other_many_times_are_no_billions_of_fields():
    types = "\n===\n".join(
        f"MSG: pkg/L{k}\n" + "".join(f"pkg/L{k + 1} f{n}\n" for n in range(4)) for k in range(14)
    )
    definition = f"pkg/L0 a\nfloat64 angle\n===\n{types}\n===\nMSG: pkg/L14\nuint8 x\n".replace(
        "===", "=" * 80
    )
    found = parse_definition(definition, "pkg/msg/Bomb", "msg", "cdr")
    with pytest.raises(MessageError, match="more than 10000 fields"):
        FieldReader(found, "pkg/msg/Bomb", ["angle"], "cdr")


def test_work_that_does_not_end_is_left_to_itself():
    stop: list[bool] = []

    def spin() -> None:
        while not stop:
            pass

    try:
        with pytest.raises(DriveError, match="it takes too long"):
            within(0.05, spin, "it takes too long")
        with unless(lambda: True), pytest.raises(DriveError, match="given up"):
            within(1e9, spin, "")
    finally:
        stop.append(True)
    assert within(1e9, lambda: 5, "") == 5
    with pytest.raises(KeyError):
        within(1e9, lambda: {}["a"], "")


def test_no_column_is_known_by_a_name_that_fills_the_screen():
    assert find_layout(["steering" + "[" * 90]) is not None
    assert find_layout(["steering" + "[" * 5000]) is None


def test_a_video_of_too_large_pictures_is_said_to_be_one(tmp_path, monkeypatch):
    file = write_video(tmp_path / "v.mkv", scenes(2, 64, 48))
    monkeypatch.setattr("vbp.drives.video_index.MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(DriveError, match="has pictures of 64 x 48 pixels"):
        open_drive(file)


def test_a_frame_far_from_its_key_frame_is_given_up_when_nobody_wants_it(tmp_path):
    file = write_video(
        tmp_path / "v.mkv", scenes(40, 64, 48), options={"x264-params": "keyint=40:scenecut=0"}
    )
    with open_drive(file) as drive:
        with unless(lambda: True), pytest.raises(FrameError, match="given up"):
            drive.frame(39)
        assert drive.info.gaps == []
        assert drive.frame(39).shape == (48, 64, 3)


def test_times_that_fit_no_clock_are_as_if_there_were_none(tmp_path):
    """Of a video, a tub and a list: the differences of those that are left fit int64."""
    file = write_video(tmp_path / "v.mkv", scenes(4, 64, 48))
    index = build_index(file)
    stated = np.array([0, 2**62, 2**61, 40])
    raw = _Packets()
    for when in stated:
        for column in (raw.pts, raw.dts, raw.pos):
            column.append(int(when))
        for flags in (raw.key, raw.shown):
            flags.append(1)
        for flags in (raw.closed, raw.damaged, raw.disposable):
            flags.append(0)
    with open_container(file) as container:
        made = _assemble(file, pick_stream(container, file), raw, False, Fraction(1, 1000), [])
    assert len(made.times_ns) == 4 and (np.diff(made.times_ns) >= 0).all()
    assert int(made.times_ns[-1]) < 10**12
    assert len(index.times_ns) == 4
    for text in ("2300-01-01 00:00:00", "1600-01-01 00:00:00", "9999-12-31 23:59:59"):
        assert date_ns(text) is None
    again = np.array([2**29 * 1000, 0] * 20, np.int64)
    with pytest.raises(DriveError, match="restarts again and again"):
        _joined(file, again, again, 40, Fraction(1, 1000))
