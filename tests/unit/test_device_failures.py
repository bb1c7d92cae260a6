"""A device that fails: one sentence, and the CPU goes on."""

from __future__ import annotations

import re
import warnings
from importlib import import_module

import numpy as np
import pytest
import torch

from runmaker import example, sources
from standin import OnCard, StandIn
from vbp import devices
from vbp.engine import Engine, open_network
from vbp.errors import DeviceError, VbpError
from vbp.graph import trace as tracing
from vbp.graph.operations import Graph
from vbp.results import MapRequest
from vbp.training.loop import train
from vbp.training.steering import Steering

PICTURE = np.random.default_rng(5).integers(0, 256, (480, 640, 3), dtype=np.uint8)

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
