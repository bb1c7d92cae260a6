"""A specification written by hand: what it says, and one sentence for each way in which it can be wrong."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbp.errors import ModelError
from vbp.models.source import NetworkSource
from vbp.models.spec_file import read_spec

WHOLE = """
input_height = 66
input_width = 200
channels = 3
output_unit = "deg"
output_sign = "left"
"""
GUIDE = Path(__file__).parents[2] / "docs" / "networks.md"


def write(folder: Path, text: str) -> Path:
    path = folder / "net.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_left_out_is_the_plainest(tmp_path):
    spec = read_spec(write(tmp_path, WHOLE))
    assert (spec.input_height, spec.input_width, spec.channels) == (66, 200, 3)
    assert (spec.name, spec.colour, spec.mean, spec.std, spec.crop.kind) == ("net", "rgb", 0.0, 1.0, "none")
    assert spec.angle(90.0) == pytest.approx(math.pi / 2)
    assert read_spec(write(tmp_path, WHOLE), name="mine").name == "mine"


def test_an_angle_may_be_one_of_several_or_count_from_another_middle(tmp_path):
    spec = read_spec(write(tmp_path, WHOLE + "output_bins = 15\noutput_index = 1\n"))
    assert spec.output_bins == pytest.approx([k / 7 - 1 for k in range(15)])
    assert (spec.outputs_needed, spec.takes_scores) == (16, True)
    spec = read_spec(write(tmp_path, WHOLE + "output_bins = [-30, 0, 30]\n"))
    shares = [0.2, 0.3, 0.5]
    scores = [math.log(v) for v in shares]
    assert math.degrees(spec.angle_of(scores)) == pytest.approx(9)
    likeliest = read_spec(write(tmp_path, WHOLE + 'output_bins = [-30, 0, 30]\noutput_reading = "largest"\n'))
    assert math.degrees(likeliest.angle_of(scores)) == pytest.approx(30)
    assert math.isnan(spec.angle_of([1.0, math.nan, 0.0]))
    servo = read_spec(write(tmp_path, WHOLE + "output_offset = 90\noutput_scale = 2.0\n"))
    assert math.degrees(servo.angle_of([95.0])) == pytest.approx(10)
    for field, words in (
        ("output_bins = 1", "output_bins"),
        ("output_bins = [1]", "output_bins"),
        ('output_bins = ["a", "b"]', "output_bins"),
        ("output_bins = 2000", "output_bins"),
        ('output_reading = "middle"', "expected, largest"),
        ("output_offset = inf", "output_offset"),
        ("layers = { a = { scale = 1 } }", "layers are those of a Keras file"),
        ("inputs = 3", "write ..inputs.."),
        ('inputs = [{ name = "a", value = "b" }]', "and value, a number"),
        ('inputs = [{ name = "a", value = 1 }]', "inputs are those of a Keras file"),
        ('output = "class"\noutput_bins = 3', "leave them out"),
    ):
        with pytest.raises(ModelError, match=words):
            read_spec(write(tmp_path, f"{WHOLE}{field}\n"))


@pytest.mark.parametrize("low, high", [(-1, 1), (0, 255), (-0.5, 0.5)])
def test_an_input_range_is_what_black_and_white_become(tmp_path, low, high):
    spec = read_spec(write(tmp_path, WHOLE + f"input_range = [{low}, {high}]\n"))
    assert isinstance(spec.mean, float) and isinstance(spec.std, float)
    assert [(x - spec.mean) / spec.std for x in (0.0, 1.0)] == pytest.approx([low, high])


def test_a_crop_says_its_kind_by_what_it_gives(tmp_path):
    rows = read_spec(write(tmp_path, WHOLE + "[crop]\nrows = 211\nof_width = 640\n"))
    assert rows.crop.pixels(480, 640) == (0, 269, 640, 211)
    part = read_spec(write(tmp_path, WHOLE + "[crop]\nrect = [0.25, 0.5, 0.5, 0.5]\n"))
    assert part.crop.pixels(480, 640) == (160, 240, 320, 240)


def test_an_inverse_radius_becomes_an_angle_of_the_steering_wheel(tmp_path):
    text = WHOLE.replace('"deg"', '"1/m"').replace('"left"', '"right"')
    spec = read_spec(write(tmp_path, text + "wheelbase_m = 2.85\nsteering_ratio = 14.8\n"))
    assert spec.angle(1 / 50) == pytest.approx(-14.8 * math.atan(2.85 / 50))


def test_the_examples_of_the_readme_are_whole(tmp_path):
    blocks = GUIDE.read_text(encoding="utf-8").split("```toml\n")[1:]
    assert len(blocks) == 4
    of_keras = {"input_height": 66, "input_width": 200, "channels": 3}  # the file says it
    for block, known in zip(blocks, (of_keras, {}, {}, {})):
        spec = read_spec(write(tmp_path, block.split("```")[0]), known=known)
        assert spec.angle(0.0) == 0.0


WRONG = {
    "a field nobody knows": (WHOLE + "output_unti = 1\n", "output_unit was meant?"),
    "a field of the crop nobody knows": (WHOLE + "[crop]\nrow = 1\n", "crop.rows was meant?"),
    "the architecture": (WHOLE + 'architecture = "steering"\n', "no field architecture"),
    "no unit": (WHOLE.replace('output_unit = "deg"', ""), "output_unit must be said"),
    "no size": (WHOLE.replace("input_height = 66", ""), "input_height must be said"),
    "a unit of nothing": (WHOLE.replace('"deg"', '"grad"'), "rad, deg, 1/m"),
    "a size that is a text": (WHOLE.replace("66", '"66"'), "input_height of the specification"),
    "a range backwards": (WHOLE + "input_range = [1, -1]\n", "the larger"),
    "a range of three": (WHOLE + "input_range = [1, 2, 3]\n", "a list of 2 numbers"),
    "a range and a mean": (WHOLE + "input_range = [0, 1]\nmean = 0.5\n", "the one or the others"),
    "two means": (WHOLE + "mean = [0.5, 0.5]\n", "holds 2 numbers"),
    "a crop that is a text": (WHOLE + 'crop = "bottom"\n', "crop is no table"),
    "a rect of three": (WHOLE + "crop = { rect = [0, 0, 1] }\n", "a list of 4 numbers"),
    "a range without an end": (WHOLE + "input_range = [0, inf]\n", "two finite numbers"),
    "a rect without its rect": (WHOLE + 'crop = { kind = "rect" }\n', "needs rect"),
    "classes of a steering network": (WHOLE + 'classes = ["a"]\n', 'output = "class"'),
    "classes that are a text": (WHOLE + 'output = "class"\nclasses = "abc"\n', "a list of texts"),
    "a car without a ratio": (WHOLE + "steering_ratio = nan\n", "steering_ratio of the specification is nan"),
    "no TOML": ("input_height: 66\n", "is no TOML file"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_sentence_that_names_the_file(tmp_path, name):
    text, words = WRONG[name]
    path = write(tmp_path, text)
    with pytest.raises(ModelError) as error:
        read_spec(path)
    assert words in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


def test_files_that_are_none(tmp_path):
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(ModelError, match="cannot be read"):
            read_spec(path)
    (tmp_path / "net.toml").write_bytes(b"\xff\xfe" * 50)
    with pytest.raises(ModelError, match="no TOML"):
        read_spec(tmp_path / "net.toml")


def test_what_the_network_says_of_itself_may_be_left_out_but_not_contradicted(tmp_path):
    known = {"input_height": 66, "input_width": 200, "channels": 3}
    assert (
        read_spec(write(tmp_path, 'output_unit = "rad"\noutput_sign = "left"\n'), known=known).channels == 3
    )
    with pytest.raises(ModelError, match="the network itself says 66"):
        read_spec(write(tmp_path, WHOLE.replace("66", "70")), known=known)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@given(TEXT, st.one_of(st.just(""), TEXT), st.one_of(st.just(""), TEXT))
def test_a_source_as_text_is_read_back_as_it_was(model, weights, spec):
    source = NetworkSource(model, weights, spec)
    again = NetworkSource.parse(str(source))
    assert again == source or not (weights or spec)  # a bare name with a question mark in it stays a name
    if not (weights or spec):
        assert str(source) == model
