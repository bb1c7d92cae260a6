"""All experiments on all networks, with progress: what the command and Python call."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import cv2
import numpy as np
import torch

from vbp.drives.base import Drive
from vbp.engine import Engine
from vbp.errors import VbpError
from vbp.evidence import ground_truth
from vbp.evidence.outcome import Outcome
from vbp.evidence.registry import EXPERIMENTS, Options
from vbp.evidence.report import Part, pictures
from vbp.evidence.subject import Subject, load_frames
from vbp.frames.sampling import drive_usual
from vbp.frames.strengths import Usual
from vbp.models.network import Network
from vbp.simulate.truth import Truth

FEW = 8  # frames, below which it is said how few they are


@dataclass(frozen=True)
class Job:
    """What to test. frames: their numbers in the drive. experiments, methods: names in the registries."""

    networks: Sequence[Network]
    drive: Drive
    frames: Sequence[int]
    methods: Sequence[str]
    experiments: Sequence[str]
    options: Options
    device: str = "auto"
    seed: int = 0


def gather(job: Job, progress: Callable[[float, str], None]) -> list[Part]:
    """One part for each network. progress(fraction 0..1, the current step) may raise to stop. Raises VbpError."""
    subjects = [_subject(network, job) for network in job.networks]
    names = [n for n in job.experiments if job.options.truth is not None or not EXPERIMENTS[n].needs_truth]
    total = sum(s.prepare_cost() + sum(EXPERIMENTS[n].cost(s, job.options) for n in names) for s in subjects)
    before, parts = 0.0, []
    for subject in subjects:
        part = Part(subject.name, _about(subject))

        def advance(
            what: str, most: float, start: float, model: str = subject.name
        ) -> Callable[[float], None]:
            done = 0.0

            def tick(amount: float) -> None:
                nonlocal done
                done = min(done + amount, most)
                progress((start + done) / total, f"{model}: {what}")

            return tick

        subject.prepare(advance("maps", subject.prepare_cost(), before))
        before += subject.prepare_cost()
        usual = drive_usual(job.drive, subject.engine) if subject.worth else None
        part.remarks += _remarks(subject, usual)
        if subject.maps:
            part.pictures = pictures(subject, usual)
            for name in names:
                cost = EXPERIMENTS[name].cost(subject, job.options)
                part.outcomes[name] = EXPERIMENTS[name].run(subject, job.options, advance(name, cost, before))
                before += cost
        part.about.update(responses=subject.angles.tolist(), refused=subject.refused)
        parts.append(part)
    progress(1.0, "finished")
    return parts


def planted(job: Job, with_cue: Network, drive: Drive, truth: Truth, frames: Sequence[int], progress: Callable[[float, str], None]) -> Outcome:  # fmt: skip
    """The network trained with a spurious feature, and the first of the job's networks, on a drive that shows it."""
    subjects = []
    for k, network in enumerate((with_cue, job.networks[0])):
        engine = Engine(network, job.device)
        subject = Subject(network, engine, load_frames(drive, engine, frames), job.methods, job.seed)
        most, done = subject.prepare_cost(), 0.0

        def tick(amount: float, k: int = k, most: float = most) -> None:
            nonlocal done
            done = min(done + amount, most)
            progress((k + done / most) / 2, "spurious feature: maps")

        subject.prepare(tick)
        subjects.append(subject)
    return ground_truth.planted(subjects[0], subjects[1], truth, lambda amount: None)


def _subject(network: Network, job: Job) -> Subject:
    engine = Engine(network, job.device)
    return Subject(network, engine, load_frames(job.drive, engine, job.frames), job.methods, job.seed)


def _remarks(subject: Subject, usual: Usual | None) -> list[str]:
    out = [f"{name} cannot explain this network: {why}." for name, why in subject.refused.items()]
    if len(subject) < FEW:
        one = len(subject) == 1
        out.append(
            f"{'One frame was' if one else f'{len(subject)} frames were'} tested: the findings hold for "
            f"{'it' if one else 'them'} alone, and may differ on others; --count tests more."
        )
    if not subject.trained:
        out.append(
            f"{subject.name} has random weights: the findings are about the methods, not about a trained driver."
        )
    dead = [subject.frames.numbers[n] for n in subject.dead]
    if dead:
        listed = ", ".join(str(n) for n in dead)
        out.append(
            f"The output is dead on {len(dead)} of {len(subject)} frames ({listed}): the prediction is a constant there, "
            "and VisualBackProp draws a mask all the same."
        )
    if usual is not None:
        weak = [n for n, (strength, _) in subject.worth.items() if usual.is_weak(strength)]
        scattered = [n for n, worth in subject.worth.items() if usual.is_scattered(*worth)]
        for what, places in (
            ("weak, as the network saw next to nothing,", weak),
            ("scattered, so that no place stands out,", scattered),
        ):
            if places:
                listed = ", ".join(str(subject.frames.numbers[n]) for n in places)
                out.append(f"The mask is {what} on {len(places)} of {len(subject)} frames ({listed}).")
    return out


def _about(subject: Subject) -> dict[str, Any]:
    return {
        "model": subject.name,
        "trained": subject.trained,
        "trained_on": subject.spec.trained_on,
        "frames": list(subject.frames.numbers),
    }


def spread(numbers: Sequence[int], count: int) -> list[int]:
    """At most `count` of the numbers, evenly spread. Raises VbpError for none."""
    if not len(numbers):
        raise VbpError("there is no frame to test the maps on; choose other --frames")
    places = np.linspace(0, len(numbers) - 1, min(count, len(numbers))).round().astype(int)
    return [int(numbers[k]) for k in sorted(set(places.tolist()))]


def facts(job: Job, source: str, command: str, device: str, began: float) -> dict[str, Any]:
    """What made the report. began: time.monotonic() then."""
    return {
        "command": command,
        "source": source,
        "frames": list(job.frames),
        "seed": job.seed,
        "device": device,
        "seconds": time.monotonic() - began,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of what computed the numbers."""
    return {
        "vbp": version("vbp"),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "python": platform.python_version(),
    }
