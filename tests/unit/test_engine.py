"""Preprocessing, overlay and the engine's contract."""

import argparse
import threading

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vbp.cli.common import crop as read_crop
from vbp.devices import describe_device, devices, pick_device
from vbp.engine import Engine, open_network
from vbp.errors import VbpError
from vbp.explain.dead import dead_layers
from vbp.graph.operations import Conv, Dense, Flatten, Stage, Window
from vbp.graph.trace import Trace
from vbp.models.network import build
from vbp.models.spec import CropRule, NetworkSpec
from vbp.overlay import STYLES, Rect, blend
from vbp.preprocess import prepare, to_display_rgb, to_tensor
from vbp.results import MapRequest
from vbp.scores import score


def small(**changes) -> NetworkSpec:
    fields = {
        "name": "small",
        "architecture": "steering",
        "arguments": {"widths": [4, 4], "strides": [1, 2], "hidden": [5]},
        "input_height": 20,
        "input_width": 64,
        "crop": CropRule("bottom", rows=20, of_width=64),
    }
    return NetworkSpec(**(fields | changes))


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)


def test_prepare_takes_the_bottom_rows_unscaled(picture):
    spec = open_network("NetSVF").spec
    got, rect = prepare(picture, spec)
    assert rect == Rect(0, 355, 640, 125)
    luma = picture[355:].astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(got - luma).max() <= 0.51


def test_prepare_scales_by_areas(picture):
    spec = open_network("NetHVF").spec
    got, rect = prepare(picture, spec)
    assert rect == Rect(0, 252, 640, 228)
    assert got.shape == (125, 351)
    luma = picture[252:].astype(float) @ [0.299, 0.587, 0.114]
    # The mean over each output pixel's area, spelled out for a few of them.
    for y, x in [(0, 0), (60, 200), (124, 350)]:
        rows = np.linspace(y * 228 / 125, (y + 1) * 228 / 125, 2001)
        columns = np.linspace(x * 640 / 351, (x + 1) * 640 / 351, 2001)
        rows, columns = (rows[:-1] + rows[1:]) / 2, (columns[:-1] + columns[1:]) / 2
        expected = luma[rows.astype(int)][:, columns.astype(int)].mean()
        assert abs(float(got[y, x]) - expected) < 1.5


def test_a_frame_of_the_networks_size_is_not_cropped():
    frame = np.full((125, 640, 3), 7, np.uint8)
    got, rect = prepare(frame, open_network("NetSVF").spec)
    assert rect == Rect(0, 0, 640, 125)
    assert (got == 7).all()


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 3]))
def test_prepare_takes_frames_of_any_size(height, width, channels):
    spec = small(channels=channels)
    frame = np.full((height, width, 3), 200, np.uint8)
    got, rect = prepare(frame, spec)
    assert got.shape == ((20, 64) if channels == 1 else (20, 64, 3))
    assert (got == 200).all()
    assert rect.width >= 1 and rect.height >= 1


def test_a_crop_that_is_given_is_what_the_network_sees(picture):
    network = open_network("NetSVF")
    crop = Rect(100, 50, 320, 62)
    by_hand = cv2.resize(
        cv2.cvtColor(picture[50:112, 100:420], cv2.COLOR_RGB2GRAY), (640, 125), interpolation=cv2.INTER_LINEAR
    )
    engine = Engine(network, "cpu", crop=crop)
    done = engine.run(picture)
    assert done.crop == crop
    assert (done.input == by_hand).all()
    assert Engine(network, "cpu").run(picture, crop=crop).angle_rad == done.angle_rad
    assert engine([picture])[0][0] == pytest.approx(done.angle_rad, abs=1e-5)
    elsewhere = engine.run(picture, crop=Rect(0, 355, 640, 125))  # of this frame alone
    assert elsewhere.angle_rad == Engine(network, "cpu").run(picture).angle_rad
    assert engine.run(picture).crop == crop
    # Also a frame of the network's own size is cropped where that is asked for.
    assert prepare(np.zeros((125, 640, 3), np.uint8), network.spec, Rect(1, 2, 30, 6))[1] == Rect(1, 2, 30, 6)


@pytest.mark.parametrize(
    "crop", [Rect(1, 0, 640, 125), Rect(0, 356, 640, 125), Rect(-1, 0, 10, 10), Rect(0, 0, 0, 9)]
)
def test_a_crop_outside_the_frame_is_refused(picture, crop):
    with pytest.raises(VbpError, match="does not lie in the frame, which is 640x480"):
        Engine(open_network("NetSVF"), "cpu", crop=crop).run(picture)


def test_crops_are_read():
    assert read_crop("0,355,640,125") == Rect(0, 355, 640, 125)
    assert read_crop(" 1, 2 ,3,4") == Rect(1, 2, 3, 4)


@given(st.text(max_size=20) | st.lists(st.integers(-5, 50), max_size=6).map(lambda v: ",".join(map(str, v))))
def test_what_is_no_crop_is_refused_in_one_sentence(text):
    try:
        rect = read_crop(text)
    except argparse.ArgumentTypeError as error:
        assert "X,Y,WIDTH,HEIGHT" in str(error)
    else:
        assert min(rect.x, rect.y) >= 0
        assert min(rect.width, rect.height) >= 1


def test_to_tensor_scales_and_normalises():
    spec = small(mean=0.5, std=0.25)
    inputs = np.array([[[0, 255]]], np.uint8)
    got = to_tensor(inputs, spec, torch.device("cpu"))
    torch.testing.assert_close(got, torch.tensor([[[[-2.0, 2.0]]]]))


def test_a_pass_says_all(picture):
    engine = Engine(open_network("NetHVF"), "cpu")
    done = engine.run(picture, ("visualbackprop", "lrp"))
    assert set(done.stages_ms) == {"preprocess", "forward", "visualbackprop", "lrp"}
    assert all(v >= 0 for v in done.stages_ms.values())
    assert done.map("visualbackprop").shape == done.input.shape == (125, 351)
    assert done.map("visualbackprop").dtype == np.float32
    network = engine.network.module
    with torch.no_grad():
        expected = network(torch.from_numpy(done.input)[None, None].float() / 255).item()
    assert done.angle_rad == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("unit", "sign", "factor"), [("deg", "left", np.pi / 180), ("rad", "right", -1.0)])
def test_output_units_become_radians_left_positive(picture, unit, sign, factor):
    plain = Engine(build(small()), "cpu").run(picture).angle_rad
    other = Engine(build(small(output_unit=unit, output_sign=sign)), "cpu").run(picture).angle_rad
    assert other == pytest.approx(plain * factor)


def test_a_batch_equals_its_frames(picture):
    engine = Engine(build(small()), "cpu")
    frames = [picture, picture[::-1].copy(), np.zeros_like(picture)]
    angles, maps = engine(frames, ("visualbackprop", "lrp"))
    for n, frame in enumerate(frames):
        one = engine.run(frame, ("visualbackprop", "lrp"))
        assert one.angle_rad == pytest.approx(angles[n], abs=1e-6)
        for method in maps:
            np.testing.assert_allclose(one.map(method), maps[method][n].numpy(), atol=1e-4)
    angles, maps = engine([])
    assert angles.shape == (0,)
    assert maps["visualbackprop"].shape == (0, 20, 64)


def test_explaining_later_from_another_thread_changes_nothing(picture):
    engine = Engine(open_network("NetHVF"), "cpu")
    done = engine.run(picture, ("lrp",))
    expected = done.map("lrp")
    got = []

    def behind():
        got.extend(engine.explain(done, MapRequest("lrp")) for _ in range(5))

    thread = threading.Thread(target=behind)
    thread.start()
    others = [engine.run(picture[:, ::-1].copy()).angle_rad for _ in range(10)]
    thread.join()
    assert len(set(others)) == 1
    for relevance in got:
        np.testing.assert_allclose(relevance, expected, atol=1e-5)


def test_scores_of_equal_values_have_no_correlation():
    angles = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.4])
    constant = np.full(7, 0.1)  # whose standard deviation is 1e-17 in floats
    assert np.isnan(score(angles, constant).corr) and np.isnan(score(constant, angles).corr)
    assert score(angles, 2 * angles).corr == pytest.approx(1)
    assert score(angles, angles - 0.1).bias_deg == pytest.approx(np.degrees(0.1))  # driven - predicted


def test_angles_leave_the_device_before_they_become_double(picture, monkeypatch):
    """Apple's GPU has no double precision at all."""
    engine = Engine(build(small()), "cpu")
    calls = []
    for name in ("cpu", "double"):
        plain = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda t, *a, n=name, f=plain, **k: calls.append(n) or f(t, *a, **k)
        )
    engine.angles(engine.trace(prepare(picture, engine.spec)[0][None]).output)
    assert calls[:2] == ["cpu", "double"]


@pytest.mark.parametrize("where", [(0, 0), (5, 3), (9, 11)])
def test_one_living_neuron_anywhere_is_a_living_layer(where):
    conv = Stage(
        "features.1", Conv(torch.zeros(2, 1, 1, 1), torch.zeros(2), Window((1, 1), (1, 1), (0, 0))), relu=True
    )
    hidden = Stage("head.1", Dense(torch.zeros(4, 240), torch.zeros(4)), relu=True)
    out = Stage("head.3", Dense(torch.zeros(1, 4), torch.zeros(1)))
    flatten = Stage("head.0", Flatten())
    maps = torch.zeros(2, 2, 10, 12)
    units = torch.ones(2, 4)

    def said() -> list[str]:
        values = (torch.zeros(2, 1, 10, 12), maps, maps.flatten(1), units, torch.zeros(2, 1))
        return dead_layers(Trace((conv, flatten, hidden, out), values))

    assert said() == ["Layer features.1"] * 2
    maps[0, 1, where[0], where[1]] = 1e-30
    assert said() == ["", "Layer features.1"]
    units[:] = 0
    assert said() == ["The last hidden layer"] * 2


def test_devices():
    assert devices()[-1] == "cpu"
    assert pick_device("cpu").type == "cpu"
    assert "thread" in describe_device("cpu")
    for name in ("cuda:99", "tpu", ""):
        with pytest.raises(VbpError, match="accepted: auto"):
            pick_device(name)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_cuda_equals_the_cpu(picture):
    cpu, cuda = Engine(open_network("NetSVF"), "cpu"), Engine(open_network("NetSVF"), "cuda")
    a, b = cpu.run(picture, ("visualbackprop", "lrp")), cuda.run(picture, ("visualbackprop", "lrp"))
    assert a.angle_rad == pytest.approx(b.angle_rad, abs=1e-3)
    for method in a.maps:
        np.testing.assert_allclose(a.map(method), b.map(method), atol=2e-2)


def test_the_papers_overlay(picture):
    """R + m, G - m, B - m, clamped, on the crop alone."""
    mask = np.random.default_rng(1).random((125, 640), dtype=np.float32)
    rect = Rect(0, 355, 640, 125)
    got = blend(picture, mask, rect, "paper", 0.8)
    image = picture.astype(float) / 255
    m = mask[..., None] * 0.8 * np.array([1, -1, -1])
    expected = image.copy()
    expected[355:] = np.clip(image[355:] + m, 0, 1)
    assert np.abs(got / 255 - expected).max() < 1.5 / 255
    assert (got[:355] == picture[:355]).all()


@given(
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.sampled_from(STYLES),
    st.floats(0, 1),
    st.floats(-1, 1, width=32),
)
def test_blending_any_mask_keeps_size_and_type(size, style, opacity, value):
    image = np.full((40, 50, 3), 128, np.uint8)
    image.flags.writeable = False
    mask = np.full(size, value, np.float32)
    got = blend(image, mask, Rect(10, 5, 30, 20), style, opacity)
    assert got.shape == image.shape and got.dtype == np.uint8
    outside = np.ones((40, 50), bool)
    outside[5:25, 10:40] = False
    assert (got[outside] == 128).all()
    if opacity == 0:
        assert (got == 128).all()


def test_the_papers_overlay_shows_what_is_against_in_blue():
    image = np.random.default_rng(2).integers(0, 255, (5, 8, 3), dtype=np.uint8)
    mask = np.random.default_rng(3).uniform(-1, 1, (5, 8)).astype(np.float32)
    signs = np.where((mask < 0)[..., None], [-1, -1, 1], [1, -1, -1])
    expected = np.clip(image / 255 + np.abs(mask)[..., None] * 0.8 * signs, 0, 1)
    assert np.abs(blend(image, mask, None, "paper", 0.8) / 255 - expected).max() < 1.5 / 255


def test_heat_shows_the_sign():
    image = np.full((4, 2, 3), 128, np.uint8)
    mask = np.array([[1, -1]] * 4, np.float32)
    got = blend(image, mask, style="heat").astype(int)
    assert (got[:, 0, 0] > got[:, 0, 2]).all()
    assert (got[:, 1, 2] > got[:, 1, 0]).all()
    with pytest.raises(ValueError, match="paper, heat"):
        blend(image, mask, style="neon")


def test_grey_conversion_is_what_opencv_decodes_to(tmp_path):
    picture = cv2.GaussianBlur(
        np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8), (9, 9), 3
    )
    got, _ = prepare(picture, small(crop=CropRule(), input_height=64))
    assert np.abs(got - picture.astype(float) @ [0.299, 0.587, 0.114]).max() <= 0.51


def test_a_frame_that_may_not_be_written_is_taken_without_a_warning(recwarn):
    spec = open_network("NetSVF").spec
    inputs = np.full((1, spec.input_height, spec.input_width), 51, np.uint8)
    inputs.flags.writeable = False
    images = to_tensor(inputs, spec, torch.device("cpu"))
    assert images.max() == pytest.approx(0.2) and not recwarn.list


def test_the_yuv_of_before_december_2016_has_red_and_blue_exchanged() -> None:
    """OpenCV issue 4946: U = .492 (R - Y) + 128, V = .877 (B - Y) + 128, and R weighs .114 in Y."""
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    spec = NetworkSpec("n", "", {}, 4, 5, channels=3, colour="yuv-bgr")
    found, _ = prepare(picture, spec)
    r, g, b = picture.astype(float).transpose(2, 0, 1)
    y = 0.114 * r + 0.587 * g + 0.299 * b
    wanted = np.stack([y, 0.492 * (r - y) + 128, 0.877 * (b - y) + 128], -1).clip(0, 255)
    assert np.abs(found - wanted).max() < 1.5
    assert np.abs(to_display_rgb(found, spec).astype(float) - picture).mean() < 4
