"""Folders of ROS2 bags as recorders leave them: every layout of metadata.yaml, open logs, compressed parts."""

from __future__ import annotations

import bz2
import gzip
import shlex
import shutil
import sqlite3
import subprocess
from pathlib import Path

import lz4.frame  # type: ignore[import-untyped]
import pytest
import zstandard

from bagmaker import PICTURES, TIMES, N, Ros, messages, put_mcap, put_rosbag2, small_bag
from vbp.drives import open_drive
from vbp.errors import DriveError

# The layouts of metadata.yaml, by version; in block and flow style, quoted and not, keys in any order.
# From 5 on each file is listed twice, the second time with its times.
HEAD = """rosbag2_bagfile_information:
  version: {version}
  storage_identifier: sqlite3
  duration:
    nanoseconds: 1450000000
  topics_with_message_count:
    - topic_metadata:
        name: /center_camera/image_color/compressed
        type: sensor_msgs/msg/CompressedImage
        serialization_format: cdr
      message_count: 30
"""
LISTS = {
    1: "  relative_file_paths:\n    - {0}\n    - {1}\n",
    3: "  relative_file_paths:\n    - bag/{0}\n    - bag/{1}\n",
    4: "  relative_file_paths:\n    - '{0}'\n    - \"{1}\"\n",
    5: "  relative_file_paths:\n    - {0}\n    - {1}\n  files:\n    - path: {0}\n      message_count: 30\n    - path: {1}\n",
    6: "  relative_file_paths: [{0}, {1}]\n  files:\n    - {{path: {0}, message_count: 30}}\n    - {{path: {1}}}\n",
    9: "  files:\n  - message_count: 30\n    path: '{0}'\n  - message_count: 30\n    path: {1}\n  relative_file_paths:\n  - {0}\n",
}


def two_files(path: Path) -> tuple[Path, Path]:
    """A bag of two parts, without metadata."""
    ros = Ros(2)
    rows = list(messages(ros, TIMES, PICTURES))
    parts = []
    for i in range(2):
        one = put_rosbag2(path / f"one{i}", ros, rows[i * 15 : i * 15 + 15])
        parts.append(next(one.glob("*.db3")).rename(path / f"my bag_{i}.db3"))
        shutil.rmtree(one)
    return parts[0], parts[1]


@pytest.mark.parametrize("version", LISTS)
def test_every_layout_of_the_metadata_lists_its_files(tmp_path: Path, version: int) -> None:
    first, second = two_files(tmp_path)
    lists = LISTS[version].format(first.name, second.name)
    (tmp_path / "metadata.yaml").write_text(HEAD.format(version=version) + lists)
    with open_drive(tmp_path) as drive:
        assert drive.timestamps_ns.tolist() == TIMES
        assert [n for n in drive.info.notes if "metadata" in n] == []
    second.unlink()
    with open_drive(tmp_path) as drive:
        assert drive.timestamps_ns.tolist() == TIMES[:15]
        note = f"metadata.yaml lists files that are missing or damaged: {second.name}"
        assert [n for n in drive.info.notes if "metadata" in n] == [note]


@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_what_the_rosbags_library_writes_is_complete(tmp_path: Path, version: int, storage: str) -> None:
    ros = Ros(2)
    path = put_rosbag2(tmp_path / "bag", ros, messages(ros, TIMES, PICTURES), storage, version=version)  # type: ignore[arg-type]
    with open_drive(path) as drive:
        assert len(drive) == N
        assert [n for n in drive.info.notes if "metadata" in n] == []


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def with_log(path: Path) -> tuple[Path, sqlite3.Connection]:
    """A bag with a write-ahead log, the last five of its frames in the log only; and its recorder."""
    ros = Ros(2)
    file = next(put_rosbag2(path, ros, messages(ros, TIMES, PICTURES)).glob("*.db3"))
    recorder = sqlite3.connect(file)
    last = recorder.execute(
        "SELECT topic_id, timestamp, data FROM messages ORDER BY id DESC LIMIT 5"
    ).fetchall()
    recorder.execute("DELETE FROM messages WHERE timestamp >= ?", (last[-1][1],))
    recorder.commit()
    recorder.execute("PRAGMA journal_mode = WAL")
    recorder.execute("PRAGMA wal_autocheckpoint = 0")
    recorder.executemany("INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)", last[::-1])
    recorder.commit()
    return file, recorder


@pytest.mark.parametrize("left", ["all of it", "no index", "no log"])
def test_a_database_with_a_log_is_read_with_it_and_nothing_is_left_beside_it(
    tmp_path: Path, left: str
) -> None:
    file, recorder = with_log(tmp_path / "bag")
    folder = tmp_path / "copy"  # as the recorder's end leaves it
    folder.mkdir()
    for end in {"all of it": ("", "-wal", "-shm"), "no index": ("", "-wal"), "no log": ("",)}[left]:
        shutil.copy(file.with_name(file.name + end), folder)
    recorder.close()
    before = contents(folder)
    with open_drive(folder / file.name) as drive:
        expected = TIMES[:-5] if left == "no log" else TIMES
        assert drive.timestamps_ns.tolist() == expected
        assert (drive.frame(len(expected) - 1) == PICTURES[len(expected) - 1]).all()
        assert contents(folder).keys() == before.keys()
    after = contents(folder)
    assert after.keys() == before.keys()
    assert all(after[name] == data for name, data in before.items() if not name.endswith("-shm"))


def test_a_database_that_a_recorder_writes_to_goes_on(tmp_path: Path) -> None:
    file, recorder = with_log(tmp_path / "bag")
    with open_drive(file) as drive:
        assert len(drive) == N
        recorder.execute("DELETE FROM messages")
        recorder.commit()
    assert recorder.execute("SELECT count(*) FROM messages").fetchone() == (0,)
    assert recorder.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    recorder.close()


COMPRESSORS = {
    ".zst": zstandard.ZstdCompressor().compress,
    ".zstd": zstandard.ZstdCompressor().compress,
    ".lz4": lz4.frame.compress,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
}


@pytest.mark.parametrize("end", COMPRESSORS)
@pytest.mark.parametrize("kind", ["bag", "db3", "mcap"])
def test_compressed_files_say_how_to_unpack_them(tmp_path: Path, kind: str, end: str) -> None:
    ros = Ros(2)
    rows = list(messages(ros, TIMES, PICTURES))
    if kind == "bag":
        file = small_bag(tmp_path / "my drive.bag")
    elif kind == "mcap":
        file = put_mcap(tmp_path / "my drive.mcap", ros, rows)
    else:
        file = next(put_rosbag2(tmp_path / "b", ros, rows).glob("*.db3")).rename(tmp_path / "my drive.db3")
        shutil.rmtree(tmp_path / "b")
    packed = tmp_path / (file.name + end)
    packed.write_bytes(COMPRESSORS[end](file.read_bytes()))
    file.unlink()
    for path in (packed, tmp_path):
        with pytest.raises(
            DriveError, match=r"my drive.*is compressed as a whole; unpack it with `"
        ) as error:
            open_drive(path)
    command = str(error.value).split("`")[1]
    if shutil.which(shlex.split(command)[0]):  # as the sentence says
        subprocess.run(command, shell=True, cwd=tmp_path, check=True, timeout=30)
        with open_drive(file) as drive:
            assert len(drive) == N
        with open_drive(tmp_path) as drive:  # what it was unpacked from is no part that is missing
            assert not any("compressed" in n for n in drive.info.notes)


def test_parts_that_are_still_compressed_are_named(tmp_path: Path) -> None:
    first, second = two_files(tmp_path)
    packed = second.with_name(second.name + ".zstd")
    packed.write_bytes(zstandard.ZstdCompressor().compress(second.read_bytes()))
    lists = f"  relative_file_paths:\n    - {first.name}.zstd\n    - {packed.name}\n"
    (tmp_path / "metadata.yaml").write_text(HEAD.format(version=4) + lists)
    second.unlink()
    with open_drive(tmp_path) as drive:
        assert len(drive) == 15
        assert sum(packed.name in n for n in drive.info.notes) == 1, drive.info.notes
        assert any("-o 'my bag_1.db3'" in n for n in drive.info.notes)
    second.write_bytes(zstandard.ZstdDecompressor().decompress(packed.read_bytes()))
    packed.unlink()
    with open_drive(tmp_path) as drive:
        assert len(drive) == N
        assert not any("bag_" in n for n in drive.info.notes), drive.info.notes
