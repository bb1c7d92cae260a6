"""What was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import threading
from vbp.processes import give_memory_back

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 // 2**20

def work():
    pieces = [bytes(10_000) for _ in range(10_000)]
    kept.extend(pieces[::100])  # which lie between what is freed

kept = []
thread = threading.Thread(target=work)
before = resident()
thread.start()
thread.join()
after = resident()
give_memory_back()
print(after - before, resident() - before)
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="the C library of other systems gives memory back by itself"
)
def test_memory_that_a_thread_freed_is_given_back():
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    kept, left = map(int, found.stdout.split())
    assert left < 20, "of 95 MiB one in a hundred is in use"
    assert left <= kept
