"""`vbp index`: drives by the thousand into one data set, on this machine's processes, in jobs, or on a Ray cluster."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from vbp.cli.common import add_crop, add_reading, options_of
from vbp.cli.main import print_json
from vbp.cli.numbers import seconds
from vbp.errors import VbpError
from vbp.readable import how_long, printable

if TYPE_CHECKING:
    from vbp.fleet.run import Report, Runner
    from vbp.fleet.settings import Settings
    from vbp.fleet.work import Task

EVERY_S = 60.0  # a line of progress, where there is no terminal
PER_CARD = 4  # processes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "drives",
        nargs="+",
        metavar="DRIVES",
        help="recordings, and folders with recordings under them; - reads a list from standard input, one a line",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="M",
        help="a network's name, its file, or package.module:factory, each as M?weights=FILE&spec=FILE.toml where it needs them "
        "(default: NetSVF); given twice: A and B",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER", help="the data set")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--shard",
        metavar="K/N",
        help="only the K-th of N parts of the drives: for N jobs with the same command and folder, as of Slurm or Kubernetes",
    )
    how.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="on a Ray cluster (pip install 'vbp[ray]'): its address, or auto for the one that this machine belongs to",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help=f"processes (default: one a core, of a graphics card {PER_CARD}; on Ray as many as there is room for); 0: none but this one",
    )
    parser.add_argument(
        "--piece",
        type=seconds,
        default=10.0,
        metavar="S",
        help="seconds of a drive that are one piece of work, and up to the next key frame (default: 10)",
    )
    add_crop(parser)
    add_reading(parser)
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def run(args: argparse.Namespace) -> int:
    from vbp.fleet.needs import need

    need("pyarrow", *["ray"] * bool(args.ray))
    from vbp.fleet.discover import find_drives, parse_shard, shard_of
    from vbp.fleet.run import index
    from vbp.fleet.settings import settle

    shard = parse_shard(args.shard) if args.shard else None
    if args.workers is not None and not 0 <= args.workers <= 10_000:
        raise VbpError(f"--workers {args.workers} cannot be; give how many processes are to work, or 0")
    settings = _settings(args)
    settle(args.output, settings)
    drives = find_drives(_given(args.drives))
    if shard is not None:
        drives = shard_of(drives, *shard)
    folder = args.output.absolute()
    with _runner(args, folder, settings) as runner, _Bar() as bar:
        report = index(folder, settings, drives, runner, _say, bar.tell)
    _tell(args, report, len(drives))
    if drives and not report.drives:
        raise VbpError(
            f"none of the {len(drives)} recordings could be indexed; {next(iter(report.failed.values()))}"
        )
    return 0


def _given(drives: list[str]) -> Iterator[str]:
    for name in drives:
        if name == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield name


def _settings(args: argparse.Namespace) -> Settings:
    from vbp.comparing.pair import check_alike
    from vbp.engine import network_name, open_network
    from vbp.fleet.keys import network_key
    from vbp.fleet.settings import SIDES, Settings, Side
    from vbp.models.source import NetworkSource
    from vbp.models.spec_text import to_toml

    sources = args.model or ["NetSVF"]
    if len(sources) > len(SIDES):
        raise VbpError(
            f"a fleet is indexed with one network or two, and --model was given {len(sources)} times"
        )
    sides, specs = [], []
    for source in sources:
        network = open_network(source)
        if network.spec.is_classifier:
            raise VbpError(
                f"{network.spec.name} predicts classes; a fleet is indexed with networks that steer"
            )
        specs.append(network.spec)
        key = network_key(network, source)
        place = str(NetworkSource.parse(source).absolute())  # it is opened from other folders, too
        sides.append(Side(place, network_name(network), key, network.trained, to_toml(network.spec)))
    if len(sides) == 2:
        check_alike(*specs)
        if sides[0].key == sides[1].key:
            raise VbpError(
                f"{sources[0]} and {sources[1]} are the same network; give two that differ, or one"
            )
    options = options_of(args)
    options.check()
    return Settings(tuple(sides), options, args.crop, max(args.piece, 0.1))


@contextmanager
def _runner(args: argparse.Namespace, folder: Path, settings: Settings) -> Iterator[Runner]:
    from vbp.fleet.pool import Here, Pool
    from vbp.fleet.work import Task

    if args.ray:
        from vbp.fleet.on_ray import OnRay

        with OnRay(args.ray, Task(folder, settings, args.device, 1), args.workers) as far:
            yield far
    elif args.workers == 0:
        with Here(Task(folder, settings, args.device)) as here:
            yield here
    else:
        with Pool(_tasks(args, folder, settings)) as pool:
            yield pool


def _tasks(args: argparse.Namespace, folder: Path, settings: Settings) -> list[Task]:
    """One for each process: cards are dealt, cores are shared."""
    from vbp.devices import devices, pick_device
    from vbp.fleet.work import Task, core_count

    cores = core_count()
    cards = [d for d in devices() if d.startswith("cuda")] if args.device in ("auto", "cuda") else []
    if not cards:
        pick_device(args.device)  # says what is wrong with it before there are processes
        count = args.workers or cores
        return [Task(folder, settings, args.device, max(1, cores // count))] * count
    count = args.workers or min(PER_CARD * len(cards), cores)
    return [Task(folder, settings, cards[k % len(cards)], 1) for k in range(count)]


def _say(text: str) -> None:
    tqdm.write(f"vbp: {printable(text)}", file=sys.stderr)


class _Bar:
    """How far it is: a bar on a terminal, elsewhere a line now and then; with the time left."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None
        self._what, self._began, self._told = "", 0.0, 0.0

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def tell(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self.__exit__()
            self._what, self._began, self._told = what, now, now
            self._bar = tqdm(total=total, unit=what, disable=None)
        if self._bar is not None and not self._bar.disable:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
        elif done and (now - self._told > EVERY_S or (done == total and self._told > self._began)):
            self._told = now
            left = (now - self._began) / done * (total - done)
            rest = f", {how_long(left)} left" if done < total else ""
            _say(f"{done:,} of {total:,} {what}s ({100 * done // max(total, 1)} %){rest}")


def _tell(args: argparse.Namespace, report: Report, asked: int) -> None:
    if args.json:
        print_json(
            {
                "drives": report.drives,
                "frames_indexed_now": report.frames,
                "seconds": report.seconds,
                "failed": report.failed,
                "same": report.same,
                "worker_seconds": report.laps,
            }
        )
        return
    print(f"{report.drives} of {asked} drives are in {printable(str(args.output))}", end="")
    print(
        f"; {report.frames:,} frames were indexed now, in {how_long(report.seconds)}" if report.frames else ""
    )
    if report.frames:
        ms = ", ".join(f"{name} {1e3 * s / report.frames:.1f}" for name, s in report.laps.items())
        print(f"milliseconds of a worker for each frame: {ms}")
    if report.failed:
        print(
            f'{len(report.failed)} could not be indexed: vbp find {printable(str(args.output))} --in drives "error IS NOT NULL"'
        )
