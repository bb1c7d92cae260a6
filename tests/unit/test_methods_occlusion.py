"""Occlusion against captum, and what it asks of the network."""

from __future__ import annotations

import warnings

import pytest
import torch
from captum.attr import Occlusion

from netmaker import make, scaled
from vbp.errors import ExplainError
from vbp.explain import Target, explain
from vbp.explain.occlusion import StoppedError, occlusion, stop_asked


@pytest.mark.parametrize("size", [1, 4, 5, 13, 30])
@pytest.mark.parametrize("name", ["plain", "padded"])
def test_it_agrees_with_captum(name: str, size: int) -> None:
    done, module, images = make(name, seed=8)
    channels = images.shape[1]
    high, wide = min(size, 13), min(size, 19)
    step = max(1, size // 2)
    for target in (0, 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = Occlusion(module).attribute(
                images,
                (channels, high, wide),
                (channels, min(step, high), min(step, wide)),
                baselines=images.mean((2, 3), keepdim=True).expand_as(images),
                target=target,
            )
        got = explain(done, "occlusion", target, size=size)
        # captum adds up in single precision.
        assert (got - scaled(expected[:, 0].detach())).abs().max() < 1e-5


def test_the_magnitude_is_asked_of_the_network_itself() -> None:
    """|s| where hiding a patch turns its sign: no gradient knows that."""
    done, module, images = make("plain", seed=8, frames=1)
    hidden = images.mean((2, 3), keepdim=True).expand_as(images)
    with torch.no_grad():
        full, none = module(images)[0, 0], module(hidden)[0, 0]
    for kind, wanted in (
        ("output", full - none),
        ("negative", none - full),
        ("magnitude", full.abs() - none.abs()),
        ("error-magnitude", (0.2 - full).abs() - (0.2 - none).abs()),
    ):
        target = Target(kind, driven=torch.tensor([0.2]))
        got = explain(done, "occlusion", target, size=40)  # one patch, the whole picture
        assert torch.equal(got, torch.full_like(got, float(wanted.sign()))), kind


def test_a_long_computation_can_be_stopped() -> None:
    done, _, _ = make("plain")
    asked = []
    token = stop_asked.set(lambda: len(asked) > 3 or bool(asked.append(1)))
    try:
        with pytest.raises(StoppedError):
            occlusion(done, size=2)
    finally:
        stop_asked.reset(token)
    assert occlusion(done, size=2).abs().max() == 1


def test_a_patch_has_a_size() -> None:
    done, _, _ = make("plain")
    for size, words in (
        (0, "patches of at least 1"),
        (float("nan"), "a whole number"),
        (float("inf"), "a whole number"),
    ):
        with pytest.raises(ExplainError, match=words):
            explain(done, "occlusion", size=size)
