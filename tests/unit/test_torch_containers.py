"""What people save beside a network's weights, and under which names: the tensors are found, and no code is run."""

from __future__ import annotations

import argparse
import collections
import datetime
import enum
import pathlib
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vbp.errors import ModelError
from vbp.models.registry import load_network
from vbp.models.weights import load_weights


def fresh(seed: int, outputs: int = 2) -> nn.Module:
    torch.manual_seed(seed)
    features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    return nn.Sequential(
        collections.OrderedDict(features=features, flat=nn.Flatten(), head=nn.Linear(4, outputs))
    )


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + k: v for k, v in state.items()}


def same(a: nn.Module, b: nn.Module) -> bool:
    theirs = b.state_dict()
    return all(torch.equal(v, theirs[k]) for k, v in a.state_dict().items())


class Stage(enum.Enum):
    FIT = "fit"


class EarlyStopping:
    """A callback of the author's own, with slots and a state of its own."""

    __slots__ = ("best", "patience")

    def __init__(self) -> None:
        self.patience, self.best = 3, torch.tensor(0.5)

    def __getstate__(self):
        return None, {"patience": self.patience, "best": self.best}


class Table(dict):
    """As omegaconf's and Lightning's AttributeDict."""


def lightning(module: nn.Module, prefix: str = "model.") -> dict[str, object]:
    """As Lightning 2 dumps a checkpoint (its documentation, "Contents of a checkpoint"), with the oddest of hyperparameters."""
    parameters = list(module.parameters())
    states = {
        i: {"step": torch.tensor(9.0), "exp_avg": torch.rand_like(p), "exp_avg_sq": torch.rand_like(p)}
        for i, p in enumerate(parameters)
    }
    groups = [{"lr": 0.001, "betas": (0.9, 0.999), "params": list(range(len(parameters)))}]
    return {
        "epoch": 3,
        "global_step": 1200,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": prefixed(module.state_dict(), prefix) | {"loss_fn.weight": torch.ones(2)},
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
        "callbacks": {
            "EarlyStopping{'monitor': 'val_loss'}": EarlyStopping(),
            "ModelCheckpoint": {"best_model_score": torch.tensor(0.1), "dirpath": pathlib.PurePosixPath("/x"), "kth": {}},
        },
        "optimizer_states": [{"state": states, "param_groups": groups}],
        "lr_schedulers": [{"_last_lr": [np.float64(0.1)], "_step_count": 3}],
        "MixedPrecision": None,
        "hparams_name": "kwargs",
        "hyper_parameters": Table(
            args=argparse.Namespace(lr=np.float32(0.1), out=pathlib.PurePosixPath("/runs"), when=datetime.datetime(2024, 5, 1)),
            stage=Stage.FIT, sizes={66, 200}, kept=frozenset("ab"), mean=np.arange(6.0).reshape(2, 3), dtype=torch.float16,
            device=torch.device("cpu"), size=torch.Size([1, 2]), count=collections.Counter("aab"), shape=slice(1, 2), c=1j,
            made=collections.defaultdict(list, a=[1]), seed=2**80, delta=datetime.timedelta(1), data=bytearray(b"abc"),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("new", [True, False])
def test_a_checkpoint_of_lightning_gives_its_networks_weights_and_says_what_is_left_out(
    tmp_path, new, protocol
):
    source, target = fresh(1), fresh(2)
    path = tmp_path / "epoch=3.ckpt"
    torch.save(lightning(source), path, pickle_protocol=protocol, _use_new_zipfile_serialization=new)
    said = load_weights(target, path, "the network")
    assert same(source, target)
    assert said.startswith("epoch=3.ckpt holds more than this network's weights, which is left out: ")
    assert (
        "state_dict.loss_fn (1 tensor)" in said
        and "optimizer_states (18 tensors)" in said
        and "\n" not in said
    )
    with pytest.raises(ModelError, match="does not say of which network.*state_dict.model.features.0.weight"):
        load_network(path)


WAYS = {
    "model": lambda s: {"model": s, "epoch": 3},
    "model_state_dict": lambda s: {"model_state_dict": s, "loss": 0.3},
    "net": lambda s: {"net": s, "acc": np.float32(90.0)},
    "ema alone": lambda s: {"ema": {"shadow": s, "decay": 0.99}},
    "nested, in lists": lambda s: {"checkpoint": [{"weights": prefixed(s, "module.")}]},
    "AveragedModel": lambda s: {"n_averaged": torch.tensor(3), **prefixed(s, "module.")},
    "a prefix of any name": lambda s: prefixed(s, "pilot.backbone.v2."),
    "torch.compile within": lambda s: {k.replace("features.", "features._orig_mod."): v for k, v in s.items()},
    "DataParallel within": lambda s: prefixed({k.replace("features.", "features.module."): v for k, v in s.items()}, "net."),
    "half": lambda s: {k: v.half() if v.is_floating_point() else v for k, v in s.items()},
    "bfloat16": lambda s: {k: v.bfloat16() if v.is_floating_point() else v for k, v in s.items()},
    "double": lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()},
    "parameters": lambda s: {k: nn.Parameter(v) if v.is_floating_point() else v for k, v in s.items()},
    "transposed": lambda s: {k: v.T.contiguous().T if v.dim() == 2 else v for k, v in s.items()},
    "parts of one tensor": lambda s: packed(s),
    "no counters": lambda s: {k: v for k, v in s.items() if "num_batches" not in k},
    "the same twice": lambda s: {"model": s, "best": {k: v.clone() for k, v in s.items()}},
}  # fmt: skip


def packed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    flat = torch.cat([v.flatten().float() for v in state.values()])
    parts = flat.split([v.numel() for v in state.values()])
    return {k: part.view(v.shape) for (k, v), part in zip(state.items(), parts)}


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_weights_as_people_save_them(tmp_path, way, new):
    source, target = fresh(1), fresh(2)
    torch.save(WAYS[way](source.state_dict()), tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    load_weights(target, tmp_path / "w.pth", "the network")
    if way in ("half", "bfloat16"):
        source = source.to(getattr(torch, "float16" if way == "half" else way)).float()
    assert same(source, target)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("way", ["model", "half", "parameters", "transposed", "parts of one tensor"])
def test_weights_that_were_dumped_as_a_pickle(tmp_path, way, protocol):
    source, target = fresh(1), fresh(2)
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(WAYS[way](source.state_dict()), protocol))
    load_weights(target, tmp_path / "w.pkl", "the network")
    assert same(source.half().float() if way == "half" else source, target)


def test_a_pickle_without_tensors_or_cut_short_ends_in_a_sentence(tmp_path):
    whole = pickle.dumps(fresh(1).state_dict())
    for body in (
        pickle.dumps({"a": [1, 2]}),
        *(whole[:cut] for cut in range(2, len(whole), len(whole) // 7)),
    ):
        (tmp_path / "w.pkl").write_bytes(body)
        with pytest.raises(ModelError, match="w.pkl"):
            load_weights(fresh(2), tmp_path / "w.pkl", "the network")


def test_a_network_that_is_wrapped_takes_weights_that_are_not(tmp_path):
    source, target = fresh(1), fresh(2)
    torch.save({"model": source.state_dict()}, tmp_path / "w.pth")
    load_weights(nn.ModuleDict({"net": nn.ModuleDict({"inner": target})}), tmp_path / "w.pth", "the network")
    assert same(source, target)


def test_tied_weights(tmp_path):
    def tied(seed: int) -> nn.Sequential:
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        net[1].weight = net[0].weight
        return net

    source, target = tied(1), tied(2)
    torch.save(source.state_dict(), tmp_path / "w.pth")
    load_weights(target, tmp_path / "w.pth", "the network")
    assert same(source, target) and target[0].weight is target[1].weight


def test_safetensors_with_more_in_it_and_a_prefix(tmp_path):
    source, target = fresh(1), fresh(2)
    tensors = prefixed(source.state_dict(), "model.net.") | {"discriminator.0.weight": torch.zeros(3)}
    save_file(tensors, tmp_path / "w.safetensors")
    said = load_weights(target, tmp_path / "w.safetensors", "the network")
    assert same(source, target) and "discriminator (1 tensor)" in said


@pytest.mark.parametrize("new", [True, False])
def test_a_whole_module_and_torchscript_give_their_weights_to_the_code_that_makes_the_network(
    tmp_path, new, recwarn
):
    source, target = fresh(1), fresh(2)
    source.register_buffer("grid", torch.zeros(3), persistent=False)
    path = tmp_path / "whole.pt"
    torch.save({"model": source, "ema": None}, path, _use_new_zipfile_serialization=new)
    assert load_weights(target, path, "the network") == ""
    assert same(source, target)
    del source.grid
    if new:
        torch.jit.save(torch.jit.script(source.eval()), tmp_path / "script.pt")
        target = fresh(3)
        load_weights(target, tmp_path / "script.pt", "the network")
        assert same(source, target)


def test_the_network_that_fits_is_taken_and_of_two_that_do_one_is_asked_for(tmp_path):
    generator, discriminator, ema, target = fresh(1), fresh(3, outputs=1), fresh(4), fresh(2)
    path = tmp_path / "gan.ckpt"
    states = prefixed(generator.state_dict(), "generator.") | prefixed(
        discriminator.state_dict(), "discriminator."
    )
    torch.save({"state_dict": states}, path)
    assert "state_dict.discriminator (8 tensors)" in load_weights(target, path, "the network")
    assert same(generator, target)
    torch.save({"state_dict": states, "ema": ema.state_dict()}, path)
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(
        ModelError,
        match="holds 2 sets of weights that fit NET, state_dict.generator and ema: .*--weights gan.ckpt#state_dict.generator",
    ):
        load_weights(target, path, "NET")
    assert all(torch.equal(v, before[k]) for k, v in target.state_dict().items())
    for name, meant in (("ema", ema), ("generator", generator)):
        load_weights(target, f"{path}#{name}", "NET")
        assert same(meant, target)
    with pytest.raises(
        ModelError, match="nothing called critic that fits NET; what fits: state_dict.generator and ema"
    ):
        load_weights(target, f"{path}#critic", "NET")
    odd = tmp_path / "run#3.ckpt"
    torch.save(ema.state_dict(), odd)
    load_weights(target, odd, "NET")
    assert same(ema, target)


WRONG = {
    "missing": (lambda s: {k: v for k, v in s.items() if k != "head.bias"}, "it lacks head.bias of 2"),
    "misfit": (lambda s: s | {"head.weight": torch.zeros(2, 9)}, "head.weight is 2x9, and 2x4 is expected"),
    "more of a layer": (lambda s: s | {"features.3.weight": torch.zeros(2)}, "it has state_dict.model.features.3.weight, which the network has not"),
    "other names": (lambda s: {"a.w": torch.zeros(2)}, "it holds state_dict.model.a.w, and features.0.weight"),
    "sparse": (lambda s: s | {"head.weight": torch.zeros(2, 4).to_sparse()}, "head.weight is one number, and 2x4"),
    "not finite": (lambda s: s | {"head.bias": torch.tensor([1.0, torch.nan])}, "not finite in head.bias"),
    "variance": (lambda s: s | {"features.1.running_var": torch.full((4,), -1e-5)}, "variance below 0"),
}  # fmt: skip


@pytest.mark.parametrize("way", WRONG)
def test_what_does_not_fit_is_said_with_both_shapes(tmp_path, way):
    change, words = WRONG[way]
    path = tmp_path / "w.ckpt"
    torch.save({"state_dict": prefixed(change(dict(fresh(1).state_dict())), "model."), "lr": 0.1}, path)
    target = fresh(2)
    with pytest.raises(ModelError) as caught:
        load_weights(target, path, "the network")
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert same(target, fresh(2))


def test_a_variance_that_rounding_left_below_0_is_0(tmp_path):
    state = fresh(1).state_dict() | {"features.1.running_var": torch.tensor([-4e-17, 0.0, 1.0, 2.0])}
    torch.save(state, tmp_path / "w.pth")
    target = fresh(2)
    load_weights(target, tmp_path / "w.pth", "the network")
    assert target.features[1].running_var.tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("new", [True, False])
def test_a_damaged_file_ends_in_a_sentence(tmp_path, new):
    """Bytes changed and ends cut off: it opens, or it is one sentence."""
    source, path = fresh(1), tmp_path / "w.ckpt"
    torch.save(lightning(source), path, _use_new_zipfile_serialization=new)
    data, rng = path.read_bytes(), np.random.default_rng(5)
    start = data.index(b"epoch") - 10  # where the pickle begins
    for turn in range(60):
        changed = bytearray(data)
        for at in rng.integers(start, start + 3000 if turn % 2 else len(data), 3):
            changed[at] = rng.integers(256)
        path.write_bytes(changed[: rng.integers(1, len(data))] if turn % 5 == 0 else changed)
        try:
            load_weights(fresh(2), path, "the network")
        except ModelError as error:
            assert "\n" not in str(error)


@pytest.mark.shared
def test_networks_of_strangers_by_their_weights(shared):
    """Each computes what it computed where it is from: Lightning, a state dict, a whole module, TorchScript."""
    networks = shared / "data" / "networks"

    def fed(name: str) -> tuple[Tensor, dict[str, np.ndarray]]:
        golden = dict(np.load(networks / name / "golden.npz"))
        images = golden["inputs"].astype(np.float32) * np.float32(golden["scale"]) + np.float32(
            golden["offset"]
        )
        return torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), golden

    images, golden = fed("lightning-container-ckpt")
    drone = Drone().eval()
    said = load_weights(
        drone, networks / "lightning-container-ckpt" / "epoch=99-step=123400.ckpt", "the drone"
    )
    assert said.endswith("left out: callbacks (1 tensor)")
    with torch.no_grad():
        output = drone(images).numpy()
    np.testing.assert_allclose(output[:, 0], golden["out0"].reshape(-1), atol=1e-4)
    np.testing.assert_allclose(1 / (1 + np.exp(-output[:, 1])), golden["out1"].reshape(-1), atol=1e-4)

    images, golden = fed("pilotnet-grey-onnx-and-pth")
    for file in ("best_lane_keeping_model.pth", "entire_lane_keeping_model.pth"):
        pilot = Pilot().eval()
        load_weights(pilot, networks / "pilotnet-grey-onnx-and-pth" / file, "the pilot")
        with torch.no_grad():
            np.testing.assert_allclose(
                pilot(images).numpy(), golden["out0"].reshape(-1, 1), rtol=1e-4, atol=1e-4
            )

    images, golden = fed("sign-classifier-torchscript")
    signs = nn.Module()
    signs.conv1, signs.conv2 = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 12, 3)
    signs.fc1, signs.fc2 = nn.Linear(432, 200), nn.Linear(200, 43)
    load_weights(signs, networks / "sign-classifier-torchscript" / "traffic_sign_cpu.pt", "the signs")
    with torch.no_grad():
        for conv in (signs.conv1, signs.conv2):
            images = torch.relu(torch.max_pool2d(conv(images), 2))
        scores = signs.fc2(torch.relu(signs.fc1(images.flatten(1))))
    np.testing.assert_allclose(scores.numpy(), golden["out0"], rtol=1e-4, atol=1e-4)


class Pilot(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        sizes = [(1, 24, 5, 2), (24, 36, 5, 2), (36, 48, 5, 2), (48, 64, 3, 1), (64, 64, 3, 1)]
        self.conv_layers = nn.Sequential(
            *(m for a, b, k, s in sizes for m in (nn.Conv2d(a, b, k, s), nn.ReLU()))
        )
        self.fc_layers = nn.Sequential(collections.OrderedDict(
            {"0": nn.Linear(1152, 100), "1": nn.ReLU(), "3": nn.Linear(100, 50), "4": nn.ReLU(), "6": nn.Linear(50, 10),
             "7": nn.ReLU(), "8": nn.Linear(10, 1)}
        ))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.fc_layers(self.conv_layers(x).flatten(1))


class Block(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.depthconv1, self.pointwise1 = (
            nn.Conv2d(a, a, 3, 2, 1, groups=a, bias=False),
            nn.Conv2d(a, b, 1, bias=False),
        )
        self.depthconv2, self.pointwise2 = (
            nn.Conv2d(b, b, 3, 1, 1, groups=b, bias=False),
            nn.Conv2d(b, b, 1, bias=False),
        )
        self.bn1, self.bn2, self.bn3, self.bn4 = (nn.BatchNorm2d(n) for n in (a, b, b, b))

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn2(self.pointwise1(self.bn1(self.depthconv1(x)).clamp(0, 6))).clamp(0, 6)
        return self.bn4(self.pointwise2(self.bn3(self.depthconv2(x)).clamp(0, 6))).clamp(0, 6)


class Drone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first_conv, self.bn1 = nn.Conv2d(1, 4, 5, 2, 2, bias=False), nn.BatchNorm2d(4)
        self.Block1, self.Block2, self.Block3 = Block(4, 4), Block(4, 8), Block(8, 16)
        self.fc = nn.Linear(784, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.max_pool2d(self.bn1(self.first_conv(x)).clamp(0, 6), 2)
        return self.fc(self.Block3(self.Block2(self.Block1(x))).flatten(1))
