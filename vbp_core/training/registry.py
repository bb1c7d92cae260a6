"""What can be learnt."""

from __future__ import annotations

from vbp.models.spec import NetworkSpec
from vbp.training.classes import CLASSES
from vbp.training.steering import STEERING
from vbp.training.task import Task


def task_of(spec: NetworkSpec) -> Task:
    """What a network of this specification learns."""
    return CLASSES if spec.is_classifier else STEERING
