"""How a specification does on a drive's frames, in a moment: what the form beside the picture shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from labelmaker import Made
from vbp.engine import Engine
from vbp.errors import ModelError
from vbp.fitting.frames import choose_labelled
from vbp.fitting.outputs import CancelledError, SpecCheck
from vbp.models.network import Network
from vbp.models.spec import NetworkSpec


class Bright(nn.Module):
    """Its outputs are the picture's mean, and probabilities of three bins, of which the mean decides."""

    def forward(self, x):
        mean = x.mean((1, 2, 3), keepdim=True).flatten(1)
        return torch.cat([mean, torch.softmax(torch.cat([mean * 0, mean * 3, mean * 2], 1), 1)], 1)


@pytest.fixture(scope="module")
def check():
    spec = NetworkSpec("bright", "", {}, 6, 8, channels=3, output_unit="deg")
    made = SpecCheck(Network(spec, Bright()), choose_labelled(Made(np.sin(np.arange(200) / 9) * 100 + 100)))
    yield made
    made.close()


def spec(**changes):
    return NetworkSpec("bright", "", {}, 6, 8, **{"channels": 3, "output_unit": "deg", **changes})


def test_what_is_said_is_what_the_engine_predicts(check):
    """The drive's frames are as bright as their number, its angles are others."""
    for said in (
        spec(),
        spec(std=1 / 255, output_scale=2.0, output_sign="right"),
        spec(channels=3, colour="yuv", blur=3),
    ):
        found = check(said)
        engine = Engine(Network(said, Bright()), "cpu")
        predicted = np.degrees(engine(check.frames.images, ())[0])
        engine.close()
        actual = check.frames.angle_deg
        assert found.frames == 50
        assert found.correlation == pytest.approx(np.corrcoef(predicted, actual)[0, 1], abs=1e-5)
        assert found.rmse_deg == pytest.approx(np.sqrt(np.mean((predicted - actual) ** 2)), rel=1e-4)
        assert found.interval[0] < found.correlation < found.interval[1]


def test_bins_may_be_probabilities(check):
    found = as_angles = check(spec(output_index=1, output_bins=(-1, 0, 1)))
    shares = check.outputs(spec())[:, 1:]
    expected = shares @ [-1, 0, 1]
    assert as_angles.correlation == pytest.approx(
        np.corrcoef(expected, check.frames.angle_deg)[0, 1], abs=1e-4
    )
    assert found.rmse_deg > 50


def test_what_cannot_be_is_said(check):
    with pytest.raises(ModelError, match="has 4 outputs, and the specification asks for number 6"):
        check(spec(output_index=6))
    with pytest.raises(ModelError, match="no angle to compare with"):
        check(spec(output="class"))
    with pytest.raises(CancelledError):
        check.outputs(spec(), keep_on=lambda: False)


def test_a_mirror_turns_the_pictures(check):
    image = np.zeros((6, 8, 3), np.uint8)
    image[:, 0] = 200
    assert (check.prepared(spec(), [image], mirrored=True)[0, :, -1] == 200).all()
