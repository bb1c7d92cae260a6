"""Training, experiments and whole drives on a stand-in for a device: as on the host, and the host waits for few of its numbers."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode

from roadmaker import write_drive
from runmaker import Stopper, assert_same, example, sources, weights
from standin import StandIn
from subjectmaker import less, nothing, small_network, small_subject
from vbp.drives import open_drive
from vbp.engine import Engine
from vbp.evidence.registry import EXPERIMENTS, Options
from vbp.evidence.subject import Subject
from vbp.frames import run_frames
from vbp.models.network import Network
from vbp.results import FrameRequest, MapRequest
from vbp.training.loop import resume, train
from vbp.training.steering import Steering
from vbp.training.trainer import COLLECT_EVERY, Trainer

# Of a pass: its output, and whether a layer is dead; of each map: the map, and its strength.
READS_OF_A_PASS, READS_OF_A_MAP = 2, 2
READS_OF_DOUBT = 1  # where a row of a layer is empty, all of it is looked at


@pytest.mark.parametrize("kind", ["steering", "classes"])
def test_training_on_a_device_is_as_on_the_host(kind, tmp_path, waits_of_steps):
    made = example(kind, tmp_path)
    # AdamW takes the sign of gradients that are zero but for rounding, as of a bias in front of a BatchNorm.
    recipe = replace(made.recipe, optimizer="sgd", lr=0.005, checkpoints=())
    train(sources(made.data), made.spec, recipe, tmp_path / "here", "cpu")
    waits_of_steps.clear()
    with StandIn():
        train(sources(made.data), made.spec, recipe, tmp_path / "there", "cuda")
    here, there = weights(tmp_path / "here"), weights(tmp_path / "there")
    assert here.keys() == there.keys()
    for file, tensors in here.items():
        for name, values in tensors.items():
            torch.testing.assert_close(there[file][name], values, rtol=0, atol=1e-5, msg=f"{file} {name}")
    # A step waits for nothing, but for the losses, of all since the last time at once.
    assert len(waits_of_steps) == 24
    assert set(waits_of_steps) <= {0, 1} and sum(waits_of_steps) <= 24 // COLLECT_EVERY


def test_a_run_on_a_device_goes_on_where_it_stopped(tmp_path):
    made = example("steering", tmp_path)
    with StandIn():
        train(sources(made.data), made.spec, made.recipe, tmp_path / "whole", "cuda")
        with pytest.raises(KeyboardInterrupt):
            train(sources(made.data), made.spec, made.recipe, tmp_path / "run", "cuda", listener=Stopper(9))
        resume(tmp_path / "run", "cuda")
    assert_same(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("fault", ["read", "left behind"])
def test_a_step_that_waits_or_stays_behind_is_noticed(fault, tmp_path, monkeypatch, waits_of_steps):
    """The planted faults: a loss that is looked at in each step, and targets that stay on the host."""
    made = example("steering", tmp_path)
    plain = Steering.loss

    def faulty(self, outputs, targets, spec):
        if fault == "read":
            assert outputs.abs().sum().item() >= 0
            return plain(self, outputs, targets, spec)
        return plain(self, outputs.cpu(), targets.cpu(), spec)

    monkeypatch.setattr(Steering, "loss", faulty)
    with StandIn():
        if fault == "read":
            train(sources(made.data), made.spec, made.recipe, tmp_path / "run", "cuda")
            assert min(waits_of_steps) == 1
        else:
            with pytest.raises(RuntimeError, match="on one device"):
                train(sources(made.data), made.spec, made.recipe, tmp_path / "run", "cuda")


@pytest.fixture
def waits_of_steps(monkeypatch) -> list[int]:
    """How often the host waited for the card in each step of a training run."""
    plain, found = Trainer.step, []

    def counted(trainer):
        card = _get_current_dispatch_mode()
        before = len(card.waits) if card is not None else 0
        plain(trainer)
        found.append(len(card.waits) - before if card is not None else 0)

    monkeypatch.setattr(Trainer, "step", counted)
    return found


def test_two_networks_in_one_pass_over_a_drive(tmp_path):
    """Decoded and run ahead, in threads of their own, as `vbp predict`, `compare` and `export` do."""
    with open_drive(write_drive(tmp_path / "drive", count=12)) as drive:
        networks = [small_network(), replace_seed(small_network())]
        request = FrameRequest(maps=(MapRequest("visualbackprop"), MapRequest("lrp")))
        here = list(run_frames(drive, [Engine(n, "cpu") for n in networks], request))
        with StandIn() as card:
            engines = [Engine(n, "cuda") for n in networks]
            card.clear()
            there = list(run_frames(drive, engines, request))
            waits = list(card.waits)
    assert len(there) == len(here) == 12
    for one, other in zip(here, there, strict=True):
        for a, b in zip(one.results, other.results, strict=True):
            assert b.angle_rad == pytest.approx(a.angle_rad, rel=1e-5)
            for wanted, values in a.maps.items():
                np.testing.assert_allclose(b.maps[wanted], values, atol=1e-5)
    # One batch, two networks, two maps each: as often as for one frame of each.
    assert len(waits) <= 2 * (READS_OF_A_PASS + READS_OF_DOUBT + 2 * READS_OF_A_MAP), waits


def replace_seed(network: Network) -> Network:
    with torch.no_grad():
        for parameter in network.module.parameters():
            parameter.mul_(1.5)
    return network


@pytest.mark.parametrize("name", [name for name, one in EXPERIMENTS.items() if not one.needs_truth])
def test_every_experiment_on_a_device_is_as_on_the_host(name, monkeypatch):
    less(monkeypatch)
    options = Options()
    found = []
    with torch.random.fork_rng(devices=[]):
        found.append(EXPERIMENTS[name].run(subject_on("cpu"), options, nothing))
    with StandIn():
        found.append(EXPERIMENTS[name].run(subject_on("cuda"), options, nothing))
    here, there = (numbers(json.loads(json.dumps(asdict(one), default=str))) for one in found)
    assert len(here) == len(there) > 3
    assert np.isclose(here, there, rtol=1e-2, atol=1e-3, equal_nan=True).mean() > 0.99


def subject_on(device: str) -> Subject:
    made = small_subject(small_network())
    subject = Subject(
        small_network(), Engine(small_network(), device), made.frames, ("visualbackprop", "lrp"), seed=0
    )
    subject.prepare(nothing)
    return subject


def numbers(value) -> list[float]:
    """All numbers in it, in order."""
    if isinstance(value, dict):
        return [x for one in value.values() for x in numbers(one)]
    if isinstance(value, list):
        return [x for one in value for x in numbers(one)]
    return [float(value)] if isinstance(value, int | float) else []
