"""Weights under the names, shapes and order of published files, into the networks; files that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchfile
from safetensors.torch import save_file
from torch import Tensor, nn

from vbp.cli.main import main
from vbp.errors import ModelError
from vbp.models.known import SPECS
from vbp.models.network import build, load_checkpoint
from vbp.models.published import load_published

Shapes = dict[str, tuple[int, ...]]


def bn(shapes: Shapes, key: str, maps: int) -> None:
    for part in ("weight", "bias", "running_mean", "running_var"):
        shapes[f"{key}.{part}"] = (maps,)
    shapes[f"{key}.num_batches_tracked"] = ()


def torchvision_vgg16(batch_norm: bool = False) -> Shapes:
    """torchvision's vgg16-397923af.pth and vgg16_bn-6c64b313.pth."""
    shapes: Shapes = {}
    at, maps = 0, 3
    for block in ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3):
        for outputs in block:
            shapes[f"features.{at}.weight"], shapes[f"features.{at}.bias"] = (outputs, maps, 3, 3), (outputs,)
            if batch_norm:
                bn(shapes, f"features.{at + 1}", outputs)
            at, maps = at + 2 + batch_norm, outputs
        at += 1
    for number, (outputs, inputs) in {0: (4096, 25088), 3: (4096, 4096), 6: (1000, 4096)}.items():
        shapes[f"classifier.{number}.weight"], shapes[f"classifier.{number}.bias"] = (
            (outputs, inputs),
            (outputs,),
        )
    return shapes


def timm_vgg16() -> Shapes:
    shapes = {k: v for k, v in torchvision_vgg16().items() if k.startswith("features")}
    for key, shape in (("pre_logits.fc1", (4096, 512, 7, 7)), ("pre_logits.fc2", (4096, 4096, 1, 1))):
        shapes[f"{key}.weight"], shapes[f"{key}.bias"] = shape, (4096,)
    return shapes | {"head.fc.weight": (1000, 4096), "head.fc.bias": (1000,)}


def torchvision_resnet(counts: tuple[int, ...], bottleneck: bool, classes: int = 1000) -> Shapes:
    """torchvision's resnet18-f37072fd.pth, resnet50-0676ba61.pth and their like."""
    shapes: Shapes = {"conv1.weight": (64, 3, 7, 7)}
    bn(shapes, "bn1", 64)
    inputs = 64
    for stage, (count, width) in enumerate(zip(counts, (64, 128, 256, 512))):
        outputs = width * 4 if bottleneck else width
        for i in range(count):
            key = f"layer{stage + 1}.{i}"
            kernels = ((width, inputs, 1), (width, width, 3), (outputs, width, 1))
            for n, (o, c, k) in enumerate(kernels if bottleneck else ((width, inputs, 3), (width, width, 3))):
                shapes[f"{key}.conv{n + 1}.weight"] = (o, c, k, k)
                bn(shapes, f"{key}.bn{n + 1}", o)
            if not i and (stage or bottleneck):
                shapes[f"{key}.downsample.0.weight"] = (outputs, inputs, 1, 1)
                bn(shapes, f"{key}.downsample.1", outputs)
            inputs = outputs
    return shapes | {"fc.weight": (classes, inputs), "fc.bias": (classes,)}


def timm_resnetv2_50() -> Shapes:
    """timm's resnetv2_50_a1h-000cdf49.pth: the skip's convolution comes first, and the classifier is one of 1x1."""
    shapes: Shapes = {"stem.conv.weight": (64, 3, 7, 7)}
    inputs = 64
    for stage, (count, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512))):
        for i in range(count):
            key = f"stages.{stage}.blocks.{i}"
            if not i:
                shapes[f"{key}.downsample.conv.weight"] = (width * 4, inputs, 1, 1)
            kernels = ((inputs, width, 1), (width, width, 3), (width, width * 4, 1))
            for n, (c, o, k) in enumerate(kernels):
                bn(shapes, f"{key}.norm{n + 1}", c)
                shapes[f"{key}.conv{n + 1}.weight"] = (o, c, k, k)
            inputs = width * 4
    bn(shapes, "norm", inputs)
    return shapes | {"head.fc.weight": (1000, inputs, 1, 1), "head.fc.bias": (1000,)}


def filled(shapes: Shapes) -> dict[str, Tensor]:
    """Each tensor with a number of its own, which takes no room in a file of torch.save."""
    tensors = {}
    for i, (key, shape) in enumerate(shapes.items()):
        count = key.endswith("num_batches_tracked")
        tensors[key] = torch.tensor(7) if count else torch.tensor(1.0 + i / 1000).expand(shape)
    return tensors


CASES: dict[str, tuple[str, Callable[[], Shapes]]] = {
    "torchvision vgg16": ("VGG-16", torchvision_vgg16),
    "timm vgg16": ("VGG-16", timm_vgg16),
    "torchvision resnet18": ("ResNet-18", lambda: torchvision_resnet((2, 2, 2, 2), False)),
    "torchvision resnet50": ("ResNet-50", lambda: torchvision_resnet((3, 4, 6, 3), True)),
    "timm resnetv2_50": ("ResNetV2-50", timm_resnetv2_50),
}


@pytest.mark.parametrize("case", CASES)
def test_published_names_reach_their_layers(case: str, tmp_path: Path) -> None:
    name, shapes = CASES[case]
    tensors = filled(shapes())
    path = tmp_path / "published.pth"
    torch.save(tensors, path)
    network, how = load_published(path, SPECS[name]())
    assert f"by {case.split()[0]}'s names" in how
    assert network.trained and network.spec.trained_on == "imported from published.pth"
    state = network.module.state_dict()
    rename = {"pre_logits.fc1": "classifier.0", "pre_logits.fc2": "classifier.3"}
    if case == "timm vgg16":
        rename["head.fc"] = "classifier.6"
    count = 0
    for key, tensor in tensors.items():
        if not key.endswith("num_batches_tracked"):
            layer, _, part = key.rpartition(".")
            got = state[f"{rename.get(layer, layer)}.{part}"]
            assert got.numel() == tensor.numel() and bool((got == tensor.flatten()[0]).all()), key
            count += 1
    assert how.startswith(f"{count} tensors")
    assert count == sum(not k.endswith("num_batches_tracked") for k in state)


def test_vgg_with_batchnorm_has_torchvisions_names_and_shapes() -> None:
    with torch.device("meta"):
        state = build(SPECS["VGG-16-BN"]()).module.state_dict()
    assert {k: tuple(v.shape) for k, v in state.items()} == torchvision_vgg16(True)


def test_a_convolution_over_the_whole_map_is_a_dense_layer_in_the_same_order() -> None:
    """timm's first classifier layer of VGG: its weights flattened are those of the dense layer after a flattened map."""
    weight, maps = torch.randn(5, 4, 7, 7), torch.randn(2, 4, 7, 7)
    torch.testing.assert_close(
        nn.functional.conv2d(maps, weight).flatten(1),
        maps.flatten(1) @ weight.flatten(1).T,
        rtol=1e-4,
        atol=1e-4,
    )


def small_resnet18(classes: int = 10) -> dict[str, Tensor]:
    shapes = torchvision_resnet((2, 2, 2, 2), False, classes)
    generator = torch.Generator().manual_seed(0)
    return {
        k: torch.tensor(3) if k.endswith("tracked") else torch.rand(v, generator=generator)
        for k, v in shapes.items()
    }


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_wrapped_prefixed_and_for_other_classes(suffix: str, tmp_path: Path) -> None:
    tensors = small_resnet18()
    path = tmp_path / f"mine{suffix}"
    prefixed = {f"module.{k}": v for k, v in tensors.items()}
    if suffix == ".pth":
        torch.save({"epoch": 3, "state_dict": prefixed}, path)
    else:
        save_file(prefixed, path)
    network, _ = load_published(path, SPECS["ResNet-18"](), "Mine")
    assert (network.spec.name, network.spec.arguments["classes"]) == ("Mine", 10)
    assert torch.equal(network.module.state_dict()["layer3.0.conv1.weight"], tensors["layer3.0.conv1.weight"])


def test_names_that_nobody_knows_are_matched_by_order_and_shape(tmp_path: Path) -> None:
    tensors = small_resnet18()
    path = tmp_path / "other.pth"
    torch.save({f"weights_{i:03}": v for i, v in enumerate(tensors.values()) if v.dim()}, path)
    network, how = load_published(path, SPECS["ResNet-18"]())
    assert "by order and shape" in how
    state = network.module.state_dict()
    assert all(torch.equal(state[k], v) for k, v in tensors.items() if v.dim())


def wrong(tensors: dict[str, Tensor], what: str) -> dict[str, Tensor]:
    if what == "another depth":
        shapes = torchvision_resnet((3, 4, 6, 3), False, 10)
        return {k: torch.zeros(()) if k.endswith("tracked") else torch.ones(v) for k, v in shapes.items()}
    if what == "a layer short":
        return {k: v for k, v in tensors.items() if k != "layer2.0.conv2.weight"}
    if what == "another size":
        return tensors | {"layer1.0.conv1.weight": torch.ones(64, 64, 1, 1)}
    if what == "not finite":
        return tensors | {"bn1.bias": torch.full((64,), float("nan"))}
    if what == "negative variance":
        return tensors | {"bn1.running_var": torch.full((64,), -1.0)}
    if what == "unknown names, other sizes":
        return {f"w{i}": v for i, v in enumerate(list(tensors.values())[::-1]) if v.dim()}
    assert what == "unknown names, fewer"
    return {f"w{i}": v for i, v in enumerate(list(tensors.values())[:20]) if v.dim()}


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("another depth", "layer1.2.conv1.weight"),
        ("a layer short", "lacks layer2.0.conv2.weight"),
        ("another size", "layer1.0.conv1.weight is 64x64x1x1, and 64x64x3x3 is expected"),
        ("not finite", "not finite in bn1.bias"),
        ("negative variance", "variance below 0 in bn1.running_var"),
        ("unknown names, other sizes", "where conv1.weight of 64x3x7x7 is expected"),
        ("unknown names, fewer", "holds 17 tensors, and 102 are expected"),
    ],
)
def test_a_file_that_does_not_fit_is_told_by_its_first_layer(what: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pth"
    torch.save(wrong(small_resnet18(), what), path)
    with pytest.raises(ModelError, match=words):
        load_published(path, SPECS["ResNet-18"]())


def test_unknown_names_in_a_file_without_order(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({f"w{i}": v for i, v in enumerate(small_resnet18().values())}, path)
    with pytest.raises(ModelError, match="keeps no order"):
        load_published(path, SPECS["ResNet-18"]())


# --- Torch7


def node(kind: str, **fields: Any) -> SimpleNamespace:
    return SimpleNamespace(torch_typename=lambda: kind.encode(), **fields)


def t7_conv(layer: nn.Conv2d) -> SimpleNamespace:
    outputs, inputs, kh, kw = layer.weight.shape
    values = layer.weight.detach().numpy()
    return node(
        "cudnn.SpatialConvolution", weight=values, nOutputPlane=outputs, nInputPlane=inputs, kH=kh, kW=kw
    )


def t7_norm(layer: nn.BatchNorm2d, old: bool) -> SimpleNamespace:
    fields = {k: getattr(layer, k).detach().numpy() for k in ("weight", "bias", "running_mean")}
    variance = layer.running_var.detach().double().numpy()
    spread = {"running_std": (variance + 1e-5) ** -0.5} if old else {"running_var": variance}
    return node("nn.SpatialBatchNormalization", **fields, **spread)


def t7_resnet(module: nn.Module, old: bool) -> SimpleNamespace:
    """As preresnet.lua of fb.resnet.torch joins them; a block whose size changes normalises before it branches."""
    relu = node("cudnn.ReLU")
    seq = lambda *parts: node("nn.Sequential", modules=list(parts))  # noqa: E731
    parts = [t7_conv(module.stem.conv), t7_norm(module.stem.norm, old), relu, node("nn.SpatialMaxPooling")]
    for stage in module.stages:
        blocks = []
        for block in stage.blocks:
            before = [] if block.norm1 is None else [t7_norm(block.norm1, old), relu]
            branch = [t7_conv(block.conv1)]
            branch += [t7_norm(block.norm2, old), relu, t7_conv(block.conv2)]
            branch += [t7_norm(block.norm3, old), relu, t7_conv(block.conv3)]
            skip, ahead = node("nn.Identity"), []
            if block.downsample is not None:
                skip, ahead, before = seq(t7_conv(block.downsample.conv)), before, []
            table = node("nn.ConcatTable", modules=[seq(*before, *branch), skip])
            blocks.append(seq(*ahead, table, node("nn.CAddTable")))
        parts.append(seq(*blocks))
    dense = {k: getattr(module.head.fc, k).detach().numpy() for k in ("weight", "bias")}
    parts += [t7_norm(module.norm, old), relu, node("cudnn.SpatialAveragePooling"), node("nn.View")]
    return seq(*parts, node("nn.Linear", **dense))


@pytest.mark.parametrize("old", [False, True])
def test_pre_activation_networks_of_torch7(
    old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fewer blocks than ResNet-200, which is joined in the same way."""
    spec = SPECS["ResNet-200"]()
    spec = replace(spec, arguments={**spec.arguments, "depth": 50})
    source = build(spec, seed=9).module
    with torch.no_grad():
        for i, m in enumerate(m for m in source.modules() if isinstance(m, nn.BatchNorm2d)):
            m.running_var.fill_(1 + i / 100)
            m.running_mean.fill_(i / 100)
    path = tmp_path / "resnet-200.t7"
    path.touch()
    monkeypatch.setattr(torchfile, "load", lambda _: t7_resnet(source, old))
    network, how = load_published(path, spec)
    assert "Torch7" in how
    state = network.module.state_dict()
    for key, tensor in source.state_dict().items():
        torch.testing.assert_close(state[key], tensor, rtol=1e-4 if old else 0, atol=0, msg=key)
    with pytest.raises(ModelError, match="does not fit ResNet-18: it has a SpatialConvolution"):
        load_published(path, SPECS["ResNet-18"]())
    with pytest.raises(ModelError, match=r"ResNets of fb\.resnet\.torch"):
        load_published(path, SPECS["VGG-16"]())


def test_damaged_torch7_files(tmp_path: Path) -> None:
    path = tmp_path / "resnet-200.t7"
    path.write_bytes(b"\x04\x00\x00\x00garbage" * 20)
    with pytest.raises(ModelError, match="not a Torch7 file"):
        load_published(path, SPECS["ResNet-200"]())


# --- the command


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "resnet18.pth", tmp_path / "resnet18.safetensors"
    tensors = small_resnet18()
    torch.save(tensors, source)
    command = ["import-weights", str(source), "--network", "ResNet-18", "-o", str(out)]
    assert main([*command, "--name", "Cats"]) == 0
    said = capsys.readouterr().out
    assert (
        said.startswith("Cats (224x224 input) written to")
        and "102 tensors matched by torchvision's names" in said
    )
    network = load_checkpoint(out)
    assert network.spec.is_classifier and network.spec.name == "Cats"
    assert torch.equal(network.module.state_dict()["fc.weight"], tensors["fc.weight"])
    assert main([*command, "--half", "--json"]) == 0
    assert out.stat().st_size < 24e6
    source.write_bytes(b"no weights")
    assert main(command) == 2
    assert "no weights file" in capsys.readouterr().err
