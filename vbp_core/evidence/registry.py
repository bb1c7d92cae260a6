"""The experiments by name. A new one is one file and one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vbp.evidence import ground_truth, perturbation, randomisation, recovery, theory
from vbp.evidence.outcome import Outcome, Tick
from vbp.evidence.subject import Subject
from vbp.simulate.truth import Truth


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


EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for e in (
        Experiment(
            "perturbation",
            "Region perturbation, deletion and insertion",
            "Samek et al. 2016, section III; Petsiuk et al. 2018",
            lambda subject, options, tick: perturbation.run(subject, tick, options.replacement),
            lambda subject, options: perturbation.cost(subject),
        ),
        Experiment(
            "randomisation",
            "Does the map depend on the weights?",
            "Adebayo et al. 2018, section 3",
            lambda subject, options, tick: randomisation.run(subject, tick),
            lambda subject, options: randomisation.cost(subject),
        ),
        Experiment(
            "recovery",
            "Does the map show the decision or recover the image?",
            "Nie, Zhang and Patel 2018",
            lambda subject, options, tick: recovery.run(subject, tick, options.training),
            lambda subject, options: recovery.cost(subject, options.training),
        ),
        Experiment(
            "theory",
            "VisualBackProp against phi and LRP",
            "Bojarski et al. 2016, Remark 1 and Lemma 3",
            lambda subject, options, tick: theory.run(subject, tick),
            lambda subject, options: theory.cost(subject),
        ),
        Experiment(
            "truth",
            "Against the ground truth",
            "vbp simulate; pointing game of Zhang et al. 2016",
            lambda subject, options, tick: ground_truth.run(subject, tick, _known(options.truth)),
            lambda subject, options: 1.0,
            needs_truth=True,
        ),
    )
}


def _known(truth: Truth | None) -> Truth:
    assert truth is not None  # `needs_truth` is checked before
    return truth
