"""What of the image and of the decision is in a map: random networks, targets, outputs, frames, adversarial frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from subjectmaker import less, nothing, small_network, small_subject
from vbp.evidence import adversary, altered, decision, in_image, recovery
from vbp.evidence.outcome import Outcome, Tick
from vbp.evidence.subject import Subject
from vbp.explain import explain
from vbp.graph.operations import Conv, Dense, MaxPool
from vbp.graph.trace import trace


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    less(monkeypatch)


@pytest.fixture
def subject() -> Subject:
    return small_subject(small_network())


def told(part: Callable[[Subject, Tick, Outcome], None], subject: Subject) -> Outcome:
    """What one part of an experiment adds."""
    out = Outcome()
    part(subject, nothing, out)
    return out


def test_pooling_keeps_the_sizes(subject: Subject) -> None:
    pooled, words = altered.toggle_pooling(subject.graph)
    assert words == "with max-pooling" and sum(isinstance(s.op, MaxPool) for s in pooled.stages) == 1
    image = subject.images[:1]
    made = trace(altered.random_network(pooled, image, 0), image)
    plain = trace(subject.graph, image)
    assert made.output.shape == plain.output.shape
    assert {tuple(v.shape) for v in plain.values} <= {tuple(v.shape) for v in made.values}
    back, words = altered.toggle_pooling(pooled)
    assert words == "without max-pooling" and not any(isinstance(s.op, MaxPool) for s in back.stages)


def test_a_fully_connected_random_network_has_no_picture_in_its_gradient(subject: Subject) -> None:
    numbers = recovery.run(subject, nothing).numbers
    assert numbers["image"]["random, fully connected"]["saliency"]["image"]["value"] < 0.1
    assert "visualbackprop" not in numbers["image"]["random, fully connected"]  # it has no maps to average
    targets = numbers["targets"]
    assert targets["negative"]["saliency"]["sizes"]["value"] == pytest.approx(1.0)
    assert targets["negative"]["lrp"]["signed"]["value"] == pytest.approx(-1.0)
    assert targets["negative"]["visualbackprop"]["sizes"]["value"] == pytest.approx(1.0)
    assert list(numbers["image"]) == [
        "trained", "random", "random, with max-pooling", "random, 0.25 × the maps", "random, 2 × the maps",
        "random, 1 convolution", "random, fully connected",
    ]  # fmt: skip


def test_the_adversarial_frame_stays_in_its_ball_and_moves_the_angle_more_than_noise(
    subject: Subject,
) -> None:
    for n in range(2):
        image = subject.images[n : n + 1]
        changed = adversary.adversarial(subject, n)
        assert float((changed - image).abs().max()) <= adversary.SIZE + 1e-6
        assert float(changed.min()) >= 0.0 and float(changed.max()) <= 1.0
    change = told(adversary.run, subject).numbers["adversarial"]["change"]
    assert np.abs(change["adversarial"]).mean() > np.abs(change["noise"]).mean()


def test_a_recovered_picture_is_signed(subject: Subject) -> None:
    """Its size would not correlate with what is dark and light in it."""
    grey = subject.frames.inputs[0].astype(np.float32)
    picture = grey - grey.mean()
    image, _, edge = in_image.to_image(subject, -picture, 0)
    assert image == pytest.approx(1.0) and edge < 0.5
    assert abs(np.corrcoef(np.abs(picture).ravel(), grey.ravel())[0, 1]) < 0.2


def test_more_maps_fewer_layers_and_other_outputs_make_networks_that_run(subject: Subject) -> None:
    image = subject.images[:1]
    wide = altered.random_network(subject.graph, image, 0, 2.0)
    assert [s.op.weight.shape[0] for s in wide.stages if isinstance(s.op, Conv)] == [8, 12]
    assert trace(wide, image).output.shape == (1, 1)
    short = altered.random_network(altered.shallow(subject.graph, 1, 3), image, 0)
    assert [type(s.op) for s in short.stages if isinstance(s.op, Conv | Dense)] == [Conv, Dense]
    assert trace(short, image).output.shape == (1, 3)
    assert trace(
        altered.random_network(altered.with_outputs(subject.graph, 5), image, 0), image
    ).output.shape == (1, 5)


def test_distances_of_outputs_by_hand(subject: Subject) -> None:
    numbers = told(decision.run, subject).numbers["outputs"]["random"]
    assert numbers["visualbackprop"]["value"] == pytest.approx(0.0, abs=1e-6)  # it uses no output
    assert 0.3 < numbers["saliency"]["value"] < 1.42
    seed = []
    for k, part in enumerate(subject.parts(3)):
        graph = altered.random_network(altered.with_outputs(subject.graph, 5), subject.images[:1], 31 + k)
        frames = []
        for n in part:
            maps = [
                explain(trace(graph, subject.images[n : n + 1]), "lrp", i)[0].numpy().ravel()
                for i in range(5)
            ]
            units = [m / np.linalg.norm(m) for m in maps if m.any()]
            frames.append(np.mean([np.linalg.norm(a - b) for i, a in enumerate(units) for b in units[:i]]))
        seed.append(np.mean(frames))
    assert numbers["lrp"]["value"] == pytest.approx(np.mean(seed), rel=1e-4)


def test_what_is_said_of_recovery_follows_from_the_numbers(subject: Subject) -> None:
    numbers = recovery.run(subject, nothing).numbers
    one = {"value": 0.5, "low": 0.4, "high": 0.6, "p": 0.0}
    numbers["image"]["random"]["lrp"] = {name: dict(one) for name in in_image.LIKENESS}
    numbers["image"]["random"]["lrp"]["high_passed"] |= {"value": 0.7, "low": 0.6}
    line = next(f for f in recovery.findings(numbers["image"]) if f.startswith("Random (nothing"))
    assert "LRP (the high-passed image, 0.70 [0.60, 0.60])" in line
    numbers["image"]["random"]["lrp"]["high_passed"]["low"] = 0.2
    for name in ("image", "edges"):
        numbers["image"]["random"]["lrp"][name]["low"] = 0.2
    line = next(f for f in recovery.findings(numbers["image"]) if f.startswith("Random (nothing"))
    assert "LRP (" not in line
    numbers["outputs"]["random"]["lrp"] |= {"value": 0.04, "low": 0.02, "high": 0.06}
    assert "LRP (0.04 [0.02, 0.06])" in decision.of_outputs(numbers["outputs"])[0]
    numbers["between_frames"]["spearman"]["lrp"] |= {"value": 0.999, "low": 0.995, "high": 1.0}
    assert "LRP" in decision.of_frames(numbers["between_frames"])[0]
    of = numbers["adversarial"]
    of["moved"]["adversarial"] |= {"value": 20.0, "low": 15.0, "high": 25.0}
    of["spearman"]["adversarial"]["lrp"] |= {"value": 0.9, "low": 0.85, "high": 0.95}
    line = adversary.findings(of)[0]
    assert "changes the response by 20.00 [15.00, 25.00]°" in line and "LRP (0.90 [0.85, 0.95])" in line


def test_what_does_not_depend_on_the_frame_is_told(subject: Subject) -> None:
    """The maps of one method are the same on all frames, those of another are not."""
    subject.maps = {"lrp": subject.maps["lrp"], "saliency": np.repeat(subject.maps["saliency"][:1], 4, 0)}
    out = told(decision.run, subject)
    line = next(f for f in out.findings if "does not depend on the frame" in f)
    assert "Saliency" in line and "LRP" not in line
    assert out.numbers["between_frames"]["pairs"] == 2


def test_a_response_that_hardly_moves_says_nothing_of_the_maps(subject: Subject, monkeypatch) -> None:
    """A sure classifier's probability moves by a thousandth of a per cent, ten times what noise does."""
    real = subject.respond_to
    for scale in (1e-6, 1.0):
        monkeypatch.setattr(
            subject,
            "respond_to",
            lambda out, n, s=scale: subject.angles[n] + s * (real(out, n) - subject.angles[n]),
        )
        out = told(adversary.run, subject)
        line = next(f for f in out.findings if "/255" in f)
        moved = np.abs(out.numbers["adversarial"]["change"]["adversarial"]).mean()
        assert ("by only" in line) == (moved < adversary.FAR)
        if scale < 1:
            assert moved < adversary.FAR and "say nothing about the maps" in line and "0.0°" not in line
