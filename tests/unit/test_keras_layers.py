"""Each kind of layer, and each way of joining them, against Keras itself: saved by it, opened by vbp, the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kerasmaker import read_here
from vbp.explain.exported import read_network
from vbp.graph.trace import trace
from vbp.models.registry import load_network

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        import keras

        assert keras.backend.backend() == "torch"
        read_here(patch)
        yield keras


def filled(model, seed=0):
    """Weights that say something: none of them zero or one, variances above zero."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if not np.issubdtype(np.dtype(str(variable.dtype)), np.floating):
            continue
        shape = tuple(variable.shape)
        values = random.normal(0, 0.4 / max(1, np.prod(shape[:-1])) ** 0.25, shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.path else values)
    return model


def check(model, folder, suffix=".keras", tolerance=1e-5):
    """The network in the file computes what Keras computes, and so does the graph that is explained."""
    filled(model)
    path = folder / f"net{suffix}"
    model.save(path)
    network = load_network(path)
    shape = model.input_shape[1:]
    images = np.random.default_rng(1).normal(0, 1, (3, *shape)).astype(np.float32)
    wanted = model(images, training=False)
    wanted = [v.detach().cpu().numpy() for v in (wanted if isinstance(wanted, list | tuple) else [wanted])]
    given = torch.from_numpy(images)
    spec = network.spec
    if tuple(shape) == (spec.input_height, spec.input_width, spec.channels):
        given = given.permute(0, 3, 1, 2)
    found = network.module(given.contiguous())
    found = [v.numpy() for v in (found if isinstance(found, tuple) else (found,))]
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    if given.dim() == 4:
        graph = read_network(network.module, tuple(given.shape[1:]), scores=False)
        np.testing.assert_allclose(
            trace(graph, given).output.numpy(), np.concatenate(wanted, 1), rtol=1e-4, atol=1e-4
        )


def one(name, /, *arguments, **options):
    """One layer, then what makes numbers of it."""
    return lambda k: [getattr(k.layers, name)(*arguments, **options), k.layers.Flatten(), k.layers.Dense(2)]


def several(*layers):
    return lambda k: [getattr(k.layers, name)(*arguments, **options) for name, arguments, options in layers]


def conv(filters, size, **options):
    return ("Conv2D", (filters, size), options)


FLAT = [("Flatten", (), {}), ("Dense", (2,), {})]
LAYERS = {
    "conv": one("Conv2D", 4, 3, activation="relu"),
    "conv_same": one("Conv2D", 4, 4, padding="same"),
    "conv_same_strides": one("Conv2D", 4, (3, 5), strides=(2, 3), padding="same"),
    "conv_dilated": one("Conv2D", 4, 3, dilation_rate=2, padding="same", use_bias=False),
    "conv_groups": one("Conv2D", 6, 3, groups=3),
    "conv_1": several(("Reshape", ((11, 42),), {}), ("Conv1D", (4, 3), {"padding": "same", "strides": 2}), *FLAT),
    "conv_3": several(("Reshape", ((11, 14, 3, 1),), {}), ("Conv3D", (4, (3, 2, 2)), {}), ("MaxPooling3D", (), {"pool_size": (2, 2, 1)}), *FLAT),
    "depthwise": one("DepthwiseConv2D", 3, depth_multiplier=2, strides=2, padding="same", activation="elu"),
    "separable": one("SeparableConv2D", 5, 3, depth_multiplier=2, activation="relu"),
    "transposed": one("Conv2DTranspose", 4, 3, strides=2),
    "transposed_same": one("Conv2DTranspose", 4, 3, strides=2, padding="same"),
    "transposed_same_even": one("Conv2DTranspose", 4, 4, strides=2, padding="same"),
    "max": one("MaxPooling2D"),
    "max_same": one("MaxPooling2D", 3, strides=2, padding="same"),
    "max_same_even": one("MaxPooling2D", 2, strides=1, padding="same"),
    "max_same_mixed": one("MaxPooling2D", (2, 3), strides=(1, 2), padding="same"),
    "average": one("AveragePooling2D", (1, 4)),
    "average_same": one("AveragePooling2D", 3, strides=1, padding="same"),
    "global_average": several(conv(4, 3), ("GlobalAveragePooling2D", (), {}), ("Dense", (2,), {})),
    "global_max": several(conv(4, 3), ("GlobalMaxPooling2D", (), {"keepdims": True}), *FLAT),
    "crop": one("Cropping2D", ((2, 1), (0, 3))),
    "pad": one("ZeroPadding2D", ((1, 0), (2, 3))),
    "up": one("UpSampling2D", (2, 3)),
    "up_bilinear": one("UpSampling2D", 2, interpolation="bilinear"),
    "resize": one("Resizing", 7, 9),
    "resize_nearest": one("Resizing", 22, 28, interpolation="nearest"),
    "dropout": several(conv(4, 3), ("SpatialDropout2D", (0.5,), {}), ("GaussianNoise", (1.0,), {}), *FLAT, ("Dropout", (0.5,), {})),
    "batch": one("BatchNormalization"),
    "batch_rows": one("BatchNormalization", axis=1),
    "batch_plain": one("BatchNormalization", scale=False, center=False, epsilon=0.01),
    "batch_flat": several(conv(4, 3), ("Flatten", (), {}), ("BatchNormalization", (), {}), ("Dense", (2,), {})),
    "layer_norm": one("LayerNormalization"),
    "layer_norm_flat": several(conv(4, 3), ("Flatten", (), {}), ("LayerNormalization", (), {}), ("Dense", (2,), {})),
    "rescaling": one("Rescaling", 1 / 127.5, offset=-1),
    "normalization": one("Normalization", mean=[1.0, 2.0, 3.0], variance=[4.0, 1.0, 2.0]),
    "normalization_weights": one("Normalization"),
    "prelu": one("PReLU"),
    "prelu_shared": one("PReLU", shared_axes=[1, 2]),
    "leaky": one("LeakyReLU", 0.2),
    "relu_max": one("ReLU", max_value=0.5),
    "relu_slope": one("ReLU", negative_slope=0.1, max_value=1.0),
    "elu": one("ELU", 0.7),
    "softmax": one("Softmax"),
    **{
        f"activation_{name}": one("Activation", name)
        for name in (
            *("relu", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign", "swish", "gelu", "hard_sigmoid"),
            *("exponential", "softmax", "linear", "leaky_relu", "relu6", "mish", "hard_silu", "log_softmax"),
        )
    },
    "dense_of_pixels": several(("Dense", (4,), {"activation": "tanh"}), *FLAT),
    "permute": several(("Permute", ((3, 1, 2),), {}), *FLAT),
    "permute_conv": several(("Permute", ((2, 1, 3),), {}), conv(4, (2, 3)), *FLAT),
    "reshape": several(conv(4, 3), ("Reshape", ((6, -1, 2),), {}), conv(3, 2), *FLAT),
    "reshape_back": several(conv(4, 3), ("Flatten", (), {}), ("Reshape", ((9, 12, 4),), {}), conv(3, 2), *FLAT),
    "repeat": several(*FLAT, ("RepeatVector", (3,), {}), ("LSTM", (4,), {}), ("Dense", (2,), {})),
    "lstm": several(("Reshape", ((11, 42),), {}), ("LSTM", (4,), {"return_sequences": True}), ("LSTM", (3,), {"go_backwards": True}), ("Dense", (2,), {})),
    "gru": several(("Reshape", ((11, 42),), {}), ("GRU", (4,), {"return_sequences": True}), ("GRU", (3,), {"reset_after": False}), ("Dense", (2,), {})),
    "rnn": several(("Reshape", ((11, 42),), {}), ("SimpleRNN", (4,), {}), ("Dense", (2,), {})),
    "flat_sigmoid": several(conv(4, 3), ("Flatten", (), {}), ("Activation", ("tanh",), {}), ("Dense", (2,), {})),
    "flat_output": several(conv(2, (5, 6), strides=(4, 5)), ("Flatten", (), {})),
}  # fmt: skip
SHAPE = (11, 14, 3)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_computes_what_it_computes_in_keras(keras, tmp_path, name):
    model = keras.Sequential([keras.Input(SHAPE), *LAYERS[name](keras)])
    check(model, tmp_path, ".h5" if len(name) % 2 else ".keras")


@pytest.mark.parametrize("size, stride", [((3, 2), (2, 2)), ((2, 2), (1, 1)), ((2, 3), (1, 2))])
def test_an_average_over_the_edge_counts_what_is_there(keras, tmp_path, size, stride):
    """As in TensorFlow; Keras on torch repeats the edge where it pads one side alone."""
    k = keras.layers
    model = keras.Sequential(
        [keras.Input(SHAPE), k.AveragePooling2D(size, stride, padding="same"), k.Flatten()]
    )
    model.save(tmp_path / "net.keras")
    images = np.random.default_rng(1).normal(0, 1, (1, *SHAPE)).astype(np.float32)
    rows, columns = (-(-n // s) for n, s in zip(SHAPE, stride))
    wanted = np.zeros((rows, columns, 3))
    for row, column in np.ndindex(rows, columns):
        ranges = []
        for n, count, place, reach, step in zip(SHAPE, (rows, columns), (row, column), size, stride):
            before = max((count - 1) * step + reach - n, 0) // 2
            ranges.append(slice(max(place * step - before, 0), place * step - before + reach))
        wanted[row, column] = images[0][tuple(ranges)].mean((0, 1))
    found = load_network(tmp_path / "net.keras").module(torch.from_numpy(images).permute(0, 3, 1, 2))
    np.testing.assert_allclose(found.numpy()[0], wanted.reshape(-1), atol=1e-5)


def test_a_layer_runs_over_time(keras, tmp_path):
    k = keras.layers
    inner = k.Conv2D(4, 2, activation="relu")
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            k.Reshape((11, 7, 2, 3)),
            k.TimeDistributed(inner),
            k.TimeDistributed(k.Flatten()),
            k.TimeDistributed(k.Dense(5, activation="tanh")),
            k.LSTM(3),
            k.Dense(1),
        ]
    )
    for suffix in (".keras", ".h5"):
        check(model, tmp_path, suffix)


def test_several_values_are_joined(keras, tmp_path):
    k = keras.layers
    x = keras.Input(SHAPE)
    a, b = k.Conv2D(4, 3, activation="relu")(x), k.Conv2D(4, 3)(x)
    joined = [
        k.Add()([a, b]),
        k.Multiply()([a, b]),
        k.Average()([a, b]),
        k.Maximum()([a, b]),
        k.Minimum()([a, b]),
        k.Subtract()([a, b]),
    ]
    maps = k.Concatenate()(joined)
    rows = k.Concatenate(axis=1)([a, b])
    gate = k.Dense(4, activation="sigmoid")(k.Reshape((1, 1, 4))(k.GlobalAveragePooling2D()(a)))
    flat = k.Concatenate()(
        [k.Flatten()(k.Multiply()([a, gate])), k.Flatten()(rows), k.Flatten()(k.MaxPooling2D()(maps))]
    )
    added = k.Add()([k.Flatten()(a), k.Flatten()(b)])
    steering = k.Dense(1, name="steering")(flat)
    throttle = k.Dense(1, name="throttle", activation="tanh")(k.Concatenate()([added, flat]))
    model = keras.Model(x, [steering, throttle])
    for suffix in (".keras", ".h5"):
        check(model, tmp_path, suffix)


def test_models_in_models_and_layers_that_are_shared(keras, tmp_path):
    k = keras.layers
    inner = keras.Sequential(
        [keras.Input((11, 14, 3)), k.Conv2D(4, 3), k.BatchNormalization(), k.Conv2D(3, 3)], name="features"
    )
    y = keras.Input((7, 10, 3))
    shared = k.Conv2D(3, 3, padding="same", activation="elu", name="shared")
    wide = keras.Model(y, [shared(shared(y)), k.Dense(2)(y)], name="two")
    x = keras.Input(SHAPE)
    features = inner(x)
    one, two = wide(features)
    model = keras.Model(x, [k.Dense(1)(k.Flatten()(one)), k.Dense(2)(k.Flatten()(two))])
    for suffix in (".keras", ".h5"):
        check(model, tmp_path, suffix)
    outer = keras.Sequential([keras.Input(SHAPE), keras.models.clone_model(inner), k.Flatten(), k.Dense(2)])
    for suffix in (".keras", ".h5"):
        check(outer, tmp_path, suffix)


@pytest.mark.parametrize("name", ["conv_same_strides", "max_same", "batch", "prelu_shared", "separable"])
def test_channels_may_stand_first(keras, tmp_path, name):
    k = keras.layers
    if name == "batch":
        layer = k.BatchNormalization(axis=1)
    elif name == "prelu_shared":
        layer = k.PReLU(shared_axes=[2, 3])
    else:
        layer = LAYERS[name](keras)[0].__class__.from_config(
            {**LAYERS[name](keras)[0].get_config(), "data_format": "channels_first"}
        )
    first = {"data_format": "channels_first"}
    model = keras.Sequential(
        [keras.Input((3, 11, 14)), layer, k.Conv2D(4, 3, **first), k.Flatten(**first), k.Dense(2)]
    )
    check(model, tmp_path)


def test_an_architecture_and_its_weights_may_lie_apart(keras, tmp_path):
    k = keras.layers
    model = filled(keras.Sequential([keras.Input(SHAPE), k.Conv2D(2, 3), k.Flatten(), k.Dense(1)]))
    (tmp_path / "net.json").write_text(model.to_json())
    model.save_weights(tmp_path / "elsewhere.weights.h5")
    images = np.random.default_rng(1).normal(0, 1, (2, *SHAPE)).astype(np.float32)
    wanted = model(images).detach().numpy()
    for name in (
        str(tmp_path / "net.json"),
        f"{tmp_path / 'net.json'}?weights={tmp_path / 'elsewhere.weights.h5'}",
    ):
        found = load_network(name).module(torch.from_numpy(images).permute(0, 3, 1, 2))
        np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


def test_arithmetic_may_stand_between_layers(keras, tmp_path):
    k = keras.layers
    x = keras.Input(SHAPE)
    y = 1.0 - (x / 127.5 - 1.0) * 2 + 0.5
    z = y[:, 2:-1, :, 1:] + k.Conv2D(2, 3, padding="same")(x)[:, 2:-1]
    for suffix in (".keras", ".h5"):
        check(keras.Model(x, k.Dense(1)(k.Flatten()(z * z - z))), tmp_path, suffix)
