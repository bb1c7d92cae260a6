"""Many changed inputs, each opened in a process that may die of it: what was found, with the input that shows it."""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.seeds import Seed, make

TESTS = Path(__file__).resolve().parent.parent
WALL_S = 120  # without an answer: it waits for something


@dataclass
class Tally:
    """tried: inputs by kind. findings: what was wrong -> how often, and the first input of it."""

    tried: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[str]] = field(default_factory=dict)


class Worker:
    """The process in which inputs are opened, started again when one was its end."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._process: subprocess.Popen[str] | None = None

    def ask(self, seed: Seed, number: int) -> tuple[str, str]:
        """(what was done to the input, what is wrong with how it was taken)."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "fuzz.worker", str(self._work)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1", "VBP_NATIVE": "0"},
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        asked = {"kind": seed.kind, "folder": str(seed.folder), "name": seed.name, "number": number}
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], WALL_S)[0]:
            self.close()
            return "", f"no answer within {WALL_S} s"
        answer = process.stdout.readline()
        if answer:
            found = json.loads(answer)
            if found["last"]:
                self.close()
            return found["done"], found["wrong"]
        code = process.wait()
        name = signal.Signals(-code).name if code < 0 else f"status {code}"
        return "", "took too long" if name == "SIGPROF" else f"the process ended with {name}"

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None


def fuzz(
    root: Path, findings: Path, first: int, inputs: int, seconds: float, kinds: tuple[str, ...] = ()
) -> Tally:
    """Inputs number `first` and so on, until there were so many or the time is over.

    Input N is always the same: seed and change follow from N. root: for the seeds and what is being tried.
    """
    seeds = [seed for seed in make(root / "seeds") if not kinds or seed.kind in kinds]
    (root / "work").mkdir()
    tally, worker, end = Tally(), Worker(root / "work"), time.monotonic() + seconds
    try:
        for number in range(first, first + inputs):
            if time.monotonic() > end:
                break
            seed = random.Random(number).choice(seeds)
            done, wrong = worker.ask(seed, number)
            tally.tried[seed.kind] += 1
            if wrong:
                _keep(tally, findings, root / "work" / "input", seed, number, done, wrong)
            if tally.tried.total() % 1000 == 0:
                print(f"{tally.tried.total()} inputs, {len(tally.findings)} kinds of findings", flush=True)
    except KeyboardInterrupt:
        pass  # an early end, and no reason to keep back what was found
    finally:
        worker.close()
    return tally


def _keep(tally: Tally, findings: Path, given: Path, seed: Seed, number: int, done: str, wrong: str) -> None:
    """One folder for what looks like the same fault."""
    key = f"{seed.kind}: {wrong.strip().splitlines()[-1][:150]}"
    numbers = tally.findings.setdefault(key, [])
    numbers.append(f"{number} ({seed.folder.name})")
    if len(numbers) > 3:
        return
    target = findings / f"{number}-{seed.kind}"
    target.mkdir(parents=True, exist_ok=True)
    (target / "what.txt").write_text(
        f"python -m tests.fuzz --first {number} --inputs 1\nseed: {seed.folder.name}/{seed.name}\nchange: {done}\n\n{wrong}\n",
        errors="backslashreplace",
    )
    subprocess.run(
        ["cp", "-a", str(given), str(target / "input")], check=False
    )  # pipes and links as they are
    print(f"{number}: {key}", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=20.0, help="stop after so many (default: %(default)s)"
    )
    parser.add_argument("--inputs", type=int, default=10**9, help="stop after so many")
    parser.add_argument(
        "--first", type=int, default=None, help="number of the first input (default: by the clock)"
    )
    parser.add_argument(
        "--findings", type=Path, default=Path("fuzz-findings"), help="folder (default: %(default)s)"
    )
    parser.add_argument(
        "--kind", action="append", default=[], help="only these kinds of inputs, as drive or run"
    )
    args = parser.parse_args(argv)
    first = time.time_ns() // 10**9 * 1000 if args.first is None else args.first
    root = Path(tempfile.mkdtemp(prefix="vbp-fuzz-"))
    try:
        tally = fuzz(root, args.findings, first, args.inputs, args.minutes * 60, tuple(args.kind))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(
        f"{tally.tried.total()} inputs from number {first}: "
        + ", ".join(f"{n} {k}" for k, n in tally.tried.most_common())
    )
    for key, numbers in tally.findings.items():
        print(f"{len(numbers):6} x {key}\n         inputs {', '.join(numbers[:5])}")
    print(f"{len(tally.findings)} kinds of findings" + (f", in {args.findings}" if tally.findings else ""))
    return bool(tally.findings)
