"""What happens to a picture before a network sees it, beside what OpenCV and PIL themselves make of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from vbp.errors import ModelError
from vbp.models.presets import PRESETS
from vbp.models.spec import CropRule, NetworkSpec
from vbp.models.spec_file import read_spec
from vbp.models.spec_picture import OPENCV_RESIZES, PIL_RESIZES
from vbp.overlay import Rect
from vbp.preprocess import OPENCV, prepare, to_display_rgb
from vbp.resampling import resize_as_pil

FRAME = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (160, 320, 3), dtype=np.uint8), (5, 5), 2)
PIXELS = CropRule("pixels", rect=(0, 60, 320, 75), of_width=320, of_height=160)


def spec(**changes) -> NetworkSpec:
    fields = {"name": "n", "architecture": "", "arguments": {}, "input_height": 66, "input_width": 200}
    return NetworkSpec(**{**fields, "channels": 3, "crop": PIXELS, "resize": "linear", **changes})


CODES = {"hsv": cv2.COLOR_RGB2HSV, "lab": cv2.COLOR_RGB2LAB, "yuv-bgr": cv2.COLOR_BGR2YUV}


@pytest.mark.parametrize("colour", CODES)
@pytest.mark.parametrize("order", [("crop", "colour", "resize"), ("crop", "resize", "colour")])
def test_colours_and_their_place_are_opencvs(colour, order):
    found, rect = prepare(FRAME, spec(colour=colour, order=order))
    wanted = FRAME[60:135]
    for step in order[1:]:
        wanted = cv2.cvtColor(wanted, CODES[colour]) if step == "colour" else cv2.resize(wanted, (200, 66))
    assert rect == Rect(0, 60, 320, 75) and (found == wanted).all()
    shown = to_display_rgb(
        prepare(FRAME, spec(colour=colour, crop=CropRule(), input_height=160, input_width=320))[0],
        spec(colour=colour),
    )
    assert np.abs(shown.astype(float) - FRAME).mean() < 4


def test_one_channel_is_grey_by_opencv_or_pil_or_the_saturation():
    whole = {"channels": 1, "crop": CropRule(), "input_height": 160, "input_width": 320}
    wanted = {
        "grey": cv2.cvtColor(FRAME, cv2.COLOR_RGB2GRAY),
        "yuv": cv2.cvtColor(FRAME, cv2.COLOR_RGB2GRAY),  # as it was before there were others
        "grey-pil": np.asarray(Image.fromarray(FRAME).convert("L")),
        "hsv-s": cv2.cvtColor(FRAME, cv2.COLOR_RGB2HSV)[:, :, 1],
    }
    for colour, picture in wanted.items():
        found, _ = prepare(FRAME, spec(colour=colour, **whole))
        assert found.ndim == 2 and (found == picture).all()
    tiny = spec(channels=1, colour="hsv-s", crop=CropRule(), input_height=16, input_width=32)
    assert (prepare(FRAME, tiny)[0] == cv2.resize(wanted["hsv-s"], (32, 16))).all()


@pytest.mark.parametrize("name", OPENCV_RESIZES)
def test_a_resize_by_name_is_opencvs(name):
    found, _ = prepare(FRAME, spec(resize=name))
    assert (found == cv2.resize(FRAME[60:135], (200, 66), interpolation=OPENCV[name])).all()


FILTERS = {name: Image.Resampling[name.removeprefix("pil-").upper()] for name in PIL_RESIZES}


@pytest.mark.parametrize("name", PIL_RESIZES)
@example(47, 12, 19, 4, 3)  # a weight of hamming's that was rounded to the other side
@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.sampled_from([0, 3])
)
def test_a_resize_by_pils_name_is_pils_to_the_bit(name, height, width, high, wide, channels):
    size = (height, width, channels) if channels else (height, width)
    picture = np.random.default_rng(height * 61 + width).integers(0, 256, size, dtype=np.uint8)
    found = resize_as_pil(picture, (wide, high), name.removeprefix("pil-"))
    across = Image.fromarray(picture).resize((wide, height), FILTERS[name])  # Pillow 13 may go down first
    assert (found == np.asarray(across.resize((wide, high), FILTERS[name]))).all()


@pytest.mark.parametrize("name", PIL_RESIZES)
def test_pil_itself_gives_the_same_of_a_camera_frame(name):
    found, _ = prepare(FRAME, spec(resize=name))
    wanted = np.asarray(Image.fromarray(FRAME[60:135]).resize((200, 66), FILTERS[name]))
    assert (found == wanted).all()


def test_a_whole_chain_is_pils():
    grey = spec(channels=1, colour="grey-pil", resize="pil-bicubic", order=("crop", "resize", "colour"))
    wanted = (
        Image.fromarray(FRAME)
        .crop((0, 60, 320, 135))
        .resize((200, 66), Image.Resampling.BICUBIC)
        .convert("L")
    )
    assert (prepare(FRAME, grey)[0] == np.asarray(wanted)).all()


def test_a_blur_is_opencvs_and_looks_beyond_a_crop_that_comes_after_it():
    first = prepare(FRAME, spec(colour="yuv", blur=3))[0]
    yuv = cv2.GaussianBlur(cv2.cvtColor(FRAME[60:135], cv2.COLOR_RGB2YUV), (3, 3), 0)
    assert (first == cv2.resize(yuv, (200, 66))).all()
    after = prepare(FRAME, spec(blur=3, order=("blur", "crop", "colour", "resize")))[0]
    assert (after == cv2.resize(cv2.GaussianBlur(FRAME, (3, 3), 0)[60:135], (200, 66))).all()


def test_a_crop_after_the_resize_is_as_dronet_does_it_and_lies_where_it_was_in_the_frame():
    dronet = spec(
        channels=1,
        input_height=200,
        input_width=200,
        order=("resize", "colour", "crop"),
        resize_to=(320, 240),
        crop=CropRule("pixels", rect=(60, 40, 200, 200), of_width=320, of_height=240),
    )
    frame = cv2.resize(FRAME, (640, 480))
    found, rect = prepare(frame, dronet)
    wanted = cv2.cvtColor(cv2.resize(frame, (320, 240)), cv2.COLOR_RGB2GRAY)[40:, 60:260]
    assert (found == wanted).all() and rect == Rect(120, 80, 400, 400)
    drawn, rect = prepare(frame, dronet, Rect(0, 0, 400, 400))
    assert rect == Rect(0, 0, 400, 400)
    assert (drawn == cv2.cvtColor(cv2.resize(frame[:400, :400], (200, 200)), cv2.COLOR_RGB2GRAY)).all()
    ready = np.full((200, 200, 3), 9, np.uint8)  # a picture of its training
    assert (prepare(ready, dronet)[0] == 9).all() and prepare(ready, dronet)[1] == Rect(0, 0, 200, 200)


def test_a_crop_in_pixels_goes_with_the_frames_size_and_holds_of_the_inputs_own():
    assert PIXELS.pixels(320, 640) == (0, 120, 640, 150)
    assert PIXELS.pixels(1, 1) == (0, 0, 1, 1)
    same = spec(crop=PIXELS, input_height=160, input_width=320)
    assert (prepare(FRAME, same)[0] == cv2.resize(FRAME[60:135], (320, 160))).all()


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 319), st.integers(0, 159))
def test_a_crop_in_pixels_always_lies_in_the_frame(height, width, x, y):
    rule = CropRule("pixels", rect=(x, y, 320 - x, 160 - y), of_width=320, of_height=160)
    left, top, w, h = rule.pixels(height, width)
    assert left >= 0 and top >= 0 and w >= 1 and h >= 1 and left + w <= width and top + h <= height
    first = spec(
        order=("resize", "crop", "colour"),
        resize_to=(320, 160),
        crop=rule,
        input_width=320 - x,
        input_height=160 - y,
    )
    found, rect = prepare(np.zeros((height, width, 3), np.uint8), first)
    assert (
        found.shape == (160 - y, 320 - x, 3)
        and rect.x + rect.width <= width
        and rect.y + rect.height <= height
    )


FILE = """
input_height = 66
input_width = 200
channels = 3
output_unit = "deg"
output_sign = "right"
"""


def read(tmp_path, text):
    path = tmp_path / "net.toml"
    path.write_text(FILE + text)
    return read_spec(path)


def test_a_file_says_all_of_it(tmp_path):
    found = read(
        tmp_path,
        'colour = "lab"\nresize = "pil-box"\nblur = 5\norder = ["blur", "crop", "resize", "colour"]\n'
        "input_range = [[0, 1], [-1, 1], [-128, 127]]\ncrop = { pixels = [0, 60, 320, 75], of = [320, 160] }\n",
    )
    assert (found.colour, found.resize, found.blur, found.crop) == ("lab", "pil-box", 5, PIXELS)
    assert found.order == ("blur", "crop", "resize", "colour")
    ends = [[(v - m) / s for m, s in zip(found.mean, found.std)] for v in (0, 1)]
    assert np.allclose(ends, [[0, -1, -128], [1, 1, 127]])
    assert NetworkSpec.from_json(found.to_json()) == found
    raw = read(tmp_path, 'input_range = "none"\n')
    assert (raw.mean, raw.std) == (0, 1 / 255)
    assert read(tmp_path, "").order == ("crop", "colour", "blur", "resize")


WRONG = {
    'colour = "hsv-s"': "has 1 channel, and the network takes 3",
    'colour = "hsl"': "accepted: rgb",
    'resize = "bicubic"': "accepted: auto, linear",
    "blur = 4": "an odd number",
    "blur = 3\norder = ['crop', 'resize', 'colour']": "what happens first is said by each of these once",
    "order = ['crop', 'crop', 'colour']": "what happens first",
    "order = [1, 2, 3]": "what happens first",
    "order = 'crop'": "what happens first",
    "resize_to = [320, 240]": "say also what happens first",
    "resize_to = [320, 240]\norder = ['resize', 'crop', 'colour']": "the crop leaves 320x240, and the network takes 200x66",
    "resize_to = [320]": "[width, height] is accepted",
    "crop = { pixels = [0, 0, 10, 10] }": "needs of = [width, height]",
    "crop = { pixels = [0, 0, 10, 10], of = [9, 9] }": "does not lie in a frame of 9x9",
    "crop = { pixels = [0, 0, 0.5, 10], of = [9, 9] }": "whole numbers",
    "crop = { pixels = [0, 0, 1, 1], of = [9, 9], rows = 3 }": "and no rows",
    "crop = { rows = 5, of_width = 9, of = [9, 9] }": "belongs to a crop in pixels",
    "crop = { kind = 'pixels' }": "needs pixels = [x, y, width, height]",
    "input_range = [[0, 1], [0, 1]]": "holds 2 numbers",
    "input_range = 'raw'": "a list of 2 numbers",
    "input_range = [[0, 1], [1, 0], [0, 1]]": "the second has to be the larger",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_one_sentence(tmp_path, text):
    with pytest.raises(ModelError) as error:
        read(tmp_path, text)
    assert WRONG[text] in str(error.value) and "\n" not in str(error.value)


SIZES = {"dronet": (200, 200, 1), "openpilot-like": (160, 320, 3), "donkey": (120, 160, 3)}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_a_whole_specification_with_what_the_network_says(tmp_path, name):
    path = tmp_path / "net.toml"
    path.write_text(f'preset = "{name}"\n')
    height, width, channels = SIZES.get(name, (66, 200, 3))
    known = {"input_height": height, "input_width": width, "channels": channels}
    found = read_spec(path, known=known)
    assert prepare(FRAME, found)[0].shape == ((height, width, 3) if channels == 3 else (height, width))


def test_a_preset_gives_way_to_what_the_file_says(tmp_path):
    found = read(tmp_path, 'preset = "udacity-sim"\ncolour = "yuv-bgr"\nmean = 0.5\nstd = 0.5\n')
    assert (found.colour, found.mean, found.crop, found.order[1]) == ("yuv-bgr", 0.5, PIXELS, "resize")
    assert found.output_scale == 25
    rows = read(tmp_path, 'preset = "udacity-sim"\ncrop = { rows = 66, of_width = 200 }\n')
    assert rows.crop == CropRule("bottom", rows=66, of_width=200)
    with pytest.raises(ModelError, match="no preset 'udacity'; accepted: udacity-sim"):
        read(tmp_path, 'preset = "udacity"\n')


def test_the_preset_of_udacitys_simulator_is_the_projects_own_chain(tmp_path):
    found, _ = prepare(FRAME, read(tmp_path, 'preset = "udacity-sim"\n'))
    wanted = cv2.cvtColor(cv2.resize(FRAME[60:-25], (200, 66)), cv2.COLOR_RGB2YUV)
    assert (found == wanted).all()
