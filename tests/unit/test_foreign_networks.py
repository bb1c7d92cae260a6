"""Networks in formats that vbp does not read are named, with the lines that make a file that opens."""

from __future__ import annotations

import re
import sys
import warnings
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from vbp.errors import ModelError
from vbp.models.registry import load_network


class Mine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)
        self.out = nn.Linear(2 * 6 * 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.conv(x).relu().flatten(1))


def refused(path, *words):
    with pytest.raises(ModelError) as caught:
        load_network(path)
    for word in words:
        assert word in str(caught.value)
    assert "of its own" not in str(caught.value)


def test_a_torchscript_program_is_not_run(tmp_path):
    path = tmp_path / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is on its way out
        torch.jit.script(Mine().eval()).save(str(path))
    refused(f"{path}?spec=net.toml", "TorchScript", "torch.jit.load", "torch.onnx.export")


@pytest.mark.parametrize("new", [True, False])
def test_a_whole_module_is_not_opened_and_its_weights_are(tmp_path, new):
    path = tmp_path / "net.pth"
    torch.save(Mine(), path, _use_new_zipfile_serialization=new)
    refused(path, "the class", "Mine", "weights_only=False", "torch.onnx.export", "--weights net.pth")
    torch.save({"epoch": 3, "model": Mine()}, path, _use_new_zipfile_serialization=new)
    refused(path, "a whole network", "Mine")
    torch.save(Mine().state_dict(), path, _use_new_zipfile_serialization=new)
    refused(path, "holds weights and does not say of which network")
    torch.save({"state_dict": Mine().state_dict(), "loss": np.float64(3)}, path)
    refused(path, "does not say of which network")


def test_the_lines_that_are_printed_make_a_file_that_opens(tmp_path, monkeypatch):
    """Those of PyTorch, run as they are printed, with the sizes put in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.toml").write_text('output_unit = "rad"\noutput_sign = "left"\n')
    monkeypatch.setattr(sys.modules["__main__"], "Mine", Mine, raising=False)
    net = Mine().eval()
    images = torch.rand(1, 3, 8, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(net).save("script.pt")
        torch.save(net, "whole.pth")
        for name in ("script.pt", "whole.pth"):
            with pytest.raises(ModelError) as caught:
                load_network(name)
            first = re.search(r"network = (torch\..*?\.eval\(\))", str(caught.value))[1]
            second = re.search(r"torch\.onnx\.export\(.*?dynamo=False\)", str(caught.value))[0]
            for word, size in (("CHANNELS", "3"), ("ROWS", "8"), ("COLUMNS", "10")):
                second = second.replace(word, size)
            eval(second, {"torch": torch, "network": eval(first, {"torch": torch})})  # noqa: S307 - as users do
            torch.testing.assert_close(load_network("net.onnx").module(images), net(images))


def test_tensorflows_other_formats(tmp_path):
    (tmp_path / "net.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(100))
    refused(tmp_path / "net.tflite", "TFLite", "tf2onnx.convert --tflite net.tflite")
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"")
    refused(folder, "SavedModel", "tf2onnx.convert --saved-model saved")
    (tmp_path / "net.pb").write_bytes(b"\n\x04node")
    refused(tmp_path / "net.pb", "frozen graph", "--graphdef net.pb")
    for name in ("model.ckpt.meta", "model.ckpt.index", "model.ckpt.data-00000-of-00001"):
        (tmp_path / name).write_bytes(b"anything")
        refused(tmp_path / name, "checkpoint of TensorFlow", "--checkpoint model.ckpt.meta")
    (tmp_path / "net.engine").write_bytes(b"anything")
    refused(tmp_path / "net.engine", "TensorRT", ".onnx")


def test_a_file_that_is_nothing_of_all_that_is_refused_as_before(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02cposix\nsystem\n.")
    refused(tmp_path / "net.pt", "no weights")
    for data in (b"", b"\x80", b"\x80\x04\x95", bytes(1000), b"PK\x03\x04"):
        (tmp_path / "odd").write_bytes(data)
        refused(tmp_path / "odd")


@pytest.mark.shared
@pytest.mark.parametrize(
    "file, word",
    [
        ("deeppicar-tflite-int8/opt-k2-40x30x3-T1.tflite", "TFLite"),
        ("sign-classifier-torchscript/traffic_sign_cpu.pt", "TorchScript"),
        ("pilotnet-grey-onnx-and-pth/entire_lane_keeping_model.pth", "__main__.NVIDIA_PilotNet"),
    ],
)
def test_those_of_strangers(shared, file, word):
    refused(shared / "data" / "networks" / file, word, "makes a file that opens")
