"""One network in training: its steps, its measurements, and what is written after them."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vbp.devices import to_device
from vbp.errors import VbpError
from vbp.models.network import Network, build, load_checkpoint, save_checkpoint
from vbp.models.spec import NetworkSpec
from vbp.preprocess import normalise, to_tensor
from vbp.training.augment import draw
from vbp.training.fast import Trainable, all_outputs, autocast
from vbp.training.folder import BEST, LAST, Config, Row, checkpoint_path, write_metrics
from vbp.training.frames import Frames
from vbp.training.group import Group
from vbp.training.optimise import RunningMean, make_optimizer, set_lr
from vbp.training.state import Progress, restore_state, save_state

COLLECT_EVERY = 16  # steps between readings of the losses on a GPU: each waits for it
TEST_BATCH = 32


class Trainer:
    """`step` until `finished`; after each, `measure` where `measurement_due`, and `save` where wanted.

    A run goes on exactly where `restore` finds it: the order of the frames, the augmentation, dropout and the
    learning rate are functions of the seed and the step, and everything else is in the state.
    """

    def __init__(self, config: Config, folder: Path, frames: Frames, group: Group) -> None:
        recipe = config.recipe
        self.config, self.recipe, self.folder, self.frames, self.group = config, recipe, folder, frames, group
        self.task = config.task
        self._rows = frames.train_rows
        if len(self._rows) < 2:
            raise VbpError(
                f"{len(self._rows)} {self.task.nouns} are left to train on; give more, or hold out less"
            )
        self.batch = min(recipe.batch, len(self._rows))
        if self.batch < group.size:
            raise VbpError(
                f"a batch of {self.batch} cannot be shared by {group.size} processes; raise --batch"
            )
        self.steps_per_epoch = max(1, len(self._rows) // self.batch)
        self.steps = max(1, round(recipe.epochs * self.steps_per_epoch))
        self.checkpoint_steps = _checkpoint_steps(
            recipe.checkpoints, recipe.epochs, self.steps_per_epoch, self.steps
        )
        self.network = _begin(config)
        self.module = self.network.module.to(group.device)
        self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stub
        trainable = Trainable(self.module, recipe.dropout)
        self._model: nn.Module = DistributedDataParallel(trainable) if group.size > 1 else trainable
        self._model.train()
        self._optimizer = make_optimizer(self.module, recipe)
        self._mean = RunningMean(self.module, recipe.ema) if recipe.ema else None
        self._weights = self.task.weights(frames.targets[self._rows], recipe)
        self._on_device = _on_device(frames.pictures, group.device)
        self._order: tuple[int, NDArray[np.int64]] = (-1, self._rows)
        self._losses: list[Tensor] = []  # not yet read from the device
        self._clock = time.monotonic()
        self.progress = Progress(frames=frames.digest)
        self.loss = math.nan  # of the last step that was read

    @property
    def finished(self) -> bool:
        return self.progress.step >= self.steps

    @property
    def epoch(self) -> float:
        return self.recipe.epochs if self.finished else self.progress.step / self.steps_per_epoch

    @property
    def measurement_due(self) -> bool:
        """Whether the step just done ends an epoch, or is one to keep."""
        step = self.progress.step
        return self.finished or step in self.checkpoint_steps or step % self.steps_per_epoch == 0

    def restore(self) -> None:
        """Go on where the state on disk says, if there is one. Raises VbpError where the frames are others."""
        found = restore_state(self.folder, self.module, self._optimizer, self._mean)
        if found is None:
            return
        if found.frames != self.frames.digest:
            raise VbpError(f"the recordings differ from those that {self.folder} began with; train a new run")
        self.progress = found

    def step(self) -> None:
        """One batch, one change of the weights. Raises VbpError where the loss is not a number."""
        step, recipe, device = self.progress.step, self.recipe, self.group.device
        epoch, k = divmod(step, self.steps_per_epoch)
        part = self.group.share(self.batch)
        picks = self._shuffled(epoch)[k * self.batch : (k + 1) * self.batch][part]
        rows = self._rows[picks]
        torch.manual_seed(_seed(recipe.seed, step, self.group.rank))
        set_lr(self._optimizer, recipe.lr_at(step, self.steps))
        images = self._pictures(rows)
        targets = to_device(self.frames.targets[rows], device)
        draws = draw(recipe, self.batch, epoch, k).part(part)
        images, targets = self.task.augment(images, targets, recipe, draws)
        images = normalise(images, self.network.spec).contiguous(memory_format=torch.channels_last)
        self._optimizer.zero_grad(set_to_none=True)
        with autocast(device, recipe.precision):
            outputs = self._model(images)
        losses = self.task.loss(outputs, targets, self.network.spec)
        loss = (losses * to_device(self._weights[picks], device)).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        if recipe.clip:
            nn.utils.clip_grad_norm_(self.module.parameters(), recipe.clip)
        self._optimizer.step()
        if self._mean is not None:
            self._mean.update(self.module, step)
        self.progress.step += 1
        self._losses.append(loss.detach())
        if device.type == "cpu" or len(self._losses) >= COLLECT_EVERY:
            self._collect_losses()

    def measure(self) -> Row:
        """Test, note a row of metrics, and write the checkpoints that are due."""
        self._collect_losses()
        self._check_weights()
        count = max(1, self.progress.loss_count)
        row = Row(
            epoch=self.epoch,
            step=self.progress.step,
            train_loss=self.progress.loss_sum / count,
            lr=self.recipe.lr_at(self.progress.step - 1, self.steps),
            seconds=round(self._seconds(), 3),
            **self._test(),
        )
        self.progress.rows.append(row)
        self.progress.loss_sum, self.progress.loss_count = 0.0, 0
        better = self._is_best(getattr(row, self.task.metric))
        if self.group.first:
            for epoch in self.checkpoint_steps.get(self.progress.step, ()):
                self._save_network(checkpoint_path(self.folder, epoch))
            self._save_network(self.folder / LAST)
            if better:
                self._save_network(self.folder / BEST)
            write_metrics(self.folder, self.progress.rows, self.task)
        return row

    def save(self) -> None:
        """The state, so that the run can go on from here."""
        self._collect_losses()
        self._check_weights()
        self.progress.seconds = self._seconds()
        self._clock = time.monotonic()
        if self.group.first:
            save_state(self.folder, self.progress, self.module, self._optimizer, self._mean)

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        if self._order[0] != epoch:
            rng = np.random.default_rng([self.recipe.seed, epoch, 0])
            self._order = (epoch, rng.permutation(len(self._rows)))
        return self._order[1]

    def _pictures(self, rows: NDArray[np.int64]) -> Tensor:
        """(N, C, h, w) float32 in [0, 1] on the device."""
        if self._on_device is not None:
            stored = self._on_device[to_device(rows, self.group.device)]
        else:
            stored = to_device(self.frames.pictures[rows], self.group.device)
        stored = stored.unsqueeze(1) if stored.dim() == 3 else stored.permute(0, 3, 1, 2)
        return stored.float() / 255

    def _collect_losses(self) -> None:
        """Add up the losses of the steps since the last call. Raises VbpError for one that is not a number."""
        for n, loss in enumerate(torch.stack(self._losses).tolist() if self._losses else []):
            if not math.isfinite(loss):
                self._diverged("loss", self.progress.step - len(self._losses) + n + 1)
            self.progress.loss_sum += loss
            self.progress.loss_count += 1
            self.loss = loss
        self._losses.clear()

    def _check_weights(self) -> None:
        weights = [t for t in self.module.state_dict().values() if t.is_floating_point()]
        if not bool(torch.stack([t.isfinite().all() for t in weights]).all()):  # a device is waited for once
            self._diverged("network's weights", self.progress.step)

    def _diverged(self, what: str, step: int) -> None:
        verb = "are" if what.endswith("s") and what != "loss" else "is"
        raise VbpError(
            f"the {what} {verb} not a number after step {step} (epoch {step / self.steps_per_epoch:.2f}): train "
            f"a new run with a lower --lr than {self.recipe.learning_rate:g} or with --clip 1; "
            f"the checkpoints written before are good and stay in {self.folder}"
        )

    def _is_best(self, value: float) -> bool:
        """Whether it is better than all before; it is then remembered."""
        best = self.progress.best
        better = math.isfinite(value) and (
            best is None or (value > best if self.task.higher_is_better else value < best)
        )
        if better:
            self.progress.best = value
        return better

    def _test(self) -> dict[str, float]:
        """The scores on the frames held out; empty where there are none."""
        rows = self.frames.test_rows
        if not self.group.first or not len(rows):
            return {}
        module = self._mean.module if self._mean is not None else self.module
        module.eval()
        try:
            outputs = predict(module, self.network.spec, self.frames.pictures, rows, self.group.device)
        finally:
            module.train(self._mean is None)
        return self.task.scores(outputs, self.frames.targets[rows], self.network.spec)

    def _save_network(self, path: Path) -> None:
        words = f"{self.network.spec.trained_on}; after {self.epoch:.4g} of {self.recipe.epochs:g} epochs"
        spec = NetworkSpec(**{**self.network.spec.__dict__, "trained_on": words})
        module = self._mean.module if self._mean is not None else self.module
        save_checkpoint(Network(spec, module), path)

    def _seconds(self) -> float:
        return self.progress.seconds + time.monotonic() - self._clock


def predict(
    module: nn.Module,
    spec: NetworkSpec,
    pictures: NDArray[np.uint8],
    rows: NDArray[np.int64],
    device: torch.device,
) -> NDArray[np.float64]:
    """Outputs (len(rows), K) of prepared pictures; `module` is in eval mode."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), TEST_BATCH):
            images = to_tensor(pictures[rows[start : start + TEST_BATCH]], spec, device)
            images = images.contiguous(memory_format=torch.channels_last)
            found.append(all_outputs(module(images)).cpu().numpy().astype(np.float64))
    return np.concatenate(found)


def _begin(config: Config) -> Network:
    """Fresh weights from the seed, or those of the checkpoint to start from. Raises ModelError."""
    if not config.init:
        return build(config.spec, config.recipe.seed)
    network = load_checkpoint(config.init)
    network.spec = config.spec
    return network


def _checkpoint_steps(
    checkpoints: tuple[float, ...], epochs: float, steps_per_epoch: int, steps: int
) -> dict[int, list[float]]:
    """step -> the epochs whose checkpoint is written after it; the end is always one."""
    steps_to_keep: dict[int, list[float]] = {}
    for epoch in sorted({e for e in checkpoints if e < epochs} | {epochs}):
        step = steps if epoch == epochs else min(steps, max(1, round(epoch * steps_per_epoch)))
        steps_to_keep.setdefault(step, []).append(epoch)
    return steps_to_keep


def _on_device(pictures: NDArray[np.uint8], device: torch.device) -> Tensor | None:
    """All pictures on the GPU where they take less than 40 % of what is free there."""
    if device.type != "cuda" or pictures.nbytes > 0.4 * torch.cuda.mem_get_info(device)[0]:
        return None
    out = torch.empty(pictures.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(pictures), 4096):
        out[start : start + 4096] = to_device(pictures[start : start + 4096], device)
    return out


def _seed(*numbers: int) -> int:
    """One 63-bit seed from several numbers, well mixed."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
