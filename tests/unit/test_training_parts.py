"""The pieces of training: which frames, how they are changed, the schedule, the cheaper forward pass."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from roadmaker import tiny_spec, write_drive
from vbp.drives import open_drive
from vbp.errors import VbpError
from vbp.models.known_specs import NETHVF_TRIMS
from vbp.models.network import build
from vbp.training.augment import augment, blur, draw, erase, light, noise, shadow, shift
from vbp.training.choosing import choose, describe_frames, far_from
from vbp.training.fast import Trainable
from vbp.training.folder import Source
from vbp.training.frames import decode
from vbp.training.loop import _drives_in_words
from vbp.training.optimise import RunningMean
from vbp.training.recipe import AUGMENTATIONS, CHECKPOINTS, Recipe
from vbp.training.steering import STEERING
from vbp.training.trainer import _checkpoint_steps


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory):
    """200 frames at 20 Hz: the first 20 slow, frames 50 to 54 unlabelled."""
    angles = 0.4 * np.sin(np.arange(200) * 0.1)
    angles[50:55] = np.nan
    speeds = np.where(np.arange(200) < 20, 4.0, 12.0)
    with open_drive(
        write_drive(tmp_path_factory.mktemp("d") / "road", 200, speeds=speeds, angles=angles)
    ) as it:
        yield it


def test_the_last_tenth_is_held_out_with_a_gap(drive) -> None:
    found = choose(drive, Recipe(test_gap_s=1.0))
    usable = [i for i in range(20, 200) if not 50 <= i < 55]
    assert found.test.tolist() == usable[-18:] == list(range(182, 200))
    # Frame 162 is 1.0 s before frame 182.
    assert found.train.tolist() == [i for i in usable if i <= 162]
    assert found.notes == ()


def test_a_block_is_held_out_with_gaps_on_both_sides(drive) -> None:
    found = choose(drive, Recipe(test_gap_s=0.5), "90:110")
    assert found.test.tolist() == list(range(90, 110))
    assert found.train.tolist() == [i for i in range(20, 200) if not 50 <= i < 55 and not 81 <= i < 119]
    assert choose(drive, Recipe(), "").test.tolist() == []
    whole = choose(drive, Recipe(), ":")
    assert len(whole.train) == 0 and len(whole.test) == 175
    assert choose(drive, Recipe(), "-10:").test.tolist() == list(range(190, 200))
    with pytest.raises(VbpError, match="--test 0:20 holds no labelled frame that is fast enough"):
        choose(drive, Recipe(), "0:20")


@given(
    st.floats(0, 0.9),
    st.floats(0, 3),
    st.lists(st.booleans(), min_size=200, max_size=200).filter(lambda rows: sum(rows) > 20),
)
def test_neighbours_are_never_on_both_sides(drive, fraction, gap, labelled) -> None:
    angles = drive.angle_rad
    drive.angle_rad = np.where(labelled, np.sin(np.arange(200.0)), np.nan)
    try:
        found = choose(drive, Recipe(test_fraction=fraction, test_gap_s=gap, min_speed=-1))
    finally:
        drive.angle_rad = angles
    assert not set(found.train) & set(found.test)
    if len(found.train) and len(found.test):
        times = drive.timestamps_ns
        apart = np.abs(times[found.train][:, None] - times[found.test][None])
        assert apart.min() >= gap * 1e9
        assert found.train.max() < found.test.min()


def test_far_from_looks_both_ways() -> None:
    times = np.arange(10, dtype=np.int64) * 10
    assert (
        far_from(times, np.array([35], dtype=np.int64), 16).tolist() == [True] * 2 + [False] * 4 + [True] * 4
    )
    assert far_from(times, np.zeros(0, dtype=np.int64), 16).all()


def test_frames_in_words() -> None:
    assert describe_frames(np.zeros(0, dtype=np.int64)) == "none"
    assert describe_frames(np.array([3])) == "3 to 3"
    assert describe_frames(np.array([0, 1, 50, 400, 401])) == "0 to 50 and 400 to 401"
    assert describe_frames(np.arange(6) * 500) == "0 to 2500 in 6 blocks"


def pictures(count: int = 6) -> torch.Tensor:
    return torch.rand((count, 1, 24, 48), generator=torch.Generator().manual_seed(0))


def test_drives_in_words() -> None:
    one = Source("a/road", train="0 to 9", test="12 to 14")
    many = [Source(f"sim/s{n}", train="0 to 399", test="none") for n in range(1, 6)]
    assert _drives_in_words([one], STEERING.sources_text) == "road (frames 0 to 9; held out: 12 to 14)"
    assert _drives_in_words([one, *many], STEERING.sources_text) == (
        "road (frames 0 to 9; held out: 12 to 14), s1 to s5, 5 drives (frames 0 to 399; held out: none)"
    )
    assert _drives_in_words(many[:2], STEERING.sources_text) == "s1, s2 (frames 0 to 399; held out: none)"


def test_a_flip_turns_the_sign() -> None:
    images, angles = pictures(64), torch.linspace(-1, 1, 64)
    recipe = Recipe(augment=("flip",))
    draws = draw(recipe, 64, 0, 0)
    assert 15 < draws.flip.sum() < 49
    changed, turned = augment(images, angles, recipe, draws)
    for n, flipped in enumerate(draws.flip):
        assert torch.equal(changed[n], images[n].flip(2) if flipped else images[n])
        assert turned[n] == (-angles[n] if flipped else angles[n])


def test_a_shift_to_the_right_steers_right() -> None:
    images = torch.zeros(3, 1, 40, 100)
    images[..., 50:52] = 1
    recipe = Recipe(augment=("shift",), shift=0.1, shift_angle=2.0)
    # Of the draws, 0.5 is no shift and 1 the largest.
    values = torch.tensor([[1.0, 0.5, 0.5], [0.5, 0.5, 0.5], [0.25, 0.5, 0.5]])
    moved, angles = shift(images, torch.zeros(3), values, recipe)
    assert angles.tolist() == pytest.approx([-0.2, 0, 0.1])
    assert [int(m[0, 20].argmax()) for m in moved] == [60, 50, 45]
    torch.testing.assert_close(moved[1], images[1], atol=1e-4, rtol=0)
    sheared, _ = shift(images[:1], torch.zeros(1), torch.tensor([[0.5, 1.0, 0.5]]), recipe)
    top, middle, bottom = (int(sheared[0, 0, y].argmax()) for y in (0, 20, 39))
    assert abs(middle - 50) <= 1 and bottom - top >= 3
    lifted = torch.zeros(1, 1, 40, 100)
    lifted[:, :, 20:22] = 1
    down, _ = shift(lifted, torch.zeros(1), torch.tensor([[0.5, 0.5, 1.0]]), recipe)
    assert int(down[0, 0, :, 50].argmax()) == 25  # half of a tenth of the width


@pytest.mark.parametrize(("change", "values"), [(light, 3), (shadow, 7), (erase, 5), (blur, 0), (noise, 0)])
def test_changes_of_light_keep_pictures_pictures(change, values) -> None:
    images = pictures()
    drawn = torch.rand((6, values) if values else (6,), generator=torch.Generator().manual_seed(1))
    changed = change(images.clone(), drawn)
    assert changed.shape == images.shape and changed.dtype == torch.float32
    assert bool((changed >= 0).all()) and bool((changed <= 1).all())
    assert not torch.equal(changed, images)
    if change is shadow:
        assert bool((changed <= images + 1e-6).all())


def test_draws_are_a_function_of_seed_epoch_and_step_and_split_over_processes() -> None:
    recipe = Recipe(augment=tuple(n for n in AUGMENTATIONS if n != "noise"), shift_angle=1.0, seed=4)
    images, angles = pictures(8), torch.linspace(-1, 1, 8)
    whole = augment(images, angles, recipe, draw(recipe, 8, 3, 5))
    again = augment(images, angles, recipe, draw(recipe, 8, 3, 5))
    assert torch.equal(whole[0], again[0]) and torch.equal(whole[1], again[1])
    for other in (draw(recipe, 8, 3, 6), draw(recipe, 8, 4, 5), draw(replace(recipe, seed=5), 8, 3, 5)):
        assert not torch.equal(whole[0], augment(images, angles, recipe, other)[0])
    parts = [slice(0, 4), slice(4, 8)]
    halves = [augment(images[p], angles[p], recipe, draw(recipe, 8, 3, 5).part(p)) for p in parts]
    torch.testing.assert_close(torch.cat([h[0] for h in halves]), whole[0])
    torch.testing.assert_close(torch.cat([h[1] for h in halves]), whole[1])
    nothing = augment(images, angles, Recipe(), draw(recipe, 8, 3, 5))
    assert torch.equal(nothing[0], images) and torch.equal(nothing[1], angles)


@pytest.mark.parametrize(
    "arguments",
    [
        {"widths": [4, 6, 8], "strides": [1, 2, 1], "hidden": [7]},
        {"widths": [4, 6, 8], "strides": [1, 2, 1], "hidden": [7], "trims": [0, 1, 0]},
        {"widths": [4, 6, 8], "strides": [2, 2, 1], "hidden": [7], "trims": [0, 2, 1], "last_norm": True},
        {"widths": [4, 6], "strides": [2, 2], "hidden": [], "trims": [1, 0]},
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_cheaper_pass_is_the_same_function(arguments, channels) -> None:
    """Outputs, every gradient and BatchNorm's statistics, against the network's own pass, in float64."""
    spec = tiny_spec(arguments=arguments, channels=channels)
    plain, fast = build(spec, 1).module.double(), build(spec, 1).module.double()
    for module in (plain, fast):
        with torch.no_grad():
            for n, parameter in enumerate(module.parameters()):
                parameter.add_(0.1 * torch.sin(torch.arange(parameter.numel()) + n).view_as(parameter))
        module.train()
    model = Trainable(fast)
    images = torch.rand(
        (5, channels, 24, 48), dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )
    expected, got = plain(images)[:, 0], model(images)[:, 0]
    torch.testing.assert_close(got.double(), expected, atol=1e-6, rtol=1e-5)
    expected.square().sum().backward()
    got.square().sum().backward()
    for (name, one), (_, two) in zip(plain.named_parameters(), fast.named_parameters(), strict=True):
        scale = float(one.grad.abs().max()) + 1e-3
        assert float((one.grad - two.grad).abs().max()) / scale < 2e-5, name
    for (name, one), (_, two) in zip(plain.named_buffers(), fast.named_buffers(), strict=True):
        if "num_batches" in name:
            assert one == two
        elif arguments.get("trims", [0])[0] == 0 and name.startswith("features.0"):
            torch.testing.assert_close(one, two)
    plain.eval()
    fast.eval()
    fast.load_state_dict(plain.state_dict())
    torch.testing.assert_close(model(images)[:, 0].double(), plain(images)[:, 0], atol=1e-6, rtol=1e-5)


def test_the_papers_trim_goes_before_the_first_convolution() -> None:
    spec = tiny_spec(
        arguments={"widths": [4, 6], "strides": [1, 2], "trims": list(NETHVF_TRIMS[:2]), "hidden": [3]}
    )
    layers = Trainable(build(spec).module)._chain
    names = [type(m).__name__ for m in layers[:4]]
    assert names == ["BatchNorm2d", "ZeroPad2d", "Conv2d", "ReLU"]


def test_a_network_of_another_kind_is_run_as_it_is() -> None:
    class Other(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((1, 2, 3))[:, None] * 2

    images = pictures()
    torch.testing.assert_close(Trainable(Other())(images), images.mean((1, 2, 3))[:, None] * 2)


def test_schedules() -> None:
    assert {Recipe(lr=0.1).lr_at(k, 100) for k in range(100)} == {0.1}
    cosine = [Recipe(lr=0.1, schedule="cosine").lr_at(k, 101) for k in range(101)]
    assert cosine[0] == pytest.approx(0.1) and cosine[-1] == pytest.approx(0.001)
    assert cosine[50] == pytest.approx((0.1 + 0.001) / 2)
    one = [Recipe(lr=0.1, schedule="onecycle").lr_at(k, 101) for k in range(101)]
    assert one[0] == pytest.approx(0.005) and max(one) == one[25] == pytest.approx(0.1)
    assert one[-1] == pytest.approx(1e-4)
    assert one[:26] == sorted(one[:26]) and one[25:] == sorted(one[25:], reverse=True)
    assert Recipe(schedule="onecycle").lr_at(0, 1) > 0


def test_checkpoints_fall_on_steps() -> None:
    assert _checkpoint_steps(CHECKPOINTS, 32, 100, 3200) == {
        10: [0.1], 50: [0.5], 100: [1.0], 400: [4.0], 1600: [16.0], 3200: [32.0]
    }  # fmt: skip
    assert _checkpoint_steps(CHECKPOINTS, 3, 2, 6) == {1: [0.1, 0.5], 2: [1.0], 6: [3]}
    assert _checkpoint_steps((), 0.5, 10, 5) == {5: [0.5]}


def test_weights_of_rare_angles() -> None:
    angles = np.array([0.0, 0.1, -0.3], dtype=np.float32)
    assert STEERING.weights(angles, Recipe()).tolist() == [1, 1, 1]
    weights = STEERING.weights(angles, Recipe(angle_weighting=1))
    assert weights.mean() == pytest.approx(1)
    assert weights[2] > weights[1] > weights[0] > 0


def test_the_running_mean_by_hand() -> None:
    module = torch.nn.Linear(1, 1)
    mean = RunningMean(module, 0.5)
    expected = module.weight.item()
    for step in range(12):
        with torch.no_grad():
            module.weight.fill_(step)
        mean.update(module, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = expected * decay + step * (1 - decay)
        assert mean.module.weight.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    "bad",
    [
        {"optimizer": "newton"},
        {"schedule": "step"},
        {"augment": ("rain",)},
        {"epochs": 0.0},
        {"epochs": float("nan")},
        {"batch": 0},
        {"lr": -1.0},
        {"test_fraction": 1.0},
        {"dropout": 1.0},
        {"checkpoints": (0.0,)},
        {"ema": "much"},
    ],
)
def test_recipes_that_make_no_sense(bad) -> None:
    with pytest.raises(VbpError, match="accepted"):
        Recipe(**bad)


def test_a_recipe_survives_json() -> None:
    import json

    recipe = Recipe(augment=("flip", "shift"), test=("1:2",), lr=0.1)
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    with pytest.raises(VbpError, match="another version"):
        Recipe.from_json({"rain": 1})
    assert "augmented by flip shift 0.03 at 0 rad" in recipe.describe()


def test_drives_without_speed_are_used_whole_and_said(tmp_path: Path) -> None:
    with open_drive(write_drive(tmp_path / "road", 20, speeds=float("nan"))) as drive:
        found = choose(drive, Recipe(test_gap_s=0))
    assert len(found.train) == 18
    assert "has no speed: all its labelled frames are used" in found.notes[0]


def test_drives_let_go_of_their_frames_once_these_are_prepared(tmp_path: Path) -> None:
    """Forty drives would else keep 256 MiB each until the run ends."""
    with open_drive(write_drive(tmp_path / "road", 20, speeds=12.0)) as drive:
        kept = weakref.ref(drive.frame(3))
        assert kept() is not None
        decode([drive], [choose(drive, Recipe(test_gap_s=0))], tiny_spec(), tmp_path / "frames")
        gc.collect()
        assert kept() is None
