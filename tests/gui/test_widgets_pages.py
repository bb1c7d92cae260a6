"""Layers, notices, the start page and the page of keys."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest

from vbp.app import theme
from vbp.app.dialogs.keys import KeysPage, caps, spread
from vbp.app.widgets.layers import LayersView, to_grey
from vbp.app.widgets.notice import Notice
from vbp.app.widgets.start_page import StartPage

# -- layers


@given(arrays(np.float32, (5, 7), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)))
def test_any_map_becomes_grey_without_a_warning(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grey = to_grey(values)
    assert grey.dtype == np.uint8
    assert grey.shape == (5, 7)
    finite = np.where(np.isfinite(values), values, 0).astype(np.float64)
    if finite.max() > finite.min():
        assert grey[np.unravel_index(finite.argmax(), finite.shape)] == 255
        assert grey[np.unravel_index(finite.argmin(), finite.shape)] == 0
    else:
        assert not grey.any()


def test_layers_are_two_columns_from_the_input_down(qapp, qtbot):
    theme.apply(qapp, "dark")
    view = LayersView()
    qtbot.addWidget(view)
    view.resize(400, 600)
    with qtbot.waitExposed(view):
        view.show()
    ramp = np.tile(np.linspace(0, 3, 64, dtype=np.float32), (16, 1))
    flat = np.full((16, 64), 5, np.float32)
    view.set_layers([("conv 1  8×16×64", ramp, ramp[:, ::-1].copy()), ("conv 2  8×8×32", flat, ramp)])
    image = view.grab().toImage()

    def grey(row: int, column: int, part: float) -> int:
        cell = view.rows.cell(row, column)
        return image.pixelColor(int(cell.left() + part * cell.width()), int(cell.center().y())).lightness()

    assert grey(0, 0, 0.05) < 30 and grey(0, 0, 0.95) > 225
    assert grey(0, 1, 0.05) > 225 and grey(0, 1, 0.95) < 30
    assert grey(1, 0, 0.5) == 0  # constant: black
    assert grey(1, 1, 0.95) > 225
    assert view.rows.cell(1, 0).top() > view.rows.cell(0, 0).bottom()


def test_hidden_rows_cost_nothing(qapp, qtbot):
    view = LayersView()
    qtbot.addWidget(view)
    view.resize(300, 120)
    with qtbot.waitExposed(view):
        view.show()
    one = np.random.default_rng(0).random((60, 200), dtype=np.float32)
    view.set_layers([(f"conv {i}", one, one) for i in range(40)])
    view.grab()
    assert {row for row, _ in view.rows._images} <= set(range(6))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (0, 0), (300, 1)])
def test_odd_maps_and_none(qapp, qtbot, shape, capfd):
    view = LayersView()
    qtbot.addWidget(view)
    view.resize(200, 200)
    view.grab()
    view.set_layers([("odd", np.zeros(shape, np.float32), np.ones(shape, np.float32))])
    view.grab()
    view.set_layers([])
    view.grab()
    assert "Error" not in capfd.readouterr().err


# -- notices


def test_a_notice_replaces_repeats_and_is_dismissed(qapp, qtbot):
    notice = Notice()
    qtbot.addWidget(notice)
    assert notice.isHidden()
    called: list[str] = []
    for _ in range(3):
        notice.show_message("the camera is gone", "error", [("Retry", lambda: called.append("retry"))])
    assert notice.message() == "the camera is gone"
    assert len(notice.actions_shown()) == 1
    QTest.mouseClick(notice.actions_shown()[0], Qt.MouseButton.LeftButton)
    assert called == ["retry"]
    assert notice.message() == ""
    notice.show_message("opened", "info")
    assert notice.actions_shown() == []
    QTest.mouseClick(notice.close_button, Qt.MouseButton.LeftButton)
    assert notice.isHidden()


def test_an_action_may_show_the_next_message(qapp, qtbot):
    notice = Notice()
    qtbot.addWidget(notice)
    notice.show_message("first", "warning", [("Go on", lambda: notice.show_message("second", "error"))])
    QTest.mouseClick(notice.actions_shown()[0], Qt.MouseButton.LeftButton)
    assert notice.message() == "second"


def test_markup_in_a_message_is_shown_as_it_is(qapp, qtbot):
    notice = Notice()
    qtbot.addWidget(notice)
    notice.show_message("<b>a.bag</b> & <img src=x>")
    assert notice.label.textFormat() == Qt.TextFormat.PlainText


def test_a_news_goes_by_itself_and_an_error_stays(qapp, qtbot):
    notice = Notice(info_ms=50)
    qtbot.addWidget(notice)
    notice.show_message("bad", "error")
    qtbot.wait(150)
    assert notice.message() == "bad"
    notice.show_message("opened", "info")
    qtbot.waitUntil(lambda: notice.isHidden(), timeout=3000)


# -- the start page


def drop(page: StartPage, *urls: QUrl) -> QDropEvent:
    data = QMimeData()
    data.setUrls(list(urls))
    event = QDropEvent(
        QPointF(50, 50),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    page.dropEvent(event)
    return event


def test_the_start_page_asks(qapp, qtbot, tmp_path):
    page = StartPage()
    qtbot.addWidget(page)
    opened: list[str] = []
    page.open_requested.connect(opened.append)
    with qtbot.waitSignal(page.choose_requested, timeout=1000):
        page.open.click()
    page.set_recent([str(tmp_path / "one"), r"C:\drives\two.mp4"])
    assert [(row.name, row.folder) for row in page.rows] == [("one", str(tmp_path)), ("two.mp4", "C:/drives")]
    for row in page.rows:
        row.click()
    drop(page, QUrl("https://example.org/x"))
    drop(page, QUrl("https://example.org/x"), QUrl.fromLocalFile(str(tmp_path)))
    assert opened == [str(tmp_path / "one"), r"C:\drives\two.mp4", str(tmp_path)]
    page.set_recent([])
    assert page.rows == []
    page.grab()


# -- the keys


def test_keys_are_cut_into_caps():
    assert caps("Ctrl+Shift+O, F2") == [["Ctrl", "Shift", "O"], ["F2"]]
    assert caps("+") == [["+"]]
    assert caps("Ctrl++") == [["Ctrl", "+"]]
    assert caps("Ctrl+,") == [["Ctrl", ","]]
    assert caps("") == []


@given(st.lists(st.integers(1, 12), max_size=12), st.integers(1, 4))
def test_groups_keep_their_order_over_the_columns(sizes, columns):
    groups = [(f"g{i}", [("text", "K")] * n) for i, n in enumerate(sizes)]
    out = spread(groups, columns)
    assert len(out) == columns
    assert [g for column in out for g in column] == groups


def test_the_keys_page_shows_every_action(qapp, qtbot):
    page = KeysPage()
    qtbot.addWidget(page)
    page.resize(800, 500)
    page.grab()
    page.set_actions(
        [("Play", "&Play or pause", "Space"), ("File", "Open…", "Ctrl+O"), ("Play", "Faster", "+")]
    )
    assert page.sheet.groups == [
        ("Play", [("Play or pause", "Space"), ("Faster", "+")]),
        ("File", [("Open…", "Ctrl+O")]),
    ]
    theme.apply(qapp, "dark")
    image = page.grab().toImage()
    ground = theme.colours().window
    inked = sum(image.pixelColor(x, y) != ground for x in range(0, 800, 2) for y in range(0, 200, 2))
    assert inked > 100
