"""Networks in formats that vbp does not read: said by name, with the lines that make a file that opens."""

from __future__ import annotations

import zipfile
from pathlib import Path

from vbp.errors import ModelError
from vbp.models.torch_file import open_torch
from vbp.reading import open_file, read_head

HEAD = 64  # bytes that say what it is
FACTORY = "--model package.module:factory"
EXPORT = 'torch.onnx.export(network, torch.zeros(1, CHANNELS, ROWS, COLUMNS), "net.onnx", dynamo=False)'


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
    if suffix in (".meta", ".index") or ".data-00000-of-" in path.name:
        stem = path.name.removesuffix(suffix)
        return (
            "part of a checkpoint of TensorFlow",
            f"python -m tf2onnx.convert --checkpoint {stem}.meta --inputs NAME:0 --outputs NAME:0 --output net.onnx",
        )
    return _of_torch(path, head)


def _of_torch(path: Path, head: bytes) -> tuple[str, str] | None:
    if head[:2] != b"PK" and (head[:1] != b"\x80" or head[8:9] == b"{"):
        return None
    try:
        with open_file(path) as opened:
            script = head[:2] == b"PK" and any(
                "/code/" in name for name in zipfile.ZipFile(opened).namelist()
            )
        with open_torch(path) as file:
            of = file.module
    except MemoryError:
        raise
    except Exception:  # whatever a damaged file makes of it; its own reader says so
        return None
    lines = f"{EXPORT}; or, for the code that makes such a network, {FACTORY} --weights {path.name}"
    if script:
        return (
            "a TorchScript program, which is code",
            f'network = torch.jit.load("{path.name}").eval(), which runs it, and {lines}',
        )
    if not of:
        return None
    return (
        f"a whole network by torch.save (the class {of[:80]}), and opening it would run code",
        f'where that class is at hand, network = torch.load("{path.name}", weights_only=False).eval(), which runs it, and {lines}',
    )
