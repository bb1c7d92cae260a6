"""A network with its specification; saving and loading it without pickle."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from vbp.errors import ModelError
from vbp.models.assume import Output
from vbp.models.atomic import atomic_write
from vbp.models.known import SPEC_KEY
from vbp.models.pilotnet import build_pilotnet
from vbp.models.resnet import build_resnet
from vbp.models.spec import NetworkSpec
from vbp.models.steering import build_steering, seeded
from vbp.models.tensors import open_tensors
from vbp.models.vgg import build_vgg
from vbp.models.weights import holds_pickle, open_weights, put_weights
from vbp.reading import refuse_pointer

HOW_TO_USE_WEIGHTS = (
    "use --model package.module:factory --weights FILE for a network of your own, or vbp import-weights for "
    "published ones of a VGG or ResNet"
)

# A new architecture is one file and one line here: spec -> module with fresh weights.
ARCHITECTURES: dict[str, Callable[[NetworkSpec], nn.Module]] = {
    "steering": build_steering,
    "vgg": build_vgg,
    "resnet": build_resnet,
    "pilotnet": build_pilotnet,
}


@dataclass
class Network:
    """A network and what is needed to use it.

    spec: what goes in and comes out. module: of torch, in eval mode, (N, C, H, W) -> (N, outputs). path: the file that
    it was read from, None where there is none. trained: False for fresh weights. assumed: of a file without a
    specification, in a sentence or two, what its specification only assumes; else "". unused: what a file of weights
    holds besides, which was left out; else "". outputs: what the file calls what it puts out, where it says so.
    """

    spec: NetworkSpec
    module: nn.Module
    path: Path | None = None
    trained: bool = True
    assumed: str = ""
    unused: str = ""
    outputs: tuple[Output, ...] = ()


def build(spec: NetworkSpec, seed: int = 0) -> Network:
    """A network with fresh, seeded weights. Raises ModelError."""
    builder = ARCHITECTURES.get(spec.architecture)
    if builder is None:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(f"the architecture {spec.architecture!r} is not known; accepted: {known}")
    module = seeded(lambda: builder(spec), seed)
    return Network(spec, module.eval(), trained=False)


def save_checkpoint(network: Network, path: str | Path, half: bool = False) -> None:
    """Write weights and specification as safetensors; the file is whole or not there.

    The module is the network that the specification describes, layer by layer; how its layers are named or nested
    does not matter. `half` stores float16, half the size; it is computed in float32 all the same.
    Raises ModelError where the module is another network or does not fit into float16, OSError where the
    file cannot be written.
    """
    path = Path(path)
    tensors = {k: v.detach().cpu().contiguous() for k, v in _weights_as_specified(network).items()}
    if half:
        tensors = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
        if large := [
            k for k, v in tensors.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())
        ]:
            raise ModelError(f"{large[0]} holds values that float16 cannot hold; save it in full precision")
    with atomic_write(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={SPEC_KEY: network.spec.to_json()})
        except SafetensorError as error:
            raise OSError(errno.EIO, str(error), str(path)) from error


def _weights_as_specified(network: Network) -> dict[str, torch.Tensor]:
    """The module's weights under the names that `build` gives them. Raises ModelError for another network."""
    with torch.device("meta"):  # no memory for weights that nobody wants
        wanted = build(network.spec).module
    own, described = _layers(network.module), _layers(wanted)
    for (name, layer), (_, like) in zip(own, described, strict=False):
        if _signature(layer) != _signature(like):
            raise ModelError(
                f"the module is not what its specification describes: layer {name} is {_description(layer)}, "
                f"and {_description(like)} is expected there"
            )
    if len(own) != len(described):
        raise ModelError(
            f"the module has {len(own)} layers, and its specification describes {len(described)}"
        )
    return {
        f"{target}.{key}": value
        for (_, layer), (target, _) in zip(own, described, strict=True)
        for key, value in layer.state_dict().items()
    }


def _layers(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers that compute something at inference, in order."""
    return [
        (name, layer)
        for name, layer in module.named_modules(remove_duplicate=False)  # one ReLU may serve many times
        if not list(layer.children()) and not isinstance(layer, nn.Dropout | nn.Dropout2d | nn.Identity)
    ]


def _signature(layer: nn.Module) -> tuple[object, ...]:
    """What makes two layers the same but for their weights."""
    if isinstance(layer, nn.Conv2d):
        window = (layer.stride, layer.padding, layer.dilation, layer.groups, layer.padding_mode)
        return "Conv2d", tuple(layer.weight.shape), layer.bias is None, window
    if isinstance(layer, nn.Linear):
        return "Linear", tuple(layer.weight.shape), layer.bias is None
    if isinstance(layer, nn.BatchNorm2d):
        return "BatchNorm2d", layer.num_features, layer.eps, layer.affine, layer.track_running_stats
    if isinstance(layer, nn.ZeroPad2d):
        return "ZeroPad2d", layer.padding
    return (type(layer).__name__,)


def _description(layer: nn.Module) -> str:
    return " ".join(str(layer).split())[:120]


def load_checkpoint(path: str | Path) -> Network:
    """Read a network written by `save_checkpoint`. Raises ModelError with one sentence."""
    path = Path(path)
    refuse_pointer(path, ModelError)
    if holds_pickle(path):
        with open_weights(path) as file:
            if not file.tensors:
                raise ModelError(f"{path} holds no network and no weights: there is no tensor in it")
        raise ModelError(
            f"{path} holds weights and does not say of which network (one is {next(iter(file.tensors))[:120]}); {HOW_TO_USE_WEIGHTS}"
        )
    try:
        with open_tensors(path, "pt") as file:
            metadata = file.metadata() or {}
            if SPEC_KEY not in metadata:
                raise ModelError(f"{path} has weights but no vbp specification; {HOW_TO_USE_WEIGHTS}")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{path} is no network file that vbp knows; accepted: .safetensors by vbp, .onnx, and .pt2 by torch.export.save"
        ) from error
    try:
        spec = NetworkSpec.from_json(metadata[SPEC_KEY])
        network = build(spec)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    put_weights(network.module, tensors, path, "its own specification")
    network.path, network.trained = path, True
    return network
