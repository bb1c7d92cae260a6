"""Where the pictures of checkpoints lie, in a panel of any size."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSize

from vbp.app.widgets.checkpoint_strip import CheckpointStrip, Tile, best_grid
from vbp.app.widgets.line_plot import nice_step


@pytest.mark.parametrize("n", [1, 2, 5, 7, 33])
@pytest.mark.parametrize("size", [(180, 60), (460, 150), (1900, 160), (520, 900), (2000, 1400)])
def test_pictures_never_overlap_and_stay_in_the_strip(qtbot, n, size):
    strip = CheckpointStrip()
    qtbot.addWidget(strip)
    strip.set_room(QSize(*size))
    strip.set_tiles([Tile(f"epoch {k}") for k in range(n)], 640 / 125)
    strip.resize(size[0], max(size[1], strip.minimumHeight()))
    rects = [strip.tile_rect(k) for k in range(n)]
    for k, rect in enumerate(rects):
        assert rect.left() >= 0 and rect.right() <= strip.width() and rect.bottom() <= strip.height()
        assert not any(rect.intersects(other) for other in rects[k + 1 :])


def test_a_large_panel_shows_them_all_at_once():
    grid = best_grid(6, 600, 500, 640 / 125, 18, 150)
    rows = -(-6 // grid.columns)
    assert rows * (grid.height + grid.lines * 18) < 500
    assert grid.width > 250


def test_steps_of_an_axis_are_round():
    assert [nice_step(m, 4) for m in (4.0, 10.0, 0.31, 95.0)] == pytest.approx([1.0, 5.0, 0.1, 50.0])
    assert nice_step(float("nan"), 4) == 1.0
