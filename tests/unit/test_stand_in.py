"""What runs on a device, on a stand-in for one: every tensor is where it belongs, and the host waits for few of them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from standin import DEVICE, OnCard, StandIn
from vbp.bench.networks import COMPILED, GRAPHED, GRAPHED_FORWARD, GRAPHED_MASK, MASK, measure_network
from vbp.devices import full_float32, to_device
from vbp.engine import Engine, open_network
from vbp.errors import ExplainError
from vbp.explain.registry import METHODS
from vbp.graph import trace as tracing
from vbp.models.network import Network, build
from vbp.models.steering import seeded

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
