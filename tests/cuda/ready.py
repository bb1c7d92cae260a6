"""ready.py DEVICE: whether all is there that the other parts import, and the device; in words where it is not."""

import importlib
import sys

NEEDED = "torch numpy cv2 av rosbags lz4 zstandard mcap h5py safetensors onnx torchfile tqdm captum hypothesis pytest vbp.engine"

missing = {}
for name in NEEDED.split():
    try:
        importlib.import_module(name)
    except ImportError as error:
        missing[name] = error
if missing:
    sys.exit(
        "not all is installed: "
        + "; ".join(f"{name} ({error})" for name, error in missing.items())
        + "; name what is missing in tests/cuda/wheels.txt and gather again"
    )

import torch  # noqa: E402

from vbp.engine import describe_device, pick_device  # noqa: E402

print(f"PyTorch {torch.__version__} on {describe_device(pick_device(sys.argv[1]))}")
