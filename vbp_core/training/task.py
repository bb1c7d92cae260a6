"""What a training run learns: steering angles or classes of pictures, and all in which they differ for the trainer."""

from __future__ import annotations

from vbp.models.spec import NetworkSpec
from vbp.training.classes import CLASSES, Classes
from vbp.training.steering import STEERING, Steering

# Targets, loss and scores of one kind of network. Both have:
# target: what the targets are called in the table of prepared frames; nouns: what one learns from, in words.
# columns: what is measured on the frames held out, by its names in metrics.csv; metric: the one of them by which the best
# checkpoint is chosen. epochs, augmentations: those of a user who says nothing, and of one who says "all".
# unused_options: of `vbp train`, which would do nothing. row_text, result_text, sources_text: a row of metrics, the end
# of a run, and what was learnt and held out, in words, to be formatted. And methods, which their files describe.
Task = Steering | Classes


def task_of(spec: NetworkSpec) -> Task:
    """What a network of this specification learns."""
    return CLASSES if spec.is_classifier else STEERING
