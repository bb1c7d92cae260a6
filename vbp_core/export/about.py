"""What made the numbers of an export: kept inside the files, for whoever finds them later."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version

from vbp.export.frames import Source


def made_by() -> str:
    """ "vbp 0.1.0"."""
    try:
        return f"vbp {version('vbp')}"
    except PackageNotFoundError:  # run from its folder, not installed
        return "vbp"


def model_name(source: Source) -> str:
    """The network's name, and that its weights are random, where they are."""
    network = source.network
    return network.spec.name if network.trained else f"{network.spec.name} (random weights)"


def about(source: Source) -> dict[str, str]:
    """Drive, network, what angles mean, versions: names and values as texts."""
    import torch

    job, info, spec = source.job, source.drive.info, source.network.spec
    crop = job.crop
    return {
        "made_by": made_by(),
        "torch": str(torch.__version__),
        "drive": os.path.realpath(job.drive_path),
        "drive_kind": info.kind,
        "camera": info.camera,
        "frames": f"{job.first}:{job.last + 1}",
        "angles": "steering wheel, left positive; error = driven - predicted",
        "driven_from": info.angle_source,
        "model": model_name(source),
        "model_architecture": spec.architecture,
        "model_trained_on": spec.trained_on,
        "crop": f"{crop.x},{crop.y},{crop.width},{crop.height}" if crop else "by the network's own rule",
        "device": source.engine.device,
    }
