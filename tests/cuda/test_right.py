"""On a graphics card: the CPU's numbers, to 1e-4 of a map's largest; angles to 1e-4 rad."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from runmaker import Stopper, assert_same, example, sources
from vbp.engine import Engine, open_network
from vbp.explain.graphed import GraphedMask
from vbp.explain.registry import METHODS, explain
from vbp.graph.operations import Graph
from vbp.graph.trace import Trace, trace
from vbp.models.known import SPECS
from vbp.models.network import Network, build
from vbp.models.steering import seeded
from vbp.training.loop import resume, train

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
SHIPPED = ("NetSVF", "NetHVF", "NetSign")
NETWORKS = (*SHIPPED, "PilotNet", "VGG-16", "ResNet-200")
STEADY = (
    "visualbackprop",
    "lrp",
    "fbi",
    "deconvnet",
    "grad-cam",
)  # on no network does rounding decide anything in them
FAST = [name for name, method in METHODS.items() if not method.slow]
MOST = 1e-4


def network_of(name: str) -> Network:
    return open_network(name) if name in SHIPPED else seeded(lambda: build(SPECS[name]()))


def picture(height: int = 480, width: int = 640) -> np.ndarray:
    """Plain parts and edges, as of a road; noise alone hides what is wrong at edges."""
    rng = np.random.default_rng(3)
    coarse = torch.from_numpy(rng.random((1, 3, 12, 16), dtype=np.float32))
    smooth = F.interpolate(coarse, (height, width), mode="bilinear")[0].permute(1, 2, 0).numpy()
    return (255 * (0.9 * smooth + 0.1 * rng.random((height, width, 3)))).astype(np.uint8)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pass_on_the_card_is_as_on_the_cpu(name):
    network, frame = network_of(name), picture()
    here, there = (Engine(network, device) for device in ("cpu", "cuda"))
    inputs = here.prepare(frame).input[None]
    one, other = here.trace(inputs), there.trace(inputs)
    np.testing.assert_allclose(there.angles(other.output), here.angles(one.output), atol=MOST)
    for stage, value, found in zip(one.stages, one.values[1:], other.values[1:], strict=True):
        assert float((found.cpu() - value).abs().max()) <= MOST * float(value.abs().max()), stage.name


@pytest.mark.parametrize("name", NETWORKS)
def test_every_method_on_the_card_is_as_on_the_cpu(name):
    """Of the very same activations. Two devices round a pass differently, and a neuron that is zero but for rounding then lets a
    gradient through on one of them alone: on a CPU saliency in float32 lies 0.0016 (NetSVF) to 0.037 (VGG-16) off its float64."""
    done = Engine(network_of(name), "cpu").trace(
        Engine(network_of(name), "cpu").prepare(picture()).input[None]
    )
    stages = Graph(done.stages).to("cuda", torch.float32).stages
    there = Trace(stages, tuple(value.cuda() for value in done.values))
    for method in FAST:
        expected, found = explain(done, method), explain(there, method).cpu()
        torch.testing.assert_close(found, expected, atol=MOST, rtol=0, msg=lambda m, k=method: f"{k}: {m}")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_method_in_float64_from_the_picture_on(name, record_property):
    """Where rounding decides nothing. What float32 differs by is noted for the report, and of these held to 1e-4."""
    network, frame = network_of(name), picture()
    methods = [*FAST, "occlusion"] if name == "NetSign" else FAST
    here = Engine(network, "cpu", torch.float64).run(frame, methods, strict=False)
    exact = Engine(network, "cuda", torch.float64).run(frame, methods, strict=False)
    quick = Engine(network, "cuda").run(frame, methods, strict=False)
    assert exact.angle_rad == pytest.approx(here.angle_rad, abs=1e-9, nan_ok=True)
    assert quick.missing == exact.missing == here.missing and quick.dead == exact.dead == here.dead
    assert len(here.maps) >= len(methods) - 1
    for wanted, values in here.maps.items():
        np.testing.assert_allclose(exact.maps[wanted], values, atol=1e-6, rtol=0, err_msg=wanted.method)
        assert exact.strengths[wanted] == pytest.approx(here.strengths[wanted], abs=1e-6, nan_ok=True)
        difference = float(np.abs(quick.maps[wanted] - values).max())
        record_property(f"{name} {wanted.method}", difference)
        if wanted.method in STEADY:
            assert difference < MOST, wanted.method


@pytest.mark.parametrize("name", SHIPPED)
def test_a_batch_is_as_its_frames_alone(name):
    frames = [picture(), picture()[:, ::-1].copy(), np.zeros((480, 640, 3), np.uint8)]
    here, there = Engine(network_of(name), "cpu"), Engine(network_of(name), "cuda")
    angles, maps = there(frames, ("visualbackprop", "lrp"))
    expected, wanted = here(frames, ("visualbackprop", "lrp"))
    np.testing.assert_allclose(angles, expected, atol=MOST)
    for method, values in wanted.items():
        np.testing.assert_allclose(maps[method].cpu(), values, atol=MOST, err_msg=method)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("name", [*SHIPPED, "PilotNet", "ResNet-18"])
def test_a_recorded_pass_is_as_one_that_is_launched(name, count, caplog):
    engine = Engine(network_of(name), "cuda")
    batches = [np.stack([np.roll(picture(), 40 * (n + k), 1) for n in range(count)]) for k in range(3)]
    for batch in [*batches, batches[0]]:  # what a replay leaves behind does not matter to the next
        angles, maps = engine(batch)
        done = engine.trace(np.stack([engine.prepare(one).input for one in batch]))
        np.testing.assert_allclose(angles, engine.angles(done.output), atol=1e-6)
        eager = explain(done, "visualbackprop")
        torch.testing.assert_close(maps["visualbackprop"], eager.clone(), atol=1e-6, rtol=0)
    assert not caplog.records  # no word of a graph that could not be made


def test_what_a_recorded_pass_returned_stays_when_it_runs_again():
    engine = Engine(network_of("NetSVF"), "cuda")
    first, maps = engine([picture()])
    kept = maps["visualbackprop"].cpu()
    second, _ = engine([np.zeros((480, 640, 3), np.uint8)])
    assert first[0] != second[0]
    torch.testing.assert_close(maps["visualbackprop"].cpu(), kept, atol=0, rtol=0)


def test_more_sizes_than_are_kept_are_launched_one_by_one():
    engine = Engine(network_of("NetHVF"), "cuda")
    for count in range(1, GraphedMask.MOST + 3):
        angles, maps = engine([picture()] * count)
        assert angles.shape == (count,) and maps["visualbackprop"].shape[0] == count
        np.testing.assert_allclose(angles, angles[0], atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_says_how_much_it_differs(dtype, record_property):
    """By choice; the figures go to the report. The mask is near, the angle within a degree of that of float32."""
    for name in ("NetSVF", "NetHVF"):
        exact, half = Engine(network_of(name), "cuda"), Engine(network_of(name), "cuda", dtype)
        frame = picture()
        a, b = exact.run(frame), half.run(frame)
        record_property(f"{name} {dtype} angle_rad", abs(a.angle_rad - b.angle_rad))
        difference = np.abs(a.map("visualbackprop") - b.map("visualbackprop"))
        record_property(
            f"{name} {dtype} mask, largest and mean", f"{difference.max():.2g} {difference.mean():.2g}"
        )
        assert abs(a.angle_rad - b.angle_rad) < np.radians(1) and difference.mean() < 0.01


def test_float32_is_no_tf32():
    """A convolution of 512 channels, whose factors TF32 would round to 10 bits."""
    generator = torch.Generator().manual_seed(1)
    graph = Engine(network_of("VGG-16"), "cpu").forward(torch.rand(1, 3, 224, 224, generator=generator))
    at = next(
        i
        for i, s in enumerate(graph.stages)
        if getattr(s.op, "weight", torch.empty(0)).shape[:2] == (512, 512)
    )
    one = Graph((replace(graph.stages[at], inputs=()),))
    x = graph.inputs(at)[0].clone()
    exact = trace(one.to("cpu", torch.float64), x.double()).output
    there = trace(one.to("cuda", torch.float32), x.cuda()).output.cpu()
    assert float((there - exact).abs().max() / exact.abs().max()) < 2e-6


def test_a_card_without_room_is_left_for_the_cpu(caplog):
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(64 * 2**20 / total)
    try:
        torch.cuda.empty_cache()
        engine = Engine(network_of("VGG-16"), "cuda")
        seen = engine.run(picture())
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert (
        engine.device == "cpu"
        and "memory is full" in engine.trouble
        and seen.map("visualbackprop") is not None
    )


@pytest.mark.parametrize("kind", ["steering", "classes"])
def test_a_run_goes_on_to_the_same_weights(kind, tmp_path):
    made = example(kind, tmp_path)
    recipe = replace(made.recipe, precision="auto")
    train(sources(made.data), made.spec, recipe, tmp_path / "whole", "cuda")
    with pytest.raises(KeyboardInterrupt):
        train(sources(made.data), made.spec, recipe, tmp_path / "run", "cuda", listener=Stopper(9))
    resume(tmp_path / "run", "cuda")
    assert_same(tmp_path / "whole", tmp_path / "run")


def test_training_on_the_card_begins_as_on_the_cpu(tmp_path):
    """After few steps: later, rounding decides which of the many ways a run takes."""
    made = example("steering", tmp_path)
    augment = tuple(name for name in made.recipe.augment if name != "noise")  # a card draws other noise
    recipe = replace(
        made.recipe, augment=augment, dropout=0, optimizer="sgd", lr=0.005, epochs=0.5, checkpoints=()
    )
    losses = []
    for device in ("cpu", "cuda"):
        done = train(sources(made.data), made.spec, recipe, tmp_path / device, device)
        losses.append(done.metrics()[-1].train_loss)
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
