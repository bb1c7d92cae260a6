"""What `import vbp` gives: every name with its words, loaded when it is asked for; and `vbp.explain` itself."""

import copy
import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

import vbp
import vbp.drives.base
import vbp.engine
from vbp.drives.base import FrameBatch
from vbp.explain.registry import Method
from vbp.models.network import build
from vbp.models.spec import CropRule, NetworkSpec
from vbp.preprocess import to_tensor


def public(module: ModuleType, kind) -> list:
    """The classes or functions that it offers: those in its __all__, or, without one, those that it defines."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    return [value for name in names if kind(value := getattr(module, name))]


PLACES = (vbp, vbp.drives.base, vbp.engine)
CLASSES = list(dict.fromkeys(c for place in PLACES for c in public(place, inspect.isclass)))
FUNCTIONS = list(dict.fromkeys(f for place in PLACES for f in public(place, inspect.isfunction)))


def members(cls: type) -> dict[str, object]:
    """What a user may call on it or read from it, its constructor too, as far as it is ours."""
    found = {
        name: inspect.unwrap(value.fget if isinstance(value, property) else value)
        for base in reversed(cls.__mro__)
        if base.__module__.startswith("vbp.")
        for name, value in vars(base).items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    }
    if "__init__" in vars(cls) and not is_dataclass(cls):
        found["__init__"] = vars(cls)["__init__"]
    return found


def assert_annotated(function) -> None:
    signature = inspect.signature(function)
    bare = [p.name for p in signature.parameters.values() if p.annotation is p.empty and p.name != "self"]
    assert not bare, function
    assert signature.return_annotation is not signature.empty, function


def test_all_is_there_and_sorted_into_kinds():
    assert len(set(vbp.__all__)) == len(vbp.__all__)
    functions = public(vbp, inspect.isfunction)
    assert [f.__name__ for f in functions] == ["explain", "fit_spec", "fleet", "open_drive", "open_network"]
    names = {thing.__name__ for thing in functions + public(vbp, inspect.isclass)}
    assert {"Engine", "Drive", "FrameBatch", "VbpError"} < names
    assert set(vbp.__all__) == names | {"METHODS", "__version__"}
    assert set(vbp.__all__) <= set(dir(vbp))
    assert vbp.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vbp.nothing


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_a_function_says_what_it_takes_gives_and_raises(function):
    assert_annotated(function)
    assert (function.__doc__ or "").strip()
    if function.__name__ in vbp.__all__:
        assert "Raises" in function.__doc__


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_a_class_and_its_members_say_what_they_are(cls):
    name = cls.__name__
    words = inspect.cleandoc(vars(cls).get("__doc__") or "")
    assert words and not words.startswith(f"{name}("), "that is what dataclass writes"
    if is_dataclass(cls):
        assert not [f.name for f in fields(cls) if not re.search(rf"\b{f.name}\b", words)]
    for member, function in members(cls).items():
        if member != "__init__":
            assert (function.__doc__ or "").strip(), f"{name}.{member}"
        assert_annotated(function)


@pytest.mark.parametrize("name", list(vbp.METHODS))
def test_a_method_says_its_source_its_shape_and_what_it_raises(name):
    method = vbp.METHODS[name]
    assert isinstance(method, Method) and method.name == name and method.source
    words = method.function.__doc__ or ""
    assert "(N, H, W)" in words and "Raises ExplainError" in words
    assert "[0, 1]" in words if not method.signed else "max |r| = 1" in words
    signature = inspect.signature(method.function)
    assert [*(p.name for p in method.parameters), "strength"] == list(signature.parameters)[2:]
    for parameter in method.parameters:
        assert signature.parameters[parameter.name].default == parameter.default
    assert_annotated(method.function)


def test_nothing_is_loaded_before_it_is_asked_for():
    code = (
        "import os, sys, vbp\n"
        "assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'\n"
        "heavy = {'torch', 'numpy', 'cv2', 'av', 'PySide6'}\n"
        "assert vbp.VbpError and 'Engine' in dir(vbp) and not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert vbp.Drive and 'torch' not in sys.modules\n"
        "assert vbp.METHODS and 'torch' not in sys.modules\n"
        "assert vbp.Engine and 'torch' in sys.modules\n"
    )
    bare = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    subprocess.run([sys.executable, "-c", code], check=True, env=bare)


@pytest.mark.parametrize("first", ["vbp", "vbp.explain", "vbp.explain.registry", "vbp.engine"])
def test_the_function_and_the_package_of_one_name(first):
    code = (
        f"import {first}\n"
        "import inspect, vbp, vbp.explain\n"
        "from vbp.explain import explain, METHODS\n"
        "from vbp.explain.exported import read_network\n"
        "assert inspect.isfunction(vbp.explain) and 'images' in inspect.signature(vbp.explain).parameters\n"
        "assert 'trace' in inspect.signature(explain).parameters\n"
        "assert METHODS is vbp.METHODS\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Net(nn.Module):
    """A module of somebody else's, with a Dropout and a function of torch in its code."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(3, 6, 5, 2)
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6 * 6 * 8, 2)

    def forward(self, x):
        return self.head(self.drop(torch.relu(self.norm(self.conv(x))).flatten(1)))


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand((4, 3, 15, 19), generator=torch.Generator().manual_seed(1))


def test_saliency_is_the_gradient_by_autograd(images):
    module = Net().eval()
    wanted = images.clone().requires_grad_()
    for output in (0, 1):
        (gradient,) = torch.autograd.grad(module(wanted)[:, output].sum(), wanted)
        size = gradient.abs().amax(1)
        expected = size / size.amax((1, 2), keepdim=True)
        torch.testing.assert_close(vbp.explain(module, images, "saliency", output), expected)
    torch.testing.assert_close(
        vbp.explain(module, images, "gradient-input", target="negative:1"),
        -vbp.explain(module, images, "gradient-input", target=1),
    )


@pytest.mark.parametrize("name", [name for name in vbp.METHODS if name != "occlusion"])
def test_every_method_on_a_module_that_is_left_as_it_was(images, name):
    module = Net().train()
    before = copy.deepcopy(module.state_dict())
    relevance = vbp.explain(module, images, name)
    assert relevance.shape == (4, 15, 19) and relevance.dtype == torch.float32
    assert float(relevance.abs().max()) == pytest.approx(1)
    assert module.training and module.drop.training
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert not any(m._forward_hooks or m._backward_hooks for m in module.modules())
    for key, value in module.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_numbers_reach_the_method(images):
    module = Net()
    few, many = (vbp.explain(module, images, "lrp", eps=eps, bias=0) for eps in (0.01, 1000))
    assert not torch.allclose(few, many, atol=0.01)
    with pytest.raises(vbp.ExplainError, match="'nonsense'"):
        vbp.explain(module, images, "lrp", nonsense=1)


def test_images_of_any_kind_of_number(images):
    module = Net()
    expected = vbp.explain(module, images, "lrp")
    array = images.numpy()[:, :, ::-1][:, :, ::-1]
    array.flags.writeable = False
    for same in (images.double(), images.clone().requires_grad_(), array, array.astype(np.float64)):
        torch.testing.assert_close(vbp.explain(module, same, "lrp"), expected)
    whole = (images * 255).round()
    torch.testing.assert_close(
        vbp.explain(module, whole.to(torch.uint8), "lrp"), vbp.explain(module, whole, "lrp")
    )
    assert vbp.explain(module, images[:0], "lrp").shape == (0, 15, 19)


def test_the_result_can_be_used_in_what_autograd_follows(images):
    weight = torch.ones((), requires_grad=True)
    (vbp.explain(Net(), images, "visualbackprop") * weight).sum().backward()
    assert weight.grad is not None and float(weight.grad) > 0


@pytest.mark.parametrize("sign", ["left", "right"])
def test_a_network_is_explained_as_the_engine_does(sign):
    crop = CropRule("bottom", rows=40, of_width=64)
    arguments = {"widths": [4, 6], "strides": [2, 2], "hidden": [5]}
    network = build(NetworkSpec("n", "steering", arguments, 40, 64, channels=1, crop=crop))
    network = replace(network, spec=replace(network.spec, output_sign=sign))
    frames = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8)
    engine = vbp.Engine(network, "cpu")
    _, maps = engine(frames, ["lrp"])
    batch = to_tensor(np.stack([engine.prepare(frame).input for frame in frames]), network.spec, "cpu")
    relevance = vbp.explain(network, batch, "lrp")
    torch.testing.assert_close(relevance, maps["lrp"])
    plain = vbp.explain(network.module, batch, "lrp")
    torch.testing.assert_close(relevance, plain if sign == "left" else -plain)


def test_what_cannot_be_explained_is_said_in_one_sentence(images):
    for model, given, method, words in (
        (Net(), images[0], "lrp", "shape 3 x 15 x 19"),
        (Net(), images[:, :1], "lrp", "15x19"),
        (Net(), images, "magic", "there is no method 'magic'"),
        ("NetSVF", images, "lrp", "not a str"),
        (vbp.open_network("NetSVF"), images, "lrp", "cannot take an input"),
    ):
        with pytest.raises(vbp.ExplainError, match=words):
            vbp.explain(model, given, method)
    with pytest.raises(vbp.ExplainError, match="there is no output 2"):
        vbp.explain(Net(), images, "lrp", target=2)


@pytest.mark.parametrize("target", [1.5, True, [1], {}])
def test_a_target_of_another_kind_is_refused(images, target):
    with pytest.raises(vbp.ExplainError, match="a target is the number of an output"):
        vbp.explain(Net(), images, "lrp", target=target)


def test_a_method_is_named_by_a_text(images):
    with pytest.raises(vbp.ExplainError, match="there is no method"):
        vbp.explain(Net(), images, ["lrp"])


def test_what_an_engine_is_given(tmp_path):
    network = vbp.open_network("NetHVF")
    for wrong in ("NetSVF", None, torch.nn.Linear(3, 1)):
        with pytest.raises(vbp.ModelError, match="an Engine takes a Network"):
            vbp.Engine(wrong)
    with pytest.raises(vbp.VbpError, match="the crop is a Rect"):
        vbp.Engine(network, "cpu", crop=(0, 0, 9, 9))
    engine = vbp.Engine(network, "cpu")
    picture = np.random.default_rng(3).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    for wrong in (picture, None, [picture[..., 0]], [picture.astype(np.float32)], "road"):
        with pytest.raises(vbp.VbpError, match="takes a batch of pictures"):
            engine(wrong)
    angles, maps = engine([picture], "lrp")  # one method may stand alone
    batch = FrameBatch(np.zeros(1, np.int64), [picture], *(np.zeros(1) for _ in range(4)))
    same, others = engine(batch, ["lrp"])
    assert np.array_equal(angles, same) and torch.equal(maps["lrp"], others["lrp"])
