"""The wheel turns the way the car does, and the numbers say what is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtGui import QColor, QImage

from vbp.app import theme
from vbp.app.widgets.wheel import SteeringView
from vbp.readable import clock, shown_error, signed

NAN = float("nan")


@pytest.fixture
def view(qapp, qtbot):
    theme.apply(qapp, "dark")
    view = SteeringView()
    qtbot.addWidget(view)
    view.resize(300, 420)
    return view


def centroid(image: QImage, colour: QColor, within) -> tuple[float, float] | None:
    """The middle of the pixels of a colour, from the middle of the rectangle, x right and y up."""
    points = [
        (x + 0.5 - within.center().x(), within.center().y() - y - 0.5)
        for y in range(int(within.top()), int(within.bottom()))
        for x in range(int(within.left()), int(within.right()))
        if _near(image.pixelColor(x, y), colour)
    ]
    return tuple(np.mean(points, axis=0)) if points else None


def _near(a: QColor, b: QColor) -> bool:
    return abs(a.red() - b.red()) + abs(a.green() - b.green()) + abs(a.blue() - b.blue()) < 12


@pytest.mark.parametrize("degrees", [-135, -60, -20, 0, 20, 60, 135, 400])
def test_the_predicted_needle_points_where_the_wheel_would(view, degrees):
    view.set_angles(NAN, math.radians(degrees))
    x, y = centroid(view.grab().toImage(), theme.colours().predicted, view.wheel_rect())
    # left is counter-clockwise from twelve o'clock
    off = math.degrees(math.atan2(y, x)) - (90 + degrees)
    assert abs((off + 180) % 360 - 180) < 3


def test_a_positive_driven_angle_turns_the_wheel_to_the_left(view):
    def lower_spoke(degrees: float) -> float:
        view.set_angles(math.radians(degrees), NAN)
        rect = view.wheel_rect()
        inner = rect.adjusted(*(np.array([0.2, 0.2, -0.2, -0.2]) * rect.width()))  # without the rim
        return centroid(view.grab().toImage(), theme.colours().driven, inner)[0]

    # counter-clockwise takes the lower spoke to the right
    assert lower_spoke(30) > 2
    assert lower_spoke(-30) < -2
    assert abs(lower_spoke(0)) < 0.7


def test_unknown_angles_are_a_dash_and_draw_no_needle(view):
    view.set_angles(NAN, NAN)
    view.set_speed(NAN)
    assert [number for _, number, _, _ in view.lines()] == ["–"] * 4
    image = view.grab().toImage()
    assert centroid(image, theme.colours().predicted, view.wheel_rect()) is None
    assert centroid(image, theme.colours().driven, view.wheel_rect()) is None


def test_the_numbers(view):
    view.set_angles(math.radians(3.4), math.radians(1.9))
    view.set_speed(14.23)
    shown = {label: number + unit for label, number, unit, _ in view.lines()}
    assert shown == {"driven": "+3.4°", "predicted": "+1.9°", "error": "+1.5°", "speed": "14.2m/s"}
    view.set_angles(math.radians(-3.4), math.radians(1.9))
    assert view.lines()[2][1] == "−5.3"  # actual - predicted
    view.set_angles(NAN, math.radians(1.9))
    assert view.lines()[2][1] == "–"


def test_signed_keeps_its_width_and_has_no_negative_zero():
    assert signed(-0.04) == "0.0" == signed(0.04)
    assert signed(-0.06) == "−0.1"
    assert signed(math.inf) == signed(NAN) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "00:00.0"), (210.6, "03:30.6"), (59.99, "00:59.9"), (552, "09:12.0"),
        (3723.4, "1:02:03.4"), (-3, "00:00.0"), (NAN, "00:00.0"),
    ],
)  # fmt: skip
def test_clock(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize("size", [(0, 0), (20, 20), (900, 90), (90, 900)])
@pytest.mark.parametrize("angle", [NAN, math.inf, -math.inf, 1e300, 0.0])
def test_any_size_and_any_angle_can_be_painted(view, size, angle, capfd):
    view.resize(*size)
    view.set_angles(angle, -angle)
    view.set_speed(angle)
    view.set_frame(0, 0, "")
    view.grab()
    assert "Error" not in capfd.readouterr().err


def test_a_long_frame_number_does_not_run_into_the_time(qtbot):
    view = SteeringView()
    qtbot.addWidget(view)
    view.set_frame(125021, 250000, "1:44:11.0")
    metrics = view.fontMetrics()
    whole = metrics.horizontalAdvance("frame 125021 / 250000" + "1:44:11.0  ")
    assert view._frame_text(metrics, whole) == "frame 125021 / 250000"
    assert view._frame_text(metrics, whole - 8) == "frame 125021"


@pytest.mark.parametrize(
    ("driven", "predicted", "error"), [(-2.949, -0.551, "−2.3"), (-2.86, -0.64, "−2.3"), (0.04, -0.04, "0.0")]
)
def test_the_error_is_that_of_the_numbers_beside_it(driven, predicted, error, qtbot):
    view = SteeringView()
    qtbot.addWidget(view)
    view.set_angles(math.radians(driven), math.radians(predicted))
    shown = {label: number for label, number, _, _ in view.lines()}
    assert shown["error"] == error
    number = {k: float(v.replace("−", "-")) for k, v in shown.items() if k != "speed"}
    assert number["error"] == pytest.approx(number["driven"] - number["predicted"])


@given(st.floats(-500, 500), st.floats(-500, 500))
def test_shown_errors_add_up(driven, predicted):
    d, p, e = (
        float(t.replace("−", "-"))
        for t in (signed(driven), signed(predicted), signed(shown_error(driven, predicted)))
    )
    assert e == pytest.approx(d - p, abs=1e-9)
    assert abs(e - (driven - predicted)) <= 0.1001
