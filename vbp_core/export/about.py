"""What made the numbers of an export: kept inside the files, for whoever finds them later."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

from vbp.export.frames import Source
from vbp.readable import printable
from vbp.version import made_by


def about(source: Source) -> dict[str, str]:
    """Drive, network, what angles mean, versions: names and values as texts."""
    import torch

    job, info, spec = source.job, source.drive.info, source.engine.spec
    crop = job.crop
    facts = {
        "made_by": made_by(),
        "torch": str(torch.__version__),
        "drive": os.path.realpath(job.drive_path),
        "drive_kind": info.kind,
        "camera": info.camera,
        "frames": f"{job.first}:{job.last + 1}",
        "angles": "steering wheel, left positive; error = driven - predicted",
        "driven_from": info.angle_source,
        "model": source.engine.name,
        "target": job.settings.target or "output",
        "parameters": json.dumps(job.settings.parameters, default=dict),
        "overlay": json.dumps(asdict(job.settings.overlay)),
        "model_architecture": spec.architecture,
        "model_trained_on": spec.trained_on,
        "crop": f"{crop.x},{crop.y},{crop.width},{crop.height}" if crop else "by the network's own rule",
        "edited": source.edits.words or "no",
        "edits": job.edits,
        "device": source.engine.device,
    }
    return {name: printable(text) for name, text in facts.items()}
