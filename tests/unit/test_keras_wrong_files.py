"""Keras files that are damaged, or want to lead out of the folder: refused in a sentence, within bounds."""

from __future__ import annotations

import io
import json
import sys
import zipfile

import h5py
import numpy as np
import pytest

from kerasmaker import layer, numbers, read_here, sequential, tiny, write
from vbp.errors import ModelError
from vbp.models.registry import load_network


@pytest.fixture(autouse=True)
def here(request, monkeypatch):
    if request.function not in (
        test_a_file_that_ends_early,
        test_bytes_that_are_changed,
        test_a_file_that_crashes_hdf5,
    ):
        read_here(monkeypatch)


def zipped(path, config, data, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("config.json", config)
        archive.writestr("metadata.json", '{"keras_version": "3.5.0"}')
        archive.writestr("model.weights.h5", data)
    return path


def refused(path, words):
    with pytest.raises(ModelError, match=words) as caught:
        load_network(path)
    assert str(path).partition("?")[0] in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_ends_early(tmp_path):
    data = tiny(tmp_path / "net.h5").read_bytes()
    for length in (7, 2000, len(data) - 1000):
        (tmp_path / "short.h5").write_bytes(data[:length])
        refused(tmp_path / "short.h5", "HDF5|damaged|read")


def test_bytes_that_are_changed(tmp_path):
    """It opens, or is refused in a sentence."""
    data = tiny(tmp_path / "net.h5").read_bytes()
    random = np.random.default_rng(3)
    for _ in range(4):
        changed = bytearray(data)
        for at in random.integers(0, len(data), 40):
            changed[at] = random.integers(0, 256)
        path = tmp_path / "changed.h5"
        path.write_bytes(changed)
        try:
            load_network(path)
        except ModelError as error:
            assert "\n" not in str(error)


def test_a_file_that_crashes_hdf5(tmp_path, monkeypatch):
    """As some damaged ones do: the process that reads them is gone, and vbp is not."""
    crash = tmp_path / "crash"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crash))
    refused(tiny(tmp_path / "net.h5"), "it is damaged, HDF5 cannot read it .it crashes.")
    crash.write_text("#!/bin/sh\nkill -XCPU $$\n")  # as the system does to one that goes round in circles
    refused(tiny(tmp_path / "net.h5"), "it is damaged: reading it takes for ever")


def test_the_process_that_reads_hdf5_is_limited(tmp_path):
    """Also where vbp is gone: a file on which HDF5 goes round in circles must not keep a processor."""
    import resource
    import subprocess

    code = "from vbp.models import hdf5; hdf5._limit(3); import resource; print(resource.getrlimit(resource.RLIMIT_CPU)[0])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert 3 <= int(done.stdout) <= 15
    assert resource.getrlimit(resource.RLIMIT_CPU)[0] != int(done.stdout)  # not of this process


@pytest.mark.parametrize(
    "config, words",
    [
        ("{not json", "no JSON"),
        ('"text"', "no JSON"),
        ("[1, 2]", "no Keras model"),
        ("{}", "no Keras model"),
        ('{"class_name": "MyModel", "config": {}}', "MyModel.*as a class"),
        ('{"class_name": "Sequential", "config": []}', "no layers"),
        ("[" * 100_000, "no JSON"),
        (sequential(layer("Flatten", "a")), "how large its input is"),
        (sequential(layer("Flatten", "a", batch_input_shape=[None, 2**40, 5, 3])), "a size of"),
        (sequential(layer("Flatten", "a", batch_input_shape=[None, 4, 5, 7])), "7 channels"),
        (sequential(layer("Flatten", "a", batch_input_shape=[None, 9])), "takes input .9., which is no picture"),
        (sequential(layer("Flatten", "a", batch_input_shape=[None, None, None, 3])), "pictures of any size.*input_height"),
        (sequential(layer("Magic", "m", batch_input_shape=[None, 4, 5, 3])), "layer m is a Magic.*tf2onnx.convert --keras"),
        (sequential(layer("ConvLSTM2D", "m", filters=2, kernel_size=[3, 3], batch_input_shape=[None, 4, 5, 3])), "layer m is a ConvLSTM2D"),
        (sequential(layer("Bidirectional", "m", layer=layer("LSTM", "l", units=3), batch_input_shape=[None, 4, 5, 3])), "layer m is a Bidirectional"),
        (sequential(layer("Flatten", "a", batch_input_shape=[None, 4, 5, 3]), layer("Flatten", "a")), "two of its layers are called a"),
        (sequential(layer("Dense", "d", units=10**9, batch_input_shape=[None, 4, 5, 3])), "d .Dense.: the network would have 4,000,000,000 weights"),
        (sequential(layer("Dense", "d", units="many", batch_input_shape=[None, 4, 5, 3])), "units is many"),
        (sequential(layer("UpSampling2D", "u", size=[10**5, 10**5], batch_input_shape=[None, 4, 5, 3])), "u .UpSampling2D.*too large"),
        (sequential(layer("ZeroPadding2D", "z", padding=10**5, batch_input_shape=[None, 4, 5, 3])), "z .ZeroPadding2D.*too many"),
        (sequential(layer("Cropping2D", "c", cropping=[[2, 2], [0, 0]], batch_input_shape=[None, 4, 5, 3])), "c .Cropping2D.*nothing is left"),
        (sequential(layer("Conv2D", "c", filters=2, kernel_size=[9, 9], batch_input_shape=[None, 4, 5, 3])), "c .Conv2D.*no arrays|c .Conv2D.: the file holds no"),
        (sequential(layer("MaxPooling2D", "p", pool_size=[9, 9], batch_input_shape=[None, 4, 5, 3])), "p .MaxPooling2D.*does not fit"),
        (sequential(layer("Reshape", "r", target_shape=[7, 7], batch_input_shape=[None, 4, 5, 3])), "r .Reshape.*does not fit"),
        (sequential(layer("Activation", "a", activation="mine", batch_input_shape=[None, 4, 5, 3])), "its activation mine is not known"),
    ],
)  # fmt: skip
def test_a_configuration_that_is_wrong(tmp_path, config, words):
    refused(write(tmp_path / "net.h5", config, {}, keras_version="2.2.4"), words)


def node(name, *inputs, kind="Activation"):
    config = {"batch_input_shape": [None, 4, 5, 3]} if kind == "InputLayer" else {"activation": "relu"}
    return {
        **layer(kind, name, **config),
        "name": name,
        "inbound_nodes": [[[i, 0, 0, {}] for i in inputs]] if inputs else [],
    }


@pytest.mark.parametrize(
    "nodes, inputs, output, words",
    [
        ([node("a", "b"), node("b", "a")], ["i"], "b", "a and b wait for each other"),
        ([node("a", "gone")], ["i"], "a", "takes gone, which is not there"),
        ([node("a", "i")], ["i"], "gone", "output gone is computed nowhere"),
        ([node("a", "i"), node("j", kind="InputLayer")], ["i", "j"], "a", r"2 inputs, i \(4x5x3\), j \(4x5x3\); vbp gives it one picture"),
        ([node("a", "i", "i")], ["i"], "a", "one input, and gets 2"),
    ],
)  # fmt: skip
def test_layers_that_are_joined_wrongly(tmp_path, nodes, inputs, output, words):
    config = {
        "class_name": "Model",
        "config": {
            "name": "m",
            "layers": [node("i", kind="InputLayer"), *nodes],
            "input_layers": [[i, 0, 0] for i in inputs],
            "output_layers": [[output, 0, 0]],
        },
    }
    refused(write(tmp_path / "net.h5", config, {}, keras_version="2.2.4"), words)


def test_weights_that_do_not_fit(tmp_path):
    refused(
        tiny(tmp_path / "shape.h5", kernel=numbers(61, 1)),
        "layer out .Dense.: its weights are 61x1, and 60x1 is expected",
    )
    refused(
        tiny(tmp_path / "nan.h5", kernel=np.full((60, 1), np.nan, np.float32)), "layer out .Dense.*not finite"
    )
    refused(
        tiny(tmp_path / "text.h5", kernel=np.full((60, 1), b"x")), "layer out .Dense.*numbers are expected"
    )
    path = tiny(tmp_path / "lost.h5")
    with h5py.File(path, "a") as file:
        del file["model_weights/out/out/bias:0"]
    refused(path, "it lacks the weights out/bias:0")
    with h5py.File(path, "a") as file:
        del file["model_weights/out"]
    refused(path, "layer out .Dense.: the file holds no arrays")


def test_links_and_data_sets_that_lead_out_of_the_file_are_not_followed(tmp_path):
    outside = tiny(tmp_path / "outside.h5")
    for kind in ("external", "soft", "virtual", "raw"):
        path = tiny(tmp_path / f"{kind}.h5")
        with h5py.File(path, "a") as file:
            group = file["model_weights/out/out"]
            del group["kernel:0"]
            if kind == "external":
                group["kernel:0"] = h5py.ExternalLink(str(outside), "model_weights/out/out/kernel:0")
            elif kind == "soft":
                group["other"] = numbers(60, 1)
                group["kernel:0"] = h5py.SoftLink("other")
            elif kind == "virtual":
                layout = h5py.VirtualLayout((60, 1), "f4")
                layout[:] = h5py.VirtualSource(str(outside), "model_weights/out/out/kernel:0", (60, 1))
                group.create_virtual_dataset("kernel:0", layout)
            else:
                group.create_dataset("kernel:0", (60, 1), "f4", external=[(str(outside), 0, 240)])
        refused(path, "are a link|lie in another file")


def test_a_data_set_that_claims_more_than_the_file_holds(tmp_path):
    path = tiny(tmp_path / "net.h5", units=3_000_000, bias=numbers(3_000_000))
    with h5py.File(path, "a") as file:
        del file["model_weights/out/out/kernel:0"]
        file["model_weights/out/out"].create_dataset("kernel:0", (60, 3_000_000), "f4", chunks=(60, 1000))
    refused(path, "720,000,000 bytes, of which the file holds 0")


def test_a_zip_that_is_wrong(tmp_path):
    config = json.dumps(
        sequential(layer("Flatten", "f", batch_input_shape=[None, 4, 5, 3]), layer("Dense", "out", units=1))
    )
    refused(
        zipped(tmp_path / "bomb.keras", config, bytes(20_000_000)),
        "model.weights.h5 in it unpacks to 20,000,000 bytes",
    )
    refused(zipped(tmp_path / "no.keras", config, b"nothing"), "is no HDF5 file")
    refused(zipped(tmp_path / "json.keras", "{", b"nothing"), "config.json is no JSON")
    with zipfile.ZipFile(tmp_path / "half.keras", "w") as archive:
        archive.writestr("config.json", config)
    refused(tmp_path / "half.keras", "lacks model.weights.h5")
    (tmp_path / "none.keras").write_bytes(b"PK\x03\x04 and then nothing")
    refused(tmp_path / "none.keras", "none.keras is damaged: it cannot be understood")
    (tmp_path / "text.h5").write_text("not HDF5")
    refused(tmp_path / "text.h5", "no HDF5 file")
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file["layers/dense/vars/0"] = numbers(60, 1)
    refused(
        zipped(tmp_path / "lost.keras", config, data.getvalue()),
        "layer out .Dense.: the file holds 1 arrays.*2 are expected",
    )


def test_a_file_with_its_own_weights_takes_no_others(tmp_path):
    refused(f"{tiny(tmp_path / 'net.h5')}?weights={tmp_path / 'net.h5'}", "has weights of its own")
