"""Networks in formats that vbp does not read: said by name, with the lines that make a file that opens."""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path

from vbp.errors import ModelError
from vbp.reading import read_head

HEAD = 1_000_000  # bytes of a pickle, in which its first class stands
PLAIN = (
    "torch",
    "collections",
    "numpy",
    "__builtin__",
    "builtins",
    "_codecs",
)  # of what state dicts are made
FACTORY = "vbp --model package.module:factory --weights weights.pth"


def refuse_foreign(path: Path) -> None:
    """Raises ModelError for a network in another format; nothing in it is run, or even loaded."""
    said = _said(path)
    if said:
        what, lines = said
        raise ModelError(f"{path} is {what}, which vbp does not read; this makes a file that opens: {lines}")


def _said(path: Path) -> tuple[str, str] | None:
    """What it is, and what to do."""
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return (
                "a TensorFlow SavedModel",
                f"python -m tf2onnx.convert --saved-model {path.name} --output net.onnx",
            )
        return None
    try:
        head = read_head(path, HEAD)
    except OSError:
        return None
    if head[4:8] == b"TFL3":
        return "a TFLite network", f"python -m tf2onnx.convert --tflite {path.name} --output net.onnx"
    suffix = path.suffix.lower()
    if suffix in (".engine", ".trt", ".plan"):
        return (
            "a TensorRT engine, compiled for one graphics card",
            "keep the .onnx file that it was built from",
        )
    if suffix == ".pb":
        return (
            "a frozen graph of TensorFlow",
            f"python -m tf2onnx.convert --graphdef {path.name} --inputs NAME:0 --outputs NAME:0 --output net.onnx",
        )
    return _of_torch(path, head)


def _of_torch(path: Path, head: bytes) -> tuple[str, str] | None:
    names: list[str] = []
    pickled = head
    if head[:2] == b"PK":
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
                data = next((name for name in names if name.endswith("/data.pkl")), None)
                if data is None:
                    return None
                with archive.open(data) as member:
                    pickled = member.read(HEAD)
        except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
            return None
    elif head[:1] != b"\x80" or head[8:9] == b"{":
        return None
    if any("/code/" in name for name in names):
        return (
            "a TorchScript program, which is code",
            f'network = torch.jit.load("{path.name}").eval(), which runs it, and '
            'torch.onnx.export(network, torch.zeros(1, CHANNELS, ROWS, COLUMNS), "net.onnx", dynamo=False)',
        )
    own = next(filter(_is_own, _classes(pickled)), None)
    if own is None:
        return None
    return (
        f"a whole network by torch.save, or more (the class {own[:80]}), and opening it would run code",
        f'where that class is at hand, network = torch.load("{path.name}", weights_only=False) and '
        f'torch.save(network.state_dict(), "weights.pth"), then {FACTORY}',
    )


def _is_own(name: str) -> bool:
    """Of a network's code, and not of what tensors are made of."""
    module = name.startswith("torch.nn.") and not name.startswith("torch.nn.parameter.")
    return module or name.partition(".")[0] not in PLAIN


def _classes(data: bytes) -> Iterator[str]:
    """The classes that a pickle names, by reading its instructions; nothing is unpickled."""
    texts: list[str] = []
    stream = io.BytesIO(data)
    try:
        for _ in range(4):  # an old file has three small pickles in front
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name == "GLOBAL":
                    yield str(argument).replace(" ", ".")
                elif opcode.name == "STACK_GLOBAL" and len(texts) > 1:
                    yield ".".join(texts[-2:])
                elif isinstance(argument, str):
                    texts.append(argument)
    except (ValueError, IndexError, KeyError, OverflowError):  # cut off at the limit, or damaged
        return
