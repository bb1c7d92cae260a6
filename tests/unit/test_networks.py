"""The paper's networks against Table 1."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vbp.models.known import available
from vbp.models.known_specs import nethvf, netsvf
from vbp.models.network import build
from vbp.models.registry import load_network
from vbp.models.spec import CropRule

# Table 1 of the paper, typed from it row by row: maps, height, width; then the FC sizes.
TABLE_1 = {
    "NetSVF": "32x123x638 32x61x318 48x59x316 48x29x157 64x27x155 64x13x77 96x11x75 96x5x37 128x3x35 128x1x17",
    "NetHVF": "32x123x349 32x61x173 48x59x171 48x29x85 64x27x83 64x13x41 96x11x39 96x5x19 128x3x17 128x1x8",
}


def layer_sizes(module: nn.Module, height: int, width: int) -> list[tuple[int, ...]]:
    sizes, handles = [], []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            handles.append(
                layer.register_forward_hook(lambda _m, _i, out: sizes.append(tuple(out.shape[1:])))
            )
    with torch.no_grad():
        module(torch.zeros(1, 1, height, width))
    for handle in handles:
        handle.remove()
    return sizes


@pytest.mark.parametrize("name", TABLE_1)
def test_layer_sizes_are_those_of_table_1(name):
    network = load_network(name)
    expected = [tuple(int(n) for n in row.split("x")) for row in TABLE_1[name].split()]
    sizes = layer_sizes(network.module, network.spec.input_height, network.spec.input_width)
    assert sizes == [*expected, (1024,), (512,), (1,)]


@pytest.mark.parametrize("name", TABLE_1)
def test_order_of_layers(name):
    """Each convolution is preceded by BatchNorm and followed by ReLU; all FC layers but the last by ReLU."""
    layers = [
        m for m in load_network(name).module.modules() if not isinstance(m, nn.Sequential | nn.ZeroPad2d)
    ]
    kinds = [type(m).__name__ for m in layers]
    assert kinds == ["BatchNorm2d", "Conv2d", "ReLU"] * 10 + ["Flatten"] + ["Linear", "ReLU"] * 2 + ["Linear"]


@pytest.mark.parametrize(("spec", "width"), [(netsvf, 640), (nethvf, 351)])
def test_135_rows_fit_the_same_weights(spec, width):
    small, large = build(spec(125)), build(spec(135))
    large.module.load_state_dict(small.module.state_dict())
    assert layer_sizes(large.module, 135, width)[9][1] == 1


def test_crops_of_udacity_frames():
    assert netsvf().crop.pixels(480, 640) == (0, 355, 640, 125)
    assert nethvf().crop.pixels(480, 640) == (0, 252, 640, 228)
    assert netsvf(135).crop.pixels(480, 640) == (0, 345, 640, 135)


@given(
    rule=st.one_of(
        st.builds(CropRule, st.just("bottom"), rows=st.integers(1, 5000), of_width=st.integers(1, 5000)),
        st.builds(
            lambda x, y, w, h: CropRule("rect", rect=(x, y, w * (1 - x), h * (1 - y))),
            *[st.floats(0, 0.99)] * 2,
            *[st.floats(0.01, 1)] * 2,
        ),
        st.just(CropRule()),
    ),
    height=st.integers(1, 4000),
    width=st.integers(1, 4000),
)
def test_a_crop_lies_in_the_frame_and_is_not_empty(rule, height, width):
    x, y, w, h = rule.pixels(height, width)
    assert w >= 1 and h >= 1
    assert x >= 0 and x + w <= width
    assert y >= 0 and y + h <= height


def test_names_are_found_in_any_case():
    names = [entry.name for entry in available()]
    assert names[:3] == ["NetSVF", "NetHVF", "NetSign"]
    assert load_network("nethvf").spec.name == "NetHVF"
