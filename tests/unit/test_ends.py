"""Ctrl-C, SIGTERM and SIGHUP: each command ends, leaves nothing broken, and no process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vbp import ends

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are of POSIX")
OTHERS = (signal.SIGTERM, signal.SIGHUP)
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc names the processes")


@pytest.mark.parametrize("number", [signal.SIGINT, *OTHERS])
def test_each_of_them_is_ctrl_c_and_told_apart_by_the_status(number: int, capsys) -> None:
    before = [signal.getsignal(n) for n in ends.SIGNALS]
    assert ends.run(lambda: signal.raise_signal(number) or 0) == 128 + number
    assert capsys.readouterr().err == "vbp: stopped\n"
    assert [signal.getsignal(n) for n in ends.SIGNALS] == before
    assert ends.run(lambda: 7) == 7
    assert ends.run(lambda: int(next(_interrupted()))) == 130  # without a signal


def _interrupted():
    raise KeyboardInterrupt
    yield


IN_C = """
import ctypes, signal, sys
from vbp import ends
def program():
    code = b"import signal; signal.raise_signal(signal.SIGTERM)"
    globals_ = ctypes.py_object({})
    run = ctypes.pythonapi.PyRun_String
    run.restype = ctypes.py_object
    run(code, 257, globals_, globals_)
    return 0
sys.exit(ends.run(program))
"""


def test_the_status_is_right_where_a_library_in_c_was_interrupted(tmp_path: Path) -> None:
    (tmp_path / "in_c.py").write_text(IN_C)
    command = [sys.executable, "-m", "in_c"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(tmp_path)}
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "vbp: stopped\n")


def test_a_second_one_soon_after_does_not_break_into_what_is_cleared_up(monkeypatch) -> None:
    """A terminal that is closed sends SIGHUP to a program, and so does its shell."""
    done = []

    def program() -> int:
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
            done.append("cleared up")
        return 0

    assert ends.run(program) == 128 + signal.SIGHUP and done
    monkeypatch.setattr(ends, "PATIENCE_S", -1.0)  # later, it does
    done.clear()
    assert ends.run(program) == 128 + signal.SIGHUP and not done


def test_held_it_waits_and_a_while_later_interrupts(monkeypatch) -> None:
    with ends.held() as asked:
        assert not asked()
        for number in (signal.SIGINT, *OTHERS):
            signal.raise_signal(number)
            assert asked()
    monkeypatch.setattr(ends, "PATIENCE_S", -1.0)
    with pytest.raises(KeyboardInterrupt), ends.held():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)


def test_what_is_ignored_stays_so(monkeypatch) -> None:
    """`nohup vbp ...`"""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert ends.run(lambda: signal.raise_signal(signal.SIGHUP) or 0) == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_leave_them_alone() -> None:
    handlers, seen = [signal.getsignal(n) for n in ends.SIGNALS], []

    def run() -> None:
        with ends.held() as asked:
            seen.extend([*(signal.getsignal(n) for n in ends.SIGNALS), asked()])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [*handlers, False]


def children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = next(line for line in status.read_text().splitlines() if line.startswith("PPid:"))
        except OSError:
            continue
        if int(parent.split()[1]) == pid:
            found.append(int(status.parent.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def wait_for(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


WORKERS = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from vbp.processes import end_with_parent, starting
with starting():
    pool = ProcessPoolExecutor(2, get_context("spawn"), initializer=end_with_parent)
    waiting = [pool.submit(time.sleep, 600) for _ in range(2)]
    pool.submit(time.time)
print(*pool._processes, flush=True)
time.sleep(600)
"""


@linux
def test_workers_end_with_a_parent_that_is_killed() -> None:
    command = [sys.executable, "-c", WORKERS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as run:
        assert run.stdout is not None
        workers = [int(word) for word in run.stdout.readline().split()]
        assert len(workers) == 2 and all(map(is_alive, workers))
        run.kill()
    wait_for(lambda: not any(map(is_alive, workers)))


COMMAND = """
import subprocess, sys
code = "import os, time; from vbp.processes import end_with_parent; end_with_parent(); print(os.getpid(), flush=True); time.sleep(600)"
subprocess.run([sys.executable, "-P", "-c", code])
"""


@linux
def test_a_command_of_ours_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", COMMAND], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        child = int(run.stdout.readline())
        assert is_alive(child)
        run.kill()
    wait_for(lambda: not is_alive(child))


@linux
def test_a_simulation_that_is_stopped_as_a_service_is(tmp_path: Path) -> None:
    """All of its processes hear the signal; the one that was started says so, and the workers say nothing."""
    command = [sys.executable, "-m", "vbp", "simulate", "-o", str(tmp_path / "road"), "--workers", "2"]
    run = subprocess.Popen(
        [*command, "--seconds", "10"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(lambda: len(children(run.pid)) >= 2)
    workers = children(run.pid)
    os.killpg(run.pid, signal.SIGTERM)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGTERM
    assert (
        errors.replace("\r", "\n").rstrip().splitlines()[-1] == "vbp: stopped" and "Traceback" not in errors
    )
    assert list(tmp_path.iterdir()) == []
    wait_for(lambda: not any(map(is_alive, workers)))
