"""The experiments on a small network whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from subjectmaker import HEIGHT, METHODS, WIDTH, less, nothing, small_network, small_subject
from vbp.engine import Engine
from vbp.evidence import (
    altered,
    gather,
    ground_truth,
    perturbation,
    quick,
    randomisation,
    recovery,
    theory,
)
from vbp.evidence.subject import Frames, Subject
from vbp.graph.operations import Conv, Dense
from vbp.models.network import Network


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    less(monkeypatch)


@pytest.fixture
def network() -> Network:
    return small_network()


@pytest.fixture
def subject(network: Network) -> Subject:
    return small_subject(network)


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def test_a_map_that_knows_is_told_from_one_that_does_not(subject: Subject, monkeypatch) -> None:
    """The response changes by one degree with one region alone: a map that lies on it wins, one that avoids it loses."""
    right, wrong = np.zeros((2, HEIGHT, WIDTH), np.float32)
    right[9:18, 18:27] = 1.0
    wrong[27:, 45:] = 1.0
    subject.angles = np.arange(4.0)
    monkeypatch.setattr(
        subject,
        "respond",
        lambda image, n: (
            subject.angles[n]
            + float(not torch.equal(image[0, 0, 9:18, 18:27], subject.images[n, 0, 9:18, 18:27]))
        ),
    )
    subject.maps = {"lrp": np.stack([right] * 4), "phi": np.stack([wrong] * 4)}
    got = perturbation.run(subject, nothing).numbers
    regions = got["regions"]
    assert regions == 4 * 6 and got["counts"][0] == 0 and got["counts"][-1] == regions
    # Replaced first: every step but the unchanged frame differs by one degree.
    assert got["methods"]["lrp"]["by_frame"] == pytest.approx([regions / (regions + 1)] * 4)
    assert got["methods"]["lrp"]["gain"]["low"] > 0
    # Replaced last: nothing changes until the last step asked.
    assert max(got["methods"]["lrp"]["curve_least"][:-1]) == 0.0
    assert got["methods"]["phi"]["by_frame"][0] < got["methods"]["lrp"]["by_frame"][0]
    assert got["best"]["name"] == "lrp" and got["best"]["less"]["phi"]["p_corrected"] == 0.0


def test_what_is_said_of_faithfulness_follows_from_the_numbers(subject: Subject) -> None:
    numbers = perturbation.run(subject, nothing).numbers
    one = numbers["methods"]["lrp"]["gain"]
    for value, p, words in (
        (1.5, 0.01, "More faithful than a random order (AOPC, most relevant first − random): "),
        (-1.5, 0.01, "Less faithful than a random order (AOPC, most relevant first − random): "),
        (1.5, 0.06, "Not significantly different from a random order (AOPC, most relevant first − random): "),
    ):
        one |= {"value": value, "low": value - 1, "high": value + 1, "p_corrected": p}
        line = next(f for f in perturbation.findings(numbers) if f.startswith(words))
        assert f"LRP {value:.2f} [{value - 1:.2f}, {value + 1:.2f}]".replace("-", "−") in line
    numbers["best"] = {
        "name": "lrp",
        "less": {"phi": {"p_corrected": 0.3}, "saliency": {"p_corrected": 0.01}},
    }
    assert (
        perturbation.findings(numbers)[-1]
        == "The largest AOPC is that of LRP, and not significantly larger than that of: phi."
    )


def test_noise_stays_in_the_range_of_the_frame(subject: Subject) -> None:
    image = subject.images[:1]
    noise = perturbation._fill(image, "noise", 1)
    assert image.min() <= noise.min() and noise.max() <= image.max() and noise.std() > 0
    assert torch.equal(noise, perturbation._fill(image, "noise", 1))


def test_randomising_changes_what_was_asked_and_nothing_else(subject: Subject, network: Network) -> None:
    before = state(network.module)
    every = altered.layers(subject.graph)
    assert [type(subject.graph.stages[i].op) for i in every] == [Conv, Conv, Dense, Dense]
    changed = altered.redrawn(subject.graph, every[-1:], seed=4)
    for i in every:
        same = torch.equal(subject.graph.stages[i].op.weight, changed.stages[i].op.weight)
        assert same == (i != every[-1])
    cascade = altered.redrawn(subject.graph, every[1:], seed=4)
    assert torch.equal(cascade.stages[every[-1]].op.weight, changed.stages[every[-1]].op.weight)
    randomisation.run(subject, nothing)
    recovery.run(subject, nothing)
    assert all(torch.equal(v, before[k]) for k, v in network.module.state_dict().items())
    assert not network.module.training


def test_visualbackprop_and_phi_ignore_the_head_and_the_others_do_not(subject: Subject) -> None:
    out = randomisation.run(subject, nothing)
    heads = sum(isinstance(subject.graph.stages[i].op, Dense) for i in randomisation.places(subject.graph))
    assert heads == 2
    for k in range(heads):
        for method in ("visualbackprop", "phi"):
            assert out.numbers["cascading"][method][k]["spearman"]["value"] == pytest.approx(1.0)
            assert out.numbers["cascading"][method][k]["ssim"]["value"] == pytest.approx(1.0)
        assert out.numbers["cascading"]["saliency"][k]["spearman"]["value"] < 0.99
    assert out.numbers["cascading"]["visualbackprop"][-1]["spearman"]["value"] < 0.99
    line = next(f for f in out.findings if f.startswith("With random fully connected layers"))
    assert "VisualBackProp (Spearman 1.000)" in line and "by construction" in line and "Saliency" not in line
    last = out.numbers["cascading"]["visualbackprop"][-1]["spearman"]
    for change, words in (
        ({"value": 0.75, "low": 0.71, "high": 0.79}, "still resembles"),
        ({"value": 0.65, "low": 0.6, "high": 0.7}, "falls to 0.7 or below"),
        ({"value": 0.75, "low": 0.65, "high": 0.85}, "leave open"),
    ):
        last |= change
        line = next(f for f in randomisation.findings(out.numbers) if words in f)
        assert f"VisualBackProp {last['value']:.2f} [{last['low']:.2f}, {last['high']:.2f}]" in line


def test_theory_compares_what_it_says(subject: Subject) -> None:
    out = theory.run(subject, nothing)
    found = out.numbers["compared"]
    for name, method in (("phi", "phi"), ("|LRP|, eps 100", "lrp")):
        pairs = [(subject.map("visualbackprop", n), np.abs(subject.map(method, n))) for n in range(4)]
        each = [np.corrcoef(*(v.astype(np.float64).ravel() for v in pair))[0, 1] for pair in pairs]
        assert found[name]["pearson"]["value"] == pytest.approx(np.mean(each), abs=1e-6)
        half = 3.182446 * np.std(each, ddof=1) / 2  # Student's t of three degrees of freedom
        assert found[name]["pearson"]["low"] == pytest.approx(np.mean(each) - half, abs=1e-6)
    assert any(f.startswith("Remark 1") for f in out.findings)


def test_a_planted_cue_is_found_where_the_map_lies_on_it(subject: Subject, monkeypatch) -> None:
    """Shares by hand: one method lies on the cue, the other does not; none on a marking."""

    class Known:
        names = ("road", "white solid", ground_truth.CUE)
        lane_markings = ("white solid",)

        def has(self, i: int) -> bool:
            return True

        def classes(self, i: int) -> np.ndarray:
            made = np.zeros((HEIGHT, WIDTH), np.uint8)
            made[:6, :6] = 2
            made[-4:] = 1
            return made

        def shadow(self, i: int) -> np.ndarray:
            return np.zeros((HEIGHT, WIDTH), bool)

    on, off = np.zeros((2, HEIGHT, WIDTH), np.float32)
    on[:6, :6] = -1.0
    off[20:26, 20:26] = 1.0
    subject.maps = {"lrp": np.stack([on] * 4), "phi": np.stack([off] * 4)}
    out = ground_truth.planted(subject, None, Known(), nothing)
    assert any("Finds the spurious feature" in f and "LRP" in f and "phi" not in f for f in out.findings)
    assert any("Misses the spurious feature" in f and "phi" in f for f in out.findings)
    cue = out.numbers["planted"]["lrp"]
    assert cue["energy"]["value"] == pytest.approx(1.0) and cue["pointed"]["value"] == 1.0
    assert cue["times"]["value"] == pytest.approx(HEIGHT * WIDTH / 36)
    cue["strongest"] |= {"low": 0.4}
    assert any("leave open" in f and "LRP" in f for f in ground_truth.of_planted(out.numbers))


def cut(subject: Subject, network: Network, count: int) -> Subject:
    """The first frames of it alone."""
    frames = subject.frames
    fewer = Frames(frames.numbers[:count], frames.crops[:count], frames.inputs[:count])
    made = Subject(network, Engine(network, "cpu"), fewer, METHODS, seed=0)
    made.prepare(nothing)
    return made


def test_one_frame_has_no_interval_and_few_are_told(subject: Subject, network: Network) -> None:
    for count in (1, 2):
        few = cut(subject, network, count)
        out = perturbation.run(few, nothing)
        lows = [v["gain"]["low"] for v in out.numbers["methods"].values()]
        assert all(np.isnan(low) == (count == 1) for low in lows)
        assert np.isnan(out.tables[0].rows[-1][3:5]).all()  # random order against itself
        assert out.findings == [] and "Too few frames" in out.notes[0]
        rows = theory.run(few, nothing).tables[0].rows
        assert ("[" in rows[0][1]) == (count > 1)
        remark = gather._remarks(few, None)[0]
        assert remark.startswith("One frame was tested" if count == 1 else "2 frames were tested")
    assert perturbation.run(subject, nothing).findings and not perturbation.run(subject, nothing).notes


def test_edges_are_measured_on_the_frames_on_which_a_map_is_not_zero(subject: Subject) -> None:
    """Markings on the brightest edge of one frame only; a method that is zero on the other frames has just that one."""
    subject.frames.inputs[:] = 0
    for n, row in enumerate((6, 20, 20, 20)):
        subject.frames.inputs[n, row:] = 200

    class Known:
        names = ("road", "white solid")
        lane_markings = ("white solid",)

        def has(self, i: int) -> bool:
            return True

        def classes(self, i: int) -> np.ndarray:
            made = np.zeros((HEIGHT, WIDTH), np.uint8)
            made[5:7] = 1
            return made

        def shadow(self, i: int) -> np.ndarray:
            return np.zeros((HEIGHT, WIDTH), bool)

    lit, half = np.zeros((2, 4, HEIGHT, WIDTH), np.float32)
    lit[:, 4:8] = 1.0  # half of it on the markings, on every frame
    half[0, 4:8] = 1.0  # the same, but of the first frame alone, where all of the edges are on the markings
    subject.maps = {"lrp": lit, "phi": half}
    out = ground_truth.run(subject, nothing, Known())
    lanes = out.numbers["lanes"]
    assert lanes["lrp"]["times"]["value"] == pytest.approx(9.0) and lanes["phi"]["frames"] == 1
    assert lanes["lrp"]["over_edges"]["value"] == pytest.approx(9.0 - 18.0 / 4)
    assert lanes["phi"]["over_edges"]["value"] == pytest.approx(9.0 - 18.0)
    said = [f for f in ground_truth.findings(out.numbers) if "edges" in f]
    assert said and not any("phi" in f for f in said)  # one frame says nothing of others
    for p, value, words in (
        (0.01, 4.5, "More on the markings than the edges of the image (4.5"),
        (0.01, -4.5, "Less on the markings than"),
        (0.2, 4.5, "Not significantly more or less on the markings than"),
    ):
        lanes["lrp"]["over_edges"] |= {"p_corrected": p, "value": value}
        assert "LRP 9.0 [9.0, 9.0]" in next(
            f for f in ground_truth.findings(out.numbers) if f.startswith(words)
        )


def test_a_constant_map_is_no_bad_approximation(subject: Subject, monkeypatch) -> None:
    monkeypatch.setattr(theory, "_numpy", lambda values: np.ones(tuple(values.shape)))
    out = theory.run(subject, nothing)
    assert out.findings == [
        "Remark 1 cannot be tested here: VisualBackProp or phi is constant on every frame."
    ]


def test_what_reads_the_same_is_not_more(subject: Subject) -> None:
    """In the window: a sure classifier whose probability nothing moves."""
    numbers = {
        "random": {"aopc": {"value": 0.011}},
        "methods": {"lrp": {"aopc_most": {"value": 0.012}}, "phi": {"aopc_most": {"value": 2.0}}},
    }
    said = quick._of_deletion(subject, numbers)
    assert said.endswith(
        "more than random regions do (0.0°): phi 2.0°; no more than random ones (0.0°): LRP 0.0°."
    )
