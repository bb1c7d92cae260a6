"""One process that keeps a core busy, as a compiler or a browser does: `python -m vbp.bench.busy`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from vbp.processes import end_with_parent, python_command


@contextmanager
def busy_process() -> Iterator[None]:
    """Meanwhile another process computes without a pause, in one thread that runs where the system puts it."""
    command = python_command("vbp.bench.busy")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.read(1)  # it has begun
            yield
        finally:
            process.kill()


def main() -> None:
    end_with_parent()
    sys.stdout.write("!")
    sys.stdout.flush()
    while True:
        pass


if __name__ == "__main__":
    main()
