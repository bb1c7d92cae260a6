"""Files of others: what is read of them, what is unpacked, and what is said of damaged ones."""

from __future__ import annotations

import json
import os
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
import zstandard

from picturemaker import picture
from roadmaker import tiny_spec
from runmaker import PLAIN
from vbp.drives import open_drive
from vbp.errors import DriveError, VbpError
from vbp.reading import damaged, open_file, read_file, read_head, unpack
from vbp.simulate import load_truth
from vbp.training.folder import METRICS, Config, Run, start_folder


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_file_is_a_regular_one_and_no_longer_than_is_read(tmp_path):
    """What is bounded is what is read: nobody ever writes to the pipe, and /dev/zero has no end."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        for read in (open_file, lambda p: read_file(p, 10), lambda p: read_head(p, 10)):
            with pytest.raises(OSError, match="it is not a file but"):
                read(path)
    ten = write(tmp_path / "ten", b"0123456789")
    assert read_file(ten, 10) == b"0123456789"
    assert read_head(ten, 4) == b"0123"
    with pytest.raises(OSError, match="larger than"):
        read_file(ten, 9)


def test_what_is_packed_is_unpacked_as_far_as_the_limit():
    import bz2

    import lz4.frame

    data = bytes(10_000)
    packed = {"bz2": bz2.compress, "lz4": lz4.frame.compress, "zlib": zlib.compress}
    packed["zstd"] = zstandard.ZstdCompressor().compress
    for name, pack in packed.items():
        assert unpack(name, pack(data), 123) == data[:123]
        assert unpack(name, pack(data), 20_000) == data
        assert unpack(name, pack(data), 0) == b""
        with pytest.raises(ValueError):
            unpack(name, b"not at all", 10)
    with pytest.raises(ValueError, match="is not known"):
        unpack("rar", b"", 1)


@pytest.mark.parametrize("error", [RecursionError(), zlib.error("x"), OverflowError(), KeyError("a")])
def test_whatever_a_file_makes_of_its_reader_is_one_sentence(error):
    with pytest.raises(DriveError, match=r"^/a/b is damaged: .*") as raised, damaged("/a/b", DriveError):
        raise error
    assert raised.value.__cause__ is error
    assert type(error).__name__ in str(raised.value)


@pytest.mark.parametrize(
    "error", [VbpError("ours"), KeyboardInterrupt(), MemoryError(), OSError(5, "of the disk")]
)
def test_what_is_no_fault_of_the_file_passes(error):
    with pytest.raises(type(error)) as raised, damaged("/a/b"):
        raise error
    assert raised.value is error


def nested(depth: int = 200_000) -> str:
    return "[" * depth


TRUTHS = {
    "nested": nested(),
    "of another kind": '{"format": 1, "classes": 5, "lane_markings": 5, "classes_of_frames": 5, "frames": 5}',
    "more lists than memory": '{"format": [' + "[]," * (2**22 + 1) + "[]]}",
    "frames by halves": '{"format": 1, "classes": [], "lane_markings": [], "classes_of_frames": [0.5], "frames": []}',
    "a long number": '{"format": ' + "1" * 5001 + "}",
}


@pytest.mark.parametrize("kind", TRUTHS)
def test_a_damaged_truth_is_said_to_be_one(kind, tmp_path):
    write(tmp_path / "truth" / "truth.json", TRUTHS[kind].encode())
    with pytest.raises(VbpError, match=r"truth\.json is (damaged|no ground truth)"):
        load_truth(tmp_path)


def test_a_damaged_archive_of_a_truth_is_said_to_be_one(tmp_path):
    with zipfile.ZipFile(tmp_path / "truth.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("truth.json", json.dumps({"a": list(range(1000))}))
    data = bytearray((tmp_path / "truth.zip").read_bytes())
    data[60:90] = b"\xff" * 30
    (tmp_path / "truth.zip").write_bytes(data)
    with pytest.raises(VbpError, match="is damaged"):
        load_truth(tmp_path)


def test_an_archive_of_a_truth_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "truth.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("truth.json", bytes(2**26 + 1))
    with pytest.raises(VbpError, match="is damaged"):
        load_truth(tmp_path)


def test_a_link_that_leads_out_of_its_folder_is_not_read_not_even_its_first_bytes(tmp_path, monkeypatch):
    """Of every file that a reader looks at, of a drive, a truth and a training run; what the user names may be a link."""
    secret = write(tmp_path / "elsewhere" / "secret", b"keep it")
    looked_at: list[str] = []
    real_open = os.open
    monkeypatch.setattr(
        os,
        "open",
        lambda path, *more, **how: (looked_at.append(os.path.realpath(path)), real_open(path, *more, **how))[
            1
        ],
    )
    names = "video.mkv data.txt driving_log.csv manifest.json record_1.json a.csv a.db3 a.mcap metadata.yaml"
    for name in names.split():
        folder = tmp_path / name
        picture(folder / "1.png")
        (folder / name).symlink_to(secret)
        try:
            with open_drive(folder) as drive:
                assert len(drive) == 1
        except DriveError as error:  # of one without which nothing is known
            assert "leads out of" in str(error)
    truth = tmp_path / "simulated" / "truth" / "truth.json"
    truth.parent.mkdir(parents=True)
    truth.symlink_to(secret)
    with pytest.raises(VbpError, match="leads out of its folder"):
        load_truth(tmp_path / "simulated")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").symlink_to(secret)
    with pytest.raises(VbpError, match="leads out of its folder"):
        Run(tmp_path / "run")
    assert str(secret) not in looked_at
    (tmp_path / "mine.png").symlink_to(picture(tmp_path / "elsewhere" / "1.png"))
    with open_drive(tmp_path / "mine.png") as drive:
        assert len(drive) == 1


@pytest.mark.parametrize("rows", ["1,2\r3,4", "x,y", "1", '"' * 9])
def test_damaged_metrics_of_a_run_are_said_to_be_such(rows, tmp_path):
    run = tmp_path / "run"
    start_folder(run, Config(tiny_spec(), PLAIN, ()))
    write(run / METRICS, f"epoch,step,train_loss,test_rmse_rad,test_mae_deg,lr,seconds\n{rows}\n".encode())
    with pytest.raises(VbpError, match=r"metrics\.csv is damaged"):
        Run(run).metrics()


def test_a_small_file_takes_little_memory_whatever_the_limit(tmp_path):
    (tmp_path / "small.csv").write_bytes(b"a,b")
    tracemalloc.start()
    try:
        assert read_file(tmp_path / "small.csv", 2**30) == b"a,b"
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    with pytest.raises(OSError, match="larger than"):
        read_file(tmp_path / "small.csv", 2)
