"""What the code in Lambda layers computes is read from its bytes, of every version of Python, and never run."""

from __future__ import annotations

import base64
import marshal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdamaker import CODES
from vbp.models.lambda_code import Affine, NotRecognisedError, Resize, Slices, read_lambda
from vbp.models.marshal_data import MarshalError, read_code

WHOLE = slice(None)
MEANING = {
    "affine": [Affine(1 / 127.5, -1)],
    "front": [Affine(2 / 255, -1)],
    "minus": [Affine(-0.25, 0.5)],
    "same": [],
    "slices": [Slices((slice(60, 134), slice(0, 320), WHOLE))],
    "ends": [Slices((slice(60, -25), WHOLE, slice(1, None)))],
    "resize": [Resize(80, 160, "bilinear-1")],
    "steps": [Slices((slice(10, 20), WHOLE, WHOLE)), Affine(2, 3)],
    "keyword": [Resize(40, 80, "bilinear")],
}
REASONS = {
    "outside": "it uses MAX, which stands outside",
    "square": "the picture twice",
    "loop": "more than arithmetic",
    "evil": "it calls __import__",
}
ALL = [(version, name) for version, codes in CODES.items() for name in codes]


def layer(code: str) -> dict:
    return {"function": [code, None, None], "function_type": "lambda"}


@pytest.mark.parametrize("version, name", ALL)
def test_what_is_computed_is_the_same_in_every_version_of_python(version, name):
    if name in MEANING:
        assert read_lambda(layer(CODES[version][name])) == MEANING[name]
    else:
        with pytest.raises(NotRecognisedError, match=REASONS[name]):
            read_lambda(layer(CODES[version][name]))
    assert not Path("/tmp/hacked").exists()


def test_keras_1_writes_characters_and_keras_3_a_table():
    code = base64.b64decode(CODES["3.6"]["affine"])
    assert read_lambda(layer(code.decode("raw_unicode_escape"))) == MEANING["affine"]
    table = {
        "class_name": "__lambda__",
        "config": {"code": CODES["3.12"]["affine"], "defaults": None, "closure": None},
    }
    assert read_lambda({"function": table}) == MEANING["affine"]
    lines = "\n".join(CODES["3.6"]["affine"][i : i + 76] for i in range(0, 400, 76))  # as Keras 2 breaks it
    assert read_lambda(layer(lines)) == MEANING["affine"]


def test_numbers_from_around_the_function_count_where_they_are_known():
    top, scale = 12, 3.0
    for function, defaults, closure in (
        (lambda x, a=4.0: x * a, [4.0], None),
        (lambda x: x[:, top:, :, :] * scale, None, [scale, top]),
    ):
        code = base64.b64encode(marshal.dumps(function.__code__)).decode()
        if closure is not None:
            known = {"scale": scale, "top": top}
            closure = [known[name] for name in function.__code__.co_freevars]
        found = read_lambda({"function": [code, defaults, closure]})
        assert found == (
            [Affine(4, 0)] if defaults else [Slices((slice(12, None), WHOLE, WHOLE)), Affine(3, 0)]
        )


def test_what_is_not_recognised_is_described():
    with pytest.raises(NotRecognisedError) as caught:
        read_lambda(layer(CODES["3.8"]["outside"]))
    assert caught.value.numbers == (1.0,)
    with pytest.raises(NotRecognisedError, match="only the name of a function, resize_it"):
        read_lambda({"function": "resize_it", "function_type": "function"})
    with pytest.raises(NotRecognisedError, match="further arguments"):
        read_lambda({**layer(CODES["3.8"]["affine"]), "arguments": {"size": 3}})


GOOD = base64.b64decode(CODES["3.11"]["steps"])


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.integers(0, len(GOOD)))
def test_damaged_bytes_are_refused_or_read_and_nothing_else(at, value, length):
    data = bytearray(GOOD)
    data[at] = value
    for damaged in (bytes(data), GOOD[:length]):
        with suppress(NotRecognisedError):
            read_lambda(layer(base64.b64encode(damaged).decode()))


@given(
    st.one_of(
        st.text(max_size=40), st.lists(st.none() | st.text(max_size=9) | st.integers(), max_size=3), st.none()
    )
)
def test_any_configuration_is_refused_or_read(function):
    for config in ({"function": function}, {"function": [CODES["3.8"]["affine"], function, function]}):
        with suppress(NotRecognisedError):
            read_lambda(config)


@pytest.mark.parametrize(
    "data",
    [
        b"(" * 5000,
        b"\xa9\xff" + b"r\x00\x00\x00\x00" * 255,  # a tuple of itself
        b"(\xff\xff\xff\x7f",
        b"s\xff\xff\xff\x7f",
        b"l\x00\x00\x00\x80",
        b"c" + b"\x00" * 60,
        b"",
        bytes(200_000),
        marshal.dumps((1, 2, "three")),
    ],
)
def test_what_is_no_code_is_refused_within_bounds(data):
    with pytest.raises(MarshalError):
        read_code(data)


def test_the_code_of_this_python_is_read_too():
    if sys.version_info[:2] > (3, 13):
        pytest.skip("a version of Python that writes otherwise")
    (code,) = read_code(marshal.dumps((lambda x: x / 2).__code__))
    assert code.constants == (None, 2) and code.local == ("x",)
