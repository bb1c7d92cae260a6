"""What runs on a device, on a stand-in for one: every tensor is where it belongs, and the host waits for few of them."""

from __future__ import annotations

import json
import re
import threading
import warnings
from dataclasses import asdict, replace
from importlib import import_module

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode

from roadmaker import write_drive
from runmaker import Stopper, assert_same, example, sources, weights
from standin import DEVICE, OnCard, StandIn
from subjectmaker import less, nothing, small_network, small_subject
from vbp import devices
from vbp.bench.networks import COMPILED, GRAPHED, GRAPHED_FORWARD, GRAPHED_MASK, MASK, measure_network
from vbp.devices import full_float32, to_device
from vbp.drives import open_drive
from vbp.engine import Engine, open_network
from vbp.errors import DeviceError, ExplainError, VbpError
from vbp.evidence.registry import EXPERIMENTS, Options
from vbp.evidence.subject import Subject
from vbp.explain.registry import METHODS
from vbp.frames import run_frames
from vbp.graph import trace as tracing
from vbp.graph.operations import Graph
from vbp.models.network import Network, build
from vbp.models.steering import seeded
from vbp.results import FrameRequest, MapRequest
from vbp.training.loop import resume, train
from vbp.training.steering import Steering
from vbp.training.trainer import COLLECT_EVERY, Trainer

PICTURE = np.random.default_rng(5).integers(0, 256, (480, 640, 3), dtype=np.uint8)
# Of a pass: its output, and whether a layer is dead; of each map: the map, and its strength.
READS_OF_A_PASS, READS_OF_A_MAP = 2, 2
READS_OF_DOUBT = 1  # where a row of a layer is empty, all of it is looked at


def test_the_stand_in_keeps_the_rules_of_a_card():
    with StandIn() as card, torch.inference_mode():
        there = torch.arange(6.0, device="cuda").reshape(2, 3)
        assert isinstance(there, OnCard) and there.device == DEVICE and (there + 1.0).device == DEVICE
        with pytest.raises(RuntimeError, match="on one device"):
            there + torch.ones(3)
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert not card.reads
        assert there.cpu().tolist() == [[0, 1, 2], [3, 4, 5]] and len(card.reads) == 1
        assert float(there.sum()) == 15 and len(card.reads) == 2
        assert bool((there > 4).any()) and len(card.reads) == 3
        there.mul_(2)[0, 1] += 7
        assert there.to("cpu").tolist() == [[0, 9, 4], [6, 8, 10]] and len(card.reads) == 4
        assert there[there > 5].numel() == 4 and len(card.reads) == 5  # the host must know how many there are


@pytest.mark.parametrize("name", ["NetHVF", "NetSign", "PilotNet"])
def test_every_method_on_a_device_is_as_on_the_host(name):
    network = open_network(name) if name != "PilotNet" else seeded_network(name)
    picture = PICTURE[:100, :100] if name == "NetSign" else PICTURE
    methods = [m for m in METHODS if m != "occlusion" or name == "NetSign"]  # the others' takes seconds
    here = Engine(network, "cpu", torch.float64).run(picture, methods, strict=False)
    with StandIn() as card:
        engine = Engine(network, "cuda", torch.float64)
        card.clear()
        there = engine.run(picture, methods, strict=False)
        waits = list(card.waits)
    assert engine.device == "cuda:0"
    assert there.angle_rad == pytest.approx(here.angle_rad, rel=1e-12, nan_ok=True)
    assert there.missing == here.missing and there.dead == here.dead and there.warnings == here.warnings
    assert len(here.maps) >= 11
    for wanted, values in here.maps.items():
        np.testing.assert_allclose(there.maps[wanted], values, atol=1e-6, err_msg=wanted.method)
        assert there.strengths[wanted] == pytest.approx(here.strengths[wanted], abs=1e-9, nan_ok=True)
    assert len(waits) <= READS_OF_A_PASS + READS_OF_A_MAP * len(here.maps), waits


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


def seeded_network(name: str) -> Network:
    from vbp.models.known import SPECS

    return seeded(lambda: build(SPECS[name]()))


@pytest.mark.parametrize("network", ["VGG-16", "ResNet-18"])
def test_the_host_does_not_wait_for_each_layer(network):
    """These have up to 20 layers and skips; the count is that of the small ones."""
    with StandIn() as card:
        engine = Engine(seeded_network(network), "cuda")
        card.clear()
        engine.run(PICTURE[:240, :240], ("visualbackprop", "lrp"))
        assert len(card.waits) == READS_OF_A_PASS + READS_OF_A_MAP * 2, card.waits


def test_float32_is_float32_while_a_network_runs_and_as_it_was_after(monkeypatch):
    """PyTorch rounds the factors of a card's convolutions to 10 bits unless told otherwise."""
    plain, seen = tracing.run_stage, []

    def looked_at(stage, inputs):
        seen.append(multiplies_exactly())
        return plain(stage, inputs)

    monkeypatch.setattr(tracing, "run_stage", looked_at)
    before = torch.backends.cudnn.allow_tf32
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with StandIn():
        here, there = Engine(open_network("NetHVF"), "cpu"), Engine(open_network("NetHVF"), "cuda")
        with full_float32():  # as another thread that is longer at work
            other = threading.Thread(target=here.run, args=(PICTURE,))
            other.start()
            there.run(PICTURE)
            other.join()
            assert multiplies_exactly()
        assert len(seen) > 20 and all(seen)
    assert torch.backends.cudnn.allow_tf32 and not multiplies_exactly()
    monkeypatch.undo()
    assert torch.backends.cudnn.allow_tf32 is before


def multiplies_exactly() -> bool:
    cudnn = torch.backends.cudnn
    return cudnn.conv.fp32_precision == "ieee" if hasattr(cudnn, "conv") else not cudnn.allow_tf32


def test_a_batch_is_read_as_often_as_a_frame():
    with StandIn() as card:
        engine = Engine(open_network("NetHVF"), "cuda")
        card.clear()
        angles, maps = engine([PICTURE, PICTURE[::-1].copy()], ("visualbackprop", "lrp"))
        assert len(card.waits) == 1, card.waits  # the angles: the maps stay where they are
        assert angles.shape == (2,) and all(m.device == DEVICE for m in maps.values())


@pytest.mark.parametrize("name", ["NetHVF", "NetSign", "PilotNet", "ResNet-18"])
def test_a_recorded_pass_is_as_one_that_is_launched(name, caplog):
    """As a CUDA graph it may wait for nothing, and has the numbers of the batch that lies in its place by then."""
    network = open_network(name) if name in ("NetHVF", "NetSign") else seeded_network(name)
    here = Engine(network, "cpu")
    batches = [[PICTURE[k:], PICTURE[k + 9 :]] for k in (0, 40, 80, 0)]
    with StandIn() as card:
        engine = Engine(network, "cuda")
        kept = []
        for batch in batches:
            card.clear()
            angles, maps = engine(batch)
            kept.append((angles, maps["visualbackprop"]))
        assert len(card.waits) == (0 if name in CLASSIFIERS else 1), card.waits  # its angles
        for batch, (angles, mask) in zip(
            batches, kept, strict=True
        ):  # nor is what it gave before written over
            expected, maps = here(batch)
            np.testing.assert_allclose(angles, expected, atol=1e-5)
            torch.testing.assert_close(mask.cpu(), maps["visualbackprop"].clone(), rtol=0, atol=1e-5)
    assert not caplog.records


CLASSIFIERS = ("NetSign", "ResNet-18")


def test_a_size_too_many_is_launched_and_a_pass_that_waits_cannot_be_recorded(monkeypatch, caplog):
    with StandIn():
        engine = Engine(open_network("NetHVF"), "cuda")
        assert engine.graphed is not None
        for count in range(1, engine.graphed.MOST + 2):
            inputs = to_device(np.stack([engine.prepare(PICTURE).input] * count), DEVICE)
            assert (engine.graphed(inputs) is None) == (count > engine.graphed.MOST)
        assert not caplog.records
        plain = tracing.run_stage

        def waits(stage, inputs):
            out = plain(stage, inputs)
            assert float(out.sum()) == float(out.sum())
            return out

        monkeypatch.setattr(tracing, "run_stage", waits)
        engine = Engine(open_network("NetHVF"), "cuda")
        for _ in range(2):
            angles, maps = engine([PICTURE])
            assert np.isfinite(angles).all() and maps["visualbackprop"].device == DEVICE
    (told,) = caplog.records
    assert told.getMessage().startswith(
        "NetHVF runs without a CUDA graph, which is slower: CUDA error: operation not"
    )
    assert Engine(open_network("NetHVF"), "cpu").graphed is None


def test_the_bench_measures_what_only_a_card_has(monkeypatch):
    def missing(*_, **__):
        raise RuntimeError("no compiler here\nand much more")

    monkeypatch.setattr(torch, "compile", missing)
    with StandIn():
        found = measure_network(open_network("NetSign"), PICTURE, "cuda", 2, 0.01, others=False)
    assert {
        GRAPHED,
        GRAPHED_FORWARD,
        GRAPHED_MASK,
        MASK,
    } <= found.timings.keys() and COMPILED not in found.timings
    assert found.notes == ["NetSign: torch.compile: no compiler here"] and found.mask_difference < 1e-5


def test_a_layer_that_is_left_on_the_host_is_noticed(monkeypatch):
    """The planted fault: one layer's output is brought to the host."""
    plain = tracing.run_stage

    def faulty(stage, inputs):
        out = plain(stage, inputs)
        return out.cpu() if out.dim() == 2 else out

    monkeypatch.setattr(tracing, "run_stage", faulty)
    with StandIn():
        engine = Engine(open_network("NetHVF"), "cuda")
        with pytest.raises(ExplainError, match="on one device"):
            engine.run(PICTURE)


def test_a_layer_that_is_looked_at_on_the_host_is_counted(monkeypatch):
    """The other planted fault: the host waits for each layer, which gives the right result, slowly."""
    plain = tracing.run_stage

    def slow(stage, inputs):
        out = plain(stage, inputs)
        assert float(out.sum()) == float(out.sum())
        return out

    monkeypatch.setattr(tracing, "run_stage", slow)
    with StandIn() as card:
        engine = Engine(open_network("NetHVF"), "cuda")
        card.clear()
        engine.run(PICTURE)
        assert len(card.reads) > READS_OF_A_PASS + READS_OF_A_MAP + 10


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


OUT_OF_MEMORY = torch.OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of ..."
)
LOST = RuntimeError(
    "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported at some other API call"
)
NO_HANDLE = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
FAULTS = [(OUT_OF_MEMORY, "memory is full"), (LOST, "launch failure\\)"), (NO_HANDLE, "memory is full")]


@pytest.mark.parametrize(("fault", "said"), FAULTS)
def test_where_a_card_fails_the_cpu_goes_on(fault, said, monkeypatch, caplog):
    here = Engine(open_network("NetHVF"), "cpu").run(PICTURE)
    plain = tracing.apply

    def fails_on_card(op, x, *more):
        if isinstance(x, OnCard):
            raise fault
        return plain(op, x, *more)

    calls = (
        lambda engine: engine.run(PICTURE).angle_rad,
        lambda engine: engine([PICTURE])[0][0],
        lambda engine: float(engine.angles(engine.trace(engine.prepare(PICTURE).input[None]).output)[0]),
    )
    monkeypatch.setattr(tracing, "apply", fails_on_card)
    with StandIn():
        for call in calls:
            engine = Engine(open_network("NetHVF"), "cuda")
            caplog.clear()
            assert call(engine) == pytest.approx(here.angle_rad) and engine.device == "cpu"
            (told,) = said_by_engine(caplog)
            assert told == engine.trouble and re.search(f"{said}.*goes on by the CPU", told)
            assert "\n" not in told
            assert call(engine) == pytest.approx(here.angle_rad) and len(said_by_engine(caplog)) == 1


def said_by_engine(caplog) -> list[str]:
    """Without that no CUDA graph can be made of what fails."""
    return [r.message for r in caplog.records if r.name == "vbp.engine"]


def test_a_card_that_takes_no_weights_is_left_at_once(monkeypatch, caplog):
    plain = Graph.to

    def full(graph, device, dtype):
        if torch.device(device).type == "cuda":
            raise OUT_OF_MEMORY
        return plain(graph, device, dtype)

    monkeypatch.setattr(Graph, "to", full)
    with StandIn():
        engine = Engine(open_network("NetHVF"), "auto")
        assert engine.device == "cpu" and "memory is full" in engine.trouble
        assert np.isfinite(engine.run(PICTURE).angle_rad)


@pytest.mark.parametrize(("fault", "said"), FAULTS)
def test_a_map_that_a_card_fails_to_make_is_one_sentence(fault, said, monkeypatch):
    """The pass lies on the card, so no other device can go on with it."""
    with StandIn():
        engine = Engine(open_network("NetHVF"), "cuda")
        seen = engine.run(PICTURE)

        def fails(*_, **__):
            raise fault

        monkeypatch.setattr(import_module("vbp.explain.lrp"), "propagate", fails)
        with pytest.raises(DeviceError, match=f"{said}; .*choose the device cpu") as told:
            engine.explain(seen, MapRequest("lrp"))
        assert "\n" not in str(told.value)


def test_a_driver_that_is_too_old_is_one_sentence_and_the_cpu_is_used(monkeypatch, caplog):
    """As PyTorch words it: a warning, and no card."""

    def too_old():
        warnings.warn(
            "CUDA initialization: The NVIDIA driver on your system is too old (found version 12040). Please update "
            "your GPU driver by downloading and installing a new version from the URL: "
            "http://www.nvidia.com/Download/index.aspx Alternatively, go to: https://pytorch.org to install a PyTorch "
            "version that has been compiled with your version of the CUDA driver. (Triggered internally at "
            "/pytorch/c10/cuda/CUDAFunctions.cpp:119.)",
            stacklevel=2,
        )
        return False

    monkeypatch.setattr(devices, "_unusable", set())
    monkeypatch.setattr(torch.cuda, "is_available", too_old)
    for name in ("auto", "cuda", "cuda:0"):
        assert devices.pick_device(name) == torch.device("cpu")
    (told,) = caplog.records
    assert "driver on your system is too old (found version 12040)); update the driver" in told.getMessage()
    with pytest.raises(VbpError, match="there is no device 'tpu'"):
        devices.pick_device("tpu")


def test_training_that_runs_out_of_memory_is_one_sentence(tmp_path, monkeypatch):
    made = example("steering", tmp_path)

    def full(*_):
        raise OUT_OF_MEMORY

    monkeypatch.setattr(Steering, "loss", full)
    with (
        StandIn(),
        pytest.raises(DeviceError, match="memory is full; end what else uses it, or choose the device cpu"),
    ):
        train(sources(made.data), made.spec, made.recipe, tmp_path / "run", "cuda")
