"""Keras's activations and normalisations, as ATen operations."""

from __future__ import annotations

import math
from typing import Any

import torch

from vbp.errors import ModelError
from vbp.models.keras_build import Build, Value
from vbp.models.keras_config import Layer

LINEAR = ("linear", "", None)
PLAIN = {
    "relu": "relu.default",
    "sigmoid": "sigmoid.default",
    "tanh": "tanh.default",
    "elu": "elu.default",
    "selu": "selu.default",
    "softplus": "softplus.default",
    "swish": "silu.default",
    "silu": "silu.default",
    "exponential": "exp.default",
    "mish": "mish.default",
    "relu6": "relu6.default",
    "hard_swish": "hardswish.default",
    "hard_silu": "hardswish.default",
}


def activate(b: Build, x: Value, function: Any, layer: str) -> Value:
    """An activation by its name, or by a table, as a configuration has it. Raises ModelError for one that is not known."""
    config: dict[str, Any] = {}
    if isinstance(function, dict):
        inside = function.get("config")
        if isinstance(inside, str):
            function = inside  # Keras 3: {"class_name": "function", "config": "relu"}
        else:
            config = inside if isinstance(inside, dict) else {}
            function = function.get("class_name")
            if function == "Activation":
                function, config = config.get("activation"), {}
    if function in LINEAR:
        return x
    if function in ADVANCED:
        return ADVANCED[str(function)](b, x, config, layer)
    name = f"{layer}.{str(function).lower()[:40]}" if layer else str(function)
    if function in PLAIN:
        return b.like(x, name, PLAIN[str(function)])
    if function == "gelu":
        return b.like(x, name, "gelu.default", approximate="tanh" if config.get("approximate") else "none")
    if function == "leaky_relu":
        return b.like(
            x, name, "leaky_relu.default", negative_slope=_number(config, ("negative_slope", "alpha"), 0.2)
        )
    if function == "hard_sigmoid":
        return hard_sigmoid(b, x, name)
    if function == "softsign":
        size = b.like(b.like(x, name, "abs.default"), name, "add.Tensor", other=1.0)
        return b.like(x, name, "div.Tensor", other=size)
    if function in ("softmax", "log_softmax"):
        return b.like(x, name, f"{function}.int", dim=x.at(-1))
    raise ModelError(f"its activation {str(function)[:60]} is not known")


def hard_sigmoid(b: Build, x: Value, name: str) -> Value:
    """0.2 x + 0.5, and x / 6 + 0.5 in Keras 3, between 0 and 1."""
    line = b.like(x, name, "mul.Tensor", other=1 / 6 if b.version >= 3 else 0.2)
    line = b.like(line, name, "add.Tensor", other=0.5)
    return b.like(line, name, "hardtanh.default", min_val=0.0, max_val=1.0)


def _number(config: dict[str, Any], names: tuple[str, ...], default: float) -> float:
    for name in names:
        value = config.get(name)
        if isinstance(value, dict):  # {"class_name": "__numpy__", "config": {"value": 0.3}}
            inside = value.get("config")
            value = inside.get("value") if isinstance(inside, dict) else value.get("value")
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ModelError(f"its {name} is {str(value)[:40]}, and a number is expected")
        return float(value)
    return default


def _leaky(b: Build, x: Value, config: dict[str, Any], layer: str) -> Value:
    slope = _number(config, ("alpha", "negative_slope"), 0.3)
    return b.like(x, layer, "leaky_relu.default", negative_slope=slope)


def _elu(b: Build, x: Value, config: dict[str, Any], layer: str) -> Value:
    return b.like(x, layer, "elu.default", alpha=_number(config, ("alpha",), 1.0))


def _relu(b: Build, x: Value, config: dict[str, Any], layer: str) -> Value:
    most = _number(config, ("max_value",), math.inf)
    slope, threshold = _number(config, ("negative_slope",), 0.0), _number(config, ("threshold",), 0.0)
    if threshold:
        raise ModelError(f"it is a ReLU with a threshold of {threshold:g}, which is not known here")
    if slope:
        out = b.like(x, layer, "leaky_relu.default", negative_slope=slope)
        return out if math.isinf(most) else b.like(out, layer, "clamp.default", max=most)
    if math.isinf(most):
        return b.like(x, layer, "relu.default")
    return b.like(x, layer, "hardtanh.default", min_val=0.0, max_val=most)


def _softmax(b: Build, x: Value, config: dict[str, Any], layer: str) -> Value:
    axis = config.get("axis", -1)
    return b.like(
        x, layer, "softmax.int", dim=x.at(axis[0] if isinstance(axis, list) and len(axis) == 1 else axis)
    )


ADVANCED = {"LeakyReLU": _leaky, "ELU": _elu, "ReLU": _relu, "Softmax": _softmax}


def activation(b: Build, layer: Layer, x: Value) -> Value:
    """The layer Activation, or one that is an activation."""
    if layer.kind == "Activation":
        return activate(b, x, layer.config.get("activation"), layer.name)
    return ADVANCED[layer.kind](b, x, layer.config, layer.name)


def prelu(b: Build, layer: Layer, x: Value) -> Value:
    shared = {x.at(axis) for axis in layer.config.get("shared_axes") or []}
    stored = tuple(1 if x.axes.index(k) + 1 in shared else n for k, n in enumerate(x.shape))
    (slope,) = b.weights(layer, stored)
    slope = slope.permute(x.axes)
    if x.order is not None:
        slope = slope[torch.from_numpy(x.order)]
    if slope.numel() == slope.shape[0] or slope.numel() == 1:
        return b.like(x, layer.name, "prelu.default", weight=slope.reshape(-1))
    over = b.like(x, layer.name, "relu.default")
    under = b.like(
        b.like(x, layer.name, "clamp_max.default", max=0.0), layer.name, "mul.Tensor", other=slope[None]
    )
    return b.like(over, layer.name, "add.Tensor", other=under)


def batch_normalization(b: Build, layer: Layer, x: Value) -> Value:
    config = layer.config
    if config.get("mode", 0) == 1:
        raise ModelError("it normalises each picture by itself (mode 1 of Keras 1), which is not known here")
    axis = config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    size = x.meta.shape[x.at(axis)]
    scale, center = config.get("scale", True) is not False, config.get("center", True) is not False
    found = b.weights(layer, *[(size,)] * (2 + scale + center))
    weight, bias = found[0] if scale else None, found[int(scale)] if center else None
    mean, variance = found[-2:]
    epsilon = _number(config, ("epsilon",), 1e-3)
    if bool(
        (variance + epsilon <= 0).any()
    ):  # a little below 0 comes of rounding, also in published networks
        raise ModelError("it holds a variance below 0; its weights are damaged")
    if x.at(axis) == 1:
        ordered = [
            None if t is None else b.per_axis(t, x, axis).reshape(-1) for t in (weight, bias, mean, variance)
        ]
        name, meta = b.add(
            layer.name, "batch_norm.default", input=x, weight=ordered[0], bias=ordered[1], running_mean=ordered[2],
            running_var=ordered[3], training=False, momentum=0.0, eps=epsilon, cudnn_enabled=False,
        )  # fmt: skip
        return Value(name, meta, x.axes, x.order, x.flat)
    times = (1 if weight is None else weight.double()) / torch.sqrt(variance.double() + epsilon)
    plus = (0 if bias is None else bias.double()) - mean.double() * times
    return scaled(b, layer.name, x, times.float(), plus.float(), axis)


def scaled(b: Build, layer: str, x: Value, times: Any, plus: Any, axis: int = -1) -> Value:
    """x * times + plus: numbers, or tensors along one of Keras's axes."""
    for op, numbers in (("mul.Tensor", times), ("add.Tensor", plus)):
        if isinstance(numbers, torch.Tensor):
            x = b.like(x, layer, op, other=b.per_axis(numbers, x, axis))
        elif numbers != (1 if op[0] == "m" else 0):
            x = b.like(x, layer, op, other=float(numbers))
    return x


def layer_normalization(b: Build, layer: Layer, x: Value) -> Value:
    axis = layer.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if isinstance(axis, list) or x.at(axis) != x.at(-1):
        raise ModelError("it normalises over other axes than the last, which is not known here")
    if layer.config.get("rms_scaling"):
        raise ModelError("it scales by the root mean square (rms_scaling), which is not known here")
    size = x.shape[-1]
    scale, center = layer.config.get("scale", True), layer.config.get("center", True)
    found = b.weights(layer, *[(size,)] * (bool(scale) + bool(center)))
    last = b.placed(x, tuple(range(x.rank)), layer.name)
    out = b.make(
        layer.name, "layer_norm.default", last.axes, input=last, normalized_shape=[size],
        weight=found[0] if scale else None, bias=found[-1] if center else None,
        eps=_number(layer.config, ("epsilon",), 1e-3), cudnn_enable=False,
    )  # fmt: skip
    return b.placed(out, x.axes, layer.name) if x.rank > 1 else out


def rescaling(b: Build, layer: Layer, x: Value) -> Value:
    times, plus = (_numbers(layer.config.get(k, d), k) for k, d in (("scale", 1.0), ("offset", 0.0)))
    return scaled(b, layer.name, x, times, plus)


def normalization(b: Build, layer: Layer, x: Value) -> Value:
    """(x - mean) / the root of the variance, which the arguments give, or the weights: mean, variance, count."""
    config = layer.config
    if config.get("mean") is not None:
        mean, variance = _numbers(config["mean"], "mean"), _numbers(config.get("variance"), "variance")
    else:
        axis = config.get("axis", -1)
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        shape = () if axis in (None, []) else (x.meta.shape[x.at(axis)],)
        mean, variance, _ = b.weights(layer, shape, shape, ())
        if shape and x.at(axis) != x.at(-1):
            raise ModelError("it normalises along another axis than the channels, which is not known here")
    both = [torch.as_tensor(v, dtype=torch.float64).reshape(-1) for v in (mean, variance)]
    deviation = torch.sqrt(both[1]).clamp_min(1e-7)
    times, plus = 1 / deviation, -both[0] / deviation
    size = x.shape[-1]
    if config.get("invert"):
        times, plus = deviation, both[0]
    return scaled(b, layer.name, x, times.float().expand(size).clone(), plus.float().expand(size).clone())


def _numbers(value: Any, name: str) -> Any:
    """A number, or a list of them as a tensor."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list) and all(isinstance(v, int | float) for v in value):
        return torch.tensor(value, dtype=torch.float32)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ModelError(f"its {name} is {str(value)[:40]}, and numbers are expected")
    return float(value)
