"""Networks that want all the memory, or lead out of their folder, in every container: a sentence each, within bounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

import onnxmaker
from kerasmaker import layer, numbers, sequential, tiny, write

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs limits of memory")

CHILD = """
import json, resource, sys
import onnx, h5py, torch
from vbp.errors import VbpError
from vbp.models.registry import load_network
from vbp.models import pt2, onnx_file, keras
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 700 * 2**20,) * 2)
for name, path in json.loads(sys.stdin.read()).items():
    try:
        load_network(path)
        print(name, "opened", sep="\\t")
    except VbpError as error:
        print(name, str(error).replace("\\n", "NEWLINE"), sep="\\t")
    except BaseException as error:
        print(name, "RAISED", type(error), str(error)[:200], sep="\\t")
"""
SPEC = 'output_unit = "deg"\noutput_sign = "left"\n'


def saved(path: Path, nodes: list, weights: dict, opset: int = 13, **more: object) -> Path:
    model = onnxmaker.model(nodes, weights, (1, 3, 4, 5), opset=opset)
    for tensor in more.get("tensors", ()):
        model.graph.initializer.append(tensor)
    path.write_bytes(model.SerializeToString())
    path.with_suffix(".toml").write_text(SPEC)
    return path


def beside(name: str, location: str, shape: tuple[int, ...] = (60, 1)) -> TensorProto:
    """A weight that says it lies in another file."""
    tensor = TensorProto(
        name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value=location)
    return tensor


def cases(folder: Path) -> dict[str, tuple[str, str]]:
    """By name: the file, and words of its sentence."""
    flat = helper.make_node("Flatten", ["picture"], ["flat"])
    dense = [flat, helper.make_node("MatMul", ["flat", "w"], ["out"])]
    secret = folder.parent / "secret.bin"
    secret.write_bytes(numbers(60, 1).tobytes())
    (folder / "link.bin").symlink_to(secret)
    found: dict[str, tuple[object, str]] = {
        "onnx, up": (saved(folder / "up.onnx", dense, {}, tensors=[beside("w", "../../etc/passwd")]), "outside its own folder"),
        "onnx, up a little": (saved(folder / "one.onnx", dense, {}, tensors=[beside("w", "../secret.bin")]), "outside its own folder"),
        "onnx, absolute": (saved(folder / "abs.onnx", dense, {}, tensors=[beside("w", "/etc/passwd")]), "outside its own folder"),
        "onnx, link": (saved(folder / "link.onnx", dense, {}, tensors=[beside("w", "link.bin")]), "outside its own folder"),
        "onnx, not there": (saved(folder / "gone.onnx", dense, {}, tensors=[beside("w", "gone.bin")]), "not there"),
        "onnx, 10^9 units": (saved(folder / "many.onnx", dense, {}, tensors=[TensorProto(name="w", data_type=1, dims=(60, 10**9))]), "the weight 'w' is damaged"),
        "onnx, 10^9 by Expand": (saved(folder / "wide.onnx", [flat, helper.make_node("Expand", ["flat", "s"], ["out"])], {"s": np.array([10**9, 60])}), "Expand"),
        "onnx, 10^9 by ConstantOfShape": (saved(folder / "const.onnx", [helper.make_node("ConstantOfShape", ["s"], ["c"]), flat, helper.make_node("MatMul", ["flat", "c"], ["out"])], {"s": np.array([60, 10**9])}), "ConstantOfShape"),
        "onnx, 10^9 by Tile": (saved(folder / "tile.onnx", [helper.make_node("Tile", ["k", "s"], ["c"]), flat, helper.make_node("MatMul", ["flat", "c"], ["out"])], {"k": np.zeros((60, 1), np.float32), "s": np.array([1, 10**9])}), "Tile"),
        "onnx, of the future": (saved(folder / "future.onnx", dense, {"w": numbers(60, 1)}, opset=99), "opset 99, and 7 to 23 are read"),
        "onnx, no weight": (saved(folder / "none.onnx", dense, {}), "'w' is used and nothing puts it out"),
        "onnx, misfit": (saved(folder / "misfit.onnx", dense, {"w": numbers(61, 1)}), "MatMul"),
        "onnx, NaN": (saved(folder / "nan.onnx", dense, {"w": np.full((60, 1), np.nan, np.float32)}), "not finite"),
        "onnx, infinite": (saved(folder / "inf.onnx", dense, {"w": np.full((60, 1), np.inf, np.float32)}), "not finite"),
        "onnx, cycle": (saved(folder / "cycle.onnx", [helper.make_node("Add", ["picture", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Flatten", ["b"], ["out"])], {}), "'b' is used and nothing puts it out"),
        "keras, 10^9 units": (write(folder / "units.h5", sequential(layer("Dense", "d", units=10**9, batch_input_shape=[None, 4, 5, 3])), {}, keras_version="2.2.4"), "4,000,000,000 weights"),
        "keras, wide picture": (write(folder / "wide.h5", sequential(layer("Flatten", "f", batch_input_shape=[None, 10**6, 10**6, 3])), {}, keras_version="2.2.4"), ""),
        "keras, NaN": (tiny(folder / "nan.h5", kernel=np.full((60, 1), np.nan, np.float32)), "not finite"),
    }  # fmt: skip
    whole = tiny(folder / "whole.h5").read_bytes()
    (folder / "cut.h5").write_bytes(whole[: len(whole) // 2])
    found["keras, truncated"] = folder / "cut.h5", "damaged"
    config = json.dumps(sequential(layer("Flatten", "f", batch_input_shape=[None, 4, 5, 3])))
    with zipfile.ZipFile(folder / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
        with archive.open("model.weights.h5", "w", force_zip64=True) as member:
            for _ in range(8):
                member.write(bytes(2**24))  # 128 MiB
    found["keras, bomb"] = folder / "bomb.keras", "unpacks to 134,217,728 bytes"
    with zipfile.ZipFile(folder / "config.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 2**24)
        archive.writestr("model.weights.h5", b"")
    found["keras, bomb of a configuration"] = folder / "config.keras", "too large to be true"
    torch.save({"w": torch.zeros(2**22)}, folder / "net.pt")
    with (
        zipfile.ZipFile(folder / "net.pt") as source,
        zipfile.ZipFile(folder / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in source.namelist():
            packed.writestr(name, source.read(name))
    (folder / "net.pt").unlink()
    found["torch, bomb"] = folder / "bomb.pt", "larger than the file"
    with zipfile.ZipFile(folder / "pickle.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"(" * 2**24)
    found["torch, bomb of a pickle"] = folder / "pickle.pt", "larger than the file"
    return {name: (str(path), words) for name, (path, words) in found.items()}


def test_a_sentence_each_and_bounded_memory(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    made = cases(folder)
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHILD], input=json.dumps({name: path for name, (path, _) in made.items()}),
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert not done.returncode, done.stderr[-2000:]
    said = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    wrong = {
        name: said.get(name)
        for name, (_, words) in made.items()
        if "NEWLINE" in said[name]
        or "RAISED" in said[name]
        or words not in said[name]
        or (said[name] == "opened")
    }
    assert not wrong, wrong
