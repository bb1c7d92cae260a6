"""ONNX's LSTM, GRU and RNN, written out step by step, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from vbp.errors import ModelError
from vbp.models.keras_recurrent import MAX_STEPS
from vbp.models.onnx_node import OnnxNode, Rule
from vbp.models.onnx_values import Builder, Data, Known, Value, known

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
FUNCTIONS = {"Sigmoid": "sigmoid.default", "Tanh": "tanh.default", "Relu": "relu.default"}
WAYS: dict[str, tuple[bool, ...]] = {  # backwards or not
    "forward": (False,),
    "reverse": (True,),
    "bidirectional": (False, True),
}

Step = Callable[[Value, list[Value | None]], list[Value | None]]
"""What the layer's numbers of a picture at a step, and its states before, make of them; the first is put out."""


def _recurrent(b: Builder, n: OnnxNode) -> tuple[Value, ...]:
    """Y of all steps, the last state, and of an LSTM the last memory."""
    by_picture = bool(n.attribute("layout", 0))
    x = _turned(b, n.value(0), () if by_picture else (1, 0, 2))
    counts = {shape[1] for shape in x.shapes}
    steps = min(counts)
    if len(counts) > 1 or x.shapes[0][0] != b.batches[0]:
        raise ModelError("runs over as many steps as there are pictures, which is not read")
    if not 0 < steps <= MAX_STEPS:
        raise ModelError(f"runs over {steps:,} steps; 1 to {MAX_STEPS} are read")
    ways = WAYS.get(n.attribute("direction", "forward"))
    if ways is None:
        raise ModelError(f"runs in the direction {n.attribute('direction')!r}, which is not known")
    _check(n, steps)
    each = len(USUAL[n.op])
    functions = n.attribute("activations") or USUAL[n.op] * len(ways)
    if len(functions) != each * len(ways) or not all(f in FUNCTIONS for f in functions):
        known_ones = ", ".join(FUNCTIONS)
        raise ModelError(
            f"uses the functions {', '.join(map(str, functions))}; {each} a direction of {known_ones} are read"
        )
    every, states = [], []
    for d, back in enumerate(ways):
        own = [FUNCTIONS[f] for f in functions[d * each : (d + 1) * each]]
        sequence, last = _direction(b, n, x, d, back, own, by_picture)
        every.append(sequence)
        states.append(last)
    y: Data = b.call("stack.default", tensors=every, dim=2)  # (N, steps, directions, units)
    found: list[Value] = [y if by_picture else Data(y.name, y.meta, (1, 2, 0, 3))]
    for parts in zip(*states, strict=True):
        state: Data = b.call("stack.default", tensors=list(parts), dim=1)
        found.append(state if by_picture else Data(state.name, state.meta, (1, 0, 2)))
    return tuple(found)


def _turned(b: Builder, x: Value, order: tuple[int, ...]) -> Data:
    """With the pictures first."""
    if not isinstance(x, Data) or len(x.axes) != 3:
        raise ModelError(f"takes an input of {len(x.shapes[0])} axes that has to be steps of the picture")
    placed = Data(x.name, x.meta, tuple(x.axes[a] for a in order)) if order else x
    found = b.materialised(placed)
    assert isinstance(found, Data)
    return found


def _check(n: OnnxNode, steps: int) -> None:
    """Raises ModelError for what is not read."""
    if n.attribute("clip", 0.0) or n.attribute("input_forget", 0):
        raise ModelError(
            "holds its gates within limits (clip) or joins them (input_forget), which is not read"
        )
    lengths = n.optional(4)
    if lengths is not None and bool((_known_at_each(lengths)[0] != steps).any()):
        raise ModelError("runs over other steps than all of them (sequence_lens), which is not read")
    holes = n.optional(7) if n.op == "LSTM" else None
    if holes is not None and bool(known(holes, "peepholes").any()):
        raise ModelError("has peepholes, which are not read")


def _known_at_each(value: Value) -> tuple[Tensor, ...]:
    if not isinstance(value, Known):
        raise ModelError("takes lengths that depend on the picture, which cannot be followed")
    return value.values


def _direction(
    b: Builder, n: OnnxNode, x: Data, d: int, back: bool, functions: list[str], by_picture: bool
) -> tuple[Value, list[Value]]:
    """All states (N, steps, units) in the order of the steps, and the last ones."""
    weight, inner = known(n.value(1), "a weight")[d], known(n.value(2), "a weight")[d]
    units = inner.shape[-1]
    wide = GATES[n.op] * units
    bias = known(n.value(3), "a bias")[d] if n.optional(3) is not None else torch.zeros(2 * wide)
    if weight.shape != (wide, x.shapes[0][2]) or inner.shape != (wide, units) or bias.shape != (2 * wide,):
        raise ModelError(
            f"has weights {_shape(weight)} and {_shape(inner)} for steps of {x.shapes[0][2]} numbers"
        )
    on_input, on_state = bias[:wide].clone(), bias[wide:].clone()
    apart = n.op == "GRU" and bool(n.attribute("linear_before_reset", 0))
    joined = 2 * units if apart else wide  # the biases that may be added once for both
    on_input[:joined] += on_state[:joined]
    taken = b.call("matmul.default", self=x, other=weight.T.contiguous())
    taken = b.call("add.Tensor", self=taken, other=on_input)
    turned = inner.T.contiguous()
    step: Step
    if n.op == "LSTM":
        step = partial(_lstm, b, turned, functions)
    elif n.op == "GRU":
        gates = [part.contiguous() for part in torch.split(turned, units, 1)]
        step = partial(_gru, b, gates, on_state[2 * units :] if apart else None, functions)
    else:
        step = partial(_rnn, b, turned, functions)
    states = [_initial(b, n.optional(i), d, by_picture) for i in ((5, 6) if n.op == "LSTM" else (5,))]
    sequence = []
    steps = range(x.shapes[0][1])
    for t in reversed(steps) if back else steps:
        states = step(b.call("select.int", self=taken, dim=1, index=t), states)
        sequence.append(states[0])
    whole = b.call("stack.default", tensors=sequence[::-1] if back else sequence, dim=1)
    return whole, [state for state in states if state is not None]


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


def _initial(b: Builder, value: Value | None, d: int, by_picture: bool) -> Value | None:
    """A state to begin with, of this direction; None where it is zero."""
    if isinstance(value, Data):
        before = _turned(b, value, () if by_picture else (1, 0, 2))
        chosen: Value = b.call("select.int", self=before, dim=1, index=d)
        return chosen
    if value is None:
        return None
    rows = [v[:, d] if by_picture else v[d] for v in value.values]
    if not any(bool(row.any()) for row in rows):
        return None
    if any(not torch.equal(row, rows[0][:1].expand_as(row)) for row in rows):
        raise ModelError("begins with another state for each picture, which is not read")
    return Known(tuple(rows[0][:1] for _ in rows))


def _plus(b: Builder, x: Value, state: Value | None, weight: Tensor) -> Value:
    if state is None:
        return x
    moved = b.call("matmul.default", self=state, other=weight)
    out: Value = b.call("add.Tensor", self=x, other=moved)
    return out


def _split(b: Builder, x: Value, parts: int) -> tuple[Value, ...]:
    units = x.shapes[0][1] // parts
    out: tuple[Value, ...] = b.call("split_with_sizes.default", self=x, split_sizes=[units] * parts, dim=1)
    return out


def _rnn(
    b: Builder, inner: Tensor, functions: list[str], now: Value, states: list[Value | None]
) -> list[Value | None]:
    return [b.call(functions[0], self=_plus(b, now, states[0], inner))]


def _lstm(
    b: Builder, inner: Tensor, functions: list[str], now: Value, states: list[Value | None]
) -> list[Value | None]:
    """Gates in ONNX's order: input, output, forget, and what is new."""
    gate, function, last = functions
    state, memory = states
    i, o, f, c = _split(b, _plus(b, now, state, inner), 4)
    new = b.call("mul.Tensor", self=b.call(gate, self=i), other=b.call(function, self=c))
    if memory is not None:
        kept = b.call("mul.Tensor", self=b.call(gate, self=f), other=memory)
        new = b.call("add.Tensor", self=new, other=kept)
    return [b.call("mul.Tensor", self=b.call(gate, self=o), other=b.call(last, self=new)), new]


def _gru(
    b: Builder,
    inner: Sequence[Tensor],
    apart: Tensor | None,
    functions: list[str],
    now: Value,
    states: list[Value | None],
) -> list[Value | None]:
    """Update, reset, and what is new. apart: the bias on the state, where the reset gate works on what comes of it."""
    gate, function = functions
    state = states[0]
    update, reset, fresh = _split(b, now, 3)
    of_update, of_reset, of_fresh = inner
    z = b.call(gate, self=_plus(b, update, state, of_update))
    r = b.call(gate, self=_plus(b, reset, state, of_reset))
    if apart is None:
        held = None if state is None else b.call("mul.Tensor", self=r, other=state)
        total = _plus(b, fresh, held, of_fresh)
    else:
        moved: Value | Tensor = apart
        if state is not None:
            product = b.call("matmul.default", self=state, other=of_fresh)
            moved = b.call("add.Tensor", self=product, other=apart)
        total = b.call("add.Tensor", self=fresh, other=b.call("mul.Tensor", self=r, other=moved))
    new = b.call(function, self=total)
    rest = b.call("rsub.Scalar", self=z, other=1.0)
    out = b.call("mul.Tensor", self=rest, other=new)
    if state is None:
        return [out]
    return [b.call("add.Tensor", self=out, other=b.call("mul.Tensor", self=z, other=state))]


RULES: dict[str, Rule] = dict.fromkeys(GATES, _recurrent)
