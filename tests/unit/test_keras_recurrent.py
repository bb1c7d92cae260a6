"""Keras's layers over time, of files made here: their gradients and their relevance, against PyTorch's own layers in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kerasmaker import layer, numbers, read_here, sequential, write
from layermaker import gru_by_hand, lstm_by_hand
from netmaker import F64, scaled
from vbp.explain import explain
from vbp.explain.exported import read_network
from vbp.graph.trace import trace
from vbp.models.registry import load_network

ROWS, COLUMNS = 3, 4  # a step is a row of the picture: 12 numbers


@pytest.fixture(autouse=True)
def here(monkeypatch):
    read_here(monkeypatch)


class Rows(nn.Module):
    """The rows of a picture, in Keras's order, through a recurrent layer and a dense one. by: how its steps are computed."""

    def __init__(self, kind: type[nn.Module], kernel, inner, dense, order) -> None:
        super().__init__()
        self.part = kind(3 * COLUMNS, 5, batch_first=True, bias=False).double()
        self.dense = torch.from_numpy(dense).double()
        parts = [np.split(weights, len(order), 1) for weights in (kernel, inner)]
        with torch.no_grad():
            for name, split in zip(("weight_ih_l0", "weight_hh_l0"), parts, strict=True):
                getattr(self.part, name).copy_(
                    torch.from_numpy(np.concatenate([split[k] for k in order], 1).T)
                )

    def forward(self, x: Tensor, by=None) -> Tensor:
        steps = x.permute(0, 2, 3, 1).flatten(2)
        states = self.part(steps)[0] if by is None else by(self, steps)
        return states[:, -1] @ self.dense


KINDS = {
    "LSTM": (nn.LSTM, 4, (0, 1, 2, 3), lstm_by_hand, {}),
    # Keras has update, reset, new; PyTorch has reset, update, new.
    "GRU": (nn.GRU, 3, (1, 0, 2), gru_by_hand, {"reset_after": True}),
}


@pytest.mark.parametrize("name", KINDS)
def test_gradients_and_relevance_of_a_layer_over_time(tmp_path, name):
    kind, gates, order, by_hand, more = KINDS[name]
    kernel, inner, dense = numbers(3 * COLUMNS, 5 * gates), numbers(5, 5 * gates), numbers(5, 1)
    config = sequential(
        layer(
            "Reshape", "rows", target_shape=[ROWS, 3 * COLUMNS], batch_input_shape=[None, ROWS, COLUMNS, 3]
        ),
        layer(name, "r", units=5, activation="tanh", recurrent_activation="sigmoid", use_bias=False, **more),
        layer("Dense", "o", units=1, use_bias=False),
    )
    arrays = {
        "rows": {},
        "r": {"r/kernel:0": kernel, "r/recurrent_kernel:0": inner},
        "o": {"o/kernel:0": dense},
    }
    path = write(tmp_path / "net.h5", config, arrays, keras_version="2.4.0")
    program = load_network(path).module
    module = Rows(kind, kernel, inner, dense, order)
    images = torch.rand(2, 3, ROWS, COLUMNS, dtype=F64, generator=torch.Generator().manual_seed(3))
    done = trace(read_network(program, (3, ROWS, COLUMNS), F64), images)
    torch.testing.assert_close(done.output, module(images).detach(), rtol=0, atol=1e-6)
    for by, methods in ((None, ("saliency", "gradient-input")), (by_hand, ("lrp",))):
        x = images.clone().requires_grad_()
        (grad,) = torch.autograd.grad(module(x, by).sum(), x)
        for method in methods:
            wanted = grad.abs().amax(1) if method == "saliency" else (grad * images).sum(1)
            given = {"eps": 0.0} if method == "lrp" else {}
            torch.testing.assert_close(explain(done, method, **given), scaled(wanted), rtol=0, atol=1e-5)
