"""Published weights of VGG-16 and the ResNets, as their files name them, into the networks of this package.

Accepted are torchvision's and timm's state dicts (.pth, .safetensors), other state dicts in which the same layers stand
in the same order, and the Torch7 files of fb.resnet.torch (.t7), among them the ResNet-200 of He et al. 2016.

What is known of the files is the names, shapes and order in the code that writes them; the tests make files like them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from vbp.errors import ModelError
from vbp.models.fitting import COUNTER
from vbp.models.network import Network, build
from vbp.models.spec import NetworkSpec
from vbp.models.torch7 import load_layers, read_layers
from vbp.models.weights import put_weights, read_weights, without_prefix

LAST = ("classifier.6.weight", "head.fc.weight", "fc.weight")  # whose rows are the classes
TIMM_VGG = {"pre_logits.fc1": "classifier.0", "pre_logits.fc2": "classifier.3", "head.fc": "classifier.6"}


def load_published(path: str | Path, spec: NetworkSpec, name: str = "") -> tuple[Network, str]:
    """The network of `spec` with the weights in the file, and a sentence on how they were matched.

    A network for other classes than the specification's gets as many outputs as the file has. Nothing in
    the file is run. name: what the network is called (default: as the specification says). Raises ModelError
    that names the first layer that does not fit.
    """
    path = Path(path).expanduser()
    spec = replace(spec, name=name or spec.name, trained_on=f"imported from {path.name}")
    if path.suffix.lower() in (".t7", ".t7b"):
        return _from_torch7(path, spec)
    with torch.device("meta"):
        wanted = _names(build(spec).module)
    found = {k: v for k, v in read_weights(path, wanted).items() if not k.endswith(COUNTER)}
    found = without_prefix(found, set(wanted))
    how = "by torchvision's names" if "head.fc.weight" not in wanted else "by timm's names"
    if "pre_logits.fc1.weight" in found and spec.architecture == "vgg":
        found, how = {_renamed(k): v for k, v in found.items()}, "by timm's names"
    known = sum(k in wanted for k in found)
    if not known:
        found, how = _by_order(found, wanted, path, spec), "by order and shape, as their names are not known"
    # Published classifiers are convolutions of 1x1, or of the whole map, as often as dense layers.
    found = {
        k: v.flatten(1) if k in wanted and wanted[k].dim() == 2 and v.dim() == 4 else v
        for k, v in found.items()
    }
    network = build(_for_classes(spec, found))
    put_weights(network.module, found, path, spec.name)
    network.trained = True
    return network, f"{len(found)} tensors matched {how}"


def _names(module: nn.Module) -> dict[str, Tensor]:
    return {k: v for k, v in module.state_dict().items() if not k.endswith(COUNTER)}


def _renamed(key: str) -> str:
    layer, _, what = key.rpartition(".")
    return f"{TIMM_VGG.get(layer, layer)}.{what}"


def _for_classes(spec: NetworkSpec, found: dict[str, Tensor]) -> NetworkSpec:
    rows = next((len(found[k]) for k in LAST if k in found and found[k].dim() == 2), 0)
    if not rows or "classes" not in spec.arguments:
        return spec
    return replace(spec, arguments={**spec.arguments, "classes": rows})


def _by_order(
    found: dict[str, Tensor], wanted: dict[str, Tensor], path: Path, spec: NetworkSpec
) -> dict[str, Tensor]:
    """The file's tensors under the network's names, the first to the first, where all shapes agree."""
    if path.suffix.lower() == ".safetensors":
        raise ModelError(
            f"{path} names its layers in a way that {spec.name} does not know ({next(iter(found), 'none')}), and "
            "safetensors keeps no order to go by; torchvision's and timm's names are known"
        )
    for (name, tensor), (key, like) in zip(found.items(), wanted.items(), strict=False):
        flat = tensor.flatten(1) if like.dim() == 2 and tensor.dim() == 4 else tensor
        alike = flat.shape[1:] == like.shape[1:] if key in LAST else flat.shape == like.shape
        # The classes of the last layer may be others, and so its biases.
        if not alike and key not in {k.replace("weight", "bias") for k in LAST}:
            raise ModelError(
                f"{path} does not fit {spec.name}: {name} is {_size(tensor)}, where {key} of {_size(like)} is expected"
            )
    if len(found) != len(wanted):
        raise ModelError(
            f"{path} does not fit {spec.name}: it holds {len(found)} tensors, and {len(wanted)} are expected"
        )
    return dict(zip(wanted, found.values(), strict=True))


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _from_torch7(path: Path, spec: NetworkSpec) -> tuple[Network, str]:
    """The layers of a Torch7 network in the order in which they are run, the branch of a block before its skip."""
    if spec.architecture != "resnet":
        raise ModelError(f"{path} is a Torch7 file, of which the ResNets of fb.resnet.torch can be read")
    network = build(spec)
    load_layers(network, read_layers(path), path)
    return network, f"{len(_names(network.module))} tensors of Torch7 layers matched by order and shape"
