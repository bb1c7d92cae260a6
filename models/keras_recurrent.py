"""Keras's layers over time: LSTM, GRU and SimpleRNN, written out step by step, and TimeDistributed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vbp.errors import ModelError
from vbp.models.keras_build import Build, Value, channels_first
from vbp.models.keras_config import Layer
from vbp.models.keras_functions import activate
from vbp.models.keras_layers import whole

MAX_STEPS = 512
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def recurrent(b: Build, layer: Layer, x: Value) -> Value:
    """The last state, or with return_sequences all of them."""
    config, name = layer.config, layer.name
    if config.get("return_state"):
        raise ModelError("it puts out its state (return_state), which is not known here")
    x = b.placed(x, (0, 1), name)
    steps, features, units = x.meta.shape[1], x.meta.shape[2], whole(layer, "units")
    if steps > MAX_STEPS:
        raise ModelError(f"it runs over {steps:,} steps; at most {MAX_STEPS} are accepted")
    kernel, inner, bias = _weights(b, layer, features, units)
    gates = GATES[layer.kind]
    taken = b.make(name, "matmul.default", (0, 1), self=x, other=kernel)
    taken = b.make(name, "add.Tensor", (0, 1), self=taken, other=bias[0])
    state: Value | None = None
    memory: Value | None = None
    outputs = []
    order = range(steps - 1, -1, -1) if config.get("go_backwards") else range(steps)
    for t in order:
        now = b.make(name, "select.int", (0,), self=taken, dim=1, index=t)
        parts = [_part(b, name, now, i, units) for i in range(gates)]
        if layer.kind == "LSTM":
            state, memory = _lstm(b, layer, parts, state, memory, inner, units)
        elif layer.kind == "GRU":
            state = _gru(b, layer, parts, state, inner, bias[1], units)
        else:
            state = activate(b, _plus(b, name, parts[0], state, inner), config.get("activation", "tanh"), "")
        outputs.append(state)
    if not config.get("return_sequences"):
        return outputs[-1]
    return b.make(name, "stack.default", (0, 1), tensors=list(outputs), dim=1)


def _weights(b: Build, layer: Layer, features: int, units: int) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The kernels (features, gates * units) and (units, gates * units), the biases on the input and on the state."""
    gates = GATES[layer.kind]
    wide, use_bias = gates * units, layer.config.get("use_bias", True) is not False
    stored = b.stored(layer)
    if len(stored) == 3 * gates > 3:  # Keras 1: an array for each gate
        each = b.weights(layer, *[(features, units), (units, units), (units,)] * gates)
        order = (0, 2, 1, 3) if layer.kind == "LSTM" else (0, 1, 2)  # it has i c f o
        kernel, inner, bias = (torch.cat([each[3 * g + k] for g in order], -1) for k in range(3))
        return kernel, inner, [bias, torch.zeros(wide)]
    twice = layer.kind == "GRU" and _after(b, layer, wide)
    shapes: list[tuple[int, ...]] = [(features, wide), (units, wide)]
    if use_bias:
        shapes.append(
            (2, wide) if twice else stored[2] if len(stored) > 2 and stored[2] == (2 * wide,) else (wide,)
        )
    kernel, inner, *rest = b.weights(layer, *shapes)
    both = rest[0].reshape(-1, wide) if rest else torch.zeros((1, wide))
    if layer.kind != "GRU" and len(both) > 1:  # CuDNN's two biases, which are added
        both = both.sum(0, keepdim=True)
    return kernel, inner, [both[0], both[1] if len(both) > 1 else torch.zeros(wide)]


def _after(b: Build, layer: Layer, wide: int) -> bool:
    stored = b.stored(layer)
    return bool(layer.config.get("reset_after", b.version >= 3)) or (
        len(stored) > 2 and stored[2] == (2, wide)
    )


def _part(b: Build, name: str, x: Value, i: int, units: int) -> Value:
    if x.meta.shape[-1] == units:
        return x
    return b.make(name, "slice.Tensor", (0,), self=x, dim=1, start=i * units, end=(i + 1) * units, step=1)


def _plus(b: Build, name: str, x: Value, state: Value | None, weight: Tensor) -> Value:
    """x + state @ weight; the state is zero at first."""
    if state is None:
        return x
    moved = b.make(name, "matmul.default", (0,), self=state, other=weight)
    return b.make(name, "add.Tensor", (0,), self=x, other=moved)


def _lstm(
    b: Build,
    layer: Layer,
    parts: list[Value],
    state: Value | None,
    memory: Value | None,
    inner: Tensor,
    units: int,
) -> tuple[Value, Value]:
    name, config = layer.name, layer.config
    gate, function = config.get("recurrent_activation", "sigmoid"), config.get("activation", "tanh")
    i, f, c, o = (
        _plus(b, name, part, state, inner[:, k * units : (k + 1) * units]) for k, part in enumerate(parts)
    )
    i, f, o = (activate(b, v, gate, name) for v in (i, f, o))
    new = b.like(i, name, "mul.Tensor", other=activate(b, c, function, name))
    if memory is not None:
        new = b.like(new, name, "add.Tensor", other=b.like(f, name, "mul.Tensor", other=memory))
    return b.like(o, name, "mul.Tensor", other=activate(b, new, function, name)), new


def _gru(
    b: Build, layer: Layer, parts: list[Value], state: Value | None, inner: Tensor, bias: Tensor, units: int
) -> Value:
    """reset_after: the reset gate works on what comes of the state, and not on the state."""
    name, config = layer.name, layer.config
    gate, function = config.get("recurrent_activation", "sigmoid"), config.get("activation", "tanh")
    after = _after(b, layer, 3 * units)
    weights = [inner[:, k * units : (k + 1) * units] for k in range(3)]
    biases = [bias[k * units : (k + 1) * units] for k in range(3)]
    gates = []
    for k in (0, 1):
        sum_ = b.like(parts[k], name, "add.Tensor", other=biases[k])
        gates.append(activate(b, _plus(b, name, sum_, state, weights[k]), gate, name))
    z, r = gates
    if after:
        moved: Value | Tensor = biases[2]
        if state is not None:
            product = b.make(name, "matmul.default", (0,), self=state, other=weights[2])
            moved = b.like(product, name, "add.Tensor", other=biases[2])
        gated = b.like(r, name, "mul.Tensor", other=moved)
        new = b.like(parts[2], name, "add.Tensor", other=gated)
    else:
        held = None if state is None else b.like(r, name, "mul.Tensor", other=state)
        new = _plus(b, name, parts[2], held, weights[2])
    new = activate(b, new, function, name)
    rest = b.like(b.like(z, name, "mul.Tensor", other=-1.0), name, "add.Tensor", other=1.0)
    out = b.like(rest, name, "mul.Tensor", other=new)
    if state is None:
        return out
    return b.like(out, name, "add.Tensor", other=b.like(z, name, "mul.Tensor", other=state))


def time_distributed(b: Build, layer: Layer, x: Value, run: Callable[[Layer, Value], Value]) -> Value:
    """The inner layer on each step, as if the steps were pictures. run: what runs that layer."""
    if layer.inner is None or x.rank < 2:
        raise ModelError("it has no layer inside, or its input no steps")
    inside = channels_first(x.rank - 1) if x.rank > 2 else (0,)
    x = b.placed(x, (0, *(k + 1 for k in inside)), layer.name)
    steps, rest = x.meta.shape[1], list(x.meta.shape[2:])
    each = b.make(f"{layer.name}.steps", "reshape.default", inside, self=x, shape=[-1, *rest])
    b.arrays[id(layer.inner)] = b.arrays.get(id(layer), [])
    out = run(layer.inner, each)
    out = b.plain(out, layer.name)
    shape = [-1, steps, *out.meta.shape[1:]]
    return b.make(layer.name, "reshape.default", (0, *(k + 1 for k in out.axes)), self=out, shape=shape)
