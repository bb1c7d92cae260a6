"""`train` begins a run in a new folder; `resume` goes on with one that was interrupted."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import torch

from vbp.devices import device_errors, same_each_time
from vbp.drives import Drive, open_drive
from vbp.ends import held
from vbp.errors import VbpError
from vbp.files import lock_file
from vbp.models.network import load_checkpoint
from vbp.models.spec import NetworkSpec
from vbp.preprocess import crop_warning
from vbp.training.board import MISSING, Board
from vbp.training.choosing import Chosen
from vbp.training.fast import bfloat16_is_fast, keep_memory
from vbp.training.files import clear_parts, reporting_disk_errors
from vbp.training.folder import Config, Run, Source, start_folder
from vbp.training.frames import decode, is_decoded, load
from vbp.training.group import Group, joined
from vbp.training.listener import Listener
from vbp.training.recipe import Recipe
from vbp.training.task import task_of
from vbp.training.trainer import Trainer

FRAMES = "frames"
SAVE_EVERY_S = 120.0


@device_errors
def train(
    sources: Sequence[Source],
    spec: NetworkSpec,
    recipe: Recipe,
    folder: Path,
    device: str = "auto",
    init: str = "",
    listener: Listener | None = None,
    keep_frames: bool = False,
) -> Run:
    """Train a network in a new folder. Raises VbpError, and KeyboardInterrupt once the state is saved."""
    listener = listener or Listener()
    # A run can be resumed from any folder.
    sources = [replace(s, path=str(Path(s.path).expanduser().resolve())) for s in sources]
    if init:
        init = str(Path(init).expanduser().resolve())
        spec = load_checkpoint(init).spec
    task = task_of(spec)
    with joined(device) as group, ExitStack() as hold:
        if recipe.precision == "auto":
            fast = "bfloat16" if bfloat16_is_fast(group.device) else "float32"
            recipe = replace(recipe, precision=fast)
        if group.first:
            with ExitStack() as stack:
                drives = _open(sources, stack)
                fitted = task.spec_for(spec, drives)
                if init and fitted != spec:
                    raise VbpError(f"{init} was trained on other classes; give its own, or leave --init out")
                spec = fitted
                chosen = _choose(drives, spec, recipe)
                described = [
                    replace(s, train=task.describe(c.train), test=task.describe(c.test))
                    for s, c in zip(sources, chosen, strict=True)
                ]
                spec = replace(spec, trained_on=_trained_on(described, recipe, init, spec))
                config = Config(spec, recipe, tuple(described), init, torch.get_num_threads())
                with reporting_disk_errors(folder):
                    start_folder(folder, config)
                    hold.enter_context(_alone(folder))
                _warn(drives, chosen, spec, listener)
                _prepare(drives, chosen, spec, folder, listener)
        group.wait()
        return _train(folder, group, listener, keep_frames)


@device_errors
def resume(
    folder: Path, device: str = "auto", listener: Listener | None = None, keep_frames: bool = False
) -> Run:
    """Go on with an interrupted run, to the same weights as without the interruption (bit for bit on the CPU)."""
    listener = listener or Listener()
    run = Run(folder)
    if run.finished:
        listener.say(f"{folder} is trained to its end")
        if not keep_frames:
            shutil.rmtree(folder / FRAMES, ignore_errors=True)
        return run
    with joined(device) as group, ExitStack() as hold:
        if group.first:
            with ExitStack() as stack, reporting_disk_errors(folder):
                hold.enter_context(_alone(folder))
                clear_parts(folder)
                if not is_decoded(folder / FRAMES):
                    drives = _open(run.config.sources, stack)
                    chosen = _choose(drives, run.config.spec, run.config.recipe)
                    _prepare(drives, chosen, run.config.spec, folder, listener)
        group.wait()
        return _train(folder, group, listener, keep_frames)


def _train(folder: Path, group: Group, listener: Listener, keep_frames: bool) -> Run:
    config = Run(folder).config
    frames = load(folder / FRAMES, config.spec)
    if group.device.type == "cpu":
        keep_memory()
        torch.set_num_threads(config.threads)
    devices = [group.device.index or 0] if group.device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        same_each_time(group.device),
        reporting_disk_errors(folder),
    ):
        trainer = Trainer(config, folder, frames, group)
        trainer.restore()
        if group.first:
            _say_frames(trainer, listener)
        _run(trainer, listener)
    if group.first and not keep_frames:
        shutil.rmtree(folder / FRAMES, ignore_errors=True)
    return Run(folder)


def _alone(folder: Path) -> AbstractContextManager[None]:
    """One process trains a run: two at once would write over each other's state."""
    busy = f"{folder} is being trained by another process; wait for it, or train into another folder"
    return lock_file(folder / "lock", busy)


def _prepare(
    drives: Sequence[Drive], chosen: Sequence[Chosen], spec: NetworkSpec, folder: Path, listener: Listener
) -> None:
    with reporting_disk_errors(folder):
        task_of(spec).write_split(folder, drives, chosen, spec)
    decode(drives, chosen, spec, folder / FRAMES, listener.decoded)


def _run(trainer: Trainer, listener: Listener) -> None:
    """Steps to the end. The state is saved after each epoch, every few minutes, and before an interruption."""
    board = Board(trainer.folder, trainer.progress.step) if trainer.group.first else None
    if board is not None and board.missing:
        listener.say(MISSING)
    saved = time.monotonic()
    try:
        with held() as asked:
            while not trainer.finished:
                trainer.step()
                at = trainer.progress.step
                if trainer.group.first:
                    listener.stepped(at, trainer.steps, trainer.epoch, trainer.loss)
                if trainer.measurement_due:
                    row = trainer.measure()
                    if board is not None:
                        board.add(row)
                        listener.measured(row)
                late = time.monotonic() - saved > SAVE_EVERY_S
                # All processes must stop after the same step.
                requested = trainer.group.sum([float(asked())])[0] > 0
                if requested or late or trainer.finished or at % trainer.steps_per_epoch == 0:
                    trainer.save()
                    saved = time.monotonic()
                if requested and not trainer.finished:
                    if trainer.group.first:
                        listener.say(
                            f"stopped after step {at}; go on with: vbp train --resume {trainer.folder}"
                        )
                    raise KeyboardInterrupt
    finally:
        if board is not None:
            board.close()


def _open(sources: Sequence[Source], stack: ExitStack) -> list[Drive]:
    drives = []
    for source in sources:
        drives.append(stack.enter_context(open_drive(source.path, source.options)))
    return drives


def _choose(drives: Sequence[Drive], spec: NetworkSpec, recipe: Recipe) -> list[Chosen]:
    """Raises VbpError where one drive is no good, or nothing is left to train on."""
    tests = recipe.test
    if tests and len(tests) not in (1, len(drives)):
        raise VbpError(
            f"--test is given {len(tests)} times for {len(drives)} recordings; once, or once for each"
        )
    chosen = []
    for n, drive in enumerate(drives):
        test = None if not tests else tests[0] if len(tests) == 1 else tests[n]
        chosen.append(task_of(spec).choose(drive, spec, recipe, test))
    left = sum(len(c.train) for c in chosen)
    if left < 2:
        raise VbpError(
            f"{left or 'no'} frame{'s' * (left != 1)} would be left to train on; give longer drives, or hold out less (--test, --test-gap)"
        )
    return chosen


def _warn(drives: Sequence[Drive], chosen: Sequence[Chosen], spec: NetworkSpec, listener: Listener) -> None:
    for each in chosen:
        for note in each.notes:
            listener.say(note)
    sizes = {(d.info.width, d.info.height) for d in drives}
    for width, height in sorted(sizes):
        if warning := crop_warning(spec, height, width):
            listener.say(warning)
    if len(sizes) > 1:
        listed = ", ".join(f"{w}x{h}" for w, h in sorted(sizes))
        listener.say(f"the recordings have pictures of {listed}: each is cropped by its own width and scaled")


def _say_frames(trainer: Trainer, listener: Listener) -> None:
    frames = trainer.frames
    text = f"{len(frames.train_rows)} {trainer.task.nouns} to train on, {len(frames.test_rows)} to test on"
    if frames.gaps:
        text += f"; {frames.gaps} could not be decoded and are left out"
    listener.say(text)
    if trainer.progress.step:
        listener.say(f"going on after step {trainer.progress.step} of {trainer.steps}")


def _trained_on(sources: Sequence[Source], recipe: Recipe, init: str, spec: NetworkSpec) -> str:
    """What a model's card says: the recordings, the frames, what was held out, the recipe."""
    begun = f"; begun from {Path(init).name} [{spec.trained_on}]" if init else ""
    words = _drives_in_words(sources, task_of(spec).sources_text)
    return f"{words}: {recipe.describe()}{begun}"


def _drives_in_words(sources: Sequence[Source], text: str) -> str:
    """Neighbours of which the same frames were used are one entry: forty drives are no sentence."""
    groups = [
        (used, [Path(s.path).name for s in members])
        for used, members in groupby(sources, key=lambda s: text.format(train=s.train, test=s.test))
    ]
    return ", ".join(
        f"{', '.join(names) if len(names) < 4 else f'{names[0]} to {names[-1]}, {len(names)} drives'} ({used})"
        for used, names in groups
    )
