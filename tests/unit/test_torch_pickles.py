"""Files by torch.save that want to run code, or to fill the memory: nothing is run, whatever they name."""

from __future__ import annotations

import collections
import os
import pickle
import subprocess
import sys

import torch


class Call:
    """What a pickle calls when it is loaded."""

    def __init__(self, function: object, *args: object, state: object = None) -> None:
        self.call = function, args, state

    def __reduce__(self):
        return self.call if self.call[2] is not None else self.call[:2]


CHILD = """
import resource, sys
from pathlib import Path
from vbp.errors import ModelError
from vbp.models import pickle_data, torch_file
from vbp.models.weights import open_weights
pickle_data.MAX_STEPS = torch_file.MAX_VISITS = 30_000  # sooner, for the test
def heard(event, args):
    if event in ("os.system", "subprocess.Popen", "os.mkdir", "exec", "compile", "import", "pickle.find_class", "socket.connect") or (
        event == "open" and not isinstance(args[0], int) and str(args[0]) not in sys.argv
    ):
        print("RAN", event, args)
def read(name):
    try:
        with open_weights(Path(name)) as file:
            for stored in file.tensors.values():
                stored.read()
            print("opened", len(file.tensors))
    except ModelError as error:
        print("refused", error)
read(sys.argv[1])  # whatever is loaded at the first is loaded
began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.addaudithook(heard)
for name in sys.argv[1:]:
    read(name)
print("MB", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began) // 1024)
"""


def old(body: bytes) -> bytes:
    """A file of PyTorch before 1.6, which holds this pickle."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    return b"".join(pickle.dumps(part, 2) for part in head) + body


def test_no_code_is_run_and_no_memory_taken(tmp_path):
    """Heard by an audit hook, in a process of its own; files of a few bytes that ask for much stay small."""
    mark = tmp_path / "was run"
    calls = {
        "system": Call(os.system, f"touch {mark}"),
        "mkdir": Call(os.mkdir, str(mark)),
        "eval": Call(eval, "1"),
        "state": Call(collections.OrderedDict, state={"a": Call(os.mkdir, str(mark))}),
        "popen": {"w": torch.zeros(3), "more": Call(subprocess.Popen, ["touch", str(mark)])},
        "getattr": Call(getattr, "text", "upper"),
        "rebuild": Call(torch._utils._rebuild_tensor_v2, Call(os.mkdir, str(mark)), 0, (1,), (1,), False, {}),
        "good": {"w": torch.ones(3)},
    }
    paths = [tmp_path / "first.pth"]
    torch.save({"w": torch.ones(2)}, paths[0])
    for name, data in calls.items():
        for new in (True, False):
            paths.append(tmp_path / f"{name}-{new}.pth")
            torch.save(data, paths[-1], _use_new_zipfile_serialization=new)
        paths.append(tmp_path / f"{name}-dumped.pth")
        paths[-1].write_bytes(pickle.dumps(data))
    within = pickle.dumps(Call(torch.storage._load_from_bytes, b"\x80\x02}."))
    for _ in range(5):  # a file within a file within a file
        within = pickle.dumps(Call(torch.storage._load_from_bytes, within))
    paths.append(tmp_path / "within.pth")
    paths[-1].write_bytes(within)
    bombs = {
        "memo": b"\x80\x02Nr\xff\xff\xff\xff.",
        "text": b"\x80\x04\x8d" + (2**40).to_bytes(8, "little") + b"a",
        "bytes": b"\x80\x02B" + (2**31).to_bytes(4, "little") + b"a",
        "endless": b"\x80\x02" + b"(" * 40_000 + b".",
        "deep": b"\x80\x02" + b"]" * 14_000 + b"a" * 13_999 + b".",
        "doubled": b"\x80\x02]q\x00" + b"".join(b"0](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(60)) + b".",
        "cycle": b"\x80\x02]q\x00h\x00ah\x00.",
        "stack": b"\x80\x02R.",
        "nothing": b"\x80\x02.",
        "many digits": b"I" + b"9" * 100_000 + b"\n.",
    }  # fmt: skip
    for name, body in bombs.items():
        paths.append(tmp_path / f"{name}.pth")
        paths[-1].write_bytes(old(body + pickle.dumps([], 2)))
    wide = torch.zeros(1).expand(10**9)  # ten to the nine of what is one number
    for new in (True, False):
        paths.append(tmp_path / f"wide-{new}.pth")
        torch.save({"w": wide}, paths[-1], _use_new_zipfile_serialization=new)
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHILD, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert not done.returncode and not done.stderr, done.stderr[-2000:]
    assert not mark.exists() and not [line for line in lines if line.startswith("RAN")]
    assert len(lines) == len(paths) + 2, lines
    said = dict(zip([path.name for path in paths], lines[1:]))
    assert (
        said["good-True.pth"] == said["popen-False.pth"] == said["popen-dumped.pth"] == "opened 1"
        and said["system-True.pth"] == "opened 0"
    )
    for name in bombs:
        assert "refused" in said[f"{name}.pth"] or said[f"{name}.pth"] == "opened 0", (name, said)
    assert int(lines[-1].split()[1]) < 700, lines[-1]
