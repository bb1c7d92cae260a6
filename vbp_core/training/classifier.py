"""Training a classifier on a folder of class images (the paper's supplement: SGD, NLL, 100 epochs)."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from vbp.classes import are_numbers, class_name, labels_for, score_classes
from vbp.devices import pick_device
from vbp.drives.base import Drive
from vbp.errors import FrameError, ModelError, VbpError
from vbp.models.network import Network, build, save_checkpoint
from vbp.models.spec import NetworkSpec
from vbp.preprocess import normalise, prepare, to_tensor
from vbp.training.augment import augment, draw
from vbp.training.files import saying_where, write_json, write_text
from vbp.training.folder import LAST, METRICS
from vbp.training.optimise import make_optimizer, set_lr
from vbp.training.recipe import Recipe

EPOCHS = 100.0
CLASSES = "classes.json"
TRACK = re.compile(r"(\d+)_\d+")
MAX_BYTES = 16 * 2**30  # the prepared pictures stay in memory
TEST_BATCH = 64


@dataclass(frozen=True)
class EpochRow:
    """One line of metrics.csv. train_loss: mean NLL, on augmented pictures. NaN where nothing is held out."""

    epoch: int
    train_loss: float
    test_loss: float
    test_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Pictures:
    """Prepared pictures (N, h, w) or (N, h, w, 3) uint8, their classes (N,) int64, and which rows are held out."""

    values: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train_rows: NDArray[np.int64]
    test_rows: NDArray[np.int64]
    test_names: tuple[str, ...]


def check_recipe(recipe: Recipe) -> None:
    """Raises VbpError for what makes no sense with classes."""
    if "flip" in recipe.augment:
        raise VbpError("--augment flip would turn keep left into keep right; leave it out for classes")
    if recipe.ema or recipe.angle_weighting or recipe.dropout:
        raise VbpError("--ema, --angle-weighting and --dropout are for steering networks; leave them out")


def spec_for(spec: NetworkSpec, drive: Drive) -> NetworkSpec:
    """`spec`, with its last layer made for the drive's classes where they are not its own. Raises VbpError."""
    if drive.labels is None:
        raise VbpError(
            f"{drive.info.path} has no classes to learn; give a folder with a folder of pictures for each class"
        )
    if (labels_for(drive, spec) >= 0).all():
        return spec
    folders = drive.info.classes
    if are_numbers(folders):
        most = max(map(int, folders)) + 1
        if most > 2 * len(folders) + 100:
            raise VbpError(
                f"the classes of {drive.info.path} are numbered up to {most - 1}; number them from 0"
            )
        folders = tuple(f"class {k}" for k in range(most))
    return replace(spec, arguments={**spec.arguments, "outputs": len(folders)}, classes=folders)


def split_tracks(
    labels: NDArray[np.int64], names: tuple[str, ...], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Which of N pictures are held out: whole tracks, so that no picture is tested whose neighbour was learnt.

    A track is what shares the class and the number before the _ of a name such as 00003_00029.ppm (GTSRB: one real
    sign as the car drives by); other pictures are tracks of their own. Of each class, `fraction` of the tracks,
    chosen by the seed: at least one, where it has two and the fraction is above 0.
    """
    tracks: dict[int, dict[str, list[int]]] = {}
    for i, (label, name) in enumerate(zip(labels.tolist(), names, strict=True)):
        stem = Path(name).stem
        match = TRACK.fullmatch(stem)
        tracks.setdefault(label, {}).setdefault(match[1] if match else stem, []).append(i)
    held = np.zeros(len(labels), dtype=np.bool_)
    rng = np.random.default_rng([seed, 2])
    for label in sorted(tracks):
        groups = list(tracks[label].values())
        count = min(len(groups) - 1, max(1, round(fraction * len(groups)))) if fraction > 0 else 0
        for k in rng.permutation(len(groups))[:count]:
            held[groups[k]] = True
    return held


def read_pictures(
    drive: Drive, spec: NetworkSpec, recipe: Recipe, told: Callable[[int, int], None]
) -> Pictures:
    """All of a drive's pictures as the network takes them; those that cannot be decoded are left out. Raises VbpError."""
    shape = (spec.input_height, spec.input_width) + ((3,) if spec.channels == 3 else ())
    if len(drive) * int(np.prod(shape)) > MAX_BYTES:
        raise VbpError(
            f"{len(drive)} pictures of {spec.input_width}x{spec.input_height} take more than "
            f"{MAX_BYTES // 2**30} GiB; give fewer"
        )
    values = np.empty((len(drive), *shape), dtype=np.uint8)
    good = np.ones(len(drive), dtype=np.bool_)
    drive.limit_cache(0)
    for i in range(len(drive)):
        try:
            values[i] = prepare(drive.frame(i), spec)[0]
        except FrameError:
            good[i] = False
        told(i + 1, len(drive))
    labels, names = labels_for(drive, spec), tuple(drive.names)
    held = split_tracks(labels, names, recipe.test_fraction, recipe.seed)
    train, test = np.flatnonzero(good & ~held), np.flatnonzero(good & held)
    if len(train) < 2:
        raise VbpError(f"{len(train)} pictures of {drive.info.path} are left to learn from; give more")
    return Pictures(values, labels, train, test, tuple(names[i] for i in test))


def train_classes(
    drive: Drive,
    spec: NetworkSpec,
    recipe: Recipe,
    folder: Path,
    device: str = "auto",
    prepared: Callable[[int, int], None] = lambda done, total: None,
    stepped: Callable[[int, int, float], None] = lambda step, steps, loss: None,
    measured: Callable[[EpochRow], None] = lambda row: None,
) -> list[EpochRow]:
    """Train `spec` on the classes of `drive` into a new folder; the rows of metrics.csv.

    After each epoch the weights (last.safetensors), metrics.csv and classes.json (what was learnt and held out, which
    classes are taken for which) are written whole, so that a run that is stopped leaves its last epoch. prepared:
    (done, total) pictures. stepped: (step, steps, loss). measured: each epoch's row. Raises VbpError.
    """
    check_recipe(recipe)
    spec = spec_for(spec, drive)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise VbpError(f"{folder} is not empty; give a new folder for the run")
    where = pick_device(device)
    pictures = read_pictures(drive, spec, recipe, prepared)
    train_rows = pictures.train_rows
    batch = min(recipe.batch, len(train_rows))
    per_epoch = len(train_rows) // batch
    epochs = max(1, round(recipe.epochs))
    steps = epochs * per_epoch
    words = f"{len(train_rows)} pictures of {drive.info.path.name}: {recipe.describe()}"
    try:
        network = build(spec, recipe.seed)
    except ModelError as error:  # an architecture that cannot be made for these classes
        raise ModelError(f"{spec.name} cannot be trained on these classes: {error}") from error
    with saying_where(folder):
        folder.mkdir(parents=True, exist_ok=True)
    module = network.module.to(where)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stub
    optimizer = make_optimizer(module, recipe)
    rows: list[EpochRow] = []
    began = time.monotonic()
    for epoch in range(epochs):
        module.train()
        order = np.random.default_rng([recipe.seed, epoch, 0]).permutation(train_rows)
        total = 0.0
        for k in range(per_epoch):
            step = epoch * per_epoch + k
            torch.manual_seed(recipe.seed + step)  # for the noise
            set_lr(optimizer, recipe.lr_at(step, steps))
            part = order[k * batch : (k + 1) * batch]
            images = to_tensor(pictures.values[part], replace(spec, mean=0.0, std=1.0), where)
            images, _ = augment(
                images, torch.zeros(batch, device=where), recipe, draw(recipe, batch, epoch, k)
            )
            images = normalise(images, spec).contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(module(images), torch.from_numpy(pictures.labels[part]).to(where))
            loss.backward()  # type: ignore[no-untyped-call]
            if recipe.clip:
                nn.utils.clip_grad_norm_(module.parameters(), recipe.clip)
            optimizer.step()
            value = float(loss.detach())
            if not np.isfinite(value):
                raise VbpError(
                    f"the loss is not a number after step {step + 1}: train a new run with a lower --lr than "
                    f"{recipe.learning_rate:g} or with --clip 1"
                )
            total += value
            stepped(step + 1, steps, value)
        test_loss, found = test(module, spec, pictures, where)
        scores = score_classes(pictures.labels[pictures.test_rows], found)
        seconds = round(time.monotonic() - began, 3)
        row = EpochRow(epoch + 1, total / per_epoch, test_loss, scores.accuracy, seconds)
        rows.append(row)
        told = f"{words}; after {epoch + 1} of {epochs} epochs"
        with saying_where(folder):
            save_checkpoint(Network(replace(spec, trained_on=told), module), folder / LAST)
            _write_metrics(folder / METRICS, rows)
            write_json(
                folder / CLASSES,
                {
                    "source": str(drive.info.path),
                    "recipe": recipe.to_json(),
                    "classes": {name: class_name(spec, k) for name, k in _folders(drive, pictures.labels)},
                    "train_pictures": len(train_rows),
                    "test_pictures": list(pictures.test_names),
                    **asdict(row),
                },
            )
        measured(row)
    return rows


def test(
    module: nn.Module, spec: NetworkSpec, pictures: Pictures, device: torch.device
) -> tuple[float, NDArray[np.int64]]:
    """Mean NLL of the pictures held out (NaN of none), and their predicted classes."""
    module.eval()
    rows = pictures.test_rows
    total, found = 0.0, [np.zeros(0, dtype=np.int64)]
    with torch.inference_mode():
        for start in range(0, len(rows), TEST_BATCH):
            part = rows[start : start + TEST_BATCH]
            images = to_tensor(pictures.values[part], spec, device)
            output = module(images.contiguous(memory_format=torch.channels_last))
            truth = torch.from_numpy(pictures.labels[part]).to(device)
            total += float(F.cross_entropy(output, truth, reduction="sum"))
            found.append(output.argmax(1).cpu().numpy())
    return total / len(rows) if len(rows) else float("nan"), np.concatenate(found)


def _folders(drive: Drive, labels: NDArray[np.int64]) -> list[tuple[str, int]]:
    assert drive.labels is not None
    first = {int(folder): i for i, folder in reversed(list(enumerate(drive.labels.tolist())))}
    return [(drive.info.classes[folder], int(labels[i])) for folder, i in sorted(first.items())]


def _write_metrics(path: Path, rows: list[EpochRow]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(asdict(rows[0]))
    writer.writerows(asdict(row).values() for row in rows)
    write_text(path, text.getvalue())
