"""vbp: what a steering network looks at.

`open_drive` opens a recording, `open_network` a network, `Engine` runs the network on the drive's frames, `explain`
explains any module of torch on a batch of images, by one of `METHODS`. What is named here is loaded when it is first
asked for: `import vbp` takes no time, and torch takes seconds.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vbp.errors import (
    DriveError,
    ExplainError,
    FrameError,
    ModelError,
    NeedsAngleUnitError,
    OpaqueLayerError,
    VbpError,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from vbp.drives import Drive, FrameBatch, OpenOptions, open_drive
    from vbp.engine import Engine, open_network
    from vbp.explain.registry import METHODS
    from vbp.explain.target import Target
    from vbp.fitting.search import fit_spec
    from vbp.fleet.dataset import Fleet
    from vbp.models.network import Network
    from vbp.overlay import Rect

    __version__: str

__all__ = [
    "METHODS",
    "Drive",
    "DriveError",
    "Engine",
    "ExplainError",
    "FrameBatch",
    "FrameError",
    "ModelError",
    "NeedsAngleUnitError",
    "Network",
    "OpaqueLayerError",
    "OpenOptions",
    "Rect",
    "Target",
    "VbpError",
    "__version__",
    "explain",
    "fit_spec",
    "fleet",
    "open_drive",
    "open_network",
]

_MODULE_OF = {
    "METHODS": "vbp.explain.registry",
    "Drive": "vbp.drives",
    "Engine": "vbp.engine",
    "FrameBatch": "vbp.drives",
    "Network": "vbp.models.network",
    "OpenOptions": "vbp.drives",
    "Rect": "vbp.overlay",
    "Target": "vbp.explain.target",
    "fit_spec": "vbp.fitting.search",
    "open_drive": "vbp.drives",
    "open_network": "vbp.engine",
}

# OpenCV reads this once, when it is loaded. Files are looked at before it decodes them (drives/picture_header.py);
# this is for what that has not thought of: 200 MB as RGB.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**26))

# OpenMP reads this when torch is loaded, so import vbp before torch. By default its threads spin while they wait for each
# other: beside a busy process, or the window's own threads, that costs half of the frames and more.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Importing a package binds its name here, the first time: before the functions of those names, so that the functions stay.
import_module("vbp.explain")
import_module("vbp.fleet")


def explain(
    model: nn.Module | Network,
    images: Tensor | NDArray[Any],
    method: str,
    target: Target | int | str | None = None,
    **numbers: float,
) -> Tensor:
    """What in `images` drives the output of `model`: relevance (N, H, W), float32, on the device of the images.

    model: any module of torch, of which a copy is read, as in eval mode, and which is left as it was; or a Network.
    images: (N, C, H, W), a tensor or an array, in the range that the module itself takes; computed in float32.
    method: a name in METHODS, which says of each whether it is signed, its source, and the numbers that it takes
    (`numbers`, by name). target: what is explained: the number of an output, or "output", "negative", "magnitude",
    "class", each also with ":N" for output N, or a Target. By default, of a module output 0 as it is; of a Network the
    steering wheel angle, positive to the left, or the predicted class.

    An unsigned method gives [0, 1] per image, a signed one [-1, 1] with max |r| = 1; a map of nothing is all zero.
    The module is read anew in each call, which takes up to seconds: give many images at once, or use an Engine.
    Raises ExplainError for a model or an image that cannot be read, an unknown method, number or target, and a layer
    that the method cannot pass.
    """
    import numpy as np
    import torch
    from torch import nn

    from vbp.engine import Engine
    from vbp.explain.exported import read_network
    from vbp.explain.registry import explain as explain_trace
    from vbp.explain.target import as_target
    from vbp.graph.trace import trace
    from vbp.models.network import Network

    if not isinstance(model, nn.Module | Network):
        raise ExplainError(f"a torch.nn.Module or a Network is explained, not a {type(model).__name__}")
    given = images if isinstance(images, torch.Tensor) else torch.from_numpy(np.array(images, np.float32))
    if given.dim() != 4:
        shape = " x ".join(str(n) for n in given.shape)
        raise ExplainError(
            f"the images are a batch of N x C x H x W, and what was given has the shape {shape}"
        )
    batch = given.detach().float()
    if isinstance(model, Network):
        engine = Engine(model, "mps" if batch.device.type == "mps" else str(batch.device))
        try:
            wanted = engine.target(as_target(target))
            found = explain_trace(engine.forward(batch), method, wanted, None, **numbers)
        finally:
            engine.close()
    else:
        _, channels, height, width = batch.shape
        graph = read_network(model, (channels, height, width)).to(batch.device, torch.float32)
        found = explain_trace(trace(graph, batch), method, target, None, **numbers)
    return found.float().clone()  # outside of inference mode, so that it can be used in what autograd follows


def fleet(folder: str | os.PathLike[str]) -> Fleet:
    """What `vbp index` wrote: `.frames`, `.findings` and `.drives` as datasets of pyarrow, `.relation(...)` of DuckDB, `.sql(...)`.

    Needs `pip install 'vbp[fleet]'`. Raises VbpError for what is no such folder.
    """
    from vbp.fleet.dataset import open_fleet

    return open_fleet(os.fspath(folder))


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return import_module("importlib.metadata").version("vbp")
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'vbp' has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(_MODULE_OF[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
