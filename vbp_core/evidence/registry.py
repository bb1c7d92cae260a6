"""The experiments by name. A new one is one file and one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vbp.evidence.outcome import Outcome, Tick
from vbp.simulate.truth import Truth

if TYPE_CHECKING:  # which experiments there are is asked for without torch, which takes seconds to load
    from vbp.evidence.subject import Subject

REPLACEMENTS = ("mean", "noise")  # for the pixels that an experiment takes away


@dataclass(frozen=True)
class Options:
    """What experiments take beside the network and its frames. truth: the drive's ground truth, where it has one."""

    replacement: str = "mean"
    training: Path | None = None
    truth: Truth | None = None


@dataclass(frozen=True)
class Experiment:
    """source: the paper, for people. cost: in forward passes, roughly."""

    name: str
    title: str
    source: str
    run: Callable[[Subject, Options, Tick], Outcome]
    cost: Callable[[Subject, Options], float]
    needs_truth: bool = False


def _file(name: str) -> Any:
    """A file of this package, loaded when an experiment is run."""
    return import_module(f"vbp.evidence.{name}")


EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for e in (
        Experiment(
            "perturbation",
            "Region perturbation, deletion and insertion",
            "Samek et al. 2016, section III; Petsiuk et al. 2018",
            lambda subject, options, tick: _file("perturbation").run(subject, tick, options.replacement),
            lambda subject, options: _file("perturbation").cost(subject),
        ),
        Experiment(
            "shift",
            "The shift test: how much of the change comes from what the map marks?",
            "Bojarski et al. 2017, arXiv 1704.07911",
            lambda subject, options, tick: _file("shift").run(subject, tick),
            lambda subject, options: _file("shift").cost(subject),
        ),
        Experiment(
            "randomisation",
            "Does the map depend on the weights?",
            "Adebayo et al. 2018, section 3",
            lambda subject, options, tick: _file("randomisation").run(subject, tick),
            lambda subject, options: _file("randomisation").cost(subject),
        ),
        Experiment(
            "recovery",
            "Does the map show the decision or recover the image?",
            "Nie, Zhang and Patel 2018",
            lambda subject, options, tick: _file("recovery").run(subject, tick, options.training),
            lambda subject, options: _file("recovery").cost(subject, options.training),
        ),
        Experiment(
            "theory",
            "VisualBackProp against phi and LRP",
            "Bojarski et al. 2016, Remark 1, Lemmas 1 and 3",
            lambda subject, options, tick: _file("theory").run(subject, tick, options.truth),
            lambda subject, options: _file("theory").cost(subject),
        ),
        Experiment(
            "truth",
            "Against the ground truth",
            "vbp simulate; pointing game of Zhang et al. 2016",
            lambda subject, options, tick: _file("ground_truth").run(subject, tick, _known(options.truth)),
            lambda subject, options: 1.0,
            needs_truth=True,
        ),
    )
}


def _known(truth: Truth | None) -> Truth:
    assert truth is not None  # `needs_truth` is checked before
    return truth
