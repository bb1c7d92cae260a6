"""`vbp train`: train a network on recordings, or go on with a run that was interrupted."""

from __future__ import annotations

import argparse
import math
import os
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from vbp.cli.common import add_topics, number, seconds
from vbp.cli.main import print_json
from vbp.errors import VbpError
from vbp.models.known import SPECS
from vbp.models.spec import NetworkSpec
from vbp.readable import printable
from vbp.training.listener import Listener
from vbp.training.recipe import (
    AUGMENTATIONS,
    CHECKPOINTS,
    CLASS_EPOCHS,
    LEARNING_RATES,
    OPTIMIZERS,
    SCHEDULES,
    Recipe,
)

if TYPE_CHECKING:
    from vbp.training.folder import Row, Run
    from vbp.training.task import Task


DEFAULT = Recipe()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # What is not given is not in the namespace: a resumed run takes all of it from the run.
    parser.argument_default = argparse.SUPPRESS
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        default=[],
        help="recordings with a measured angle; for a classifier, one folder with a folder for each class",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="RUN", help="a new folder for the run")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with an interrupted run")
    parser.add_argument("--network", metavar="N", help=f"{' or '.join(SPECS)} (any case)")
    parser.add_argument(
        "--rows", type=int, metavar="R", help="rows of the input (125; the paper's text: 135)"
    )
    parser.add_argument("--init", metavar="FILE", help="a .safetensors network to start from (fine-tuning)")
    parser.add_argument("--device", metavar="D", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--threads", type=int, metavar="T", help="threads of the CPU (its cores)")
    parser.add_argument("--keep-frames", action="store_true", help="keep the prepared frames after the end")
    parser.add_argument("--json", action="store_true", help="print a summary for programs")

    reading = parser.add_argument_group("reading the recordings")
    reading.add_argument("--camera", help="which camera: center (default), left, right, or a topic")
    reading.add_argument("--angle-unit", help="unit of the recorded angle: rad, deg, unit, unit:DEG")
    reading.add_argument("--angle-sign", choices=("left", "right"), help="the side that is positive")
    add_topics(reading)
    reading.add_argument("--max-gap", type=seconds, metavar="S", help="farthest steering sample (0.2 s)")
    reading.add_argument("--min-speed", type=number, metavar="V", help="only frames faster than V m/s (5)")
    reading.add_argument(
        "--test-fraction", type=number, metavar="F", help="last part of each drive to test on (0.1)"
    )
    reading.add_argument(
        "--test",
        action="append",
        metavar="A:B",
        help="frames to test on instead, for all drives or once for each; ':' all, '' none",
    )
    reading.add_argument(
        "--test-gap", type=seconds, metavar="S", dest="test_gap_s", help="seconds left out around them (2)"
    )

    recipe = parser.add_argument_group("recipe (the paper's by default)")
    recipe.add_argument(
        "--epochs", type=number, metavar="E", help=f"{DEFAULT.epochs:g}; of classes {CLASS_EPOCHS:g}"
    )
    recipe.add_argument("--optimizer", choices=OPTIMIZERS, help=DEFAULT.optimizer)
    rates = ", ".join(f"{v:g} for {k}" for k, v in LEARNING_RATES.items())
    recipe.add_argument("--lr", type=number, metavar="LR", help=f"learning rate ({rates})")
    recipe.add_argument("--momentum", type=number, metavar="M", help=f"of SGD ({DEFAULT.momentum:g})")
    recipe.add_argument("--schedule", choices=SCHEDULES, help=DEFAULT.schedule)
    recipe.add_argument("--weight-decay", type=number, metavar="W", help=f"{DEFAULT.weight_decay:g}")
    recipe.add_argument("--batch", type=int, metavar="B", help=f"frames per step ({DEFAULT.batch})")
    recipe.add_argument("--clip", type=number, metavar="C", help="largest norm of the gradient (0: any)")
    recipe.add_argument("--dropout", type=number, metavar="P", help="before each fully connected layer (0)")
    recipe.add_argument(
        "--ema", type=number, metavar="D", help="running mean of the weights, decay per step (0: none)"
    )
    recipe.add_argument("--seed", type=int, metavar="S", help=f"{DEFAULT.seed}")
    recipe.add_argument(
        "--augment", metavar="LIST", help=f"all, or some of {','.join(AUGMENTATIONS)} (default: none)"
    )
    recipe.add_argument(
        "--shift", type=number, metavar="F", help=f"largest shift, a share of the width ({DEFAULT.shift:g})"
    )
    recipe.add_argument(
        "--shift-angle",
        type=number,
        metavar="RAD",
        help="wheel angle that a shift by the whole width stands for (0)",
    )
    recipe.add_argument(
        "--angle-weighting", type=number, metavar="A", help="weigh large angles more (0: all alike)"
    )
    recipe.add_argument("--precision", choices=("auto", "float32", "bfloat16"), help="auto: the faster one")
    recipe.add_argument(
        "--checkpoints", metavar="LIST", help=f"epochs to keep ({','.join(f'{c:g}' for c in CHECKPOINTS)})"
    )


def run(args: argparse.Namespace) -> int:
    from vbp.training.folder import Run
    from vbp.training.loop import resume
    from vbp.training.task import task_of

    given: dict[str, Any] = vars(args)
    as_json = bool(given.pop("json", False))
    keep = bool(given.pop("keep_frames", False))
    device = given.pop("device", "auto")
    if "resume" in given:
        folder = given.pop("resume")
        if others := [name for name, value in given.items() if value not in ([], None)]:
            raise VbpError(f"--resume takes everything from the run itself; leave {', '.join(others)} out")
        with Bars(Run(folder).config.task, quiet=as_json) as bars:
            result = resume(folder, device, bars, keep)
    else:
        _check(given)
        spec = _spec(given)
        with Bars(task_of(spec), quiet=as_json) as bars:
            result = _begin(given, spec, device, keep, bars)
    if int(os.environ.get("RANK", "0")) == 0:
        _report(result, as_json)
    return 0


def _check(given: dict[str, Any]) -> None:
    """What every new run needs. Raises VbpError."""
    import torch

    if not given["sources"]:
        raise VbpError("give the recordings to learn from, or --resume RUN")
    if "output" not in given:
        raise VbpError("say where to: -o RUN, a new folder")
    if "network" not in given and "init" not in given:
        raise VbpError(f"say which network: --network {' or '.join(SPECS)}, or --init FILE")
    threads = given.get("threads", 0)
    if threads < 0:
        raise VbpError(f"--threads {threads} makes no sense")
    if threads:
        torch.set_num_threads(threads)


def _begin(given: dict[str, Any], spec: NetworkSpec, device: str, keep: bool, bars: Listener) -> Run:
    from vbp.training.folder import Source
    from vbp.training.loop import train
    from vbp.training.task import task_of

    task = task_of(spec)
    if unused := sorted(
        f"--{name.removesuffix('_s').replace('_', '-')}"
        for name in set(task.unused_options.split()) & set(given)
    ):
        raise VbpError(
            f"{', '.join(unused)} does nothing for {spec.name}, which learns classes; leave it out"
        )
    reading = {
        "camera": given.get("camera"),
        "angle_unit": given.get("angle_unit"),
        "angle_sign": given.get("angle_sign"),
        "steering": given.get("steering"),
        "speed": given.get("speed"),
        "max_gap_s": given.get("max_gap", 0.2),
    }
    sources = [Source(path, **reading) for path in given["sources"]]
    return train(
        sources,
        spec,
        recipe_of(given, task),
        given["output"].expanduser(),
        device,
        given.get("init", ""),
        bars,
        keep,
    )


def _spec(given: dict[str, Any]) -> NetworkSpec:
    """The network by name, or that of the checkpoint to start from."""
    from vbp.models.network import load_checkpoint

    name = given.get("network")
    if name is None:
        return load_checkpoint(given["init"]).spec
    if "init" in given:
        raise VbpError("--init brings its own network; leave --network out")
    known = {n.lower(): build for n, build in SPECS.items()}
    if name.lower() not in known:
        raise VbpError(f"there is no network {name!r} to train; accepted: {', '.join(SPECS)}")
    from vbp.models.known_specs import nethvf, netsvf

    makers = {"netsvf": netsvf, "nethvf": nethvf}
    if name.lower() not in makers:
        return known[name.lower()]()
    rows = given.get("rows", 125)
    if not 125 <= rows <= 480:
        raise VbpError(f"--rows {rows} does not fit these networks; accepted: 125 to 480")
    return makers[name.lower()](rows)


def recipe_of(given: dict[str, Any], task: Task) -> Recipe:
    """The recipe that the options given make; the rest is the paper's. Raises VbpError."""
    names = {f.name for f in fields(Recipe)}
    values = {"epochs": task.epochs} | {k: v for k, v in given.items() if k in names}
    if "augment" in values:
        text = values["augment"].strip()
        listed = tuple(n.strip() for n in text.split(",") if n.strip())
        values["augment"] = task.augmentations if text == "all" else () if text == "none" else listed
    if "checkpoints" in values:
        try:
            values["checkpoints"] = tuple(float(t) for t in values["checkpoints"].split(",") if t.strip())
        except ValueError:
            raise VbpError(
                f"--checkpoints {values['checkpoints']} is not a list of epochs, like 0.1,0.5,1"
            ) from None
    if "test" in values:
        values["test"] = tuple(values["test"])
    return Recipe(**values)


def _report(run: Run, as_json: bool) -> None:
    from vbp.training.folder import LAST

    rows, task = run.metrics(), run.config.task
    last = rows[-1]
    choose_best = max if task.higher_is_better else min
    tested = [r for r in rows if not math.isnan(getattr(r, task.metric))]
    best = choose_best(tested, key=lambda r: getattr(r, task.metric), default=None)
    if as_json:
        print_json(
            {
                "run": str(run.path),
                "epochs": last.epoch,
                "steps": last.step,
                "seconds": last.seconds,
                "train_loss": last.train_loss,
                **{name: getattr(last, name) for name in task.columns},
                task.metric.replace("test_", "best_"): getattr(best, task.metric) if best else None,
                "best_epoch": best.epoch if best else None,
                "checkpoints": [str(c.path) for c in run.checkpoints()],
            }
        )
        return
    print(f"trained {last.epoch:g} epochs in {last.seconds / 60:.1f} min: {printable(str(run.path / LAST))}")
    if best:
        values = {"last": getattr(last, task.metric), "best": getattr(best, task.metric)}
        print(task.result_text.format(**values, epoch=best.epoch))


class Bars(Listener):
    """Progress with the time left, and a line for each measurement. Only the first process speaks."""

    def __init__(self, task: Task, quiet: bool) -> None:
        self._task = task
        self._silent = int(os.environ.get("RANK", "0")) != 0
        self._quiet = quiet
        self._bar: tqdm[Any] | None = None
        self._what = ""

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def say(self, text: str) -> None:
        if not self._silent:
            tqdm.write(printable(text), file=sys.stderr if self._quiet else sys.stdout)

    def decoded(self, done: int, total: int) -> None:
        self._to("preparing", "frame", done, total)

    def stepped(self, step: int, steps: int, epoch: float, loss: float) -> None:
        bar = self._to("training", "step", step, steps)
        if bar is not None:
            bar.set_postfix_str(f"epoch {epoch:.2f}, loss {loss:.4f}", refresh=False)

    def measured(self, row: Row) -> None:
        text = f"epoch {row.epoch:<6.4g} loss {row.train_loss:.5f}"
        if not math.isnan(getattr(row, self._task.metric)):
            text += f"   {self._task.row_text.format(**asdict(row))}"
        self.say(f"{text}   {row.seconds:.0f} s")

    def _to(self, what: str, unit: str, done: int, total: int) -> tqdm[Any] | None:
        if self._silent:
            return None
        if self._what != what:
            if self._bar is not None:
                self._bar.close()
            self._what = what
            # A resumed run begins in the middle: the time left counts from there.
            self._bar = tqdm(total=total, initial=done - 1, desc=what, unit=unit, disable=None)
        assert self._bar is not None
        self._bar.update(done - self._bar.n if not self._bar.disable else 0)
        return self._bar
