"""What the mask costs in the file of `vbp export-network --mask`, as ONNX Runtime runs it on two threads."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vbp.bench.networks import FORWARD, MASK, PAIR
from vbp.bench.timing import BLOCKS, Estimate, interleaved, quantile
from vbp.drives.base import Image
from vbp.errors import VbpError
from vbp.explain.exported import read_network
from vbp.explain.registry import explain
from vbp.export.network import network_model
from vbp.graph.trace import trace
from vbp.models.network import Network
from vbp.models.onnx_file import PICTURE
from vbp.preprocess import prepare, to_tensor

THREADS = 2


@dataclass(frozen=True)
class OnnxResult:
    """Medians over BLOCKS turns in milliseconds, between which the other networks had theirs; ratio: of mask to forward.

    difference: the largest between ONNX Runtime's mask and vbp's own. version: ONNX Runtime's.
    """

    name: str
    forward_ms: Estimate
    pair_ms: Estimate
    mask_ms: Estimate
    ratio: Estimate
    difference: float
    version: str


def measure_onnx(networks: Sequence[Network], picture: Image, seconds: float) -> list[OnnxResult]:
    """Forward against forward and mask, by turns, `seconds` for each network. Raises VbpError without onnxruntime."""
    try:
        runtime: Any = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise VbpError("onnxruntime is not installed: pip install onnxruntime") from error
    subjects = [_Subject(runtime, network, picture) for network in networks]
    turns: list[list[list[float]]] = [[] for _ in subjects]
    for _ in range(BLOCKS):
        for subject, laps in zip(subjects, turns, strict=True):
            tasks = {FORWARD: subject.forward, PAIR: subject.pair}
            rounds = interleaved(tasks, seconds / BLOCKS, differences={MASK: (PAIR, FORWARD)})
            laps.append([float(np.median(rounds.laps_ms[k])) for k in (FORWARD, PAIR, MASK)])
    results = []
    for subject, laps in zip(subjects, turns, strict=True):
        forward, pair, mask = np.array(laps).T
        a, b, c, ratio = (quantile(v) for v in (forward, pair, mask, mask / forward))
        results.append(OnnxResult(subject.name, a, b, c, ratio, subject.difference, runtime.__version__))
    return results


class _Subject:
    """A network's two files as ONNX Runtime has them."""

    def __init__(self, runtime: Any, network: Network, picture: Image) -> None:
        spec = network.spec
        self.name = spec.name
        images = to_tensor(prepare(picture, spec)[0][None], spec, torch.device("cpu")).contiguous()
        fed = {PICTURE: images.numpy()}
        self.forward, self.pair = (_runner(runtime, network, mask, fed) for mask in (False, True))
        graph = read_network(network.module, tuple(images.shape[1:]), scores=spec.takes_scores)  # type: ignore[arg-type]
        own = explain(trace(graph, images), "visualbackprop").numpy()
        self.difference = float(np.abs(self.pair()[1] - own).max())


def _runner(runtime: Any, network: Network, mask: bool, fed: dict[str, Any]) -> Callable[[], Any]:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    # Else the threads of the one that has run go on spinning beside the other.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    data = network_model(network, mask).SerializeToString()
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, fed)
