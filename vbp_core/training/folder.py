"""The folder of a training run: what is in it, for those who write it and for those who only look."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vbp.drives.base import OpenOptions
from vbp.errors import ModelError, VbpError
from vbp.models.network import Network, load_checkpoint
from vbp.models.spec import NetworkSpec
from vbp.reading import damaged, inside, read_file
from vbp.training.files import write_json, write_text
from vbp.training.recipe import Recipe
from vbp.training.task import Task, task_of

FORMAT = 1
KIND = "vbp training run"
CONFIG, METRICS, CHECKPOINTS, STATE = "config.json", "metrics.csv", "checkpoints", "state"
MAX_BYTES = 2**26  # of either of its texts
LAST, BEST = "last.safetensors", "best.safetensors"
NAME = re.compile(r"epoch-(\d+(?:\.\d+)?)\.safetensors")


@dataclass(frozen=True)
class Row:
    """One line of metrics.csv, with the columns of its task. NaN where there was nothing to measure (no test frames).

    train_loss: mean since the last row, weighted as the recipe says, on augmented frames: the squared error in rad^2,
    or the negative log-likelihood of the classes, as test_loss is. seconds: training time so far, over all interruptions.
    """

    epoch: float
    step: int
    train_loss: float
    lr: float
    seconds: float
    test_rmse_rad: float = math.nan
    test_mae_deg: float = math.nan
    test_loss: float = math.nan
    test_accuracy: float = math.nan


@dataclass(frozen=True)
class Checkpoint:
    """A network as it was after `epoch` epochs."""

    epoch: float
    path: Path

    def load(self) -> Network:
        """Raises ModelError."""
        with damaged(self.path, ModelError), inside(self.path.parent):
            return load_checkpoint(self.path)


@dataclass(frozen=True)
class Source:
    """A recording that a run learns from, and how it was opened. train, test: the frames, in words."""

    path: str
    camera: str | None = None
    angle_unit: str | None = None
    angle_sign: str | None = None
    max_gap_s: float = 0.2
    train: str = ""
    test: str = ""
    steering: str | None = None
    speed: str | None = None

    @property
    def options(self) -> OpenOptions:
        return OpenOptions(
            self.camera, self.angle_unit, self.angle_sign, self.max_gap_s, self.steering, self.speed
        )


@dataclass(frozen=True)
class Config:
    """What a run needs to be begun again: config.json.

    spec: of the network to train. init: the checkpoint that training starts from, "" for fresh weights.
    threads: of the CPU; sums are split by them, so that results are the same only for the same number.
    """

    spec: NetworkSpec
    recipe: Recipe
    sources: tuple[Source, ...]
    init: str = ""
    threads: int = 1

    @property
    def task(self) -> Task:
        return task_of(self.spec)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "kind": KIND,
            "spec": json.loads(self.spec.to_json()),
            "recipe": self.recipe.to_json(),
            "sources": [asdict(s) for s in self.sources],
            "init": self.init,
            "threads": self.threads,
        }


class Run:
    """A run folder, finished or still training, read without disturbing it.

    `Run(path)` raises VbpError for a folder that is none. `changed()` is cheap and says whether there is
    anything new since the last call, for a window that follows a run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        with damaged(self.path / CONFIG), inside(self.path):
            self.config = _read_config(self.path)
        self._seen = self._signature()

    def checkpoints(self) -> list[Checkpoint]:
        """Those kept so far, by epoch."""
        found = []
        for file in (self.path / CHECKPOINTS).glob("epoch-*.safetensors"):
            if match := NAME.fullmatch(file.name):
                found.append(Checkpoint(float(match[1]), file))
        return sorted(found, key=lambda c: c.epoch)

    def metrics(self) -> list[Row]:
        """All rows of metrics.csv; none before the first is written. Raises VbpError for a damaged file."""
        try:
            with inside(self.path):
                text = read_file(self.path / METRICS, MAX_BYTES).decode("utf-8")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise VbpError(f"{self.path / METRICS} cannot be read: {error}") from error
        columns = _columns(self.config.task)
        with damaged(self.path / METRICS):
            return [_row(line, columns) for line in csv.DictReader(io.StringIO(text))]

    @property
    def finished(self) -> bool:
        rows = self.metrics()
        return bool(rows) and rows[-1].epoch >= self.config.recipe.epochs

    def changed(self) -> bool:
        """Whether checkpoints or metrics came or changed since the last call (or since the run was opened)."""
        now = self._signature()
        before, self._seen = self._seen, now
        return now != before

    def _signature(self) -> list[tuple[str, int, int]]:
        found = []
        for file in (self.path / METRICS, *(c.path for c in self.checkpoints())):
            try:
                stat = file.stat()
            except OSError:
                continue  # being replaced at this moment
            found.append((file.name, stat.st_mtime_ns, stat.st_size))
        return found


def checkpoint_path(folder: Path, epoch: float) -> Path:
    return folder / CHECKPOINTS / f"epoch-{epoch:g}.safetensors"


def start_folder(folder: Path, config: Config) -> None:
    """Make a run folder. Raises VbpError for one that holds anything."""
    if folder.exists():
        if not folder.is_dir():
            raise VbpError(f"{folder} is a file; give the name of a folder to train in")
        if any(folder.iterdir()):
            more = f"; continue it with --resume {folder}, or" if (folder / CONFIG).is_file() else ";"
            raise VbpError(f"{folder} exists and is not empty{more} choose another folder")
    for sub in (folder, folder / CHECKPOINTS, folder / STATE):
        sub.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG, config.to_json())


def write_metrics(folder: Path, rows: list[Row], task: Task) -> None:
    names = _columns(task)
    lines = [",".join(names)]
    lines += [",".join(_cell(getattr(row, n)) for n in names) for row in rows]
    write_text(folder / METRICS, "\n".join(lines) + "\n")


def _columns(task: Task) -> list[str]:
    return ["epoch", "step", "train_loss", *task.columns, "lr", "seconds"]


def _cell(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def _row(line: dict[str, str], columns: list[str]) -> Row:
    values: dict[str, Any] = {name: _number(line[name]) for name in columns}
    return Row(**values | {"step": int(line["step"])})


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _read_config(path: Path) -> Config:
    if not path.is_dir():
        raise VbpError(f"{path} is no folder; give the folder that vbp train wrote (-o)")
    file = path / CONFIG
    try:
        data = json.loads(read_file(file, MAX_BYTES))
    except FileNotFoundError:
        raise VbpError(
            f"{path} is no training run (it has no {CONFIG}); give the folder that vbp train wrote"
        ) from None
    except (OSError, ValueError) as error:
        raise VbpError(f"{file} cannot be read: {error}") from error
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise VbpError(f"{path} is no training run; give the folder that vbp train wrote")
    if data.get("format") != FORMAT:
        raise VbpError(f"{file} was written by another version of vbp")
    try:
        return Config(
            spec=NetworkSpec.from_json(json.dumps(data["spec"])),
            recipe=Recipe.from_json(data["recipe"]),
            sources=tuple(Source(**s) for s in data["sources"]),
            init=str(data["init"]),
            threads=int(data["threads"]),
        )
    except (KeyError, TypeError, ValueError, ModelError) as error:
        raise VbpError(f"{file} is damaged ({str(error)[:100]})") from error
