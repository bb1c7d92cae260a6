"""The search for a specification: what is known is found again, what is not is said to be unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

import vbp
from fitmaker import TRUTH, Blind, Spots, network
from vbp.cli.main import main
from vbp.errors import ModelError, VbpError
from vbp.fitting import candidates
from vbp.fitting.agreement import blocks_of
from vbp.fitting.chance import chance_of, clearly_above, shuffled
from vbp.fitting.frames import choose_labelled
from vbp.fitting.meaning import delay_of, meant, scale_of
from vbp.fitting.outputs import CancelledError
from vbp.fitting.search import fit_spec
from vbp.models.network import Network
from vbp.models.spec import CropRule, NetworkSpec
from vbp.models.spec_file import read_spec
from vbp.models.spec_text import to_toml


def few(monkeypatch, *colours) -> None:
    """Fewer crops and ranges, for the time that it takes."""
    monkeypatch.setattr(candidates, "UDACITY_ROWS", ((60, 135), (20, 140)))
    monkeypatch.setattr(candidates, "RANGES", {k: candidates.RANGES[k] for k in ("0 to 255", "-1 to 1")})
    monkeypatch.setattr(candidates, "colours", lambda channels: list(colours))


@pytest.fixture(scope="module")
def found():
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        few(patch, "rgb", "bgr", "yuv", "hsv")
        made = fit_spec(network(), Spots(), progress=lambda done, total: seen.append((done, total)))
    return made, seen


def test_a_known_preparation_is_found_again(found):
    made, seen = found
    spec = made.spec
    assert made.fits, made.verdict
    assert {k: getattr(spec, k) for k in ("colour", "mean", "std")} == {
        k: TRUTH[k] for k in ("colour", "mean", "std")
    }
    assert spec.crop.pixels(48, 64) == TRUTH["crop"].pixels(48, 64)
    assert (spec.output_sign, spec.output_unit, spec.output_scale, spec.output_offset) == (
        "right",
        "deg",
        25,
        0,
    )
    assert made.best.agreement.correlation > 0.95 and made.best.agreement.rmse_deg < 5 and made.mirrored > 0.9
    assert made.delay.seconds == 0 and made.told_apart["colour"] == ("bgr",)
    assert [t.agreement.correlation for t in made.trials[1:]] == sorted(
        (t.agreement.correlation for t in made.trials[1:]), reverse=True
    )
    assert seen[-1][0] == seen[-1][1] and all(a <= b for (a, _), (b, _) in pairwise(seen))
    assert json.loads(json.dumps(made.to_json()))["fits"] is True


def test_the_output_that_steers_is_found_among_two(monkeypatch):
    few(monkeypatch, "rgb", "bgr")
    made = fit_spec(network(outputs=2), Spots())
    assert made.fits and made.spec.output_index == 1


@pytest.mark.parametrize("seed", [0, 1])
def test_random_weights_fit_nothing(monkeypatch, seed):
    few(monkeypatch, "rgb", "yuv")
    spec = network().spec
    made = fit_spec(Network(spec, Blind(seed).eval()), Spots(seed=seed))
    assert not made.fits and made.verdict.startswith("nothing fits")


def test_a_search_that_is_called_off_ends_at_once():
    asked = iter([True] * 64)
    with pytest.raises(CancelledError):
        fit_spec(network(), Spots(), keep_on=lambda: next(asked, False))


def test_a_network_that_ignores_its_picture_is_said():
    class Constant(torch.nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :1] * 0 + 3

    with pytest.raises(ModelError, match="the same number for every frame"):
        fit_spec(Network(network().spec, Constant()), Spots(), frames=20)


def test_chance_is_as_likely_as_it_says_where_nothing_is_there():
    """Angles and 20 outputs that wander on their own: about 1 in 20 searches is at 0.05, although they are as smooth as each other."""
    rng = np.random.default_rng(0)
    low = 0
    for _ in range(150):
        walks = rng.normal(size=(21, 120))
        smooth = np.stack([np.convolve(w, np.ones(6), "same") for w in walks])
        low += chance_of(smooth[1:], smooth[0])[0] < 0.05
    assert low / 150 < 0.12
    signal = chance_of(np.stack([smooth[0] + rng.normal(size=120)]), smooth[0])
    assert signal[0] < 0.02 and signal[1] < 0.9


def test_shuffled_weights_are_the_same_numbers_elsewhere_and_the_network_stays():
    own = Network(network().spec, Blind().eval())
    before = {k: v.clone() for k, v in own.module.state_dict().items()}
    other = shuffled(own, 1)
    for name, value in other.module.state_dict().items():
        assert torch.equal(own.module.state_dict()[name], before[name])
        assert torch.equal(value.flatten().sort().values, before[name].flatten().sort().values)
    assert not torch.equal(other.module.layers[0].weight, own.module.layers[0].weight)
    assert clearly_above(0.9, 0.3, 30) and not clearly_above(0.5, 0.4, 30)


@pytest.mark.parametrize(
    "unit, degrees, expected",
    [
        (25.0, 25.0, 25.0),
        (25.0, 14.0, 25.0),
        (float("nan"), 50.0, 57.29577951308232),
        (1.0, 1.3, 1.0),
        (25.0, 2600.0, 2600.0),
    ],
)
def test_a_known_unit_that_is_near_is_meant(unit, degrees, expected):
    angles = np.sin(np.arange(100)) * 7
    scale = scale_of(angles / degrees, angles, unit)
    assert scale.degrees == pytest.approx(expected) and scale.fitted == pytest.approx(degrees)
    assert scale.natural == (degrees < 100)


def test_a_constant_output_has_no_scale():
    assert scale_of(np.full(9, 3.0), np.arange(9.0), 25.0).degrees == 1


def test_a_servo_and_a_delay_follow_from_the_outputs():
    labelled = choose_labelled(Spots(frames=200, lag=3), 150)
    angles = labelled.later(0.0)
    servo = meant(network().spec, candidates.Reading(0), 90 - angles, labelled)
    assert (servo.output_offset, servo.output_sign, servo.output_scale) == (90, "right", 1)
    early = np.nan_to_num(labelled.later(0.6)) + np.random.default_rng(0).normal(0, 1, len(labelled))
    assert delay_of(early, labelled, blocks_of(labelled.times_s)).seconds == pytest.approx(0.6, abs=0.11)
    assert delay_of(angles, labelled, blocks_of(labelled.times_s)).seconds == 0


def test_of_many_outputs_the_angle_is_one_or_the_mean_of_bins():
    spec = network().spec
    assert [r.index for r in candidates.readings(spec, 2)] == [0, 1]
    fifteen = candidates.readings(spec, 15)
    assert [(len(r.bins), r.reading) for r in fifteen] == [(15, "expected"), (15, "largest")]
    donkey = candidates.readings(replace(spec, output_bins=tuple(np.linspace(-1, 1, 15))), 16)
    assert [(r.index, len(r.bins)) for r in donkey] == [(0, 15), (0, 15), (15, 0)]
    scores = np.log([[0.2, 0.3, 0.5]])
    bins = candidates.Reading(0, (-1.0, 0.0, 1.0))
    assert bins.of(scores) == pytest.approx([0.3]) and bins.of(np.exp(scores)) == pytest.approx([0.3])
    assert replace(bins, reading="largest").of(scores) == [1.0]


@pytest.mark.parametrize("size", [(160, 320), (480, 640), (720, 1280), (120, 160), (66, 200), (1, 1)])
@pytest.mark.parametrize("shape", [(66, 200), (200, 200), (16, 32)])
def test_every_crop_that_is_tried_lies_in_the_frame_and_is_another(size, shape):
    base = NetworkSpec("n", "", {}, *shape, channels=3)
    cuts = candidates.crops(base, *size)
    edges = [tuple(candidates.crop_edges(c, *size)) for c in cuts]
    assert len(set(edges)) == len(edges) and all(0 <= a < c <= 1 and 0 <= b < d <= 1 for a, b, c, d in edges)
    assert len(cuts) == 1 or size != shape
    if size == (160, 320) and shape == (66, 200):
        assert "rows 60 to 135" in [candidates.crop_words(c, *size) for c in cuts]
    if (size, shape) == ((480, 640), (200, 200)):
        assert any(c.resizes_first for c in cuts)  # as DroNet


SPECS = [
    NetworkSpec("n", "", {}, 66, 200, channels=3, colour="hsv", mean=(0.1, 0.2, 0.3), std=(1, 2, 3), blur=3),
    NetworkSpec(
        "n",
        "",
        {},
        66,
        200,
        mean=0.0,
        std=1 / 255,
        crop=CropRule("bottom", rows=5, of_width=9),
        output_unit="1/m",
        wheelbase_m=2.8,
        steering_ratio=14.0,
    ),
    NetworkSpec(
        "n",
        "",
        {},
        200,
        200,
        colour="grey-pil",
        order=("resize", "crop", "colour"),
        resize_to=(320, 240),
        crop=CropRule("pixels", rect=(60, 40, 200, 200), of_width=320, of_height=240),
    ),
    NetworkSpec(
        "n",
        "",
        {},
        9,
        9,
        channels=3,
        mean=0.5,
        std=0.5,
        output_bins=(-1.0, 0.5),
        output_reading="largest",
        trained_on='"tub"\\ of\x7f ours',
        crop=CropRule("rect", rect=(0.0, 0.5, 1.0, 0.5)),
    ),
    NetworkSpec(
        "n",
        "",
        {},
        9,
        9,
        output="class",
        classes=("left", "right"),
        layers={"lambda 1": {"scale": 2.0, "crop": [1, 2, 3, 4]}},
        inputs={"speed": 0.5},
    ),
]


@pytest.mark.parametrize("spec", SPECS)
def test_a_specification_that_is_written_is_read_back_as_it_was(tmp_path, spec):
    path = tmp_path / "n.toml"
    path.write_text(to_toml(spec, ["a comment\nof two lines"]), encoding="utf-8")
    assert read_spec(path, of_keras=True) == spec


def test_the_command_says_and_writes_what_fits(tmp_path, monkeypatch, capsys, found):
    made, _ = found
    monkeypatch.setattr("vbp.engine.open_network", lambda source: network())
    monkeypatch.setattr("vbp.cli.fit_spec.open_drive", lambda path, options: Spots())
    monkeypatch.setattr("vbp.fitting.search.fit_spec", lambda *args: made)
    out = tmp_path / "net.toml"
    assert main(["fit-spec", "net.h5", "--drive", "drive", "-o", str(out)]) == 0
    text = capsys.readouterr().out
    assert "bgr" in text and "rows 32 to 48" in text and made.verdict in text
    assert replace(read_spec(out), name="") == replace(made.spec, name="")
    out.write_text("mine")
    assert main(["fit-spec", "net.h5", "--drive", "drive", "-o", str(out)]) == 2
    assert "--force" in capsys.readouterr().err and out.read_text() == "mine"
    assert main(["fit-spec", "net.h5", "--drive", "drive", "-o", str(out), "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"][0]["colour"] == "bgr" and out.read_text() != "mine"
    monkeypatch.setattr("vbp.fitting.search.fit_spec", lambda *args: replace(made, fits=False, chance=0.5))
    assert main(["fit-spec", "net.h5", "--drive", "drive", "-o", str(tmp_path / "no.toml")]) == 2
    assert (
        "was not written, as nothing fits" in capsys.readouterr().err and not (tmp_path / "no.toml").exists()
    )
    assert main(["fit-spec", "net.h5", "--drive", "drive", "--frames", "3"]) == 2


@pytest.mark.shared
def test_the_old_yuv_range_crop_and_sign_of_a_strangers_network_are_found(shared, monkeypatch):
    few(monkeypatch, "yuv", "yuv-bgr")
    net = vbp.open_network(shared / "data/networks/carnd-nvidia-elu-yuv/model.h5")
    with vbp.open_drive(shared / "data/udacity-simulator") as drive:
        made = vbp.fit_spec(net, drive)
        assert made.fits and made.mirrored > 0.7
        assert (made.best.colour, made.best.crop, made.best.range) == (
            "yuv-bgr",
            "rows 60 to 135",
            "0 to 255",
        )
        assert (made.spec.output_sign, made.spec.output_scale) == ("right", 25)
        assert made.best.agreement.correlation == pytest.approx(0.50, abs=0.02)


@pytest.mark.shared
def test_what_a_drive_does_not_tell_is_said(shared):
    """63 parameters that were trained on the whole picture; of these 80 frames, a part of it does as well."""
    net = vbp.open_network(shared / "data/networks/tiny-63-parameters-json/model.json")
    with vbp.open_drive(shared / "data/udacity-simulator") as drive:
        made = vbp.fit_spec(net, drive)
    assert made.fits and (made.best.colour, made.best.range) == ("hsv-s", "0 to 255")
    assert made.told_apart["colour"] == ("hsv-s",) and "whole" in made.told_apart["crop"]
    assert "cannot be told apart" in made.verdict and made.best.agreement.correlation > 0.4


@pytest.mark.shared
def test_with_its_weights_shuffled_nothing_fits(shared, monkeypatch):
    few(monkeypatch, "yuv", "yuv-bgr")
    net = vbp.open_network(shared / "data/networks/carnd-nvidia-elu-yuv/model.h5")
    with vbp.open_drive(shared / "data/udacity-simulator") as drive:
        assert not vbp.fit_spec(shuffled(net, 101), drive, frames=50).fits


@pytest.mark.shared
def test_a_drive_without_angles_is_refused_before_anything_runs(shared):
    with (
        vbp.open_drive(shared / "data/photos") as drive,
        pytest.raises(VbpError, match="no measured steering"),
    ):
        vbp.fit_spec(network(), drive)
