"""A Keras model and its weights as a Program: its layers in the order in which they can be run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from vbp.errors import ModelError
from vbp.models import (
    keras_functions,
    keras_lambda,
    keras_layers,
    keras_operators,
    keras_recurrent,
    keras_shapes,
)
from vbp.models.keras_build import Build, Value
from vbp.models.keras_config import Layer, Model, Ref, input_shape
from vbp.models.keras_file import KerasFile
from vbp.models.program import Program

ONE = {  # layers that take one value
    **keras_layers.LAYERS,
    **keras_shapes.LAYERS,
    **dict.fromkeys(("Activation", "LeakyReLU", "ELU", "ReLU", "Softmax"), keras_functions.activation),
    "PReLU": keras_functions.prelu,
    "BatchNormalization": keras_functions.batch_normalization,
    "LayerNormalization": keras_functions.layer_normalization,
    "Rescaling": keras_functions.rescaling,
    "Normalization": keras_functions.normalization,
    "Lambda": keras_lambda.run,
    **dict.fromkeys(keras_recurrent.GATES, keras_recurrent.recurrent),
}
KNOWN = (*ONE, *keras_shapes.JOINS, "TimeDistributed", "Model", "InputLayer", "Operator")


def build(
    file: KerasFile,
    model: Model,
    picture: Ref,
    size: tuple[int, int, int],
    said: dict[str, Any],
    numbers: dict[str, float],
) -> Program:
    """The program. picture: which of the inputs is one, of `size` (C, H, W); the others are always these `numbers`.

    said: of layers, what they compute. Raises ModelError.
    """
    _check_known(model)
    _check_said(model, said)
    store = file.weights
    version = file.version[:1]
    number = int(version) if version in ("1", "2", "3") else 2
    b = Build(store.arrays(model.layers), number, store.theano, said)
    first = _picture(b, input_shape(replace(model, inputs=[picture])) or (), size)
    inputs = [
        first if ref == picture else _number(b, model, ref, numbers[ref.layer], size) for ref in model.inputs
    ]
    outputs = _run(b, model, inputs, "")
    names = []
    for ref, value in zip(model.outputs, outputs, strict=True):
        try:
            value = b.plain(value, ref.layer)
            if value.rank > 1:
                value = b.placed(value, tuple(range(value.rank)), ref.layer)
        except ModelError as error:
            raise ModelError(f"layer {ref.layer}: {error}") from error
        names.append(value.name)
    return Program(b.nodes, b.tensors, "picture", (None, *size), names)


def _picture(b: Build, shape: tuple[int | None, ...], size: tuple[int, int, int]) -> Value:
    """The input: as the file has its axes, with the channels in front."""
    meta = torch.empty((2, *size), device="meta")
    b.taken.add("picture")
    first = shape and is_channels_first(shape)
    if len(shape) == 4:  # one picture as a film
        x = b.make(
            "picture.film", "unsqueeze.default", (0, 3, 1, 2), self=Value("picture", meta, (2, 0, 1)), dim=1
        )
        return x
    return Value("picture", meta, (0, 1, 2) if first else (2, 0, 1))


def _number(b: Build, model: Model, ref: Ref, value: float, size: tuple[int, int, int]) -> Value:
    """An input that is always this number: a dense layer without weights, for as many pictures as there are."""
    (count,) = input_shape(replace(model, inputs=[ref])) or ()
    meta = torch.empty((2, *size), device="meta")
    mean = b.make(
        ref.layer, "mean.dim", (0,), self=Value("picture", meta, (2, 0, 1)), dim=[2, 3], keepdim=False
    )
    weight, bias = torch.zeros(count or 1, size[0]), torch.full((count or 1,), value)
    return b.make(ref.layer, "linear.default", (0,), input=mean, weight=weight, bias=bias)


def is_channels_first(shape: tuple[int | None, ...]) -> bool:
    """Of the input's three axes, the one of 1 or 3 is the channels; the last where both are."""
    return len(shape) == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3)


def _run(b: Build, model: Model, inputs: list[Value], prefix: str) -> list[Value]:
    """The outputs of a model on these inputs."""
    known: dict[Ref, Value] = dict(zip(model.inputs, inputs, strict=True))
    waiting = [(layer, k, refs) for layer in model.layers for k, refs in enumerate(layer.calls) if refs]
    while waiting:
        rest = []
        for layer, k, refs in waiting:
            if not all(ref in known for ref in refs):
                rest.append((layer, k, refs))
                continue
            found = _layer(b, layer, k, known, prefix)
            known.update({Ref(layer.name, k, i): value for i, value in enumerate(found)})
        if len(rest) == len(waiting):
            if all(ref in known for ref in model.outputs):
                break  # what is left belongs to another use of a shared layer
            raise ModelError(_stuck(model, rest, known))
        waiting = rest
    missing = [ref.layer for ref in model.outputs if ref not in known]
    if missing:
        raise ModelError(f"its output {missing[0][:60]} is computed nowhere")
    return [known[ref] for ref in model.outputs]


def _stuck(model: Model, rest: list[tuple[Layer, int, list[Ref]]], known: dict[Ref, Value]) -> str:
    names = {layer.name for layer in model.layers}
    layer, _, refs = rest[0]
    lost = next((ref for _, _, refs in rest for ref in refs if ref.layer not in names), None)
    if lost is not None:
        return f"one of its layers takes {lost.layer[:60]}, which is not there"
    waits = next(ref for ref in refs if ref not in known)
    return f"its layers {layer.name} and {waits.layer} wait for each other: they are joined in a circle"


def _layer(b: Build, layer: Layer, k: int, known: dict[Ref, Value], prefix: str) -> list[Value]:
    values = [known[ref] for ref in layer.calls[k]]
    if layer.model is not None:
        if len(values) != len(layer.model.inputs):
            raise ModelError(
                f"layer {layer.name}: it takes {len(layer.model.inputs)} inputs, and gets {len(values)}"
            )
        return _run(b, layer.model, values, f"{prefix}{layer.name}.")
    try:
        if layer.kind == "Operator":
            operands = [known[v] if isinstance(v, Ref) else v for v in layer.operands[k]]
            return [keras_operators.operate(b, layer, operands)]
        if layer.kind in keras_shapes.JOINS:
            return [keras_shapes.JOINS[layer.kind](b, layer, values)]
        if len(values) != 1:
            raise ModelError(f"it takes one input, and gets {len(values)}")
        return [_single(b, layer, values[0])]
    except ModelError as error:
        raise ModelError(f"layer {prefix}{layer.name} ({layer.kind}): {error}") from error


def _single(b: Build, layer: Layer, x: Value) -> Value:
    if layer.kind == "TimeDistributed":
        return keras_recurrent.time_distributed(b, layer, x, lambda inner, value: _single(b, inner, value))
    if layer.kind == "InputLayer":
        return x
    if layer.kind not in ONE:
        raise ModelError(f"its class {layer.kind[:60]} is not known here")
    return ONE[layer.kind](b, layer, x)


def _check_known(model: Model) -> None:
    """Every class at once, before anything is read."""
    unknown: dict[str, str] = {}

    def look(layers: list[Layer]) -> None:
        for layer in layers:
            if layer.model is not None:
                look(layer.model.layers)
            elif layer.kind not in KNOWN:
                unknown.setdefault(layer.kind[:60], layer.name)

    look(model.layers)
    if not unknown:
        return
    kind, name = next(iter(unknown.items()))
    more = f" (and {', '.join(list(unknown)[1:6])})" if len(unknown) > 1 else ""
    if any(k.startswith("Quantize") for k in unknown):
        raise ModelError(
            f"layer {name} is a {kind}: it was trained with rounding, for TFLite, which is not read; save the network as it was "
            "before quantize_model, by model.save('net.h5')"
        )
    raise ModelError(
        f"layer {name} is a {kind}{more}, which vbp does not know: a class of the author's own, or one that is rare in "
        "steering networks; where Keras opens it, python -m tf2onnx.convert --keras FILE --output net.onnx makes a file of "
        "plain operations"
    )


def _check_said(model: Model, said: dict[str, dict[str, Any]]) -> None:
    names = [layer.name for layer in _all(model.layers) if layer.kind == "Lambda"]
    for name in said:
        if name not in names:
            raise ModelError(
                f"the specification says what layer {name[:60]} computes, and the layers that it can be said of are: "
                f"{', '.join(names) or 'none'}"
            )


def _all(layers: list[Layer]) -> list[Layer]:
    return [v for layer in layers for v in ([layer] if layer.model is None else _all(layer.model.layers))]
