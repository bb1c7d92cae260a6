"""The architecture in a Keras file: layers, how they are joined, and what Keras 1, 2 and 3 call the same thing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from vbp.errors import ModelError

MAX_LAYERS = 5000
MAX_DEPTH = 8  # of models in models
MODELS = ("Sequential", "Model", "Functional")
CLASSES = {  # Keras 1's names, and those of subclasses that compute the same
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "AtrousConvolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "BatchNormalizationV1": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "LSTMV1": "LSTM",
    "CuDNNLSTM": "LSTM",
    "GRUV1": "GRU",
    "CuDNNGRU": "GRU",
    "SpatialDropout1D": "Dropout",
    "SpatialDropout2D": "Dropout",
    "SpatialDropout3D": "Dropout",
    "AlphaDropout": "Dropout",
    "GaussianDropout": "Dropout",
    "GaussianNoise": "Dropout",
    "ActivityRegularization": "Dropout",
}
OPERATORS = {  # arithmetic between layers, of Keras 3 and of tf.keras
    **dict.fromkeys(("TrueDivide", "Divide", "math.truediv", "math.divide", "__operators__.truediv"), "/"),
    **dict.fromkeys(("Add", "math.add", "__operators__.add"), "+"),
    **dict.fromkeys(("Subtract", "math.subtract"), "-"),
    **dict.fromkeys(("Multiply", "math.multiply"), "*"),
    **dict.fromkeys(("GetItem", "__operators__.getitem"), "[]"),
    **dict.fromkeys(("Cast", "cast"), "cast"),
}
FIELDS = {  # Keras 1's
    "nb_filter": "filters",
    "subsample": "strides",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "output_dim": "units",
    "bias": "use_bias",
    "p": "rate",
    "atrous_rate": "dilation_rate",
    "inner_activation": "recurrent_activation",
    "filter_length": "kernel_size",
    "subsample_length": "strides",
    "pool_length": "pool_size",
    "stride": "strides",
}
VALUES = {"tf": "channels_last", "th": "channels_first", "default": "channels_last"}


@dataclass(frozen=True)
class Ref:
    """What a layer puts out: in which of its calls, and which of several."""

    layer: str
    call: int = 0
    output: int = 0


@dataclass
class Layer:
    """name, kind: what Keras calls the layer and its class. config: its arguments, by Keras 2's names.

    calls: what it takes each time that it is used. operands: of arithmetic, that and the numbers, in order. model: of a nested model; inner: of a wrapper, as TimeDistributed.
    """

    name: str
    kind: str
    config: dict[str, Any]
    calls: list[list[Ref]] = field(default_factory=list)
    model: Model | None = None
    inner: Layer | None = None
    operands: list[list[Any]] = field(default_factory=list)
    written_as: str = ""  # its class in the file, by which Keras 3 numbers the weights


@dataclass
class Model:
    """Layers with what they take; inputs and outputs in the file's order."""

    name: str
    layers: list[Layer]
    inputs: list[Ref]
    outputs: list[Ref]


def read_model(data: Any, depth: int = 0) -> Model:
    """The model that a configuration describes. Raises ModelError that says what is missing in it."""
    if depth > MAX_DEPTH:
        raise ModelError(f"its models lie in models more than {MAX_DEPTH} deep")
    if not isinstance(data, dict) or "config" not in data:
        raise ModelError("its configuration describes no Keras model: class_name and config are expected")
    kind, config = _text(data.get("class_name")), data["config"]
    if isinstance(config, list):
        config = {"layers": config}  # Sequential until Keras 2.2
    if kind not in MODELS and not (isinstance(config, dict) and "output_layers" in config):
        raise ModelError(
            f"it is a {kind or 'thing without class_name'}, a model that its author wrote as a class; only the code "
            "knows how its layers are joined: save it from Keras as a Sequential or functional model"
        )
    entries = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ModelError("its configuration has no layers")
    if len(entries) > MAX_LAYERS:
        raise ModelError(f"its configuration has {len(entries):,} layers, which is too many")
    layers = [_layer(entry, depth) for entry in entries]
    name = _text(config.get("name"))
    if kind == "Sequential" and "output_layers" not in config:
        return _chain(name, layers, config)
    for entry, layer in zip(entries, layers, strict=True):
        nodes = _list(entry.get("inbound_nodes"))
        if layer.kind == "Operator":
            layer.operands = [_operands(node) for node in nodes]
            layer.calls = [[v for v in operands if isinstance(v, Ref)] for operands in layer.operands]
            continue
        layer.calls = [_call(node, layer) for node in nodes]
        if layer.kind == "InputLayer":
            layer.calls = [[]]
    _unique(layers)
    model = Model(name, layers, _refs(config.get("input_layers")), _refs(config.get("output_layers")))
    there = {layer.name for layer in layers}
    for what, refs in (("input", model.inputs), ("output", model.outputs)):
        if not refs:
            raise ModelError(f"its configuration does not say which layer is the {what}")
        if lost := [ref.layer for ref in refs if ref.layer not in there]:
            raise ModelError(f"its {what} {lost[0][:60]} is computed nowhere")
    return model


def input_shape(model: Model) -> tuple[int | None, ...] | None:
    """Without the batch, in the file's own order of axes, of a model with one input; None where it says none."""
    ref = model.inputs[0] if model.inputs else None
    layer = next((v for v in model.layers if ref is not None and v.name == ref.layer), None)
    while layer is not None:
        shape = shape_of(layer.config)
        if shape is not None or layer.model is None or not layer.model.layers:
            return shape
        layer = layer.model.layers[0]
    return None


def shape_of(config: dict[str, Any]) -> tuple[int | None, ...] | None:
    """The shape of an input that a layer's own arguments give, without the batch."""
    for key in ("batch_input_shape", "batch_shape"):
        if isinstance(shape := config.get(key), list | tuple) and len(shape) > 1:
            return tuple(_size(n) for n in shape[1:])
    if isinstance(shape := config.get("input_shape"), list | tuple) and shape:
        return tuple(_size(n) for n in shape)
    return None


def _size(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**20:
        raise ModelError(f"its input has a size of {str(value)[:40]}")
    return value


def _chain(name: str, layers: list[Layer], config: dict[str, Any]) -> Model:
    """Each layer takes what the one before puts out; the first is an input, which Keras leaves out of old files."""
    if layers[0].kind != "InputLayer":
        shape = shape_of(layers[0].config)
        if shape is None and layers[0].model is not None:
            shape = input_shape(layers[0].model)
        if shape is None:
            shape = shape_of({"batch_shape": config.get("build_input_shape")})
        given = {} if shape is None else {"batch_shape": [None, *shape]}
        layers.insert(0, Layer("input", "InputLayer", given))
    _unique(layers)
    layers[0].calls = [[]]
    for before, layer in pairwise(layers):
        layer.calls = [[Ref(before.name)]]
    return Model(name, layers, [Ref(layers[0].name)], [Ref(layers[-1].name)])


def _unique(layers: list[Layer]) -> None:
    seen: set[str] = set()
    for layer in layers:
        if layer.name in seen:
            raise ModelError(f"two of its layers are called {layer.name}")
        seen.add(layer.name)


def _layer(entry: Any, depth: int) -> Layer:
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
        raise ModelError("its configuration has a layer without class_name")
    written = entry["class_name"].rpartition(">")[2]
    config = entry.get("config")
    if written in MODELS or (isinstance(config, dict) and "output_layers" in config):
        model = read_model({**entry, "class_name": written}, depth + 1)
        name = _text(entry.get("name")) or model.name
        kind = "Sequential" if written == "Sequential" else "Functional"
        return Layer(name or kind.lower(), "Model", {}, model=model, written_as=kind)
    if not isinstance(config, dict):
        raise ModelError(f"its layer {written} has no table of arguments")
    name = _text(config.get("name")) or _text(entry.get("name"))
    operator = OPERATORS.get(_text(config.get("function")) if written.endswith("OpLambda") else written)
    if operator and (
        written.endswith("OpLambda") or "trainable" not in config
    ):  # which layers of that name have
        return Layer(name or written.lower(), "Operator", {"operator": operator}, written_as=written)
    layer = Layer(name or written.lower(), CLASSES.get(written, written), _modern(config), written_as=written)
    if isinstance(inside := config.get("layer"), dict):
        layer.inner = _layer(inside, depth + 1)
        layer.inner.name = f"{layer.name}.{layer.inner.name}"
    return layer


def _modern(config: dict[str, Any]) -> dict[str, Any]:
    """Arguments by Keras 2's names."""
    found = {FIELDS.get(k, k): VALUES.get(v, v) if isinstance(v, str) else v for k, v in config.items()}
    if "nb_row" in config:
        found["kernel_size"] = [config.get("nb_row"), config.get("nb_col")]
    if "kernel_dim1" in config:
        found["kernel_size"] = [config.get(f"kernel_dim{i}") for i in (1, 2, 3)]
    return found


def _call(node: Any, layer: Layer) -> list[Ref]:
    """What a layer takes in one call: [[name, call, output, arguments], ...] until Keras 2, tensors by history in 3."""
    if isinstance(node, dict):
        found = list(_histories(node.get("args")))
        if list(_histories(node.get("kwargs"))):
            raise ModelError(
                f"its layer {layer.name} takes another layer as an argument, which is not known here"
            )
        return found
    connections = _list(node)
    if connections and isinstance(connections[0], str):
        connections = [connections]
    found = [_ref(connection) for connection in connections]
    for connection in connections:
        given = connection[3] if len(connection) > 3 and isinstance(connection[3], dict) else {}
        if any(isinstance(v, list) and len(v) >= 3 and isinstance(v[0], str) for v in given.values()):
            raise ModelError(
                f"its layer {layer.name} takes another layer as an argument, which is not known here"
            )
    return found


def _operands(node: Any) -> list[Any]:
    """Refs, and what else an operation is given: {"args": [tensor, 255.0]}, [[name, 0, 0, {"y": 255.0}]], or with the
    number first ["_CONSTANT_VALUE", -1, 255.0, {"y": [name, 0, 0]}]."""
    if isinstance(node, dict):
        return [next(_histories(v), v) if isinstance(v, dict) else v for v in _list(node.get("args"))]
    found: list[Any] = []
    connections = _list(node)
    for connection in [connections] if connections and isinstance(connections[0], str) else connections:
        constant = isinstance(connection, list) and len(connection) > 2 and connection[0] == "_CONSTANT_VALUE"
        found.append(connection[2] if constant else _ref(connection))
        given = connection[3] if len(connection) > 3 and isinstance(connection[3], dict) else {}
        for key in ("y", "slice_spec"):
            value = given.get(key)
            if value is not None:
                joins = isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str)
                found.append(_ref(value) if joins else value)
    return found


def _histories(value: Any, depth: int = 0) -> Iterator[Ref]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, dict):
        history = value["config"].get("keras_history") if isinstance(value.get("config"), dict) else None
        if history is not None:
            yield _ref(history)
            return
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        yield from _histories(part, depth + 1)


def _refs(value: Any) -> list[Ref]:
    """One [name, call, output], a list of these, or a table of them."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list) and value and isinstance(value[0], str):
        return [_ref(value)]
    return [_ref(part) for part in _list(value)]


def _ref(value: Any) -> Ref:
    good = isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str)
    if not good or not all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in value[1:3]):
        raise ModelError(f"its configuration joins layers by {str(value)[:60]}, and [name, 0, 0] is expected")
    return Ref(value[0], value[1], value[2])


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ModelError(f"its configuration has {str(value)[:40]} where a list is expected")
    return value


def _text(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""
