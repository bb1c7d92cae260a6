"""A fleet indexed, by whichever runner: what is done is skipped, what fails is named, the rest goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow.parquet as pq

from vbp.fleet.finish import finish_if_whole, write_failed
from vbp.fleet.keys import looks
from vbp.fleet.outcome import INDEX, PLAN, Outcome
from vbp.fleet.pieces import Piece, Plan
from vbp.fleet.places import (
    FolderError,
    failed_path,
    is_done,
    missing,
    names,
    remove,
    sweep,
    write_plan,
)
from vbp.fleet.schema import DRIVES
from vbp.fleet.settings import Settings, settle

Progress = Callable[[str, int, int], None]  # what is counted, how many are done, of how many


class Runner(Protocol):
    """Whoever has workers: processes, a cluster. Used as a context manager."""

    def work(self, kind: str, items: Iterable[Any]) -> Iterator[Outcome]: ...


@dataclass
class Report:
    """Of a run. frames: that were indexed now; drives: that are whole in the folder, of those asked for. failed: path -> why.
    same: path -> the other name of the same recording. laps: seconds of workers, see `vbp.fleet.work.Laps`."""

    drives: int = 0
    frames: int = 0
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    laps: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Done:
    path: str
    key: str
    looks: str


def index(
    folder: Path,
    settings: Settings,
    paths: list[Path],
    runner: Runner,
    say: Callable[[str], None],
    progress: Progress,
) -> Report:
    """Index the drives at `paths`, as `find_drives` gives them, into the folder.

    say: is told, in a line, of each drive that cannot be indexed and why. Raises FolderError where the folder cannot be written,
    VbpError where it is for other networks, or a network cannot be run: what is done is kept.
    """
    settle(folder, settings)
    sweep(folder, time.time())
    report = Report()
    began = time.monotonic()
    done = {d.path: d for d in done_drives(folder)}
    fresh = [str(p) for p in paths if not _is_same(done.get(str(p)), p)]
    plans = _plan(folder, settings, fresh, done, runner, say, progress, report)
    _index(folder, settings, plans, runner, say, progress, report)
    report.drives = len({str(p) for p in paths} - report.failed.keys() - report.same.keys())
    report.seconds = time.monotonic() - began
    return report


def done_drives(folder: Path) -> list[_Done]:
    """The drives that are whole in the folder."""
    found = []
    for name in names(folder / DRIVES):
        with suppress(OSError, ValueError):  # one cut short is of a drive that is not done
            row = pq.read_table(folder / DRIVES / name, columns=["drive", "drive_key", "looks"])
            path, key, before = (column[0].as_py() for column in row.columns)
            if key:
                found.append(_Done(path, key, before))
            continue
        (folder / DRIVES / name).unlink(missing_ok=True)
    return found


def _is_same(done: _Done | None, path: Path) -> bool:
    """Whether a drive is done, and is what it was; of one that is gone, the rows stay."""
    if done is None:
        return False
    return not path.exists() or looks(path) == done.looks


def _plan(
    folder: Path,
    settings: Settings,
    paths: list[str],
    done: dict[str, _Done],
    runner: Runner,
    say: Callable[[str], None],
    progress: Progress,
    report: Report,
) -> list[Plan]:
    found: dict[str, Plan] = {}
    for number, outcome in enumerate(runner.work(PLAN, paths), 1):
        progress("drive", number, len(paths))
        if outcome.plan is not None:
            found[outcome.item.path] = outcome.plan
        else:
            _fail(folder, settings, outcome, say, report)
    known = {d.key: d.path for d in done.values()}
    plans = []
    for path in [p for p in paths if p in found]:
        plan = found[path]
        if (other := known.get(plan.key, path)) != path:
            report.same[path] = other
            failed_path(folder, path).unlink(missing_ok=True)
            say(f"{path} is the same recording as {other}: it is indexed once")
            continue
        before = done.get(path)
        if before is not None and before.key != plan.key:
            say(f"{path} is another recording than it was: it is indexed again")
            remove(folder, before.key)
        known[plan.key] = path
        if not is_done(folder, plan.key):
            write_plan(folder, plan)
            plans.append(plan)
    return plans


def _index(
    folder: Path,
    settings: Settings,
    plans: list[Plan],
    runner: Runner,
    say: Callable[[str], None],
    progress: Progress,
    report: Report,
) -> None:
    pieces = [piece for plan in plans for piece in missing(folder, plan)]
    total = sum(map(len, pieces))
    wanted = (piece for piece in pieces if piece.path not in report.failed)
    for outcome in runner.work(INDEX, wanted) if pieces else ():
        piece = outcome.item.value
        assert isinstance(piece, Piece)
        if outcome.error:
            if piece.path not in report.failed:
                _fail(folder, settings, outcome, say, report)
                total = sum(len(p) for p in pieces if p.path not in report.failed)
        else:
            report.frames += len(piece)
        for name, seconds in outcome.laps.items():
            report.laps[name] = report.laps.get(name, 0.0) + seconds
        progress("frame", report.frames, total)
    for plan in plans:
        if plan.path in report.failed:
            continue
        finish_if_whole(folder, plan.key, settings)  # who wrote the last piece may have been killed then


def _fail(
    folder: Path, settings: Settings, outcome: Outcome, say: Callable[[str], None], report: Report
) -> None:
    """Raises FolderError where nothing can go on."""
    if outcome.ends:
        raise FolderError(outcome.error)
    path = outcome.item.path
    text = outcome.error if path in outcome.error else f"{path}: {outcome.error}"
    report.failed[path] = text
    say(text)
    write_failed(folder, settings, path, text)
