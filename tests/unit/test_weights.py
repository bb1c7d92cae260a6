"""Weights of any network from a file: as people save them, and nothing in the file is run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vbp.errors import ModelError
from vbp.models.weights import load_weights


def fresh(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))


def saved(folder: Path, data: object) -> Path:
    path = folder / "weights.pth"
    torch.save(data, path)
    return path


def same(a: nn.Module, b: nn.Module) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return all(torch.equal(ours[k], theirs[k]) for k in ours)


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + k: v for k, v in state.items()}


WAYS = {
    "a state dict": lambda s: s,
    "DataParallel": lambda s: prefixed(s, "module."),
    "torch.compile in DataParallel": lambda s: prefixed(s, "module._orig_mod."),
    "a training checkpoint": lambda s: {"epoch": 7, "state_dict": s, "lr": 0.1},
    "Lightning": lambda s: {"state_dict": prefixed(s, "model."), "epoch": 3},
    "a checkpoint in a checkpoint": lambda s: {"model": {"state_dict": prefixed(s, "module.")}},
}


@pytest.mark.parametrize("way", WAYS)
def test_weights_as_people_save_them(tmp_path, way):
    source, target = fresh(1), fresh(2)
    assert not same(source, target)
    load_weights(target, saved(tmp_path, WAYS[way](source.state_dict())), "the network")
    assert same(source, target)


def test_safetensors(tmp_path):
    source, target = fresh(1), fresh(2)
    save_file(prefixed(source.state_dict(), "module."), tmp_path / "w.safetensors")
    load_weights(target, tmp_path / "w.safetensors", "the network")
    assert same(source, target)


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    state = dict(fresh(1).state_dict())
    for name, tensor in changes.items():
        key = name.replace("_", ".", 1)
        if tensor is None:
            del state[key]
        else:
            state[key] = tensor
    return state


WRONG = {
    "one too few": (changed(**{"0_bias": None}), "it lacks 0.bias"),
    "one too many": (changed(**{"9_bias": torch.zeros(2)}), "9.bias, which the network has not"),
    "another shape": (changed(**{"4_weight": torch.zeros(2, 5)}), "4.weight is 2x5, and 2x4 is expected"),
    "not a number": (changed(**{"4_weight": torch.full((2, 4), float("nan"))}), "not finite in 4.weight"),
    "a negative variance": (changed(**{"1_running_var": -torch.ones(4)}), "below 0 in 1.running_var"),
    "numbers": ({"a": 1.5}, "no state dict"),
    "a list": ([torch.zeros(2)], "it holds 0, and 0.weight, 0.bias, 1.weight and 6 more"),
    "nothing": ({}, "no state dict"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_named_and_changes_nothing(tmp_path, name):
    data, words = WRONG[name]
    target = fresh(2)
    with pytest.raises(ModelError) as error:
        load_weights(target, saved(tmp_path, data), "the network")
    assert words in str(error.value) and "\n" not in str(error.value)
    assert same(target, fresh(2))


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_pickle_is_not_run(tmp_path, writer):
    mark = tmp_path / "was run"
    path = tmp_path / "evil.pth"
    if writer == "torch":
        torch.save({"0.weight": Evil(mark)}, path)
    else:
        path.write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(ModelError, match="no state dict|no file of torch.save"):
        load_weights(fresh(1), path, "the network")
    assert not mark.exists()
    with pytest.raises(ModelError, match="cannot be read"):
        load_weights(fresh(1), tmp_path / "none.pth", "the network")


@pytest.mark.parametrize("part", [0, 7, 100, 0.5, 0.95])
def test_half_a_file_is_one_sentence(tmp_path, part):
    whole = saved(tmp_path, fresh(1).state_dict()).read_bytes()
    path = tmp_path / "half.pth"
    path.write_bytes(whole[: int(part * len(whole)) if isinstance(part, float) else part])
    with pytest.raises(ModelError) as error:
        load_weights(fresh(1), path, "the network")
    assert "\n" not in str(error.value)
