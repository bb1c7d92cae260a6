"""Networks that a method cannot pass, or that were exported as they were trained: they predict all the same, and rightly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vbp.engine import Engine, open_network
from vbp.errors import ExplainError, ModelError
from vbp.models.network import Network
from vbp.models.spec import NetworkSpec
from vbp.results import MapRequest

SPEC = NetworkSpec("mine", "", {}, input_height=12, input_width=16, channels=3)
FRAME = np.random.default_rng(3).integers(0, 256, (12, 16, 3), dtype=np.uint8)


class Attending(nn.Module):
    """Attention between places, which VisualBackProp does not pass, and the logarithm of a sum, which LRP does not."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3)
        self.head = nn.Linear(6, outputs)
        self.norm, self.drop = nn.BatchNorm2d(6), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        places = x.flatten(2)
        x = torch.bmm(places, (places.transpose(1, 2) @ places).softmax(1)).view(x.shape)
        return self.head(self.drop(self.second(x).relu().logsumexp((2, 3))))


class Plain(Attending):
    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.norm(self.first(x)).relu()).relu()
        return self.head(self.drop(x.mean((2, 3))))


def trained(module: nn.Module) -> nn.Module:
    torch.manual_seed(4)
    for _ in range(3):
        module.train()(torch.rand(4, 3, 12, 16))
    return module


def wanted(module: nn.Module) -> float:
    image = torch.from_numpy(FRAME).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        return float(module.eval()(image)[0, 0])


def test_what_cannot_be_explained_still_predicts_and_says_why():
    module = trained(Attending())
    engine = Engine(Network(SPEC, module.eval()), "cpu")
    done = engine.run(FRAME, ("visualbackprop", "grad-cam"), strict=False)
    assert done.angle_rad == pytest.approx(wanted(module), abs=1e-6)
    assert set(done.maps) == {MapRequest("grad-cam")}
    assert done.warning.startswith("VisualBackProp shows nothing of this network: layer")
    with pytest.raises(ExplainError, match="cannot be explained|not explained"):
        engine.run(FRAME)


@pytest.mark.parametrize("kind", [Plain, Attending])
def test_a_program_that_was_exported_in_train_mode_drives_as_in_eval_mode(tmp_path, kind):
    module = trained(kind())
    torch.export.save(torch.export.export(module.train(), (torch.rand(2, 3, 12, 16),)), tmp_path / "net.pt2")
    (tmp_path / "net.toml").write_text('output_unit = "rad"\noutput_sign = "left"\n')
    engine = Engine(open_network(tmp_path / "net.pt2"), "cpu")
    angles = [engine.run(FRAME, ()).angle_rad for _ in range(3)]
    assert angles == [pytest.approx(wanted(module), abs=1e-6)] * 3


@pytest.mark.parametrize("outputs, classes", [(1, ("a", "b")), (5, ("a", "b")), (1, ())])
def test_classes_that_are_not_those_of_the_network_are_told(outputs, classes):
    spec = replace(SPEC, output="class", classes=classes)
    engine = Engine(Network(spec, trained(Plain(outputs)).eval()), "cpu")
    with pytest.raises(ModelError, match=f"puts out {outputs} score"):
        engine.run(FRAME, ())


def test_an_input_beyond_all_memory_is_one_sentence():
    spec = replace(SPEC, input_height=900_000, input_width=900_000)
    with pytest.raises(ExplainError) as error:
        Engine(Network(spec, Plain().eval()), "cpu")
    assert "\n" not in str(error.value)


def test_a_pool_with_uneven_windows_is_run(tmp_path):
    """12x16 less two and one: 5x7 to 2x2, in a chain of plain layers."""
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 1)
    )
    engine = Engine(Network(SPEC, module.eval()), "cpu")
    assert engine.run(FRAME, (), strict=False).angle_rad == pytest.approx(wanted(module), abs=1e-6)
