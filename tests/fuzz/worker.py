"""A process that opens one changed input after another, within limits of memory and time, and tells what it saw.

It reads lines of JSON, an input each, and writes a line for each: a damaged input may end it, which its parent sees.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.mutations import mutate

MEMORY = 1500 * 2**20  # more addresses than were taken before the first input
RESIDENT = 700 * 2**20  # more memory, at its highest
CPU_S = 15

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
FORBIDDEN = frozenset({
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn",
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "urllib.Request", "ftplib.connect",
    "pickle.find_class", "webbrowser.open", "ctypes.dlopen", "os.putenv",
})  # fmt: skip
CHANGES = frozenset({
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile",
})  # fmt: skip


class Watch:
    """Notes what an input makes the program do that no input may. `on` only while one is open."""

    def __init__(self, inside: Path) -> None:
        self.inside = os.path.realpath(inside)
        self.readable = tuple({
            self.inside, sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2]), "/usr", "/lib", "/proc",
            "/sys", "/dev", "/etc", *(p for p in sys.path if p),
        })  # fmt: skip
        self.on = False
        self.named = ""  # what the user opens, wherever it leads
        self.seen: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "subprocess.Popen" and list(arguments[1])[-1:] == ["vbp.models.hdf5"]:
            return  # which reads HDF5, and may die of it
        if event in FORBIDDEN:
            self.seen.append(f"{event} {str(arguments)[:200]}")
        elif event == "open":
            path, _, flags = arguments
            if isinstance(path, int):
                return
            place = os.path.realpath(os.fsdecode(path))
            if flags & WRITES:
                if place != os.devnull:
                    self.seen.append(f"wrote {place}")
            elif place != self.named and (
                not place.startswith(self.readable) or place in ("/etc/hostname", "/etc/passwd")
            ):
                self.seen.append(f"read {place}")
        elif event in CHANGES:
            self.seen.append(f"{event} {str(arguments)[:200]}")


def _drive(path: Path) -> None:
    from vbp.cli.info import print_text
    from vbp.drives import open_drive
    from vbp.drives.summary import summary
    from vbp.errors import FrameError

    with open_drive(path) as drive:
        for i in sorted({0, len(drive) // 2, len(drive) - 1} & set(range(len(drive)))):
            try:
                image = drive.frame(i)
                assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3, "no picture"
                drive.encoded(i)
            except FrameError:
                pass
        assert (np.diff(drive.timestamps_ns) >= 0).all(), "times are not sorted"
        assert len(drive.angle_rad) == len(drive.speed_mps) == len(drive), "lengths differ"
        with redirect_stdout(io.StringIO()):
            print_text(summary(drive))
        json.dumps(drive.info.to_json())


def _network(path: Path) -> None:
    from vbp.engine import Engine, open_network

    network = open_network(path)
    if network.spec.input_height * network.spec.input_width < 2**20:
        Engine(network, "cpu").run(np.zeros((60, 80, 3), np.uint8))


def _weights(path: Path) -> None:
    from vbp.models.weights import read_weights

    read_weights(path)


def _spec(path: Path) -> None:
    from vbp.models.spec_file import read_spec

    read_spec(path)


def _run(path: Path) -> None:
    from vbp.training.folder import Run

    run = Run(path)
    run.metrics()
    run.changed()
    for checkpoint in run.checkpoints():
        checkpoint.load()


def _truth(path: Path) -> None:
    from vbp.simulate import load_truth

    truth = load_truth(path)
    for i in truth.frames[:3]:
        truth.classes(i), truth.shadow(i), truth.frame(i)


def _dbc(path: Path) -> None:
    from vbp.live.dbc import find_signal, load_dbc
    from vbp.live.receiver import BadSampleError

    database = load_dbc(path)
    for name in ("Angle", "Paged"):
        with suppress(BadSampleError):
            find_signal(database, name, path).value(b"\1\2\1\4\5\6\7\x08")


def _session(path: Path) -> None:
    from vbp.session.document import load, to_text

    to_text(load(path))


def _job(path: Path) -> None:
    from vbp.export.job import Job
    from vbp.reading import read_file

    with suppress(OSError):  # which the command line says, too
        Job.from_json(read_file(path, 2**24)).to_json()


OPENERS: dict[str, Callable[[Path], None]] = {
    "drive": _drive, "network": _network, "weights": _weights, "spec": _spec, "run": _run, "truth": _truth, "dbc": _dbc,
    "session": _session, "job": _job,
}  # fmt: skip


def attempt(kind: str, path: Path, watch: Watch) -> str:
    """What is wrong with how an input was taken; "" where nothing is."""
    from vbp.errors import VbpError

    wrong = ""
    _reset_peak()
    before = _status("VmRSS")
    watch.seen.clear()
    watch.named = os.path.realpath(path)
    watch.on = True
    try:
        OPENERS[kind](path)
    except VbpError as error:
        text = str(error)
        if "\n" in text.strip() or len(text) > 3000:
            wrong = f"an error of more than one line: {text[:500]!r}"
    except MemoryError:
        wrong = "MemoryError\n" + traceback.format_exc()[-3000:]
    except BaseException:
        wrong = traceback.format_exc()[-4000:]
    finally:
        watch.on = False
    if not wrong and watch.seen:
        wrong = "did what no input may: " + "; ".join(watch.seen[:5])
    if not wrong and _status("VmHWM") - before > RESIDENT:
        wrong = f"took {(_status('VmHWM') - before) // 2**20} MiB of memory"
    return wrong


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0


def _reset_peak() -> None:
    with suppress(OSError):  # then the peak is that of all inputs
        Path("/proc/self/clear_refs").write_text("5")


def _warm_up() -> None:
    """All that is imported late, so that it is not counted as what an input did."""
    import cantools.database.can.formats.dbc
    import rosbags.typesys

    import vbp.cli.info
    import vbp.engine
    import vbp.live.dbc
    import vbp.simulate
    import vbp.training

    with suppress(ImportError):  # torch makes a folder for its own compiler when the first network is opened
        from torch._inductor.runtime.cache_dir_utils import cache_dir

        cache_dir()
    _ = cantools, rosbags, vbp


def main() -> None:
    work = Path(sys.argv[1])
    sys.dont_write_bytecode = True
    answers = os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_WRONLY)  # libraries in C write what they think of a damaged file
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    _warm_up()
    watch = Watch(work)
    sys.addaudithook(watch)
    limit = _status("VmSize") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        asked = json.loads(line)
        folder = work / "input"
        shutil.rmtree(folder, ignore_errors=True)
        done = mutate(Path(asked["folder"]), folder, random.Random(asked["number"]))
        signal.setitimer(signal.ITIMER_PROF, CPU_S)  # of this process; its signal is the end of it
        wrong = attempt(asked["kind"], folder / asked["name"], watch)
        signal.setitimer(signal.ITIMER_PROF, 0)
        # What was left to itself would be counted as the next input's
        last = any(thread.name == "vbp reads" for thread in threading.enumerate())
        print(json.dumps({"done": done, "wrong": wrong, "last": last}), file=answers, flush=True)


if __name__ == "__main__":
    main()
